// One virtual host: what flows in it, who may do what in it, its limits, and its end.

import { h } from "../dom.js";
import * as api from "../api.js";
import { KEPT_SECONDS, keptSpanOf, lengthsChart, ratesChart, samplesOf } from "../parts/chart.js";
import * as dialog from "../parts/dialog.js";
import { limitsCard } from "./limits.js";
import { permissionsTable, setPermissions, setTopicPermissions, topicPermissionsTable } from "../parts/permissions.js";
import { button, card, cardWith, facts, heading, spanChoice } from "../parts/parts.js";
import * as route from "../route.js";
import * as session from "../session.js";
import { fields } from "./vhosts.js";

async function load({ where, names: [name], signal }) {
  const span = keptSpanOf(where);
  const [vhost, permissions, topics, limits] = await Promise.all([
    api.get(api.query(api.path`vhosts/${name}`, samplesOf(span, "lengths", "msg_rates")), { signal }),
    api.getOr(null, api.path`vhosts/${name}/permissions`, { signal }),
    api.getOr(null, api.path`vhosts/${name}/topic-permissions`, { signal }),
    api.getOr([], api.path`vhost-limits/${name}`, { signal }),
  ]);
  return { vhost, permissions, topics, limits: limits[0]?.value ?? {}, span };
}

function edit(vhost, refresh) {
  dialog.form({
    title: `Change ${vhost.name}`,
    fields: fields(vhost),
    action: "Save",
    submit: async (body) => {
      await api.put(api.path`vhosts/${vhost.name}`, body);
      return "Saved.";
    },
    done: refresh,
  });
}

function remove(vhost) {
  dialog.form({
    title: `Delete ${vhost.name}?`,
    intro: "All its exchanges, queues, messages, bindings, policies and permissions go with it, and its connections are closed. This cannot be undone.",
    fields: [{ name: "typed", label: `Type ${vhost.name} to go on`, required: true }],
    action: "Delete virtual host",
    danger: true,
    submit: async ({ typed }) => {
      if (typed !== vhost.name) throw new Error(`That is not ${vhost.name}.`);
      await api.remove(api.path`vhosts/${vhost.name}`);
      return `Virtual host ${vhost.name} is deleted.`;
    },
    done: () => route.go(route.to("vhosts")),
  });
}

function view({ vhost, permissions, topics, limits, span }, { where, refresh }) {
  const admin = session.isAdministrator();
  const chartsOf = h("div", { class: "charts", key: "charts" }, lengthsChart(vhost, span), ratesChart(vhost.message_stats, span));
  return [
    heading(vhost.name, { kicker: h("a", { href: route.to("vhosts") }, "Virtual hosts"), actions: admin ? [button("Change", () => edit(vhost, refresh)), button("Delete", () => remove(vhost), { kind: "danger-text" })] : null }),
    spanChoice(where, span, KEPT_SECONDS),
    chartsOf,
    card(
      "Settings",
      facts([
        ["Description", vhost.description],
        ["Tags", vhost.tags?.join(", ")],
        ["Default queue type", vhost.default_queue_type === "undefined" ? "classic" : vhost.default_queue_type],
        ["Tracing", vhost.tracing ? "on" : "off"],
        ["In it", h("span", { class: "links" }, h("a", { href: route.to("queues", { vhost: vhost.name }) }, "queues"), h("a", { href: route.to("exchanges", { vhost: vhost.name }) }, "exchanges"), h("a", { href: route.to("topology", { vhost: vhost.name }) }, "bindings"), h("a", { href: route.to("policies", { vhost: vhost.name }) }, "policies"))],
      ]),
    ),
    limitsCard("vhost", vhost.name, limits, refresh),
    permissions && cardWith("Permissions", button("Set permissions", () => setPermissions({ vhost: vhost.name }, refresh), { kind: "small" }), permissionsTable(permissions, "user", refresh)),
    topics && cardWith("Topic permissions", button("Set topic permissions", () => setTopicPermissions({ vhost: vhost.name }, refresh), { kind: "small" }), topicPermissionsTable(topics, "user", refresh)),
  ];
}

export default { title: ([name]) => name, load, view };
