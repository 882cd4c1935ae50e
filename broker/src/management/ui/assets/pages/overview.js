// The first page: what needs attention, what flows, what the nodes have left.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as attention from "../parts/attention.js";
import { lengthsChart, ratesChart, samplesOf, spanOf } from "../parts/chart.js";
import * as format from "../format.js";
import { badge, card, facts, heading, meter, spanChoice, table, tile } from "../parts/parts.js";
import * as route from "../route.js";
import * as session from "../session.js";

const BACKLOGS = 5;

async function load({ where, signal }) {
  const span = spanOf(where);
  const backlogs = { page: 1, page_size: BACKLOGS, sort: "messages", sort_reverse: "true", columns: "vhost,name,messages,messages_details.rate,consumers" };
  const [overview, nodes, largest] = await Promise.all([
    api.get(api.query("overview", samplesOf(span, "lengths", "msg_rates")), { signal }),
    session.isMonitor() ? api.get("nodes", { signal }) : [],
    api.get(api.query("queues", backlogs), { signal }),
  ]);
  return { overview, nodes, largest: largest.items.filter((queue) => queue.messages > 0), span };
}

const rateOf = (stats, name) => stats?.[`${name}_details`]?.rate;

function tiles({ object_totals: totals, queue_totals: queued, message_stats: stats }) {
  return h(
    "div",
    { class: "tiles" },
    tile("Messages", format.short(queued.messages), { href: route.to("queues", { sort: "messages", reverse: "1" }), note: `${format.short(queued.messages_ready)} ready, ${format.short(queued.messages_unacknowledged)} unacked` }),
    tile("Publish", format.rate(rateOf(stats, "publish"))),
    tile("Deliver", format.rate(rateOf(stats, "deliver_get"))),
    tile("Connections", format.short(totals.connections), { href: route.to("connections") }),
    tile("Channels", format.short(totals.channels), { href: route.to("channels") }),
    tile("Exchanges", format.short(totals.exchanges), { href: route.to("exchanges") }),
    tile("Queues", format.short(totals.queues), { href: route.to("queues") }),
    tile("Consumers", format.short(totals.consumers)),
  );
}

// The meters of a node.
export function meters(node) {
  return {
    memory: meter(node.mem_used, node.mem_limit, { bad: node.mem_alarm, label: `Memory of ${node.name}`, text: `${format.bytes(node.mem_used)} of ${format.bytes(node.mem_limit)}` }),
    // What counts is how near the limit is, so the bar is full when the limit is reached.
    disk: meter(node.disk_free_limit, Math.max(node.disk_free, node.disk_free_limit), { bad: node.disk_free_alarm, label: `Disk of ${node.name}`, text: `${format.bytes(node.disk_free)} free, ${format.bytes(node.disk_free_limit)} needed` }),
    descriptors: meter(node.fd_used, node.fd_total, { label: `File descriptors of ${node.name}`, text: `${format.short(node.fd_used)} of ${format.short(node.fd_total)}` }),
  };
}

// What is not as usual with a node.
export function conditions(node) {
  return [
    node.mem_alarm ? badge("memory alarm", { kind: "bad" }) : null,
    node.disk_free_alarm ? badge("disk alarm", { kind: "bad" }) : null,
    node.being_drained ? badge("in maintenance", { kind: "warn" }) : null,
  ];
}

export function nodesTable(nodes) {
  const name = (node) => [h("a", { class: "name", href: route.to("nodes", node.name) }, node.name), h("span", { class: "badges under" }, node.running ? conditions(node) : badge("down", { kind: "bad" }))];
  const when = (build) => (node) => (node.running ? build(node) : "–");
  const columns = [
    ["Node", name],
    ["Memory", when((node) => meters(node).memory)],
    ["Disk", when((node) => meters(node).disk)],
    ["Descriptors", when((node) => meters(node).descriptors)],
    ["Up for", when((node) => format.duration(node.uptime))],
  ];
  return table(columns, nodes, { key: (node) => node.name, empty: "There is no node." });
}

function backlogs(largest) {
  const columns = [
    ["Queue", (queue) => h("a", { href: route.to("queues", queue.vhost, queue.name) }, queue.name)],
    ["Virtual host", (queue) => queue.vhost],
    ["Messages", (queue) => format.whole(queue.messages), { numeric: true }],
    ["Change", (queue) => format.rate(queue.messages_details?.rate), { numeric: true }],
    ["Consumers", (queue) => format.whole(queue.consumers), { numeric: true }],
  ];
  return table(columns, largest, { key: (queue) => `${queue.vhost}\n${queue.name}`, empty: "No queue holds a message." });
}

function details(overview) {
  return card(
    "About",
    facts([
      ["Broker", `Warren ${overview.product_version}, compatible with RabbitMQ ${overview.rabbitmq_version}`],
      ["Cluster", overview.cluster_name],
      ["Answered by", overview.node],
      ["HTTP API", h("a", { href: "api/index.html" }, "Reference")],
    ]),
  );
}

function view({ overview, nodes, largest, span }, { where, concerns }) {
  return [
    heading("Overview", { actions: spanChoice(where, span) }),
    attention.card(concerns),
    tiles(overview),
    h("div", { class: "charts", key: "charts" }, lengthsChart(overview.queue_totals, span), ratesChart(overview.message_stats, span)),
    nodes.length > 0 ? card("Nodes", nodesTable(nodes)) : null,
    card("Largest backlogs", backlogs(largest)),
    details(overview),
  ];
}

export default { title: () => "Overview", load, view };
