// What is wrong, in words, with the way to its cause. The broker decides what is wrong (GET /attention); nodes that are down or
// cut off are seen in the list of nodes.

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
  node_down: {
    title: (n) => `${format.plural(n, "node")} ${n === 1 ? "is" : "are"} down`,
    means: "Queues that are led there may be unavailable.",
    example: nodeLink,
  },
  partition: {
    title: (n) => `${format.plural(n, "node")} cannot reach others`,
    means: "The network between them is broken.",
    example: (e) => [nodeLink(e), ` cannot reach ${e.others.join(", ")}`],
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
    example: queueLink,
    all: "unsynchronised_mirrors",
  },
  growing_backlogs: {
    title: (n) => `${format.plural(n, "queue")} growing`,
    means: "More messages arrive than are consumed, for a minute at least.",
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

// What the list of nodes shows to be wrong.
export function ofNodes(nodes) {
  const down = nodes.filter((node) => !node.running).map((node) => ({ node: node.name }));
  const cut = nodes.filter((node) => node.partitions?.length > 0).map((node) => ({ node: node.name, others: node.partitions }));
  const item = (kind, examples) => (examples.length > 0 ? [{ kind, severity: "error", count: examples.length, examples }] : []);
  return [...item("node_down", down), ...item("partition", cut)];
}

// Everything that is wrong, the gravest first.
export async function load(signal) {
  const [attention, nodes] = await Promise.all([
    api.getOr({ items: [] }, "attention", { signal }),
    session.isMonitor() ? api.getOr([], "nodes?columns=name,running,partitions", { signal }) : [],
  ]);
  return [...ofNodes(nodes), ...attention.items];
}

function row(item) {
  const kind = KINDS[item.kind] ?? { title: () => item.kind.replaceAll("_", " "), means: "", example: (e) => (e.queue ? queueLink(e) : nodeLink(e)) };
  const shown = item.examples.slice(0, EXAMPLES);
  const more = item.count - shown.length;
  const all = kind.all ? h("a", { href: route.to("queues", { attention: kind.all }) }, `all ${format.whole(item.count)}`) : `${format.whole(more)} more`;
  return h(
    "li",
    { class: `concern ${item.severity}`, key: item.kind },
    icon("error"),
    h(
      "div",
      {},
      h("strong", {}, kind.title(item.count)),
      h("p", { class: "dim" }, kind.means),
      h("ul", { class: "examples" }, shown.map((example, index) => h("li", { key: index }, kind.example(example))), more > 0 ? h("li", { key: "more" }, all) : null),
    ),
  );
}

// The card on the overview.
export function card(items) {
  return h(
    "section",
    { class: `card attention ${items.length === 0 ? "well" : ""}`, key: "attention", "aria-labelledby": "attention-title" },
    h("h2", { id: "attention-title" }, items.length === 0 ? [icon("well"), "Nothing needs your attention"] : "Needs your attention"),
    items.length === 0 ? h("p", { class: "dim" }, "No alarm is on, no node is down, every queue with messages has a consumer, and none is growing.") : h("ul", { class: "concerns" }, items.map(row)),
  );
}

// The summary in the frame, on every page.
export function pill(items) {
  const isError = items.some((item) => item.severity === "error");
  const text = items.length === 0 ? "All well" : format.plural(items.length, "concern");
  return h("a", { class: `pill ${items.length === 0 ? "good" : isError ? "bad" : "warn"}`, href: route.to("overview"), id: "health" }, icon(items.length === 0 ? "well" : "error"), text);
}
