// A long list, of which the server sorts, filters and cuts out one page: fifty thousand rows cost as much as a hundred. Page,
// order and filter stand in the address, so a list can be bookmarked and sent to a colleague.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as format from "../format.js";
import * as route from "../route.js";
import { nothing } from "./parts.js";

const PAGE_SIZE = 100;
const TYPING_MS = 250;

// Gets the page that the address asks for. `more` are parameters of this list alone.
export async function load(where, base, { signal, more = {} } = {}) {
  const p = where.parameters;
  const parameters = {
    page: p.get("page") ?? 1,
    page_size: PAGE_SIZE,
    name: p.get("name"),
    use_regex: p.get("name") && p.get("regex") ? "true" : null,
    // Unasked, rows come in the order of their names, which costs nothing.
    sort: p.get("sort"),
    sort_reverse: p.get("sort") && p.get("reverse") ? "true" : null,
    ...more,
  };
  try {
    return await api.get(api.query(base, parameters), { signal });
  } catch (error) {
    // Rows may have gone since: the first page is always there.
    if (error.status === 400 && parameters.page > 1) return api.get(api.query(base, { ...parameters, page: 1 }), { signal });
    if (error.status === 400 && parameters.use_regex) return { items: [], filtered_count: 0, total_count: 0, page: 1, page_count: 1, complaint: "This is no regular expression." };
    throw error;
  }
}

function search(where, label) {
  let timer = 0;
  const typed = (event) => {
    clearTimeout(timer);
    const name = event.target.value;
    timer = setTimeout(() => route.replace(route.withParameters(route.read(), { name, page: null })), TYPING_MS);
  };
  const regex = (event) => route.replace(route.withParameters(route.read(), { regex: event.target.checked ? "1" : null, page: null }));
  return [
    h("label", { class: "search", key: "search" }, h("span", { class: "sr" }, `Filter ${label} by name`), h("input", { type: "search", id: "filter", placeholder: `Filter ${label} …`, value: where.parameters.get("name") ?? "", oninput: typed, autocomplete: "off", spellcheck: "false", "aria-keyshortcuts": "/" })),
    h("label", { class: "tick", key: "regex" }, h("input", { type: "checkbox", checked: where.parameters.get("regex") !== null, onchange: regex }), "regular expression"),
  ];
}

// A choice that stands in the address.
export function choice(where, parameter, label, options) {
  const chosen = where.parameters.get(parameter) ?? "";
  const changed = (event) => route.go(route.withParameters(route.read(), { [parameter]: event.target.value, page: null }));
  return h("label", { class: "select", key: parameter }, h("span", {}, label), h("select", { onchange: changed }, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
}

function sortable(where, column, sort) {
  const field = where.parameters.get("sort") ?? sort;
  const reverse = where.parameters.get("sort") && where.parameters.get("reverse");
  const isSorted = field === column.sort;
  const change = () => {
    // Numbers are first wanted from the top, names from A.
    const turned = isSorted ? !reverse : Boolean(column.numeric);
    route.go(route.withParameters(route.read(), { sort: column.sort, reverse: turned ? "1" : null, page: null }));
  };
  const arrow = isSorted ? (reverse ? "↓" : "↑") : "";
  return h(
    "th",
    { scope: "col", class: column.numeric ? "number" : null, key: column.name, "aria-sort": isSorted ? (reverse ? "descending" : "ascending") : null, title: column.title },
    column.sort ? h("button", { type: "button", class: "sort", onclick: change }, column.name, arrow ? h("span", { class: "arrow" }, arrow) : null) : column.name,
  );
}

// The same choice for narrow screens, where a list has no headings.
function order(where, columns, sort) {
  const known = columns.filter((column) => column.sort);
  const chosen = where.parameters.get("sort") ?? sort;
  const changed = (event) => {
    const column = known.find((one) => one.sort === event.target.value);
    route.go(route.withParameters(route.read(), { sort: column.sort, reverse: column.numeric ? "1" : null, page: null }));
  };
  return h("label", { class: "select narrow", key: "order" }, h("span", {}, "Sort by"), h("select", { onchange: changed }, known.map((column) => h("option", { value: column.sort, selected: column.sort === chosen }, column.name))));
}

function pager(where, page) {
  const step = (number, text, label) => {
    const isThere = number >= 1 && number <= page.page_count && number !== page.page;
    const target = route.withParameters(where, { page: number === 1 ? null : number });
    return h(isThere ? "a" : "span", { class: "step", href: isThere ? target : null, "aria-label": label, "aria-disabled": isThere ? null : "true" }, text);
  };
  return h(
    "nav",
    { class: "pager", "aria-label": "Pages" },
    step(1, "«", "First page"),
    step(page.page - 1, "‹", "Previous page"),
    h("span", {}, `Page ${format.whole(page.page)} of ${format.whole(page.page_count)}`),
    step(page.page + 1, "›", "Next page"),
    step(page.page_count, "»", "Last page"),
  );
}

function count(page, what) {
  const all = format.plural(page.total_count, what[0], what[1]);
  return page.filtered_count === page.total_count ? all : `${format.whole(page.filtered_count)} of ${all}`;
}

// The list: columns are {name, cell(row), sort, numeric, title}.
export function view(where, page, { columns, what, key, sort, filters = [], empty }) {
  const cells = columns.map((column) => (row) => h("td", { class: column.numeric ? "number" : null, "data-label": column.name || null }, column.cell(row)));
  const rows = page.items.map((row) => h("tr", { key: key(row) }, cells.map((build) => build(row))));
  const isFiltered = ["name", "vhost", "attention"].some((name) => where.parameters.get(name));
  const clear = h("a", { class: "button", href: route.to(...where.segments) }, "Show all");
  return h(
    "section",
    { class: "card list", key: "list" },
    h("div", { class: "toolbar" }, search(where, what[1]), filters, order(where, columns, sort), h("span", { class: "grow" }), h("span", { class: "count", role: "status" }, count(page, what))),
    rows.length === 0
      ? nothing(page.complaint ?? (isFiltered ? `No ${what[0]} matches the filter.` : empty), isFiltered ? clear : null)
      : h("div", { class: "scroll" }, h("table", { class: "rows" }, h("thead", {}, h("tr", {}, columns.map((column) => sortable(where, column, sort)))), h("tbody", {}, rows))),
    page.page_count > 1 ? pager(where, page) : null,
  );
}
