// The feature flags: what all nodes of the cluster agree to do; and what is in use that a later RabbitMQ will not have.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as dialog from "../parts/dialog.js";
import { badge, button, card, heading, table } from "../parts/parts.js";
import * as session from "../session.js";

function enable(flag, refresh) {
  dialog.confirm({
    title: `Enable ${flag.name}?`,
    text: "A feature flag cannot be disabled again, and nodes that do not know it can no longer join.",
    action: "Enable",
    submit: async () => {
      await api.put(api.path`feature-flags/${flag.name}/enable`, { name: flag.name });
      return `${flag.name} is enabled.`;
    },
    done: refresh,
  });
}

async function load({ signal }) {
  const [flags, deprecated, used] = await Promise.all([api.get("feature-flags", { signal }), api.getOr([], "deprecated-features", { signal }), api.getOr([], "deprecated-features/used", { signal })]);
  return { flags, deprecated, used: used.map((feature) => feature.name) };
}

function deprecatedTable({ deprecated, used }) {
  const columns = [
    ["Name", (feature) => h("code", {}, feature.name)],
    ["In use", (feature) => (used.includes(feature.name) ? badge("in use", { kind: "warn" }) : badge("not in use"))],
    ["State", (feature) => feature.state],
    ["What it is", (feature) => feature.desc, { wide: true }],
  ];
  return table(columns, deprecated, { key: (feature) => feature.name, empty: "Nothing is deprecated." });
}

function view({ flags, ...others }, { refresh }) {
  const may = session.isAdministrator();
  const state = (flag) => badge(flag.state, { kind: flag.state === "enabled" ? "good" : flag.state === "disabled" ? "warn" : "" });
  const columns = [
    ["Name", (flag) => h("code", {}, flag.name)],
    ["State", (flag) => [state(flag), may && flag.state === "disabled" ? button("Enable", () => enable(flag, refresh), { kind: "small" }) : null]],
    ["Stability", (flag) => flag.stability],
    ["What it is", (flag) => flag.desc, { wide: true }],
  ];
  return [
    heading("Feature flags"),
    card("Flags", table(columns, flags, { key: (flag) => flag.name, empty: "There is no feature flag." })),
    card("Deprecated features", h("p", { class: "dim" }, "What RabbitMQ 3.13 advises against. Here all of it is permitted."), deprecatedTable(others)),
  ];
}

export default { title: () => "Feature flags", load, view };
