// One queue: its past, its settings, where it lives, who consumes, what is bound to it, and its messages.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as badges from "../parts/badges.js";
import * as bindings from "../parts/bindings.js";
import { KEPT_SECONDS, keptSpanOf, lengthsChart, ratesChart, samplesOf } from "../parts/chart.js";
import * as copies from "../parts/copies.js";
import * as dialog from "../parts/dialog.js";
import * as format from "../format.js";
import * as graph from "../parts/graph.js";
import * as messages from "../parts/messages.js";
import { button, card, cardWith, facts, heading, pairs, spanChoice, table } from "../parts/parts.js";
import * as route from "../route.js";
import * as session from "../session.js";

async function load({ where, names: [vhost, name], signal }) {
  const span = keptSpanOf(where);
  const [queue, bound, nodes] = await Promise.all([
    api.get(api.query(api.path`queues/${vhost}/${name}`, samplesOf(span, "lengths", "msg_rates")), { signal }),
    api.get(api.path`queues/${vhost}/${name}/bindings`, { signal }),
    session.isAdministrator() ? api.getOr([], "nodes?columns=name,running", { signal }) : [],
  ]);
  return { queue, bound, nodes: nodes.filter((node) => node.running).map((node) => node.name), span };
}

function purge(queue, refresh) {
  dialog.confirm({
    title: `Purge ${queue.name}?`,
    text: `${format.plural(queue.messages_ready, "ready message")} will be lost. Unacknowledged ones stay.`,
    action: "Purge messages",
    submit: async () => {
      await api.remove(api.path`queues/${queue.vhost}/${queue.name}/contents`);
      return "The queue is purged.";
    },
    done: refresh,
  });
}

function remove(queue) {
  dialog.confirm({
    title: `Delete ${queue.name}?`,
    text: `The queue goes with ${format.plural(queue.messages, "message")}, its bindings and ${format.plural(queue.consumers, "consumer")}. This cannot be undone.`,
    action: "Delete queue",
    submit: async () => {
      await api.remove(api.path`queues/${queue.vhost}/${queue.name}`);
      return `Queue ${queue.name} is deleted.`;
    },
    done: () => route.go(route.to("queues")),
  });
}

function actions(queue, refresh) {
  return [
    button("Publish", () => messages.publish(queue.vhost, "", { routingKey: queue.name, title: `Publish to ${queue.name}`, done: refresh })),
    button("Get messages", () => messages.get(queue.vhost, queue.name, refresh)),
    copies.syncButton(queue, refresh),
    button("Purge", () => purge(queue, refresh), { kind: "danger-text" }),
    button("Delete", () => remove(queue), { kind: "danger-text" }),
  ];
}

// What is wrong with this queue, said where one looks first.
function notices(queue) {
  const told = [
    queue.state === "down" ? ["bad", `Not served: ${queue.node}, which leads it, is down, and no other node holds all of its messages.`] : null,
    copies.isSyncing(queue) ? ["", "Its mirrors fetch what they lack.", copies.progress(queue)] : null,
    !copies.isSyncing(queue) && copies.lagging(queue).length > 0 ? ["warn", `Not in sync: ${copies.lagging(queue).join(", ")}. Messages would be lost with ${queue.node}.`] : null,
    copies.absent(queue).length > 0 ? ["warn", `Members that are away: ${copies.absent(queue).join(", ")}.`] : null,
    queue.messages_ready > 0 && queue.consumers === 0 ? ["warn", `${format.plural(queue.messages_ready, "message")} ${queue.messages_ready === 1 ? "waits" : "wait"}, and nobody consumes.`] : null,
  ].filter(Boolean);
  return told.length === 0 ? null : h("div", { class: "notices", key: "notices" }, told.map(([kind, text, more]) => h("div", { class: `notice ${kind}`, key: text }, h("p", {}, text), more ?? null)));
}

