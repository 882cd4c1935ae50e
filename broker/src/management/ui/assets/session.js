// Who is logged in, and what their tags let them see. The credentials live as long as the browser's tab and are sent
// to this broker alone.

const KEY = "warren.session";
const watchers = new Set();

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

let current = stored();

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

// The header's value for a name and a password.
export function credentials(name, password) {
  return `Basic ${base64(`${name}:${password}`)}`;
}

// Begins a session with what /whoami answered.
export function begin(authorization, who) {
  current = { authorization, name: who.name, tags: who.tags };
  sessionStorage.setItem(KEY, JSON.stringify(current));
}

// Ends it; the message says why.
export function end(message) {
  if (!current) return;
  current = null;
  sessionStorage.removeItem(KEY);
  for (const watcher of watchers) watcher(message);
}

// Calls back when the session ends.
export function onEnd(watcher) {
  watchers.add(watcher);
}

export const authorization = () => current?.authorization;
export const isOpen = () => current !== null;
export const userName = () => current?.name ?? "";
export const tags = () => current?.tags ?? [];

const has = (...wanted) => tags().some((tag) => wanted.includes(tag));
export const isAdministrator = () => has("administrator");
export const isMonitor = () => has("administrator", "monitoring");
export const isPolicymaker = () => has("administrator", "policymaker");
