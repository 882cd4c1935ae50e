// Lines over time, drawn as SVG. A chart keeps which lines are hidden and where the pointer is while its numbers change.

import { h, replace, s } from "../dom.js";
import * as format from "../format.js";

const WIDTH = { least: 300, most: 760, usual: 520 };
const HEIGHT = 170;
const EDGE = { left: 54, right: 8, top: 10, bottom: 24 };

// The next round number above: 1, 2 or 5 times a power of ten, or of two for sizes.
function roundUp(value, isBytes) {
  if (value <= 0) return isBytes ? 1024 : 1;
  const base = isBytes ? 2 ** Math.floor(Math.log2(value)) : 10 ** Math.floor(Math.log10(value));
  const steps = isBytes ? [1, 1.5, 2] : [1, 2, 5, 10];
  return base * steps.find((step) => base * step >= value - 1e-9);
}

// What is drawn for cumulative counters: their change per second between neighbours.
export function changes(samples) {
  const rates = [];
  for (let i = 0; i + 1 < samples.length; i += 1) {
    const seconds = (samples[i].timestamp - samples[i + 1].timestamp) / 1000;
    rates.push({ timestamp: samples[i].timestamp, sample: Math.max(0, (samples[i].sample - samples[i + 1].sample) / seconds) });
  }
  return rates;
}

// <warren-chart> with `data` = {title, lines: [{name, color, samples}], unit: format function, isBytes, limit, span_ms, empty}.
// Samples come newest first.
class Chart extends HTMLElement {
  hidden_lines = new Set();
  pointer = null;

  width = WIDTH.usual;

  // Letters keep their size on a narrow screen: the picture is as wide as its place.
  connectedCallback() {
    this.draw();
    this.watcher = new ResizeObserver(() => this.fit());
    this.watcher.observe(this);
  }

  disconnectedCallback() {
    this.watcher?.disconnect();
  }

  fit() {
    const style = getComputedStyle(this);
    const room = this.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const width = Math.round(Math.min(WIDTH.most, Math.max(WIDTH.least, room)));
    if (room <= 0 || width === this.width) return;
    this.width = width;
    this.draw();
  }

  adopt(next) {
    this.data = next.data;
    this.draw();
  }

  shown() {
    return this.data.lines.filter((line) => !this.hidden_lines.has(line.name));
  }

  draw() {
    const lines = this.data.lines;
    const count = Math.max(0, ...lines.map((line) => line.samples.length));
    const focused = this.contains(document.activeElement) ? document.activeElement.dataset.line : null;
    replace(
      this,
      h("figcaption", { class: "chart-title" }, h("h3", {}, this.data.title), this.legend()),
      count < 2 ? h("p", { class: "chart-empty" }, this.data.empty ?? "Not enough is known of this time yet: a line needs two samples.") : this.picture(),
    );
    if (focused) this.querySelector(`[data-line="${CSS.escape(focused)}"]`)?.focus();
  }

  legend() {
    const entry = (line) => {
      const isHidden = this.hidden_lines.has(line.name);
      const toggle = () => {
        if (isHidden) this.hidden_lines.delete(line.name);
        else this.hidden_lines.add(line.name);
        this.draw();
      };
      const value = this.pointer === null ? line.samples[0]?.sample : this.nearest(line)?.sample;
      return h(
        "button",
        { type: "button", class: "legend", "data-line": line.name, "aria-pressed": String(!isHidden), onclick: toggle, title: isHidden ? "Show this line" : "Hide this line", style: { "--line": `var(--${line.color})` } },
        h("span", { class: "swatch" }),
        h("span", {}, line.name),
        h("b", {}, value === undefined ? "–" : this.data.unit(value)),
      );
    };
    return h("div", { class: "legends" }, this.data.lines.map(entry));
  }

  nearest(line) {
    return line.samples.find((sample) => sample.timestamp <= this.pointer) ?? line.samples.at(-1);
  }

  scale() {
    const all = this.shown().flatMap((line) => line.samples);
    const times = this.data.lines.flatMap((line) => line.samples.map((sample) => sample.timestamp));
    const last = Math.max(...times);
    const first = this.data.span_ms ? last - this.data.span_ms : Math.min(...times);
    const high = Math.max(0, ...all.map((sample) => sample.sample));
    const limit = this.data.limit && this.data.limit < high * 3 ? this.data.limit : 0;
    // Half of one message is none: whole numbers get an axis that can be halved.
    const least = this.data.unit === format.short ? 2 : 0;
    const top = roundUp(Math.max(high, limit, least), this.data.isBytes);
    const x = (at) => EDGE.left + ((at - first) / Math.max(1, last - first)) * (this.width - EDGE.left - EDGE.right);
    const y = (value) => HEIGHT - EDGE.bottom - (value / top) * (HEIGHT - EDGE.top - EDGE.bottom);
    return { x, y, first, last, top, limit };
  }

  picture() {
    const scale = this.scale();
    const points = (line) => line.samples.filter((sample) => sample.timestamp >= scale.first).map((sample) => `${scale.x(sample.timestamp).toFixed(1)},${scale.y(sample.sample).toFixed(1)}`);
    // The first lines are drawn last: where two are equal, the more telling one is seen.
    const drawn = this.shown().reverse().map((line) => s("polyline", { class: "line", points: points(line).join(" "), style: { "--line": `var(--${line.color})` } }));
    const label = this.data.lines.map((line) => `${line.name} ${this.data.unit(line.samples[0]?.sample ?? 0)}`).join(", ");
    return s(
      "svg",
      { viewBox: `0 0 ${this.width} ${HEIGHT}`, role: "img", "aria-label": `${this.data.title}: ${label}`, onpointermove: (event) => this.point(event, scale), onpointerleave: () => this.point(null, scale) },
      this.grid(scale),
      drawn,
      scale.limit ? s("line", { class: "limit", x1: EDGE.left, x2: this.width - EDGE.right, y1: scale.y(scale.limit), y2: scale.y(scale.limit) }) : null,
      this.pointer === null ? null : s("line", { class: "pointer", x1: scale.x(this.pointer), x2: scale.x(this.pointer), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }),
    );
  }

