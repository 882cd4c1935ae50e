// Properties of queues and exchanges in few letters, with the whole meaning on demand.

import { h } from "../dom.js";
import * as format from "../format.js";
import * as route from "../route.js";
import { badge } from "./parts.js";

// What arguments become: the letters, and what they mean.
const LETTERS = {
  "x-message-ttl": ["TTL", (v) => `Messages expire after ${format.duration(v)}`],
  "x-expires": ["Exp", (v) => `Deleted when unused for ${format.duration(v)}`],
  "x-max-length": ["Lim", (v) => `At most ${format.whole(v)} messages`],
  "x-max-length-bytes": ["Lim B", (v) => `At most ${format.bytes(v)}`],
  "x-overflow": ["Ovfl", (v) => `Beyond its limit: ${v}`],
  "x-dead-letter-exchange": ["DLX", (v) => `Dead letters go to ${format.exchangeName(v)}`],
  "x-dead-letter-routing-key": ["DLK", (v) => `Dead letters get the routing key ${v}`],
  "x-single-active-consumer": ["SAC", () => "One consumer at a time"],
  "x-max-priority": ["Pri", (v) => `Priorities up to ${v}`],
  "alternate-exchange": ["AE", (v) => `Unrouted messages go to ${v}`],
};

function ofArguments(given) {
  const known = Object.entries(given ?? {}).filter(([name]) => name in LETTERS);
  const badges = known.map(([name, value]) => badge(LETTERS[name][0], { title: `${LETTERS[name][1](value)} (${name})` }));
  const others = Object.keys(given ?? {}).filter((name) => !(name in LETTERS) && name !== "x-queue-type");
  return [...badges, others.length > 0 ? badge("Args", { title: others.map((name) => `${name}: ${format.value(given[name])}`).join("\n") }) : null];
}

export function policy(object) {
  if (!object.policy && !object.operator_policy) return null;
  return [
    object.policy ? h("a", { class: "badge policy", title: `Policy ${object.policy}`, href: route.to("policies", { vhost: object.vhost }) }, object.policy) : null,
    object.operator_policy ? h("a", { class: "badge policy", title: `Operator policy ${object.operator_policy}`, href: route.to("policies", { vhost: object.vhost }) }, object.operator_policy) : null,
  ];
}

export function ofQueue(queue) {
  return [
    queue.type && queue.type !== "classic" ? badge(queue.type) : null,
    queue.durable ? badge("D", { title: "Durable: survives a restart" }) : badge("transient", { title: "Gone after a restart" }),
    queue.auto_delete ? badge("AD", { title: "Deleted with its last consumer" }) : null,
    queue.exclusive ? badge("Excl", { title: "Belongs to one connection" }) : null,
    ofArguments(queue.arguments),
    policy(queue),
  ];
}

export function ofExchange(exchange) {
  return [
    exchange.durable ? badge("D", { title: "Durable: survives a restart" }) : badge("transient", { title: "Gone after a restart" }),
    exchange.auto_delete ? badge("AD", { title: "Deleted with its last binding" }) : null,
    exchange.internal ? badge("I", { title: "Internal: clients cannot publish to it" }) : null,
    ofArguments(exchange.arguments),
    policy(exchange),
  ];
}

const STATES = { running: "good", idle: "", flow: "warn", syncing: "warn", down: "bad", crashed: "bad", stopped: "bad", minority: "bad" };

export function state(word) {
  return word ? badge(word, { kind: STATES[word] ?? "" }) : badge("no statistics", { title: "Statistics come within a few seconds" });
}
