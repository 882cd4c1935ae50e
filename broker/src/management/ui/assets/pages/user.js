// One user: tags, password, permissions, limits, and the end.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as dialog from "../parts/dialog.js";
import { limitsCard } from "./limits.js";
import { badge, button, card, cardWith, facts, heading } from "../parts/parts.js";
import { permissionsTable, setPermissions, setTopicPermissions, topicPermissionsTable } from "../parts/permissions.js";
import * as route from "../route.js";
import * as session from "../session.js";
import { tagsField } from "./users.js";

async function load({ names: [name], signal }) {
  const [user, permissions, topics] = await Promise.all([api.get(api.path`users/${name}`, { signal }), api.get(api.path`users/${name}/permissions`, { signal }), api.get(api.path`users/${name}/topic-permissions`, { signal })]);
  return { user, permissions, topics };
}

// What the API needs to leave the password as it is.
const samePassword = (user) => ({ password_hash: user.password_hash, hashing_algorithm: user.hashing_algorithm });

function changeTags(user, refresh) {
  dialog.form({
    title: `Tags of ${user.name}`,
    fields: [tagsField(user.tags)],
    action: "Save",
    submit: async ({ tags }) => {
      await api.put(api.path`users/${user.name}`, { ...samePassword(user), tags });
      return "Saved.";
    },
    done: refresh,
  });
}

function changePassword(user, refresh) {
  dialog.form({
    title: `Password of ${user.name}`,
    fields: [
      { name: "password", label: "New password", type: "password", required: true },
      { name: "again", label: "New password again", type: "password" },
    ],
    action: "Set password",
    submit: async ({ password, again }) => {
      if (password !== again) throw new Error("The two passwords differ.");
      await api.put(api.path`users/${user.name}`, { password, tags: user.tags.join(",") });
      return "The password is set.";
    },
    done: refresh,
  });
}

function remove(user) {
  dialog.confirm({
    title: `Delete ${user.name}?`,
    text: user.name === session.userName() ? "This is you: you will be logged out." : "The user's permissions go, too. Connections that are open are closed.",
    action: "Delete user",
    submit: async () => {
      await api.remove(api.path`users/${user.name}`);
      return `User ${user.name} is deleted.`;
    },
    done: () => route.go(route.to("users")),
  });
}

function view({ user, permissions, topics }, { refresh }) {
  return [
    heading(user.name, {
      kicker: h("a", { href: route.to("users") }, "Users"),
      badges: user.tags.map((tag) => badge(tag)),
      actions: [button("Change tags", () => changeTags(user, refresh)), button("Set password", () => changePassword(user, refresh)), button("Delete", () => remove(user), { kind: "danger-text" })],
    }),
    card("Log-in", facts([["Password", user.password_hash === "" ? "none: cannot log in with a password" : `set, as ${user.hashing_algorithm.replace("rabbit_password_hashing_", "")}`]])),
    limitsCard("user", user.name, user.limits ?? {}, refresh),
    cardWith("Permissions", button("Set permissions", () => setPermissions({ user: user.name }, refresh), { kind: "small" }), permissionsTable(permissions, "vhost", refresh)),
    cardWith("Topic permissions", button("Set topic permissions", () => setTopicPermissions({ user: user.name }, refresh), { kind: "small" }), topicPermissionsTable(topics, "vhost", refresh)),
  ];
}

export default { title: ([name]) => name, load, view };
