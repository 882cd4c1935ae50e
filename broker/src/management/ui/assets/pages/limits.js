// Limits of virtual hosts and of users: all that are set, and the card with which each is set where it belongs.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as dialog from "../parts/dialog.js";
import * as format from "../format.js";
import { button, card, cardWith, heading, table } from "../parts/parts.js";
import * as route from "../route.js";
import * as session from "../session.js";

const NAMES = {
  vhost: [["max-connections", "Connections"], ["max-queues", "Queues"]],
  user: [["max-connections", "Connections"], ["max-channels", "Channels"]],
};
const PATHS = { vhost: (name, limit) => api.path`vhost-limits/${name}/${limit}`, user: (name, limit) => api.path`user-limits/${name}/${limit}` };

const shown = (limit) => (limit === undefined || limit < 0 ? h("span", { class: "dim" }, "no limit") : limit === 0 ? "0: none at all" : format.whole(limit));

function change(kind, name, value, refresh) {
  const fields = NAMES[kind].map(([limit, label]) => ({ name: limit, label: `${label} at most`, type: "number", value: value[limit] ?? "", hint: "Left empty there is no limit." }));
  dialog.form({
    title: `Limits of ${name}`,
    fields,
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

// The limits of one virtual host or user.
export function limitsCard(kind, name, value, refresh) {
  const actions = session.isAdministrator() ? button("Change", () => change(kind, name, value, refresh), { kind: "small" }) : null;
  const facts = NAMES[kind].map(([limit, label]) => h("div", { key: limit }, h("dt", {}, `${label} at most`), h("dd", {}, shown(value[limit]))));
  return cardWith("Limits", actions, h("dl", { class: "facts" }, facts));
}

async function load({ signal }) {
  const [vhosts, users] = await Promise.all([api.getOr([], "vhost-limits", { signal }), api.getOr(null, "user-limits", { signal })]);
  return { vhosts, users };
}

function limitsTable(kind, rows, empty) {
  const page = kind === "vhost" ? "vhosts" : "users";
  const columns = [[kind === "vhost" ? "Virtual host" : "User", (row) => h("a", { href: route.to(page, row[kind]) }, row[kind])], ...NAMES[kind].map(([limit, label]) => [label, (row) => shown(row.value[limit]), { numeric: true }])];
  return table(columns, rows, { key: (row) => row[kind], empty });
}

function view({ vhosts, users }) {
  return [
    heading("Limits"),
    card("Virtual hosts", limitsTable("vhost", vhosts, "No virtual host has a limit. Limits are set on the page of a virtual host.")),
    users && card("Users", limitsTable("user", users, "No user has a limit. Limits are set on the page of a user.")),
  ];
}

export default { title: () => "Limits", load, view };
