// What stands around every page: navigation, health, who is logged in, light or dark.

import { h, patch } from "./dom.js";
import * as attention from "./parts/attention.js";
import { icon } from "./parts/icons.js";
import * as route from "./route.js";
import * as session from "./session.js";

const THEME = "warren.theme";

const EVERYBODY = [
  ["overview", "Overview"],
  ["queues", "Queues"],
  ["exchanges", "Exchanges"],
  ["topology", "Bindings", "cluster"],
  ["connections", "Connections"],
  ["channels", "Channels"],
];

function entries() {
  const admin = session.isAdministrator();
  return [
    ["", [...EVERYBODY, ...(session.isMonitor() ? [["nodes", "Nodes"]] : [])]],
    [
      "Admin",
      [
        ["vhosts", "Virtual hosts"],
        ...(admin ? [["users", "Users"]] : []),
        ["policies", "Policies"],
        ["limits", "Limits"],
        ["features", "Feature flags"],
        ...(admin ? [["definitions", "Definitions"]] : []),
        ["cluster", "Cluster"],
      ],
    ],
  ];
}

export function applyTheme(theme = localStorage.getItem(THEME)) {
  if (theme) document.documentElement.dataset.theme = theme;
}

function turnTheme() {
  const isDark = (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const theme = isDark ? "light" : "dark";
  localStorage.setItem(THEME, theme);
  applyTheme(theme);
}

function navigation(here) {
  const link = ([where, text, picture]) => h("a", { href: route.to(where), key: where, "aria-current": here === where ? "page" : null }, icon(picture ?? where), h("span", {}, text));
  const group = ([name, links]) => h("div", { class: "nav-group", key: name }, name ? h("p", { class: "nav-title" }, name) : null, links.map(link));
  return h("nav", { id: "navigation", "aria-label": "Main" }, entries().map(group));
}

function toggleMenu() {
  const isOpen = document.body.classList.toggle("menu-open");
  document.getElementById("menu").setAttribute("aria-expanded", String(isOpen));
}

function top(state) {
  return h(
    "header",
    { class: "top" },
    h("button", { type: "button", class: "bare menu", id: "menu", "aria-label": "Menu", "aria-controls": "navigation", "aria-expanded": String(document.body.classList.contains("menu-open")), onclick: toggleMenu }, icon("menu")),
    h("a", { class: "brand", href: route.to("overview") }, h("span", { class: "mark" }), h("span", {}, "Warren")),
    h("span", { class: "cluster", title: "Cluster name" }, state.cluster ?? ""),
    h("span", { class: "grow" }),
    state.isStale ? h("span", { class: "pill bad", role: "status" }, "No answer from the broker") : attention.pill(state.concerns),
    h("button", { type: "button", class: "bare", "aria-label": "Light or dark", title: "Light or dark", id: "theme", onclick: turnTheme }, icon("theme")),
    h("span", { class: "who", title: session.tags().join(", ") }, session.userName()),
    h("button", { type: "button", class: "bare", "aria-label": "Log out", title: "Log out", id: "log-out", onclick: () => session.end("") }, icon("leave")),
  );
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

// The whole body: the frame with the page in it.
export function frame(state, page) {
  return h(
    "div",
    { id: "app" },
    h("a", { class: "skip", href: "#main", onclick: skip }, "Skip to content"),
    top(state),
    navigation(state.here),
    h("main", { id: "main", tabindex: "-1" }, page),
  );
}

// Brings the body up to date.
export function show(tree) {
  const live = document.getElementById("app");
  if (live) patch(live, tree);
  else document.body.prepend(tree);
}

export function closeMenu() {
  document.body.classList.remove("menu-open");
  document.getElementById("menu")?.setAttribute("aria-expanded", "false");
}
