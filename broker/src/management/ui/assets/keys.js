// The keyboard: a letter after g goes to a page, / filters, ? tells all of this. Nothing happens while somebody types.

import { h } from "./dom.js";
import { closeMenu } from "./frame.js";
import * as dialog from "./parts/dialog.js";
import * as route from "./route.js";

const PLACES = { o: ["overview", "Overview"], q: ["queues", "Queues"], e: ["exchanges", "Exchanges"], b: ["topology", "Bindings"], c: ["connections", "Connections"], h: ["channels", "Channels"], n: ["nodes", "Nodes"], v: ["vhosts", "Virtual hosts"], u: ["users", "Users"], p: ["policies", "Policies"] };
const CHORD_MS = 1500;

let chord = 0;

function help() {
  const line = (keys, meaning) => h("div", {}, h("dt", {}, keys.map((key) => h("kbd", {}, key))), h("dd", {}, meaning));
  dialog.open("Keyboard", () => h("dl", { class: "keys" }, line(["/"], "Filter the list"), line(["?"], "This help"), line(["Esc"], "Close a dialog"), Object.entries(PLACES).map(([key, [, name]]) => line(["g", key], name))));
}

function isTyping(event) {
  return event.target.closest?.("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey;
}

function pressed(event) {
  if (isTyping(event)) return;
  if (chord && event.key in PLACES) route.go(route.to(PLACES[event.key][0]));
  clearTimeout(chord);
  chord = 0;
  if (event.key === "g") chord = setTimeout(() => (chord = 0), CHORD_MS);
  if (event.key === "Escape") closeMenu();
  if (event.key === "?") help();
  if (event.key === "/" && document.getElementById("filter")) {
    event.preventDefault();
    document.getElementById("filter").focus();
  }
}

export function listen() {
  document.addEventListener("keydown", pressed);
}
