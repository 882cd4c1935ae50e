// The fields of forms: how each looks and how its value is read. A field is {name, label, type, value, options, hint,
// required, known}; types are text, password, number, select, tick, area, file and pairs.

import { h } from "../dom.js";
import { icon } from "./icons.js";

let counter = 0;

function input(definition, id) {
  const { name, type = "text", value = "", required, placeholder, rows } = definition;
  const common = { id, name, required, placeholder, autocomplete: "off", "aria-describedby": definition.hint ? `${id}-hint` : null };
  switch (type) {
    case "select":
      return h("select", common, definition.options.map(([option, text]) => h("option", { value: option, selected: option === value }, text)));
    case "area":
      return h("textarea", { ...common, rows: rows ?? 5, spellcheck: "false" }, value);
    case "file":
      return h("input", { ...common, type: "file", accept: definition.accept });
    case "pairs":
      return pairs(definition, id);
    default:
      return h("input", { ...common, type, value, inputmode: type === "number" ? "numeric" : null, spellcheck: "false", autocomplete: type === "password" ? "new-password" : "off" });
  }
}

// A field with its label and hint.
export function field(definition) {
  const id = `field-${(counter += 1)}`;
  const hint = definition.hint ? h("p", { class: "hint", id: `${id}-hint` }, definition.hint) : null;
  if (definition.type === "tick") {
    return h("div", { class: "field" }, h("label", { class: "tick" }, h("input", { type: "checkbox", id, name: definition.name, checked: definition.value }), definition.label), hint);
  }
  const label = definition.type === "pairs" ? h("span", { class: "label", id: `${id}-label` }, definition.label) : h("label", { for: id }, definition.label);
  return h("div", { class: "field" }, label, input(definition, id), hint);
}

const KINDS = [["string", "text"], ["number", "number"], ["boolean", "true/false"], ["list", "list"], ["json", "JSON"]];

function kindOf(value) {
  if (Array.isArray(value)) return value.every((item) => typeof item === "string") ? "list" : "json";
  return typeof value === "object" ? "json" : typeof value;
}

const texted = (value, kind) => (kind === "list" ? value.join(", ") : kind === "json" ? JSON.stringify(value) : String(value));

function row(name, value, suggestions, kind = value === undefined ? "string" : kindOf(value)) {
  const select = h("select", { class: "pair-kind", "aria-label": "Type" }, KINDS.map(([option, text]) => h("option", { value: option, selected: option === kind }, text)));
  const key = h("input", { class: "pair-name", "aria-label": "Name", value: name, list: suggestions, spellcheck: "false", autocomplete: "off" });
  const content = h("input", { class: "pair-value", "aria-label": "Value", value: value === undefined ? "" : texted(value, kind), spellcheck: "false", autocomplete: "off" });
  const line = h("div", { class: "pair" }, key, content, select, h("button", { type: "button", class: "bare", "aria-label": "Remove", onclick: () => line.remove() }, icon("close")));
  return line;
}

// Names with values of a chosen type. `known` = [[name, kind, meaning, example]] are offered as buttons.
function pairs({ name, value = {}, known = [] }, id) {
  const lines = h("div", { class: "pair-lines" }, Object.entries(value).map(([key, content]) => row(key, content)));
  const add = (key = "", kind = "string", example = undefined) => {
    const line = row(key, example, undefined, kind);
    lines.append(line);
    line.querySelector(key ? ".pair-value" : ".pair-name").focus();
  };
  const offer = ([key, kind, meaning, example]) => h("button", { type: "button", class: "offer", title: meaning, onclick: () => add(key, kind, example) }, key);
  return h("div", { class: "pairs-field", "data-name": name, role: "group", "aria-labelledby": `${id}-label` }, lines, h("div", { class: "offers" }, h("button", { type: "button", class: "offer add", onclick: () => add() }, "+ add"), known.map(offer)));
}

function typed(kind, text, name) {
  switch (kind) {
    case "number": {
      const number = Number(text);
      if (text.trim() === "" || Number.isNaN(number)) throw new Error(`${name} must be a number, not “${text}”.`);
      return number;
    }
    case "boolean":
      if (text !== "true" && text !== "false") throw new Error(`${name} must be true or false, not “${text}”.`);
      return text === "true";
    case "list":
      return text.split(",").map((item) => item.trim()).filter((item) => item !== "");
    case "json":
      try {
        return JSON.parse(text);
      } catch {
        throw new Error(`${name} must be JSON, not “${text}”.`);
      }
    default:
      return text;
  }
}

function readPairs(group) {
  const object = {};
  for (const line of group.querySelectorAll(".pair")) {
    const name = line.querySelector(".pair-name").value.trim();
    const content = line.querySelector(".pair-value").value;
    if (name === "" && content === "") continue;
    if (name === "") throw new Error(`The value “${content}” has no name.`);
    object[name] = typed(line.querySelector(".pair-kind").value, content, name);
  }
  return object;
}

function readOne(form, definition) {
  if (definition.type === "pairs") return readPairs(form.querySelector(`.pairs-field[data-name="${definition.name}"]`));
  const element = form.elements[definition.name];
  if (definition.type === "tick") return element.checked;
  if (definition.type === "file") return element.files[0] ?? null;
  const text = element.value;
  if (definition.required && text === "") throw new Error(`“${definition.label}” must not be empty.`);
  if (definition.type === "number") return text === "" ? null : typed("number", text, definition.label);
  return text;
}

// The values of a form by name.
export function read(form, fields) {
  return Object.fromEntries(fields.map((definition) => [definition.name, readOne(form, definition)]));
}
