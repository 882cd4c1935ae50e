// All bindings of a virtual host as one picture: exchanges on the left, in the order in which they feed each other, queues on the
// right. Very large ones are not drawn; their exchanges and queues have pictures of their own.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as format from "../format.js";
import * as graph from "../parts/graph.js";
import { card, heading, nothing } from "../parts/parts.js";
import * as route from "../route.js";
import * as vhosts from "../parts/vhosts.js";

const QUEUES_MAX = 300;

async function load({ where, signal }) {
  const names = await vhosts.names(signal);
  const vhost = where.parameters.get("vhost") ?? (names.includes("/") ? "/" : names[0]);
  if (vhost === undefined) return { names, vhost };
  const queues = await api.get(api.query(api.path`queues/${vhost}`, { page: 1, page_size: QUEUES_MAX, sort: "name", columns: "name,messages,arguments,effective_policy_definition" }), { signal });
  if (queues.total_count > QUEUES_MAX) return { names, vhost, count: queues.total_count };
  const bound = await api.get(api.path`bindings/${vhost}`, { signal });
  return { names, vhost, queues: queues.items, bound: bound.filter((binding) => binding.source !== "") };
}

// How many exchanges are in front of each: none depends on the order of the bindings, and a circle ends.
function depths(exchanges, edges) {
  const depth = new Map(exchanges.map((name) => [name, 0]));
  for (let round = 0; round < Math.min(exchanges.length, 6); round += 1) {
    for (const { source, destination } of edges) {
      if (source !== destination) depth.set(destination, Math.min(5, Math.max(depth.get(destination), depth.get(source) + 1)));
    }
  }
  return depth;
}

function picture(vhost, queues, bound) {
  const between = bound.filter((binding) => binding.destination_type === "exchange");
  const exchanges = [...new Set(bound.flatMap((b) => (b.destination_type === "exchange" ? [b.source, b.destination] : [b.source])))].sort();
  const depth = depths(exchanges, between);
  const columns = [];
  for (const name of exchanges) (columns[depth.get(name)] ??= []).push(graph.exchangeBox(vhost, name));
  const isBound = new Set(bound.filter((b) => b.destination_type === "queue").map((b) => b.destination));
  const drawn = queues.filter((queue) => isBound.has(queue.name));
  columns.push(drawn.map((queue) => graph.queueBox(vhost, queue.name, format.plural(queue.messages ?? 0, "message"))));
  return graph.picture([...columns].map((column) => column ?? []), bound.map(graph.bindingEdge), `Bindings of ${vhost}`);
}

function content({ vhost, queues, bound, count }) {
  if (vhost === undefined) return nothing("You see no virtual host. An administrator can give you permissions.");
  if (count) return nothing(`${vhost} has ${format.plural(count, "queue")}, more than a picture can show. Each queue and each exchange has a picture of its own.`, h("a", { class: "button", href: route.to("exchanges", { vhost }) }, "To the exchanges"));
  if (bound.length === 0) return nothing("Nothing is bound to any exchange but the default one, which reaches every queue by its name.", h("a", { class: "button", href: route.to("exchanges", { vhost }) }, "To the exchanges"));
  const alone = queues.length - new Set(bound.filter((b) => b.destination_type === "queue").map((b) => b.destination)).size;
  return [picture(vhost, queues, bound), alone > 0 ? h("p", { class: "dim" }, `${format.plural(alone, "queue")} without bindings ${alone === 1 ? "is" : "are"} reached by name alone.`) : null];
}

function view(data) {
  const changed = (event) => route.go(route.to("topology", { vhost: event.target.value }));
  const choice = data.names.length < 2 ? null : h("label", { class: "select" }, h("span", {}, "Virtual host"), h("select", { onchange: changed }, data.names.map((name) => h("option", { value: name, selected: name === data.vhost }, name))));
  return [heading("Bindings", { actions: choice }), card("", content(data))];
}

export default { title: () => "Bindings", load, view };
