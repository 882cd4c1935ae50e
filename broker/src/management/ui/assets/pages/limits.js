// Limits of virtual hosts and of users: all that are set, and the card with which each is set where it belongs.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as dialog from "../parts/dialog.js";
import * as format from "../format.js";
import { button, cardWith, heading, table } from "../parts/parts.js";
import * as route from "../route.js";
import * as session from "../session.js";

const NAMES = {
  vhost: [["max-connections", "Connections"], ["max-queues", "Queues"]],
  user: [["max-connections", "Connections"], ["max-channels", "Channels"]],
};
const PATHS = { vhost: (name, limit) => api.path`vhost-limits/${name}/${limit}`, user: (name, limit) => api.path`user-limits/${name}/${limit}` };

const shown = (limit) => (limit === undefined || limit < 0 ? h("span", { class: "dim" }, "no limit") : limit === 0 ? "0: none at all" : format.whole(limit));

const fieldsOf = (kind, value) => NAMES[kind].map(([limit, label]) => ({ name: limit, label: `${label} at most`, type: "number", value: value[limit] ?? "", hint: "Left empty there is no limit." }));

function change(kind, name, value, refresh) {
  dialog.form({
    title: `Limits of ${name}`,
    fields: fieldsOf(kind, value),
    action: "Save",
    submit: async (values) => {
      for (const [limit] of NAMES[kind]) {
        if (values[limit] !== null) await api.put(PATHS[kind](name, limit), { value: values[limit] });
        else if (value[limit] !== undefined) await api.remove(PATHS[kind](name, limit));
      }
      return "Limits are set.";
    },
    done: refresh,
  });
}

// Asks as well whose limits they are.
function set(kind, names, refresh) {
  const title = kind === "vhost" ? "Limit a virtual host" : "Limit a user";
  dialog.form({
    title,
    fields: [{ name: "of", label: kind === "vhost" ? "Virtual host" : "User", type: "select", value: names[0], options: names.map((name) => [name, name]) }, ...fieldsOf(kind, {})],
    action: "Save",
    submit: async ({ of, ...values }) => {
      for (const [limit] of NAMES[kind]) if (values[limit] !== null) await api.put(PATHS[kind](of, limit), { value: values[limit] });
      return `Limits of ${of} are set.`;
    },
    done: refresh,
  });
}

// The limits of one virtual host or user.
export function limitsCard(kind, name, value, refresh) {
  const actions = session.isAdministrator() ? button("Change", () => change(kind, name, value, refresh), { kind: "small" }) : null;
  const facts = NAMES[kind].map(([limit, label]) => h("div", { key: limit }, h("dt", {}, `${label} at most`), h("dd", {}, shown(value[limit]))));
  return cardWith("Limits", actions, h("dl", { class: "facts" }, facts));
}

async function load({ signal }) {
  const named = (where) => (session.isAdministrator() ? api.getOr([], where, { signal }) : []);
  const [vhosts, users, allVhosts, allUsers] = await Promise.all([
    api.getOr([], "vhost-limits", { signal }),
    api.getOr(null, "user-limits", { signal }),
    named("vhosts?columns=name&disable_stats=true"),
    named("users?columns=name"),
  ]);
  const names = (all) => all.map((one) => one.name).sort();
  return { vhosts, users, vhostNames: names(allVhosts), userNames: names(allUsers) };
}

function limitsTable(kind, rows, empty, refresh) {
  const page = kind === "vhost" ? "vhosts" : "users";
  const columns = [[kind === "vhost" ? "Virtual host" : "User", (row) => h("a", { href: route.to(page, row[kind]) }, row[kind])], ...NAMES[kind].map(([limit, label]) => [label, (row) => shown(row.value[limit]), { numeric: true }])];
  if (session.isAdministrator()) columns.push(["", (row) => button("Change", () => change(kind, row[kind], row.value, refresh), { kind: "small" })]);
  return table(columns, rows, { key: (row) => row[kind], empty });
}

function view({ vhosts, users, vhostNames, userNames }, { refresh }) {
  const add = (kind, text, names) => (names.length > 0 ? button(text, () => set(kind, names, refresh), { kind: "small", picture: "plus" }) : null);
  return [
    heading("Limits"),
    cardWith("Virtual hosts", add("vhost", "Limit a virtual host", vhostNames), limitsTable("vhost", vhosts, "No virtual host has a limit.", refresh)),
    users && cardWith("Users", add("user", "Limit a user", userNames), limitsTable("user", users, "No user has a limit.", refresh)),
  ];
}

export default { title: () => "Limits", load, view };
