// Publishing a message and getting messages, for people who look: both do what a client of that user could do.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as dialog from "./dialog.js";
import * as format from "../format.js";
import { PROPERTIES } from "./known.js";
import { badge, nothing, pairs } from "./parts.js";

// Opens the form that publishes to an exchange.
export function publish(vhost, exchange, { routingKey = "", title, done } = {}) {
  dialog.form({
    title: title ?? `Publish to ${format.exchangeName(exchange)}`,
    wide: true,
    fields: [
      { name: "key", label: "Routing key", value: routingKey },
      { name: "payload", label: "Payload", type: "area", rows: 6 },
      { name: "encoding", label: "Payload is", type: "select", value: "string", options: [["string", "text"], ["base64", "base64"]] },
      { name: "persistent", label: "Persistent (delivery mode 2)", type: "tick", value: true },
      { name: "properties", label: "Properties", type: "pairs", known: PROPERTIES },
      { name: "headers", label: "Headers", type: "pairs" },
    ],
    action: "Publish",
    submit: async (values) => {
      const properties = { ...values.properties, delivery_mode: values.persistent ? 2 : 1 };
      if (Object.keys(values.headers).length > 0) properties.headers = values.headers;
      const body = { properties, routing_key: values.key, payload: values.payload, payload_encoding: values.encoding };
      const answer = await api.post(api.path`exchanges/${vhost}/${format.exchangeInPath(exchange)}/publish`, body);
      if (!answer.routed) dialog.note("Published, but not routed: no queue took the message.", "warn");
      return answer.routed ? "Published: at least one queue took the message." : undefined;
    },
    done,
  });
}

const MODES = [
  ["ack_requeue_true", "Look only: put them back (they count as redelivered)"],
  ["ack_requeue_false", "Take: acknowledge and remove them"],
  ["reject_requeue_false", "Reject: remove or dead-letter them"],
];

function message(got, index) {
  const isBinary = got.payload_encoding === "base64";
  const { headers, ...properties } = Array.isArray(got.properties) ? {} : got.properties;
  const isCut = !isBinary && got.payload_bytes > new TextEncoder().encode(got.payload).length;
  return h(
    "article",
    { class: "message" },
    h("h3", {}, `Message ${index + 1}`, got.redelivered ? badge("redelivered", { kind: "warn" }) : null, isBinary ? badge("base64", { title: "Not UTF-8, so shown as base64" }) : null),
    h("p", { class: "dim" }, `from ${format.exchangeName(got.exchange)} with routing key “${got.routing_key}”, ${format.bytes(got.payload_bytes)}${isCut ? ", shortened" : ""}; ${format.plural(got.message_count, "message")} left behind it`),
    h("pre", { tabindex: "0" }, got.payload),
    Object.keys(properties).length > 0 ? h("div", {}, h("h4", {}, "Properties"), pairs(properties)) : null,
    headers ? h("div", {}, h("h4", {}, "Headers"), pairs(headers)) : null,
  );
}

function show(got, name) {
  const content = got.length === 0 ? nothing("The queue has no ready message.") : got.map(message);
  dialog.open(`Messages of ${name}`, (close) => h("div", { class: "messages" }, content, h("footer", {}, h("button", { type: "button", class: "button primary", onclick: close }, "Close"))), { wide: true });
}

// Opens the form that gets messages of a queue.
export function get(vhost, queue, done) {
  let got = [];
  dialog.form({
    title: `Get messages from ${queue}`,
    fields: [
      { name: "count", label: "How many", type: "number", value: 1, required: true },
      { name: "mode", label: "What happens to them", type: "select", value: MODES[0][0], options: MODES },
      { name: "encoding", label: "Payload", type: "select", value: "auto", options: [["auto", "as text where it is text"], ["base64", "always as base64"]] },
    ],
    action: "Get messages",
    submit: async ({ count, mode, encoding }) => {
      got = await api.post(api.path`queues/${vhost}/${queue}/get`, { count, ackmode: mode, encoding, truncate: 50_000 });
    },
    done: () => {
      show(got, queue);
      done?.();
    },
  });
}
