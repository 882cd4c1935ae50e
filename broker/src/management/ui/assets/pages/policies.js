// Policies and operator policies: rules that set the options of queues and exchanges by their names.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as dialog from "../parts/dialog.js";
import * as format from "../format.js";
import { OPERATOR_KEYS, POLICY_KEYS } from "../parts/known.js";
import { choice } from "../parts/list.js";
import { button, cardWith, heading, pairs, table } from "../parts/parts.js";
import * as route from "../route.js";
import * as session from "../session.js";
import * as vhosts from "../parts/vhosts.js";

const APPLY = [["all", "exchanges and queues"], ["queues", "queues"], ["exchanges", "exchanges"], ["classic_queues", "classic queues"], ["quorum_queues", "quorum queues"]];

const LEVELS = {
  policies: { title: "Policies", one: "policy", keys: POLICY_KEYS, may: session.isPolicymaker, where: (vhost, name) => api.path`policies/${vhost}/${name}`, empty: "There is no policy. A policy sets options, such as mirrors or a length limit, for all queues and exchanges whose names match a pattern." },
  operator: { title: "Operator policies", one: "operator policy", keys: OPERATOR_KEYS, may: session.isAdministrator, where: (vhost, name) => api.path`operator-policies/${vhost}/${name}`, empty: "There is no operator policy. It limits what policies and arguments may set." },
};

async function load({ where, signal }) {
  const vhost = where.parameters.get("vhost");
  const tail = vhost ? `/${encodeURIComponent(vhost)}` : "";
  const [policies, operator, names] = await Promise.all([api.get(`policies${tail}`, { signal }), api.getOr([], `operator-policies${tail}`, { signal }), vhosts.names(signal)]);
  return { policies, operator, names };
}

// Opens the form; `before` is the policy that is changed, if there is one.
function set(level, before, names, where, refresh) {
  const definition = { name: "definition", label: "Definition", type: "pairs", value: before?.definition, known: level.keys };
  const own = before ? [] : [vhosts.field(names, where), { name: "name", label: "Name", required: true }];
  dialog.form({
    title: before ? `Change ${before.name} in ${before.vhost}` : `Add a${level.one.startsWith("o") ? "n" : ""} ${level.one}`,
    wide: true,
    fields: [
      ...own,
      { name: "pattern", label: "Pattern", required: true, value: before?.pattern ?? "", hint: "A regular expression: ^orders\\. matches names that begin with “orders.”, and .* matches all." },
      { name: "apply", label: "Applies to", type: "select", value: before?.["apply-to"] ?? "all", options: APPLY },
      definition,
      { name: "priority", label: "Priority", type: "number", value: before?.priority ?? 0, hint: "Where several match, the highest counts." },
    ],
    action: before ? "Save" : `Add ${level.one}`,
    submit: async ({ vhost = before?.vhost, name = before?.name, pattern, apply, priority, definition }) => {
      await api.put(level.where(vhost, name), { pattern, definition, priority: priority ?? 0, "apply-to": apply });
      return `Policy ${name} is in effect.`;
    },
    done: refresh,
  });
}

function clear(level, policy, refresh) {
  dialog.confirm({
    title: `Delete ${policy.name}?`,
    text: `Queues and exchanges in ${policy.vhost} that match ${policy.pattern} lose what it sets.`,
    action: `Delete ${level.one}`,
    submit: async () => {
      await api.remove(level.where(policy.vhost, policy.name));
      return `${policy.name} is deleted.`;
    },
    done: refresh,
  });
}

function section(level, rows, { names }, { where, refresh }) {
  const may = level.may();
  const columns = [
    ["Name", (p) => h("strong", {}, p.name)],
    ["Virtual host", (p) => p.vhost],
    ["Pattern", (p) => h("code", {}, p.pattern)],
    ["Applies to", (p) => Object.fromEntries(APPLY)[p["apply-to"]] ?? p["apply-to"]],
    ["Definition", (p) => pairs(p.definition)],
    ["Priority", (p) => format.whole(p.priority), { numeric: true }],
    may ? ["", (p) => h("span", { class: "actions" }, button("Change", () => set(level, p, names, where, refresh), { kind: "small" }), button("Delete", () => clear(level, p, refresh), { kind: "small danger-text" }))] : null,
  ].filter(Boolean);
  const add = may && names.length > 0 ? button(`Add a${level.one.startsWith("o") ? "n" : ""} ${level.one}`, () => set(level, null, names, where, refresh), { kind: "primary", picture: "plus" }) : null;
  return cardWith(level.title, add, table(columns, rows, { key: (p) => `${p.vhost}\n${p.name}`, empty: level.empty }));
}

function view(data, context) {
  const filter = data.names.length < 2 ? null : choice(context.where, "vhost", "Virtual host", [["", "all"], ...data.names.map((name) => [name, name])]);
  return [
    heading("Policies", { actions: filter }),
    section(LEVELS.policies, data.policies, data, context),
    section(LEVELS.operator, data.operator, data, context),
    h("p", { class: "dim", key: "note" }, "Where a policy and an argument of the queue set the same limit, the lower one counts. ", h("a", { href: route.to("queues") }, "Queues"), " show which policy is in effect."),
  ];
}

export default { title: () => "Policies", load, view };