function settings(queue, nodes, refresh) {
  const owner = queue.owner_pid_details;
  return facts([
    ["State", badges.state(queue.state)],
    ["Nodes", [copies.places(queue), copies.memberButtons(queue, nodes, refresh)]],
    ["Type", queue.type],
    ["Durable", queue.durable ? "yes" : "no"],
    ["Auto-delete", queue.auto_delete ? "yes, with its last consumer" : null],
    ["Exclusive to", owner ? h("a", { href: route.to("connections", owner.name) }, owner.name) : queue.exclusive ? "a connection" : null],
    ["Arguments", pairs(queue.arguments)],
    ["Policy", badges.policy(queue) ?? h("span", { class: "dim" }, "none")],
    ["In effect by policy", queue.policy || queue.operator_policy ? pairs(queue.effective_policy_definition) : null],
    ["Active consumer", queue.single_active_consumer_tag],
  ]);
}

function contents(queue) {
  return facts([
    ["Messages", format.whole(queue.messages)],
    ["Ready", format.whole(queue.messages_ready)],
    ["Unacknowledged", format.whole(queue.messages_unacknowledged)],
    ["Persistent", format.whole(queue.messages_persistent)],
    ["Bodies", format.bytes(queue.message_bytes)],
    ["Memory", format.bytes(queue.memory)],
    ["Consumers", format.whole(queue.consumers)],
    ["Change", format.rate(queue.messages_details?.rate)],
  ]);
}

function consumers(queue) {
  const channel = (c) => h("a", { href: route.to("channels", c.channel_details.name) }, c.channel_details.name);
  const columns = [
    ["Channel", channel],
    ["Tag", (c) => h("code", {}, c.consumer_tag)],
    ["Acknowledges", (c) => (c.ack_required ? "yes" : "no")],
    ["Prefetch", (c) => (c.prefetch_count === 0 ? "no limit" : format.whole(c.prefetch_count)), { numeric: true }],
    ["Active", (c) => (c.active ? "yes" : (c.activity_status ?? "no"))],
    ["Exclusive", (c) => (c.exclusive ? "yes" : "no")],
  ];
  const empty = queue.messages_ready > 0 ? "Nobody consumes: the messages wait." : "Nobody consumes.";
  return table(columns, queue.consumer_details ?? [], { key: (c) => `${c.channel_details.name}\n${c.consumer_tag}`, empty });
}

// Exchanges on the left, the queue, and what consumes or takes its dead letters on the right.
function picture(queue, bound) {
  const sources = [...new Set(bound.map((binding) => binding.source))].map((source) => graph.exchangeBox(queue.vhost, source));
  const here = { ...graph.queueBox(queue.vhost, queue.name, format.plural(queue.messages, "message")), isHere: true };
  const users = (queue.consumer_details ?? []).map((consumer, index) => ({ id: `c ${index}`, label: consumer.consumer_tag, kind: "consumer", href: route.to("channels", consumer.channel_details.name), note: consumer.channel_details.peer_host }));
  const edges = [...bound.map(graph.bindingEdge), ...users.map((user) => ({ from: here.id, to: user.id, label: "" }))];
  const settled = { ...queue.effective_policy_definition, ...queue.arguments };
  const letters = settled["x-dead-letter-exchange"] ?? settled["dead-letter-exchange"];
  if (letters !== undefined) {
    const target = { ...graph.exchangeBox(queue.vhost, letters), id: "dead letters" };
    users.push(target);
    edges.push({ from: here.id, to: target.id, label: "dead letters", kind: "dead" });
  }
  return graph.picture([sources, [here], users], edges, `What is bound to ${queue.name}`);
}

function view({ queue, bound, nodes, span }, { where, refresh }) {
  const addBinding = button("Add a binding", () => bindings.bind(queue.vhost, { destination: queue.name, kind: "queue" }, refresh), { kind: "small", picture: "plus" });
  return [
    heading(queue.name, { kicker: [h("a", { href: route.to("queues") }, "Queues"), ` in ${queue.vhost}`], badges: [badges.ofQueue(queue), copies.summary(queue)], actions: actions(queue, refresh) }),
    notices(queue),
    spanChoice(where, span, KEPT_SECONDS),
    h("div", { class: "charts", key: "charts" }, lengthsChart(queue, span), ratesChart(queue.message_stats, span)),
    h("div", { class: "columns", key: "facts" }, card("Contents", contents(queue)), card("Settings", settings(queue, nodes, refresh))),
    card("Consumers", consumers(queue)),
    cardWith("Bindings", addBinding, picture(queue, bound), bindings.list(bound, "source", refresh)),
  ];
}

export default { title: ([, name]) => name, load, view };
