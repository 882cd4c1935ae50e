// One channel: its mode, what waits on it, and its consumers.

import { h } from "../dom.js";
import * as api from "../api.js";
import { KEPT_SECONDS, keptSpanOf, ratesChart, samplesOf } from "../parts/chart.js";
import { mode } from "./channels.js";
import * as format from "../format.js";
import { badge, card, facts, heading, spanChoice, table } from "../parts/parts.js";
import * as route from "../route.js";

async function load({ where, names: [name], signal }) {
  const span = keptSpanOf(where);
  return { channel: await api.get(api.query(api.path`channels/${name}`, samplesOf(span, "msg_rates")), { signal }), span };
}

function consumers(channel) {
  const columns = [
    ["Queue", (c) => h("a", { href: route.to("queues", c.queue.vhost, c.queue.name) }, c.queue.name)],
    ["Tag", (c) => h("code", {}, c.consumer_tag)],
    ["Acknowledges", (c) => (c.ack_required ? "yes" : "no")],
    ["Prefetch", (c) => (c.prefetch_count === 0 ? "no limit" : format.whole(c.prefetch_count)), { numeric: true }],
    ["Active", (c) => (c.active ? "yes" : (c.activity_status ?? "no"))],
  ];
  return table(columns, channel.consumer_details ?? [], { key: (c) => c.consumer_tag, empty: "Nothing is consumed on it." });
}

function about(channel) {
  return card(
    "Channel",
    facts([
      ["State", badge(channel.state, { kind: channel.state === "running" ? "good" : "warn" })],
      ["User", channel.user],
      ["Virtual host", channel.vhost],
      ["Node", channel.node],
      ["Prefetch of a consumer", channel.prefetch_count === 0 ? "no limit" : format.whole(channel.prefetch_count)],
      ["Prefetch of all", channel.global_prefetch_count === 0 ? "no limit" : format.whole(channel.global_prefetch_count)],
      ["Unacknowledged", format.whole(channel.messages_unacknowledged)],
      ["Unconfirmed", format.whole(channel.messages_unconfirmed)],
      ["Uncommitted", channel.transactional ? `${format.plural(channel.messages_uncommitted, "message")}, ${format.plural(channel.acks_uncommitted, "acknowledgement")}` : null],
    ]),
  );
}

function view({ channel, span }, { where }) {
  const connection = channel.connection_details.name;
  return [
    heading(channel.name, { kicker: [h("a", { href: route.to("channels") }, "Channels"), " of ", h("a", { href: route.to("connections", connection) }, connection)], badges: mode(channel) }),
    spanChoice(where, span, KEPT_SECONDS),
    h("div", { class: "charts", key: "charts" }, ratesChart(channel.message_stats, span), about(channel)),
    card("Consumers", consumers(channel)),
  ];
}

export default { title: ([name]) => name, load, view };
