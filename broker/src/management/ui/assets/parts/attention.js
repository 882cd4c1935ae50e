// What is wrong in the cluster, in words, with the way to its cause. The broker decides what is wrong (GET /attention).

import { h } from "../dom.js";
import * as api from "../api.js";
import * as format from "../format.js";
import * as route from "../route.js";
import * as session from "../session.js";
import { icon } from "./icons.js";

const queueLink = (example) => h("a", { href: route.to("queues", example.vhost, example.queue) }, example.queue);
const nodeLink = (example) => (session.isMonitor() ? h("a", { href: route.to("nodes", example.node) }, example.node) : example.node);

// For each kind: what it means, what an example says, and where all of them are.
const KINDS = {
  minority: {
    title: () => "No majority: clients are not served here",
    means: "This node reaches less than half of the cluster. Start the other nodes, or mend the network between them.",
    example: nodeLink,
  },
  node_down: {
    title: (n) => `${format.plural(n, "node")} ${n === 1 ? "is" : "are"} down or cannot be reached`,
    means: "Queues that are led there and have no mirror in sync are not served.",
    example: nodeLink,
  },
  unavailable_queues: {
    title: (n) => `${format.plural(n, "queue")} ${n === 1 ? "is" : "are"} not served`,
    means: "The node that leads is down, and no other one holds all of its messages.",
    example: (e) => [queueLink(e), " waits for ", nodeLink(e)],
    all: "unavailable_queues",
  },
  maintenance: {
    title: (n) => `${format.plural(n, "node")} in maintenance`,
    means: "It serves no clients and leads no queue that others can lead.",
    example: nodeLink,
  },
  memory_alarm: {
    title: () => "Memory alarm: publishers are blocked",
    means: "More memory is used than the watermark allows. Consume or purge messages, or raise the watermark.",
    example: (e) => [nodeLink(e), ` uses ${format.bytes(e.value)} of ${format.bytes(e.limit)}`],
  },
  disk_alarm: {
    title: () => "Disk alarm: publishers are blocked",
    means: "Less disk space is free than the limit demands. Free some space, or lower the limit.",
    example: (e) => [nodeLink(e), ` has ${format.bytes(e.value)} free and needs ${format.bytes(e.limit)}`],
  },
  memory_nearly_full: {
    title: () => "Memory is nearly used up",
    means: "Publishers will be blocked at the watermark.",
    example: (e) => [nodeLink(e), ` uses ${format.bytes(e.value)} of ${format.bytes(e.limit)}`],
  },
  descriptors_nearly_used: {
    title: () => "File descriptors are nearly used up",
    means: "New connections will be refused when there are none left.",
    example: (e) => [nodeLink(e), ` uses ${format.whole(e.value)} of ${format.whole(e.limit)}`],
  },
  unsynchronised_mirrors: {
    title: (n) => `${format.plural(n, "queue")} with unsynchronised mirrors`,
    means: "Messages would be lost with the node that leads them.",
    example: (e) => [queueLink(e), e.value > 0 ? ` holds ${format.short(e.value)}` : null],
    all: "unsynchronised_mirrors",
  },
  growing_backlogs: {
    title: (n) => `${format.plural(n, "queue")} growing`,
    means: "More messages have come than gone for a minute, and still do.",
    example: (e) => [queueLink(e), ` holds ${format.short(e.value)}, ${format.short(e.gained)} more than a minute ago`],
    all: "growing_backlogs",
  },
  queues_without_consumers: {
    title: (n) => `${format.plural(n, "queue")} with messages and no consumer`,
    means: "Nobody takes these messages.",
    example: (e) => [queueLink(e), ` holds ${format.short(e.value)}`],
    all: "queues_without_consumers",
  },
};

const EXAMPLES = 4;

// Everything that is wrong, the gravest first.
export async function load(signal) {
  const attention = await api.getOr({ items: [] }, "attention", { signal });
  return attention.items;
}

function row(item) {
  const kind = KINDS[item.kind] ?? { title: () => item.kind.replaceAll("_", " "), means: "", example: (e) => (e.queue ? queueLink(e) : nodeLink(e)) };
  const shown = item.examples.slice(0, EXAMPLES);
  const more = item.count - shown.length;
  const all = kind.all ? h("a", { href: route.to("queues", { attention: kind.all }) }, item.count === 1 ? "in the list" : `all ${format.whole(item.count)} in the list`) : `${format.whole(more)} more`;
  return h(
    "li",
    { class: `concern ${item.severity}`, key: item.kind },
    icon("error"),
    h(
      "div",
      {},
      h("strong", {}, kind.title(item.count)),
      h("p", { class: "dim" }, kind.means),
      h("ul", { class: "examples" }, shown.map((example, index) => h("li", { key: index }, kind.example(example))), more > 0 || kind.all ? h("li", { key: "more" }, all) : null),
    ),
  );
}

// The card on the overview.
export function card(items) {
  return h(
    "section",
    { class: `card attention ${items.length === 0 ? "well" : ""}`, key: "attention", "aria-labelledby": "attention-title" },
    h("h2", { id: "attention-title" }, items.length === 0 ? [icon("well"), "Nothing needs your attention"] : "Needs your attention"),
    items.length === 0 ? h("p", { class: "dim" }, "No alarm is on, no node is down, all mirrors are in sync, every queue with messages has a consumer, and none is growing.") : h("ul", { class: "concerns" }, items.map(row)),
  );
}

// The summary in the frame, on every page.
export function pill(items) {
  const isError = items.some((item) => item.severity === "error");
  const text = items.length === 0 ? "All well" : format.plural(items.length, "concern");
  return h("a", { class: `pill ${items.length === 0 ? "good" : isError ? "bad" : "warn"}`, href: route.to("overview"), id: "health", title: items.map((item) => (KINDS[item.kind] ? KINDS[item.kind].title(item.count) : item.kind)).join("\n") || null }, icon(items.length === 0 ? "well" : "error"), text);
}
