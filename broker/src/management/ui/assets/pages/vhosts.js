// The virtual hosts, what their queues hold together, and the form that adds one.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as dialog from "../parts/dialog.js";
import * as format from "../format.js";
import * as list from "../parts/list.js";
import { badge, button, heading } from "../parts/parts.js";
import * as route from "../route.js";
import * as session from "../session.js";

const load = ({ where, signal }) => list.load(where, "vhosts", { signal });

// The fields that describe a virtual host.
export const fields = (vhost) => [
  { name: "description", label: "Description", value: vhost?.description ?? "" },
  { name: "tags", label: "Tags", value: vhost?.tags?.join(", ") ?? "", hint: "Words with commas between." },
  { name: "tracing", label: "Trace: copy every message to amq.rabbitmq.trace", type: "tick", value: vhost?.tracing ?? false },
];

export function add(refresh) {
  dialog.form({
    title: "Add a virtual host",
    intro: "You get all permissions in it.",
    fields: [{ name: "name", label: "Name", required: true }, ...fields()],
    action: "Add virtual host",
    submit: async ({ name, ...body }) => {
      await api.put(api.path`vhosts/${name}`, body);
      return `Virtual host ${name} is there.`;
    },
    done: refresh,
  });
}

const rateOf = (name) => (vhost) => format.rate(vhost.message_stats?.[`${name}_details`]?.rate);

// One word where all nodes say the same of it, and otherwise what is not as it should be.
function state(nodes) {
  const wrong = Object.entries(nodes).filter(([, word]) => word !== "running");
  if (wrong.length === 0) return badge("running", { kind: "good", title: Object.keys(nodes).join(", ") });
  return wrong.map(([node, word]) => badge(`${word} on ${node}`, { kind: "bad" }));
}

const COLUMNS = [
  { name: "Name", sort: "name", cell: (v) => [h("a", { class: "name", href: route.to("vhosts", v.name) }, v.name), v.description ? h("span", { class: "dim under" }, v.description) : null] },
  { name: "Tags", cell: (v) => h("span", { class: "badges" }, v.tags?.map((tag) => badge(tag)), v.tracing ? badge("tracing", { kind: "warn" }) : null) },
  { name: "State", cell: (v) => state(v.cluster_state ?? {}) },
  { name: "Ready", sort: "messages_ready", numeric: true, cell: (v) => format.whole(v.messages_ready) },
  { name: "Unacked", sort: "messages_unacknowledged", numeric: true, cell: (v) => format.whole(v.messages_unacknowledged) },
  { name: "Total", sort: "messages", numeric: true, cell: (v) => format.whole(v.messages) },
  { name: "In", numeric: true, title: "Published per second", cell: rateOf("publish") },
  { name: "Out", numeric: true, title: "Delivered per second", cell: rateOf("deliver_get") },
];

function view(page, { where, refresh }) {
  return [
    heading("Virtual hosts", { actions: session.isAdministrator() ? button("Add a virtual host", () => add(refresh), { kind: "primary", picture: "plus" }) : null }),
    list.view(where, page, {
      columns: COLUMNS,
      what: ["virtual host", "virtual hosts"],
      key: (v) => v.name,
      sort: "name",
      empty: "You see no virtual host. An administrator can give you permissions in one.",
    }),
  ];
}

export default { title: () => "Virtual hosts", load, view };
