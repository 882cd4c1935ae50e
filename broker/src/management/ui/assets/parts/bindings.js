// The bindings of an exchange or a queue: as a table, with the form that adds one and the question before one goes.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as dialog from "./dialog.js";
import * as format from "../format.js";
import * as route from "../route.js";
import { button, pairs, table } from "./parts.js";

const exchangeLink = (vhost, name) => h("a", { href: route.to("exchanges", vhost, format.exchangeInPath(name)) }, format.exchangeName(name));

const destinationLink = (binding) =>
  binding.destination_type === "queue" ? h("a", { href: route.to("queues", binding.vhost, binding.destination) }, binding.destination) : exchangeLink(binding.vhost, binding.destination);

function where(binding, ...rest) {
  const kind = binding.destination_type === "queue" ? "q" : "e";
  const source = format.exchangeInPath(binding.source);
  return api.path`bindings/${binding.vhost}/e/${source}/${kind}/${binding.destination}` + rest.map((part) => `/${encodeURIComponent(part)}`).join("");
}

function unbind(binding, done) {
  dialog.confirm({
    title: "Delete this binding?",
    text: `Messages published to ${format.exchangeName(binding.source)} with routing key “${binding.routing_key}” will no longer reach ${binding.destination} through it.`,
    action: "Delete binding",
    submit: async () => {
      await api.remove(where(binding, binding.properties_key));
      return "The binding is deleted.";
    },
    done,
  });
}

// Rows for bindings; `side` is the end that is not this page's own.
export function list(bindings, side, refresh) {
  const other = side === "source" ? ["From", (b) => exchangeLink(b.vhost, b.source)] : ["To", (b) => [destinationLink(b), h("span", { class: "dim" }, ` ${b.destination_type}`)]];
  const remove = (b) => (b.source === "" ? h("span", { class: "dim" }, "implicit") : button("Delete", () => unbind(b, refresh), { kind: "small danger-text" }));
  const columns = [other, ["Routing key", (b) => h("code", {}, b.routing_key)], ["Arguments", (b) => pairs(b.arguments)], ["", remove]];
  return table(columns, bindings, { key: (b) => `${b.source}\n${b.destination_type}\n${b.destination}\n${b.properties_key}`, empty: side === "source" ? "Nothing is bound to it." : "It is bound to nothing: messages published to it go nowhere." });
}

// Opens the form that binds an exchange to a queue or to another exchange. What is fixed is not asked for.
export function bind(vhost, { source, destination, kind }, done) {
  const fields = [
    source === undefined ? { name: "source", label: "From exchange", required: true } : null,
    destination === undefined ? { name: "kind", label: "To", type: "select", value: "queue", options: [["queue", "a queue"], ["exchange", "an exchange"]] } : null,
    destination === undefined ? { name: "destination", label: "Its name", required: true } : null,
    { name: "key", label: "Routing key", hint: "For topic exchanges, * stands for one word and # for any number." },
    { name: "arguments", label: "Arguments", type: "pairs", known: [["x-match", "string", "For headers exchanges: all or any", "all"]] },
  ].filter(Boolean);
  dialog.form({
    title: "Add a binding",
    fields,
    action: "Bind",
    submit: async (values) => {
      const binding = { vhost, source: source ?? values.source, destination: destination ?? values.destination, destination_type: kind ?? values.kind };
      await api.post(where(binding), { routing_key: values.key, arguments: values.arguments });
      return "Bound.";
    },
    done,
  });
}
