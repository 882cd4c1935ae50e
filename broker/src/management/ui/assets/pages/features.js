// The feature flags: what all nodes of the cluster agree to do.

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

function view(flags, { refresh }) {
  const may = session.isAdministrator();
  const state = (flag) => badge(flag.state, { kind: flag.state === "enabled" ? "good" : flag.state === "disabled" ? "warn" : "" });
  const columns = [
    ["Name", (flag) => h("code", {}, flag.name)],
    ["State", (flag) => [state(flag), may && flag.state === "disabled" ? button("Enable", () => enable(flag, refresh), { kind: "small" }) : null]],
    ["Stability", (flag) => flag.stability],
    ["What it is", (flag) => flag.desc],
  ];
  return [heading("Feature flags"), card("", table(columns, flags, { key: (flag) => flag.name, empty: "There is no feature flag." }))];
}

export default { title: () => "Feature flags", load: ({ signal }) => api.get("feature-flags", { signal }), view };
