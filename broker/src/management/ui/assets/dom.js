// Makes elements and brings a live tree up to date with a new one. Text only ever becomes text: nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";

// Applies what an element is described with. Names that begin with "on" are handlers, `key` tells siblings apart,
// `style` is a map of custom properties, everything else is an attribute; null and false leave it out.
function describe(element, properties) {
  element.handlers = {};
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) {
      element.handlers[name] = value;
      element[name] = value;
    } else if (name === "key") {
      element.key = String(value);
    } else if (name === "style") {
      for (const [property, setting] of Object.entries(value)) element.style.setProperty(property, setting);
    } else if (name === "data") {
      element.data = value;
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
}

function fill(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

// An HTML element: h("a", {href, onclick}, "text", other).
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  describe(element, properties);
  fill(element, children);
  return element;
}

// An SVG element.
export function s(tag, properties, ...children) {
  const element = document.createElementNS(SVG, tag);
  describe(element, properties);
  fill(element, children);
  return element;
}

// What people opened, ticked or typed is theirs; the rest of a live element becomes like the new one.
const THEIRS = new Set(["open"]);

function adoptAttributes(live, next) {
  for (const { name, value } of next.attributes) {
    // The policy of the page forbids styles in markup, and takes this attribute for markup.
    if (name === "style") live.style.cssText = next.style.cssText;
    else if (live.getAttribute(name) !== value) live.setAttribute(name, value);
  }
  for (const { name } of [...live.attributes]) {
    if (!next.hasAttribute(name) && !THEIRS.has(name)) live.removeAttribute(name);
  }
}

function adoptHandlers(live, next) {
  for (const name of Object.keys(live.handlers ?? {})) {
    if (!(name in (next.handlers ?? {}))) live[name] = null;
  }
  for (const [name, handler] of Object.entries(next.handlers ?? {})) live[name] = handler;
  live.handlers = next.handlers;
}

function alike(live, next) {
  return live.nodeType === next.nodeType && live.nodeName === next.nodeName && live.key === next.key;
}

// Makes `live` show what `next` shows, and returns the node that is in the tree afterwards. Elements that keep a state
// of their own, such as charts, have a method `adopt`.
export function patch(live, next) {
  if (!alike(live, next)) {
    live.replaceWith(next);
    return next;
  }
  if (live.nodeType !== Node.ELEMENT_NODE) {
    if (live.data !== next.data) live.data = next.data;
    return live;
  }
  adoptAttributes(live, next);
  adoptHandlers(live, next);
  if (typeof live.adopt === "function") live.adopt(next);
  else patchChildren(live, next);
  return live;
}

function patchChildren(live, next) {
  const keyed = new Map();
  for (const child of live.childNodes) {
    if (child.key !== undefined) keyed.set(child.key, child);
  }
  let place = live.firstChild;
  for (const wanted of [...next.childNodes]) {
    const known = wanted.key === undefined ? null : keyed.get(wanted.key);
    const match = known && alike(known, wanted) ? known : place && wanted.key === undefined && alike(place, wanted) ? place : null;
    if (!match) {
      live.insertBefore(wanted, place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else live.insertBefore(match, place);
    patch(match, wanted);
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

// Replaces all children.
export function replace(element, ...children) {
  element.replaceChildren();
  fill(element, children);
}
