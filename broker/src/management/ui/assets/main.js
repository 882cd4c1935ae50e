// Starts the page: decides which page the address means, loads its data, shows it, and does so again every few seconds while
// somebody looks.

import { h } from "./dom.js";
import * as api from "./api.js";
import * as frame from "./frame.js";
import * as keys from "./keys.js";
import * as attention from "./parts/attention.js";
import { nothing } from "./parts/parts.js";
import * as route from "./route.js";
import * as session from "./session.js";
import channel from "./pages/channel.js";
import channels from "./pages/channels.js";
import cluster from "./pages/cluster.js";
import connection from "./pages/connection.js";
import connections from "./pages/connections.js";
import definitions from "./pages/definitions.js";
import exchange from "./pages/exchange.js";
import exchanges from "./pages/exchanges.js";
import features from "./pages/features.js";
import limits from "./pages/limits.js";
import login from "./pages/login.js";
import node from "./pages/node.js";
import nodes from "./pages/nodes.js";
import overview from "./pages/overview.js";
import policies from "./pages/policies.js";
import queue from "./pages/queue.js";
import queues from "./pages/queues.js";
import topology from "./pages/topology.js";
import user from "./pages/user.js";
import users from "./pages/users.js";
import vhost from "./pages/vhost.js";
import vhosts from "./pages/vhosts.js";

const EVERY_MS = 5000;

// By the number of segments: lists, then single objects.
const PAGES = {
  overview: [overview],
  queues: [queues, null, queue],
  exchanges: [exchanges, null, exchange],
  topology: [topology],
  connections: [connections, connection],
  channels: [channels, channel],
  nodes: [nodes, node],
  vhosts: [vhosts, vhost],
  users: [users, user],
  policies: [policies],
  limits: [limits],
  features: [features],
  definitions: [definitions],
  cluster: [cluster],
};

// `seen` is the place of the page that is on the screen, `shown` what it was made of.
const state = { here: "", seen: null, shown: null, cluster: null, concerns: [], isStale: false };
let running = null;
let timer = 0;

function pageOf({ segments }) {
  const [first = "overview", ...rest] = segments;
  return { here: first, names: rest, page: PAGES[first]?.[rest.length] ?? null };
}

const missing = { title: () => "Not found", load: async () => null, view: () => nothing("There is no such page.", h("a", { class: "button", href: route.to("overview") }, "To the overview")) };

function failed(error) {
  const isGone = error.status === 404;
  const text = isGone ? "It is not there, or not any more." : error.message;
  return h("section", { class: "card failure", role: "alert" }, h("h2", {}, isGone ? "Not found" : "That did not work"), h("p", {}, text), h("button", { type: "button", class: "button", onclick: show }, "Try again"));
}

async function loadFrame(signal) {
  const [concerns, name] = await Promise.all([attention.load(signal), api.get("cluster-name", { signal })]);
  state.concerns = concerns;
  state.cluster = name.name;
}

function render(content, title) {
  document.title = title ? `${title} – Warren` : "Warren";
  frame.show(frame.frame(state, content));
}

// What the address means, so that it can be told whether the page that is seen is the one that is asked for.
const placeOf = ({ here, names }) => [here, ...names].join("\n");

// What is to be shown and what it is made of: the page, why it cannot be, or no content while nothing is new or the broker
// is away. An open page is looked at every few seconds, and nothing new costs no work.
async function contentOf(page, context) {
  try {
    const [data] = await Promise.all([page.load(context), loadFrame(context.signal)]);
    const wasStale = state.isStale;
    state.isStale = false;
    const made = JSON.stringify([location.hash, data, state.concerns, state.cluster]);
    if (!wasStale && state.seen === context.place && state.shown === made) return { made };
    return { made, content: page.view(data, { ...context, concerns: state.concerns }) };
  } catch (error) {
    if (context.signal.aborted) return {};
    if (error.status === undefined) console.error(error);
    state.isStale = error.status === 0;
    // What was there stays readable.
    return state.isStale && state.seen === context.place ? {} : { content: failed(error) };
  }
}

function tellStale() {
  document.querySelector(".top .pill")?.replaceWith(h("span", { class: "pill bad", role: "status" }, "No answer from the broker"));
}

async function show() {
  running?.abort();
  clearTimeout(timer);
  if (!session.isOpen()) return showLogin();
  const own = (running = new AbortController());
  const where = route.read();
  const found = pageOf(where);
  const page = found.page ?? missing;
  const place = placeOf(found);
  state.here = found.here;
  const { content, made = null } = await contentOf(page, { where, place, names: found.names, signal: own.signal, refresh: show });
  if (own.signal.aborted || !session.isOpen()) return;
  if (content) render(h("div", { class: "page", key: place }, content), page.title(found.names));
  else if (state.isStale) tellStale();
  state.shown = made;
  if (state.seen !== place) settle();
  state.seen = place;
  if (!document.hidden) timer = setTimeout(show, EVERY_MS);
}

// A new page begins at its top, and its heading is what a screen reader reads next.
function settle() {
  frame.closeMenu();
  window.scrollTo(0, 0);
  if (document.activeElement === document.body || document.activeElement?.closest("#navigation")) document.querySelector("#main h1")?.focus({ preventScroll: true });
}

function showLogin(message = "") {
  document.title = "Log in – Warren";
  document.getElementById("app")?.remove();
  document.querySelectorAll("dialog").forEach((dialog) => dialog.remove());
  document.body.prepend(login(message, show));
  document.querySelector("#app input")?.focus();
}

session.onEnd((message) => {
  running?.abort();
  clearTimeout(timer);
  state.cluster = null;
  state.shown = null;
  state.seen = null;
  showLogin(message);
});
window.addEventListener("hashchange", show);
// Nobody looks, nothing is asked.
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden && session.isOpen()) show();
});
frame.applyTheme();
keys.listen();
show();
