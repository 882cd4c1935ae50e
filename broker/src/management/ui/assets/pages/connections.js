// Who is connected. How fast octets come and go is counted here, from one look to the next, where the broker does not say.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as format from "../format.js";
import * as list from "../parts/list.js";
import { badge, heading } from "../parts/parts.js";
import * as route from "../route.js";
import * as session from "../session.js";
import * as vhosts from "../parts/vhosts.js";

let before = new Map();

// Adds rates to connections, from what the same ones showed when they were looked at last.
export function withRates(connections) {
  const now = Date.now();
  const rated = connections.map((connection) => {
    const last = before.get(connection.name);
    const seconds = last ? (now - last.at) / 1000 : 0;
    const per = (field) => connection[`${field}_details`]?.rate ?? (seconds > 0 ? Math.max(0, (connection[field] - last[field]) / seconds) : null);
    return { ...connection, received: per("recv_oct"), sent: per("send_oct") };
  });
  before = new Map(connections.map((c) => [c.name, { at: now, recv_oct: c.recv_oct, send_oct: c.send_oct }]));
  return rated;
}

async function load({ where, signal }) {
  const vhost = where.parameters.get("vhost");
  const base = vhost ? api.path`vhosts/${vhost}/connections` : "connections";
  const [page, names] = await Promise.all([list.load(where, base, { signal }), vhosts.names(signal)]);
  return { page: { ...page, items: withRates(page.items) }, names };
}

const octets = (perSecond) => (perSecond === null ? "–" : `${format.bytes(perSecond)}/s`);

export function client(connection) {
  const { product, version, platform } = connection.client_properties ?? {};
  return [product, version].filter((part) => typeof part === "string").join(" ") || (typeof platform === "string" ? platform : "unknown");
}

const STATES = { running: "good", blocked: "bad", blocking: "warn", flow: "warn", closing: "warn" };

export const state = (connection) => badge(connection.state, { kind: STATES[connection.state] ?? "" });

const COLUMNS = [
  { name: "Name", sort: "name", cell: (c) => [h("a", { class: "name", href: route.to("connections", c.name) }, c.user_provided_name ?? c.name), h("span", { class: "dim under" }, c.user_provided_name ? `${c.name}, ${client(c)}` : client(c))] },
  { name: "Virtual host", sort: "vhost", cell: (c) => c.vhost },
  { name: "User", sort: "user", cell: (c) => c.user },
  { name: "State", sort: "state", cell: state },
  { name: "TLS", sort: "ssl", cell: (c) => (c.ssl ? "yes" : "no") },
  { name: "Channels", sort: "channels", numeric: true, cell: (c) => format.whole(c.channels) },
  { name: "Received", sort: "recv_oct", numeric: true, cell: (c) => octets(c.received) },
  { name: "Sent", sort: "send_oct", numeric: true, cell: (c) => octets(c.sent) },
  { name: "Node", sort: "node", cell: (c) => c.node },
];

function view({ page, names }, { where }) {
  const empty = session.isMonitor() ? "Nobody is connected." : "You have no open connection. Those of others are seen by users with the tag monitoring.";
  return [heading("Connections"), list.view(where, page, { columns: COLUMNS, what: ["connection", "connections"], key: (c) => c.name, sort: "name", filters: [vhosts.filter(where, names)], empty })];
}

export default { title: () => "Connections", load, view };
