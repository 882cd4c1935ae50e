// One node: its resources and their past, and what it was started with.

import { h } from "../dom.js";
import * as api from "../api.js";
import { chart, samplesOf, spanOf } from "../parts/chart.js";
import * as format from "../format.js";
import { meters } from "./overview.js";
import { badge, card, facts, heading, nothing, spanChoice, table } from "../parts/parts.js";
import * as route from "../route.js";

async function load({ where, names: [name], signal }) {
  const span = spanOf(where);
  return { node: await api.get(api.query(api.path`nodes/${name}`, samplesOf(span, "node_stats")), { signal }), span };
}

function charts(node, [, age]) {
  const one = (title, field, more) => chart({ title, lines: [{ name: title, color: "line-1", samples: node[`${field}_details`]?.samples ?? [] }], span_ms: age * 1000, ...more });
  return h(
    "div",
    { class: "charts", key: "charts" },
    one("Memory", "mem_used", { unit: format.bytes, isBytes: true, limit: node.mem_limit }),
    one("Free disk space", "disk_free", { unit: format.bytes, isBytes: true, limit: node.disk_free_limit }),
    one("Connections", "sockets_used"),
    one("File descriptors", "fd_used"),
  );
}

const lines = (all) => (all?.length > 0 ? h("ul", { class: "plain" }, all.map((line) => h("li", { key: line }, h("code", {}, line)))) : null);

function about(node) {
  return facts([
    ["Up for", format.duration(node.uptime)],
    ["Type", node.type === "ram" ? "RAM" : "disc"],
    ["Processors", format.whole(node.processors)],
    ["Process", node.os_pid],
    ["Data", h("code", {}, node.db_dir)],
    ["Configuration", lines(node.config_files)],
    ["Logs", lines(node.log_files)],
    ["Plugins", node.enabled_plugins?.length > 0 ? node.enabled_plugins.join(", ") : "none"],
    ["Ways to log in", node.auth_mechanisms?.map((mechanism) => mechanism.name).join(", ")],
  ]);
}

function links(node) {
  const columns = [["Node", (link) => link.name], ["Address", (link) => `${link.peer_addr}:${link.peer_port}`], ["Received", (link) => format.bytes(link.recv_bytes), { numeric: true }], ["Sent", (link) => format.bytes(link.send_bytes), { numeric: true }]];
  return table(columns, node.cluster_links ?? [], { key: (link) => link.name, empty: "It is linked to no other node." });
}

function view({ node, span }, { where }) {
  const state = node.running ? badge("running", { kind: "good" }) : badge("down", { kind: "bad" });
  const head = heading(node.name, { kicker: h("a", { href: route.to("nodes") }, "Nodes"), badges: [state, node.being_drained ? badge("in maintenance", { kind: "warn" }) : null], actions: node.running ? spanChoice(where, span) : null });
  if (!node.running) return [head, card("", nothing("The node does not run, so it tells nothing. Its queues are led by other nodes, if they are mirrored."))];
  const bars = meters(node);
  return [
    head,
    card("Resources", facts([["Memory", bars.memory], ["Disk", bars.disk], ["Descriptors", bars.descriptors], ["Unreachable nodes", node.partitions?.length > 0 ? badge(node.partitions.join(", "), { kind: "bad" }) : "none"]])),
    charts(node, span),
    h("div", { class: "columns", key: "about" }, card("About", about(node)), card("Links to other nodes", links(node))),
  ];
}

export default { title: ([name]) => name, load, view };
