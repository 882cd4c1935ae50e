// One connection: who it is, what was agreed with it, its channels, and its end.

import { h } from "../dom.js";
import * as api from "../api.js";
import { client, state, withRates } from "./connections.js";
import { channelsTable } from "./channels.js";
import { KEPT_SECONDS, keptSpanOf, octetsChart, samplesOf } from "../parts/chart.js";
import * as dialog from "../parts/dialog.js";
import * as format from "../format.js";
import { button, card, facts, heading, pairs, spanChoice } from "../parts/parts.js";
import * as route from "../route.js";
import * as session from "../session.js";

async function load({ where, names: [name], signal }) {
  const span = keptSpanOf(where);
  const [connection, channels] = await Promise.all([api.get(api.query(api.path`connections/${name}`, samplesOf(span, "data_rates")), { signal }), api.get(api.path`connections/${name}/channels`, { signal })]);
  return { connection: withRates([connection])[0], channels, span };
}

function close(connection) {
  dialog.form({
    title: "Close this connection?",
    intro: "The client is told the reason. Most clients connect again.",
    fields: [{ name: "reason", label: "Reason", value: "Closed via management page" }],
    action: "Close connection",
    danger: true,
    submit: async ({ reason }) => {
      await api.remove(api.path`connections/${connection.name}`, { headers: { "x-reason": reason } });
      return "The connection is closed.";
    },
    done: () => route.go(route.to("connections")),
  });
}

function about(connection) {
  return card(
    "Connection",
    facts([
      ["State", state(connection)],
      ["User", connection.user],
      ["Virtual host", connection.vhost],
      ["From", `${connection.peer_host}:${connection.peer_port}`],
      ["To", `${connection.host}:${connection.port} on ${connection.node}`],
      ["Since", format.time(connection.connected_at)],
      ["Protocol", connection.protocol],
      ["Log-in", connection.auth_mechanism],
      ["TLS", connection.ssl ? `yes${connection.ssl_protocol ? `, ${connection.ssl_protocol}` : ""}` : "no"],
    ]),
  );
}

function traffic(connection) {
  const flow = (octets, rate) => `${format.bytes(octets)}${rate === null ? "" : `, ${format.bytes(rate)}/s`}`;
  return card(
    "Traffic",
    facts([
      ["Received", flow(connection.recv_oct, connection.received)],
      ["Sent", flow(connection.send_oct, connection.sent)],
      ["Waiting to be sent", format.bytes(connection.send_pend)],
      ["Heartbeat", connection.timeout === 0 ? "off" : `every ${connection.timeout} s`],
      ["Largest frame", connection.frame_max === 0 ? "no limit" : format.bytes(connection.frame_max)],
      ["Channels at most", connection.channel_max === 0 ? "no limit" : format.whole(connection.channel_max)],
    ]),
  );
}

function view({ connection, channels, span }, { where }) {
  const mayClose = session.isAdministrator() || connection.user === session.userName();
  return [
    heading(connection.user_provided_name ?? connection.name, { kicker: [h("a", { href: route.to("connections") }, "Connections"), connection.user_provided_name ? ` · ${connection.name}` : ""], actions: mayClose ? button("Close", () => close(connection), { kind: "danger-text" }) : null }),
    spanChoice(where, span, KEPT_SECONDS),
    h("div", { class: "charts", key: "charts" }, octetsChart(connection, span), traffic(connection)),
    h("div", { class: "columns", key: "facts" }, about(connection), card("Client", facts([["Client", client(connection)]]), pairs(connection.client_properties))),
    card("Channels", channelsTable(channels)),
  ];
}

export default { title: ([name]) => name, load, view };