  grid(scale) {
    const heights = [0, 0.5, 1].map((part) => {
      const value = scale.top * part;
      return [s("line", { class: "grid", x1: EDGE.left, x2: this.width - EDGE.right, y1: scale.y(value), y2: scale.y(value) }), s("text", { class: "tick", x: EDGE.left - 7, y: scale.y(value) + 4, "text-anchor": "end" }, this.data.unit(value))];
    });
    const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: scale.last - scale.first > 900_000 ? undefined : "2-digit" });
    const times = [0, 0.5, 1].map((part) => {
      const at = scale.first + (scale.last - scale.first) * part;
      return s("text", { class: "tick", x: scale.x(at), y: HEIGHT - 5, "text-anchor": part === 0 ? "start" : part === 1 ? "end" : "middle" }, clock(at));
    });
    return [heights, times];
  }

  point(event, scale) {
    if (!event) {
      this.pointer = null;
    } else {
      const box = event.currentTarget.getBoundingClientRect();
      const inside = ((event.clientX - box.left) / box.width) * this.width;
      const part = Math.min(1, Math.max(0, (inside - EDGE.left) / (this.width - EDGE.left - EDGE.right)));
      this.pointer = scale.first + part * (scale.last - scale.first);
    }
    // The picture under the pointer stays, or the browser would tell of leaving and entering without end.
    this.querySelector(".legends").replaceWith(this.legend());
    const svg = this.querySelector("svg");
    svg.querySelector(".pointer")?.remove();
    if (this.pointer !== null) svg.append(s("line", { class: "pointer", x1: scale.x(this.pointer), x2: scale.x(this.pointer), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }));
  }
}

customElements.define("warren-chart", Chart);

// A chart of these lines.
export function chart(data) {
  return h("warren-chart", { class: "chart", role: "figure", key: data.title, data: { unit: format.short, ...data } });
}

// How far back a chart may go: the name, the seconds and the seconds between two samples.
export const SPANS = [
  ["1 min", 60, 5],
  ["10 min", 600, 5],
  ["1 h", 3600, 60],
  ["8 h", 28_800, 600],
  ["24 h", 86_400, 1800],
];

// The span that the address asks for.
export function spanOf(where) {
  return SPANS.find(([name]) => name === where.parameters.get("span")) ?? SPANS[1];
}

// Single objects are known for ten minutes, the broker as a whole for a day.
export const KEPT_SECONDS = 600;

// The span that the address asks for, as far as single objects are known.
export function keptSpanOf(where) {
  const span = spanOf(where);
  return span[1] > KEPT_SECONDS ? SPANS[1] : span;
}

// The parameters of a request for samples of that span.
export function samplesOf([, age, step], ...kinds) {
  return Object.fromEntries(kinds.flatMap((kind) => [[`${kind}_age`, age], [`${kind}_incr`, step]]));
}

const LINES = {
  lengths: [
    ["Ready", "messages_ready", "line-1"],
    ["Unacknowledged", "messages_unacknowledged", "line-2"],
    ["Total", "messages", "line-3"],
  ],
  rates: [
    ["Publish", "publish", "line-1"],
    ["Deliver", "deliver_get", "line-2"],
    ["Acknowledge", "ack", "line-3"],
    ["Redeliver", "redeliver", "line-4"],
    ["Confirm", "confirm", "line-5"],
    ["Unroutable", "return_unroutable", "line-6"],
  ],
};

const samplesIn = (object, name) => object?.[`${name}_details`]?.samples ?? [];

// What queues hold, from totals with samples.
export function lengthsChart(totals, [, age]) {
  const lines = LINES.lengths.map(([name, field, color]) => ({ name, color, samples: samplesIn(totals, field) }));
  return chart({ title: "Queued messages", lines, span_ms: age * 1000 });
}

// What happens to messages, from statistics with samples.
export function ratesChart(stats, [, age]) {
  const known = LINES.rates.filter(([, field]) => field in (stats ?? {}));
  const lines = known.map(([name, field, color]) => ({ name, color, samples: changes(samplesIn(stats, field)) }));
  return chart({ title: "Message rates", lines, unit: format.rate, span_ms: age * 1000 });
}

function countersChart(title, object, counters, unit, [, age], more) {
  const lines = counters.map(([name, field], index) => ({ name, color: `line-${index + 1}`, samples: changes(samplesIn(object, field)) }));
  return chart({ title, lines, unit, span_ms: age * 1000, ...more });
}

// What is published to an exchange, and what reaches queues from it.
export const exchangeChart = (stats, span) => countersChart("Message rates", stats, [["In", "publish_in"], ["Out", "publish_out"]], format.rate, span, { empty: "Nothing was published to it yet." });

// What goes over a connection.
export const octetsChart = (connection, span) => countersChart("Octets", connection, [["Received", "recv_oct"], ["Sent", "send_oct"]], (n) => `${format.bytes(Math.round(n))}/s`, span, { isBytes: true });
