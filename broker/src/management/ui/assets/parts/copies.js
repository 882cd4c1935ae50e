// Where a queue lives: its leader, its mirrors or members, which of them are in sync, and what is done about those that are not.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as dialog from "./dialog.js";
import * as format from "../format.js";
import { badge, button, meter } from "./parts.js";
import * as route from "../route.js";
import * as session from "../session.js";

const isQuorum = (queue) => queue.type === "quorum";
const mirrorsOf = (queue) => queue.slave_nodes ?? [];
const syncedOf = (queue) => queue.synchronised_slave_nodes ?? [];

// The mirrors that run and do not hold what the leader holds.
export const lagging = (queue) => mirrorsOf(queue).filter((node) => !syncedOf(queue).includes(node));

// The members that are not there.
export const absent = (queue) => (queue.members ?? []).filter((node) => !(queue.online ?? []).includes(node));

export const isSyncing = (queue) => queue.state === "syncing";

const nodeName = (node) => (session.isMonitor() ? h("a", { href: route.to("nodes", node) }, node) : h("span", {}, node));

// Copies in few letters, for lists; nothing for a queue that has one.
export function summary(queue) {
  const [all, missing, word] = isQuorum(queue) ? [(queue.members ?? []).length - 1, absent(queue), "is away"] : [mirrorsOf(queue).length, lagging(queue), "is not in sync"];
  if (all < 1) return null;
  if (missing.length === 0) return badge(`+${all} ✓`, { kind: "good", title: isQuorum(queue) ? `Members: ${queue.members.join(", ")}` : `In sync: ${syncedOf(queue).join(", ")}` });
  const count = isQuorum(queue) ? `${all + 1 - missing.length} of ${all + 1} online` : `${syncedOf(queue).length} of ${all} in sync`;
  return badge(`+${all}, ${count}`, { kind: "bad", title: `${missing.join(", ")} ${word}` });
}

// How far the mirrors have come, while they are synchronised.
export function progress(queue) {
  if (!isSyncing(queue)) return null;
  const done = Math.min(queue.sync_messages ?? 0, queue.messages);
  return meter(done, queue.messages, { warnAt: 2, label: `Synchronised messages of ${queue.name}`, text: `${format.short(done)} of ${format.short(queue.messages)} synchronised` });
}

// The leader and every copy, each with what is known of it.
export function places(queue) {
  const isDown = queue.state === "down";
  const leader = h("li", { key: "leader" }, nodeName(queue.node), badge(isDown ? "leader, down" : "leader", { kind: isDown ? "bad" : "good" }));
  const copy = (node, text, isWell) => h("li", { key: node }, nodeName(node), badge(text, { kind: isWell ? "good" : "bad" }));
  const mirrors = mirrorsOf(queue).map((node) => (syncedOf(queue).includes(node) ? copy(node, "mirror, in sync", true) : copy(node, "mirror, not in sync", false)));
  const members = (queue.members ?? []).filter((node) => node !== queue.node).map((node) => (absent(queue).includes(node) ? copy(node, "member, away", false) : copy(node, "member", true)));
  return h("ul", { class: "plain" }, leader, mirrors, members);
}

async function act(queue, action) {
  await api.post(api.path`queues/${queue.vhost}/${queue.name}/actions`, { action });
}

// Has the mirrors of some queues fetch what they lack.
export function synchronise(queues, done) {
  const one = queues.length === 1 ? queues[0] : null;
  dialog.form({
    title: one ? `Synchronise the mirrors of ${one.name}?` : `Synchronise the mirrors of ${format.plural(queues.length, "queue")}?`,
    intro: "What the mirrors lack is sent to them while the queue goes on working.",
    fields: [],
    action: "Synchronise",
    submit: async () => {
      for (const queue of queues) await act(queue, "sync");
      return "Synchronisation is asked for.";
    },
    done,
  });
}

function cancel(queue, done) {
  dialog.confirm({
    title: `Stop synchronising ${queue.name}?`,
    text: "Mirrors keep what they have.",
    action: "Stop",
    submit: async () => {
      await act(queue, "cancel_sync");
      return "Asked to stop.";
    },
    done,
  });
}

// The button that a queue's mirrors need now, if any.
export function syncButton(queue, done, more) {
  if (!session.isPolicymaker()) return null;
  if (isSyncing(queue)) return button("Stop synchronising", () => cancel(queue, done), more);
  return lagging(queue).length > 0 ? button("Synchronise", () => synchronise([queue], done), more) : null;
}

const WAYS = {
  add: { title: (name) => `Add a member to ${name}`, label: "On node", action: "Add member", send: (where, node) => api.post(`${where}/add`, { node }), told: "The member is added; it fetches what it lacks." },
  remove: { title: (name) => `Remove a member of ${name}`, label: "From node", action: "Remove member", danger: true, send: (where, node) => api.remove(`${where}/delete`, { body: { node } }), told: "The member is removed." },
};

function change(queue, { title, label, action, danger, send, told }, nodes, done) {
  dialog.form({
    title: title(queue.name),
    fields: [{ name: "node", label, type: "select", value: nodes[0], options: nodes.map((node) => [node, node]) }],
    action,
    danger,
    submit: async ({ node }) => {
      await send(api.path`queues/quorum/${queue.vhost}/${queue.name}/replicas`, node);
      return told;
    },
    done,
  });
}

// The buttons that change who is a member of a quorum queue; `nodes` are those of the cluster.
export function memberButtons(queue, nodes, done) {
  if (!isQuorum(queue) || !session.isAdministrator()) return null;
  const members = queue.members ?? [];
  const free = nodes.filter((node) => !members.includes(node));
  return h(
    "span",
    { class: "actions" },
    free.length > 0 ? button("Add a member", () => change(queue, WAYS.add, free, done), { kind: "small" }) : null,
    members.length > 1 ? button("Remove a member", () => change(queue, WAYS.remove, members, done), { kind: "small" }) : null,
  );
}
