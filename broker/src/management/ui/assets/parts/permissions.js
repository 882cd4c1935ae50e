// Who may configure, write and read what: the tables of a user and of a virtual host, and the forms behind them.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as dialog from "./dialog.js";
import { button, table } from "./parts.js";
import * as route from "../route.js";

const other = (side) => (side === "user" ? ["User", (row) => h("a", { href: route.to("users", row.user) }, row.user)] : ["Virtual host", (row) => h("a", { href: route.to("vhosts", row.vhost) }, row.vhost)]);

const pattern = (text) => (text === "" ? h("span", { class: "dim" }, "nothing") : h("code", {}, text));

function change(title, text, where, done) {
  dialog.confirm({
    title,
    text,
    action: "Clear permissions",
    submit: async () => {
      await api.remove(where);
      return "Cleared.";
    },
    done,
  });
}

// `side` is the end that is not this page's own.
export function permissionsTable(rows, side, refresh) {
  const clear = (row) => change(`Clear the permissions of ${row.user} in ${row.vhost}?`, `${row.user} can no longer open connections to ${row.vhost}.`, api.path`permissions/${row.vhost}/${row.user}`, refresh);
  const columns = [
    other(side),
    ["Configure", (row) => pattern(row.configure)],
    ["Write", (row) => pattern(row.write)],
    ["Read", (row) => pattern(row.read)],
    ["", (row) => h("span", { class: "actions" }, button("Change", () => setPermissions(row, refresh), { kind: "small" }), button("Clear", () => clear(row), { kind: "small danger-text" }))],
  ];
  const empty = side === "user" ? "Nobody may use this virtual host." : "This user may use no virtual host.";
  return table(columns, rows, { key: (row) => `${row.user}\n${row.vhost}`, empty });
}

// Only what is not given is asked for.
export function setPermissions(given, done) {
  const fields = [
    given.user === undefined ? { name: "user", label: "User", required: true } : null,
    given.vhost === undefined ? { name: "vhost", label: "Virtual host", required: true, value: "/" } : null,
    { name: "configure", label: "Configure", value: given.configure ?? ".*", hint: "Queues and exchanges that may be declared and deleted: a regular expression. Empty is none." },
    { name: "write", label: "Write", value: given.write ?? ".*", hint: "Exchanges that may be published to." },
    { name: "read", label: "Read", value: given.read ?? ".*", hint: "Queues that may be consumed." },
  ].filter(Boolean);
  dialog.form({
    title: "Set permissions",
    fields,
    action: "Set permissions",
    submit: async ({ user = given.user, vhost = given.vhost, ...body }) => {
      await api.put(api.path`permissions/${vhost}/${user}`, body);
      return "Permissions are set.";
    },
    done,
  });
}

export function topicPermissionsTable(rows, side, refresh) {
  const clear = (row) => change(`Clear the topic permissions of ${row.user} on ${row.exchange}?`, "Topics are no longer restricted there.", api.path`topic-permissions/${row.vhost}/${row.user}/${row.exchange}`, refresh);
  const columns = [
    other(side),
    ["Exchange", (row) => row.exchange],
    ["Write", (row) => pattern(row.write)],
    ["Read", (row) => pattern(row.read)],
    ["", (row) => h("span", { class: "actions" }, button("Change", () => setTopicPermissions(row, refresh), { kind: "small" }), button("Clear", () => clear(row), { kind: "small danger-text" }))],
  ];
  return table(columns, rows, { key: (row) => `${row.user}\n${row.vhost}\n${row.exchange}`, empty: "Topics are not restricted." });
}

export function setTopicPermissions(given, done) {
  const fields = [
    given.user === undefined ? { name: "user", label: "User", required: true } : null,
    given.vhost === undefined ? { name: "vhost", label: "Virtual host", required: true, value: "/" } : null,
    { name: "exchange", label: "Topic exchange", required: true, value: given.exchange ?? "amq.topic" },
    { name: "write", label: "Write", value: given.write ?? ".*", hint: "Routing keys that may be published with: a regular expression." },
    { name: "read", label: "Read", value: given.read ?? ".*", hint: "Routing keys that may be bound with." },
  ].filter(Boolean);
  dialog.form({
    title: "Set topic permissions",
    fields,
    action: "Set topic permissions",
    submit: async ({ user = given.user, vhost = given.vhost, ...body }) => {
      await api.put(api.path`topic-permissions/${vhost}/${user}`, body);
      return "Topic permissions are set.";
    },
    done,
  });
}
