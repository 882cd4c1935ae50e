// All exchanges, and the form that adds one.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as badges from "../parts/badges.js";
import * as dialog from "../parts/dialog.js";
import * as format from "../format.js";
import { EXCHANGE_ARGUMENTS } from "../parts/known.js";
import * as list from "../parts/list.js";
import { button, heading } from "../parts/parts.js";
import * as route from "../route.js";
import * as vhosts from "../parts/vhosts.js";

async function load({ where, signal }) {
  const vhost = where.parameters.get("vhost");
  const base = vhost ? api.path`exchanges/${vhost}` : "exchanges";
  const [page, names, overview] = await Promise.all([list.load(where, base, { signal }), vhosts.names(signal), api.get("overview?columns=exchange_types&disable_stats=true", { signal })]);
  return { page, names, types: overview.exchange_types.map((type) => type.name) };
}

function columns(isOneVhost) {
  return [
    { name: "Name", sort: "name", cell: (x) => h("a", { class: "name", href: route.to("exchanges", x.vhost, format.exchangeInPath(x.name)) }, format.exchangeName(x.name)) },
    isOneVhost ? null : { name: "Virtual host", sort: "vhost", cell: (x) => x.vhost },
    { name: "Type", sort: "type", cell: (x) => x.type },
    { name: "Features", cell: (x) => h("span", { class: "badges" }, badges.ofExchange(x)) },
  ].filter(Boolean);
}

function add({ names, types }, where, refresh) {
  dialog.form({
    title: "Add an exchange",
    fields: [
      vhosts.field(names, where),
      { name: "name", label: "Name", required: true },
      { name: "type", label: "Type", type: "select", value: "direct", options: types.map((type) => [type, type]) },
      { name: "durable", label: "Durable: survives a restart", type: "tick", value: true },
      { name: "auto_delete", label: "Delete it with its last binding", type: "tick", value: false },
      { name: "internal", label: "Internal: clients cannot publish to it", type: "tick", value: false },
      { name: "arguments", label: "Arguments", type: "pairs", known: EXCHANGE_ARGUMENTS },
    ],
    action: "Add exchange",
    submit: async ({ vhost, name, ...body }) => {
      await api.put(api.path`exchanges/${vhost}/${name}`, body);
      return `Exchange ${name} is there.`;
    },
    done: refresh,
  });
}

function view(data, { where, refresh }) {
  return [
    heading("Exchanges", { actions: data.names.length > 0 ? button("Add an exchange", () => add(data, where, refresh), { kind: "primary", picture: "plus" }) : null }),
    list.view(where, data.page, {
      columns: columns(data.names.length < 2 || where.parameters.get("vhost")),
      what: ["exchange", "exchanges"],
      key: (x) => `${x.vhost}\n${x.name}`,
      sort: "name",
      filters: [vhosts.filter(where, data.names)],
      empty: "You see no virtual host, so there is no exchange to see. An administrator can give you permissions.",
    }),
  ];
}

export default { title: () => "Exchanges", load, view };
