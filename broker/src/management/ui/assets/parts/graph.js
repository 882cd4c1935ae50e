// Exchanges, queues and what binds them, as a picture: columns of boxes with curves between. Bounded: what does not fit is
// counted in a box of its own.

import { h, s } from "../dom.js";
import * as format from "../format.js";
import * as route from "../route.js";

const BOX = { width: 190, height: 36, gap: 16 };
const COLUMN = 330;
const PER_COLUMN_MAX = 40;
const LABEL_MAX = 26;
const KEY_MAX = 18;

export const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

export const exchangeBox = (vhost, name, note) => ({
  id: `x ${name}`,
  label: format.exchangeName(name),
  kind: "exchange",
  href: route.to("exchanges", vhost, format.exchangeInPath(name)),
  note,
});

export const queueBox = (vhost, name, note) => ({ id: `q ${name}`, label: name, kind: "queue", href: route.to("queues", vhost, name), note });

// The edge of a binding as the API tells it.
export function bindingEdge(binding) {
  const to = binding.destination_type === "queue" ? `q ${binding.destination}` : `x ${binding.destination}`;
  const conditions = Object.entries(binding.arguments ?? {}).map(([name, value]) => `${name}=${format.value(value)}`);
  return { from: `x ${binding.source}`, to, label: binding.routing_key || conditions.join(", ") };
}

// Several bindings between the same two are one curve.
function merged(edges) {
  const all = new Map();
  for (const edge of edges) {
    const key = `${edge.from}\n${edge.to}\n${edge.kind ?? ""}`;
    const known = all.get(key);
    if (known) known.labels.push(edge.label);
    else all.set(key, { ...edge, labels: [edge.label] });
  }
  return [...all.values()];
}

function bounded(column) {
  if (column.length <= PER_COLUMN_MAX) return column;
  const rest = column.length - PER_COLUMN_MAX + 1;
  return [...column.slice(0, PER_COLUMN_MAX - 1), { id: "rest", label: `and ${format.whole(rest)} more`, kind: "rest" }];
}

function place(columns) {
  const tallest = Math.max(1, ...columns.map((column) => column.length));
  const height = tallest * (BOX.height + BOX.gap) + BOX.gap;
  const places = new Map();
  columns.forEach((column, x) => {
    const free = height - column.length * (BOX.height + BOX.gap) + BOX.gap;
    column.forEach((node, y) => places.set(node.id, { x: 8 + x * COLUMN, y: free / 2 + y * (BOX.height + BOX.gap) }));
  });
  return { places, width: (columns.length - 1) * COLUMN + BOX.width + 16, height };
}

// Where on its curve a label stands: beside the end that fewer edges share, so that labels do not cover each other.
function labelPlace({ start, end, bend }, isAtEnd) {
  const part = Math.min(0.5, 75 / Math.max(150, end.x - start.x));
  const t = isAtEnd ? 1 - part : part;
  const mix = (a, b, c, d) => (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t ** 2 * c + t ** 3 * d;
  return { x: mix(start.x, start.x + bend, end.x - bend, end.x), y: mix(start.y, start.y, end.y, end.y) - 5 };
}

function curve(edge, places, edges) {
  const [from, to] = [places.get(edge.from), places.get(edge.to)];
  if (!from || !to) return null;
  const start = { x: from.x + BOX.width, y: from.y + BOX.height / 2 };
  const end = { x: to.x, y: to.y + BOX.height / 2 };
  const bend = Math.max(40, Math.abs(end.x - start.x) / 2);
  const isFan = edges.filter((other) => other.from === edge.from).length >= edges.filter((other) => other.to === edge.to).length;
  const place = labelPlace({ start, end, bend }, isFan);
  const text = edge.labels.length > 1 ? format.plural(edge.labels.length, "binding") : (edge.labels[0] ?? "");
  return s(
    "g",
    { class: `edge ${edge.kind ?? ""}` },
    s("title", {}, edge.labels.slice(0, 20).map((label) => label || "(no routing key)").join("\n")),
    s("path", { d: `M${start.x},${start.y} C${start.x + bend},${start.y} ${end.x - bend},${end.y} ${end.x - 7},${end.y}` }),
    s("path", { class: "tip", d: `M${end.x - 8},${end.y - 4} l8,4 l-8,4 z` }),
    text ? s("text", { ...place, "text-anchor": "middle" }, cut(text, KEY_MAX)) : null,
  );
}

function box(node, { x, y }) {
  const content = [
    s("title", {}, node.label),
    s("rect", { x, y, width: BOX.width, height: BOX.height, rx: node.kind === "exchange" ? BOX.height / 2 : 7 }),
    s("text", { x: x + BOX.width / 2, y: y + (node.note ? 15 : 22), "text-anchor": "middle" }, cut(node.label, LABEL_MAX)),
    node.note ? s("text", { class: "note", x: x + BOX.width / 2, y: y + 28, "text-anchor": "middle" }, cut(node.note, 32)) : null,
  ];
  const shape = `box ${node.kind} ${node.isHere ? "here" : ""}`;
  return node.href && !node.isHere ? s("a", { class: shape, href: node.href }, content) : s("g", { class: shape }, content);
}

// The picture of these columns of boxes and the edges between them; the table beside it says the same in words.
export function picture(columns, edges, label) {
  const kept = columns.filter((column) => column.length > 0).map(bounded);
  const { places, width, height } = place(kept);
  const nodes = kept.flat().map((node) => box(node, places.get(node.id)));
  const drawn = merged(edges);
  return h(
    "div",
    { class: "graph scroll" },
    s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": label }, drawn.map((edge) => curve(edge, places, drawn)), nodes),
  );
}
