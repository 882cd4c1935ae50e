// One exchange: its settings, what is bound to it and what it is bound to, and publishing to it.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as badges from "../parts/badges.js";
import * as bindings from "../parts/bindings.js";
import { KEPT_SECONDS, exchangeChart, keptSpanOf, samplesOf } from "../parts/chart.js";
import * as dialog from "../parts/dialog.js";
import * as format from "../format.js";
import * as graph from "../parts/graph.js";
import * as messages from "../parts/messages.js";
import { button, card, cardWith, facts, heading, nothing, pairs, spanChoice } from "../parts/parts.js";
import * as route from "../route.js";

const ROWS_MAX = 200;

async function load({ where, names: [vhost, inPath], signal }) {
  const span = keptSpanOf(where);
  const exchange = await api.get(api.query(api.path`exchanges/${vhost}/${inPath}`, samplesOf(span, "msg_rates")), { signal });
  // The default exchange is bound to every queue there is, which says nothing and may be long.
  if (exchange.name === "") return { exchange, from: [], to: [], span };
  const [from, to] = await Promise.all([api.get(api.path`exchanges/${vhost}/${inPath}/bindings/source`, { signal }), api.get(api.path`exchanges/${vhost}/${inPath}/bindings/destination`, { signal })]);
  return { exchange, from, to, span };
}

function remove(exchange, from) {
  dialog.confirm({
    title: `Delete ${exchange.name}?`,
    text: `The exchange goes with ${format.plural(from.length, "binding")}. Publishers to it will be refused. This cannot be undone.`,
    action: "Delete exchange",
    submit: async () => {
      await api.remove(api.path`exchanges/${exchange.vhost}/${exchange.name}`);
      return `Exchange ${exchange.name} is deleted.`;
    },
    done: () => route.go(route.to("exchanges")),
  });
}

function picture(exchange, from, to) {
  const vhost = exchange.vhost;
  const here = { ...graph.exchangeBox(vhost, exchange.name, exchange.type), isHere: true };
  const unique = (boxes) => [...new Map(boxes.map((box) => [box.id, box])).values()];
  const sources = unique(to.map((b) => graph.exchangeBox(vhost, b.source))).filter((box) => box.id !== here.id);
  const destinations = unique(from.map((b) => (b.destination_type === "queue" ? graph.queueBox(vhost, b.destination) : graph.exchangeBox(vhost, b.destination)))).filter((box) => box.id !== here.id);
  const known = new Set(sources.map((box) => box.id));
  // An exchange on both sides is drawn once, on the left.
  const right = destinations.filter((box) => !known.has(box.id));
  const edges = [...to, ...from].map(graph.bindingEdge);
  const spare = exchange.arguments["alternate-exchange"];
  if (spare) {
    right.push({ ...graph.exchangeBox(vhost, spare), id: "alternate" });
    edges.push({ from: here.id, to: "alternate", label: "what matches nothing", kind: "dead" });
  }
  return graph.picture([sources, [here], right], edges, `Bindings of ${exchange.name}`);
}

function rows(all, side, refresh) {
  const more = all.length - ROWS_MAX;
  return [bindings.list(all.slice(0, ROWS_MAX), side, refresh), more > 0 ? h("p", { class: "dim" }, `And ${format.whole(more)} more.`) : null];
}

function boundTo({ exchange, from, to }, refresh) {
  if (exchange.name === "") return card("Bindings", nothing("The default exchange reaches every queue by its name. Nothing else can be bound to it, and nobody can change that."));
  const add = button("Add a binding", () => bindings.bind(exchange.vhost, { source: exchange.name }, refresh), { kind: "small", picture: "plus" });
  return [
    cardWith("Bindings", add, from.length + to.length > 0 ? picture(exchange, from, to) : null, rows(from, "destination", refresh)),
    to.length > 0 ? card("Bound to it", rows(to, "source", refresh)) : null,
  ];
}

function settings(exchange) {
  return card(
    "Settings",
    facts([
      ["Type", exchange.type],
      ["Durable", exchange.durable ? "yes" : "no"],
      ["Auto-delete", exchange.auto_delete ? "yes, with its last binding" : null],
      ["Internal", exchange.internal ? "yes: clients cannot publish to it" : null],
      ["Arguments", pairs(exchange.arguments)],
      ["Policy", badges.policy(exchange) ?? h("span", { class: "dim" }, "none")],
      ["Declared by", exchange.user_who_performed_action],
    ]),
  );
}

function view(data, { where, refresh }) {
  const { exchange, from, span } = data;
  const isOurs = exchange.name !== "" && !exchange.name.startsWith("amq.");
  return [
    heading(format.exchangeName(exchange.name), {
      kicker: [h("a", { href: route.to("exchanges") }, "Exchanges"), ` in ${exchange.vhost}`],
      badges: badges.ofExchange(exchange),
      actions: [
        exchange.internal ? null : button("Publish", () => messages.publish(exchange.vhost, exchange.name, { done: refresh })),
        isOurs ? button("Delete", () => remove(exchange, from), { kind: "danger-text" }) : null,
      ],
    }),
    spanChoice(where, span, KEPT_SECONDS),
    h("div", { class: "charts", key: "charts" }, exchangeChart(exchange.message_stats, span), settings(exchange)),
    boundTo(data, refresh),
  ];
}

export default { title: ([, name]) => name, load, view };
