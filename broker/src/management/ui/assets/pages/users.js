// The users with their tags, and the form that adds one.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as dialog from "../parts/dialog.js";
import * as list from "../parts/list.js";
import { badge, button, heading } from "../parts/parts.js";
import * as route from "../route.js";

const TAGS_HINT = "administrator, monitoring, policymaker, management or impersonator, with commas between. Without one of the first four nobody can log in here.";

async function load({ where, signal }) {
  const [page, permissions] = await Promise.all([list.load(where, "users", { signal }), api.get("permissions?columns=user,vhost", { signal })]);
  const vhosts = Object.groupBy(permissions, ({ user }) => user);
  return { page, vhosts };
}

export const tagsField = (tags = []) => ({ name: "tags", label: "Tags", value: tags.join(","), hint: TAGS_HINT });

function add(refresh) {
  dialog.form({
    title: "Add a user",
    fields: [
      { name: "name", label: "Name", required: true },
      { name: "password", label: "Password", type: "password", hint: "Left empty, the user cannot log in with a password." },
      { name: "again", label: "Password again", type: "password" },
      tagsField(),
    ],
    action: "Add user",
    submit: async ({ name, password, again, tags }) => {
      if (password !== again) throw new Error("The two passwords differ.");
      await api.put(api.path`users/${name}`, password === "" ? { password_hash: "", tags } : { password, tags });
      return `User ${name} is there. Give permissions in a virtual host next.`;
    },
    done: refresh,
  });
}

function access(user, vhosts) {
  const own = (vhosts[user.name] ?? []).map(({ vhost }) => vhost);
  return own.length > 0 ? own.join(", ") : h("span", { class: "alarming" }, "none");
}

function view({ page, vhosts }, { where, refresh }) {
  const columns = [
    { name: "Name", sort: "name", cell: (u) => h("a", { class: "name", href: route.to("users", u.name) }, u.name) },
    { name: "Tags", cell: (u) => h("span", { class: "badges" }, u.tags.map((tag) => badge(tag, { kind: tag === "administrator" ? "warn" : "" }))) },
    { name: "Virtual hosts", cell: (u) => access(u, vhosts) },
    { name: "Password", cell: (u) => (u.password_hash === "" ? "none" : "set") },
  ];
  return [heading("Users", { actions: button("Add a user", () => add(refresh), { kind: "primary", picture: "plus" }) }), list.view(where, page, { columns, what: ["user", "users"], key: (u) => u.name, sort: "name", empty: "There is no user." })];
}

export default { title: () => "Users", load, view };
