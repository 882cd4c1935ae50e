// Small pieces that pages are put together from: cards, facts, badges, meters, tiles, empty states.

import { h } from "../dom.js";
import * as format from "../format.js";
import { icon } from "./icons.js";
import * as route from "../route.js";
import { SPANS } from "./chart.js";

// A page's heading with what can be done there.
export function heading(title, { kicker, badges, actions } = {}) {
  return h("header", { class: "heading" }, h("div", {}, kicker ? h("p", { class: "kicker" }, kicker) : null, h("h1", { tabindex: "-1" }, title, badges ? h("span", { class: "badges" }, badges) : null)), actions ? h("div", { class: "actions" }, actions) : null);
}

export function card(title, ...children) {
  return h("section", { class: "card", key: `card ${title}` }, title ? h("h2", {}, title) : null, children);
}

// A card whose heading has buttons.
export function cardWith(title, actions, ...children) {
  return h("section", { class: "card", key: `card ${title}` }, h("div", { class: "card-head" }, h("h2", {}, title), h("div", { class: "actions" }, actions)), children);
}

export function button(text, onclick, { kind = "", picture, ...more } = {}) {
  return h("button", { type: "button", class: `button ${kind}`, onclick, ...more }, picture ? icon(picture) : null, text);
}

export function badge(text, { kind = "", title } = {}) {
  return h("span", { class: `badge ${kind}`, title }, text);
}

// Names and values; those without a value are left out.
export function facts(pairs) {
  const given = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, given.map(([name, value]) => h("div", { key: name }, h("dt", {}, name), h("dd", {}, value))));
}

// What is not there, and what would make it be there.
export function nothing(text, action) {
  return h("div", { class: "nothing" }, h("p", {}, text), action ?? null);
}

// A number that can be clicked.
export function tile(name, value, { href, note, kind = "" } = {}) {
  const content = [h("span", { class: "tile-name" }, name), h("span", { class: "tile-value" }, value), note ? h("span", { class: "tile-note" }, note) : null];
  return href ? h("a", { class: `tile ${kind}`, href, key: name }, content) : h("div", { class: `tile ${kind}`, key: name }, content);
}

// How much of a limit is used; `bad` when that is an alarm.
export function meter(used, limit, { text, bad, label, warnAt = 0.8 }) {
  const part = limit > 0 ? Math.min(1, used / limit) : 0;
  const state = bad ? "bad" : part >= warnAt ? "warn" : "good";
  return h(
    "div",
    { class: "meter" },
    h("div", { class: "bar", role: "meter", "aria-label": label, "aria-valuenow": Math.round(part * 100), "aria-valuemin": 0, "aria-valuemax": 100 }, h("div", { class: `level ${state}`, style: { "--part": `${(part * 100).toFixed(1)}%` } })),
    h("span", { class: "meter-text" }, text),
  );
}

// Arguments, properties: one line for each.
export function pairs(object) {
  const entries = Object.entries(object ?? {});
  if (entries.length === 0) return h("span", { class: "dim" }, "none");
  return h("ul", { class: "pairs" }, entries.map(([name, value]) => h("li", { key: name }, h("code", {}, name), " ", h("span", {}, format.value(value)))));
}

// Links that choose how far back charts go. Some objects keep less than a day.
export function spanChoice(where, chosen, seconds_max = Infinity) {
  const link = (span) => h("a", { href: route.withParameters(where, { span: span[0] }), class: "choice", "aria-current": span === chosen ? "true" : null, key: span[0] }, span[0]);
  return h("nav", { class: "choices", "aria-label": "Time shown in charts" }, SPANS.filter(([, age]) => age <= seconds_max).map(link));
}

// A plain table of few rows: columns are [heading, cell(row), {numeric, wide}]; a wide one has a line of its own on narrow screens.
export function table(columns, rows, { key, empty, caption }) {
  if (rows.length === 0) return nothing(empty);
  const cell = ([name, build, options]) => (row) => h("td", { class: options?.numeric ? "number" : options?.wide ? "wide" : null, "data-label": name || null }, build(row));
  const cells = columns.map(cell);
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      {},
      caption ? h("caption", {}, caption) : null,
      h("thead", {}, h("tr", {}, columns.map(([name, , options]) => h("th", { scope: "col", class: options?.numeric ? "number" : null }, name)))),
      h("tbody", {}, rows.map((row, index) => h("tr", { key: key ? key(row) : index }, cells.map((build) => build(row))))),
    ),
  );
}
