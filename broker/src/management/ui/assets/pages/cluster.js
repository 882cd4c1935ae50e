// The cluster as a whole: its name, its global parameters, and the place of its queues.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as dialog from "../parts/dialog.js";
import * as format from "../format.js";
import { button, card, cardWith, facts, heading, table } from "../parts/parts.js";
import * as session from "../session.js";

async function load({ signal }) {
  const [{ name }, overview, parameters] = await Promise.all([api.get("cluster-name", { signal }), api.get("overview?disable_stats=true", { signal }), session.isPolicymaker() ? api.getOr(null, "global-parameters", { signal }) : null]);
  return { name, overview, parameters };
}

function rename(name, refresh) {
  dialog.form({
    title: "Name of the cluster",
    intro: "Clients see it when they connect.",
    fields: [{ name: "name", label: "Name", value: name, required: true }],
    action: "Save",
    submit: async (body) => {
      await api.put("cluster-name", body);
      return "The cluster has its new name.";
    },
    done: refresh,
  });
}

function rebalance(refresh) {
  dialog.confirm({
    title: "Spread the leaders of queues over the nodes?",
    text: "Leaders move to mirrors that are in sync. Consumers of those queues are moved along.",
    action: "Rebalance",
    submit: async () => {
      await api.post("rebalance/queues", {});
      return "Rebalancing is asked for.";
    },
    done: refresh,
  });
}

function parametersTable(parameters, refresh) {
  const may = session.isAdministrator();
  const columns = [
    ["Name", (p) => h("code", {}, p.name)],
    ["Value", (p) => h("code", {}, format.value(p.value))],
    may ? ["", (p) => h("span", { class: "actions" }, button("Change", () => set(p, refresh), { kind: "small" }), button("Delete", () => clear(p, refresh), { kind: "small danger-text" }))] : null,
  ].filter(Boolean);
  return table(columns, parameters, { key: (p) => p.name, empty: "No global parameter is set." });
}

function set(before, refresh) {
  const own = before ? [] : [{ name: "name", label: "Name", required: true }];
  dialog.form({
    title: before ? `Change ${before.name}` : "Set a global parameter",
    fields: [...own, { name: "value", label: "Value", type: "area", value: before ? JSON.stringify(before.value, null, 2) : "", required: true, hint: "JSON: a text in quotes, a number, true, a list or an object." }],
    action: "Save",
    submit: async ({ name = before?.name, value }) => {
      let parsed;
      try {
        parsed = JSON.parse(value);
      } catch {
        throw new Error("The value must be JSON; a text needs quotes.");
      }
      await api.put(api.path`global-parameters/${name}`, { name, value: parsed });
      return `${name} is set.`;
    },
    done: refresh,
  });
}

function clear(parameter, refresh) {
  dialog.confirm({
    title: `Delete ${parameter.name}?`,
    text: "What reads it falls back to its default.",
    action: "Delete parameter",
    submit: async () => {
      await api.remove(api.path`global-parameters/${parameter.name}`);
      return `${parameter.name} is deleted.`;
    },
    done: refresh,
  });
}

function view({ name, overview, parameters }, { refresh }) {
  const admin = session.isAdministrator();
  return [
    heading("Cluster", { actions: admin ? [button("Rename", () => rename(name, refresh)), button("Rebalance queues", () => rebalance(refresh))] : null }),
    card("Identity", facts([["Name", name], ["Version", `Warren ${overview.product_version}`], ["Compatible with", `RabbitMQ ${overview.rabbitmq_version}`], ["Rates", overview.rates_mode]])),
    parameters && cardWith("Global parameters", admin ? button("Set a parameter", () => set(null, refresh), { kind: "small" }) : null, parametersTable(parameters, refresh)),
  ];
}

export default { title: () => "Cluster", load, view };
