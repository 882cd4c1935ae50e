// One node: its resources and their past, and what it was started with.

import { h } from "../dom.js";
import * as api from "../api.js";
import { chart, samplesOf, spanOf } from "../parts/chart.js";
import * as format from "../format.js";
import { conditions, meters } from "./overview.js";
import { badge, card, facts, heading, nothing, spanChoice, table } from "../parts/parts.js";
import * as route from "../route.js";

async function load({ where, names: [name], signal }) {
  const span = spanOf(where);
  const [node, overview] = await Promise.all([api.get(api.query(api.path`nodes/${name}`, samplesOf(span, "node_stats")), { signal }), api.get("overview?columns=listeners", { signal })]);
  return { node, listeners: overview.listeners ?? [], span };
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

// What it has done to its disk, and what came and went, since it was started.
function work(node) {
  const did = (count, octets, ms) => `${format.short(count)}${octets === undefined ? "" : `, ${format.bytes(octets)}`}${count > 0 ? `, ${(ms ?? 0).toFixed(1)} ms each` : ""}`;
  return facts([
    ["Writes", did(node.io_write_count, node.io_write_bytes, node.io_write_avg_time)],
    ["Syncs", did(node.io_sync_count, undefined, node.io_sync_avg_time)],
    ["Reads", did(node.io_read_count, node.io_read_bytes, node.io_read_avg_time)],
    ["Connections opened", format.whole(node.connection_created)],
    ["Channels opened", format.whole(node.channel_created)],
    ["Queues created", format.whole(node.queue_created)],
  ]);
}

function listeners(all, name) {
  const own = all.filter((listener) => listener.node === name);
  const address = (listener) => `${listener.ip_address.includes(":") ? `[${listener.ip_address}]` : listener.ip_address}:${listener.port}`;
  return table([["Protocol", (listener) => listener.protocol], ["Listens on", (listener) => h("code", {}, address(listener))]], own, { key: (listener) => `${listener.protocol}${listener.port}`, empty: "It listens on no port." });
}

function view({ node, listeners: all, span }, { where }) {
  const state = node.running ? badge("running", { kind: "good" }) : badge("down", { kind: "bad" });
  const head = heading(node.name, { kicker: h("a", { href: route.to("nodes") }, "Nodes"), badges: [state, conditions(node)], actions: node.running ? spanChoice(where, span) : null });
  if (!node.running) return [head, card("", nothing("The node does not run, so it tells nothing. Its queues are led by other nodes, if those have mirrors in sync.", h("a", { class: "button", href: route.to("queues", { attention: "unavailable_queues" }) }, "Queues that are not served")))];
  const bars = meters(node);
  return [
    head,
    card("Resources", facts([["Memory", bars.memory], ["Disk", bars.disk], ["Descriptors", bars.descriptors]])),
    charts(node, span),
    h("div", { class: "columns", key: "about" }, card("About", about(node)), h("div", { class: "stack" }, card("Listeners", listeners(all, node.name)), card("Since it was started", work(node)))),
  ];
}

export default { title: ([name]) => name, load, view };
