// All channels: what each has taken and not yet acknowledged, and in which mode it works.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as format from "../format.js";
import * as list from "../parts/list.js";
import { badge, heading, table } from "../parts/parts.js";
import * as route from "../route.js";
import * as session from "../session.js";
import * as vhosts from "../parts/vhosts.js";

async function load({ where, signal }) {
  const vhost = where.parameters.get("vhost");
  const base = vhost ? api.path`vhosts/${vhost}/channels` : "channels";
  const [page, names] = await Promise.all([list.load(where, base, { signal }), vhosts.names(signal)]);
  return { page, names };
}

export function mode(channel) {
  return h("span", { class: "badges" }, channel.confirm ? badge("confirms", { title: "Publishes are confirmed" }) : null, channel.transactional ? badge("tx", { title: "Transactional" }) : null);
}

const prefetch = (channel) => {
  const own = channel.prefetch_count > 0 ? format.whole(channel.prefetch_count) : null;
  const all = channel.global_prefetch_count > 0 ? `${format.whole(channel.global_prefetch_count)} in all` : null;
  return [own, all].filter(Boolean).join(", ") || "no limit";
};

const COLUMNS = [
  { name: "Channel", sort: "name", cell: (c) => h("a", { class: "name", href: route.to("channels", c.name) }, c.name) },
  { name: "Virtual host", sort: "vhost", cell: (c) => c.vhost },
  { name: "User", sort: "user", cell: (c) => c.user },
  { name: "Mode", cell: mode },
  { name: "State", sort: "state", cell: (c) => badge(c.state, { kind: c.state === "running" ? "good" : "warn" }) },
  { name: "Consumers", sort: "consumer_count", numeric: true, cell: (c) => format.whole(c.consumer_count) },
  { name: "Prefetch", sort: "prefetch_count", numeric: true, cell: prefetch },
  { name: "Unacked", sort: "messages_unacknowledged", numeric: true, cell: (c) => format.whole(c.messages_unacknowledged) },
  { name: "Unconfirmed", sort: "messages_unconfirmed", numeric: true, cell: (c) => format.whole(c.messages_unconfirmed) },
];

// The same columns for the few channels of one connection.
export function channelsTable(channels) {
  return table(COLUMNS.map(({ name, cell, numeric }) => [name, cell, { numeric }]), channels, { key: (c) => c.name, empty: "It has no channel: nothing can be published or consumed on it." });
}

function view({ page, names }, { where }) {
  const empty = session.isMonitor() ? "There is no channel." : "You have no open channel. Those of others are seen by users with the tag monitoring.";
  return [heading("Channels"), list.view(where, page, { columns: COLUMNS, what: ["channel", "channels"], key: (c) => c.name, sort: "name", filters: [vhosts.filter(where, names)], empty })];
}

export default { title: () => "Channels", load, view };
