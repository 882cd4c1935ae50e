// All queues: what they hold, how fast that changes, where they are and whether their mirrors are in sync.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as badges from "../parts/badges.js";
import * as dialog from "../parts/dialog.js";
import * as format from "../format.js";
import { QUEUE_ARGUMENTS } from "../parts/known.js";
import * as list from "../parts/list.js";
import { button, heading } from "../parts/parts.js";
import * as route from "../route.js";
import * as vhosts from "../parts/vhosts.js";

const CONCERNS = [["", "all"], ["queues_without_consumers", "without consumers"], ["growing_backlogs", "growing"]];

async function load({ where, signal }) {
  const vhost = where.parameters.get("vhost");
  const base = vhost ? api.path`queues/${vhost}` : "queues";
  const [page, names] = await Promise.all([list.load(where, base, { signal, more: { attention: where.parameters.get("attention") } }), vhosts.names(signal)]);
  return { page, names };
}

const rateOf = (name) => (queue) => format.rate(queue.message_stats?.[`${name}_details`]?.rate);

function columns(isOneVhost) {
  return [
    { name: "Name", sort: "name", cell: (q) => [h("a", { class: "name", href: route.to("queues", q.vhost, q.name) }, q.name), isOneVhost ? null : h("span", { class: "dim under" }, `in ${q.vhost}`)] },
    { name: "Features", cell: (q) => h("span", { class: "badges" }, badges.ofQueue(q)) },
    { name: "Leader", sort: "node", title: "The node that leads the queue, and its mirrors", cell: (q) => [q.node, " ", badges.mirrors(q)] },
    { name: "State", cell: (q) => badges.state(q.state) },
    { name: "Ready", sort: "messages_ready", numeric: true, cell: (q) => format.whole(q.messages_ready) },
    { name: "Unacked", sort: "messages_unacknowledged", numeric: true, cell: (q) => format.whole(q.messages_unacknowledged) },
    { name: "Total", sort: "messages", numeric: true, cell: (q) => format.whole(q.messages) },
    { name: "In", sort: "message_stats.publish_details.rate", numeric: true, title: "Published per second", cell: rateOf("publish") },
    { name: "Out", sort: "message_stats.deliver_get_details.rate", numeric: true, title: "Delivered per second", cell: rateOf("deliver_get") },
    { name: "Ack", sort: "message_stats.ack_details.rate", numeric: true, title: "Acknowledged per second", cell: rateOf("ack") },
    { name: "Consumers", sort: "consumers", numeric: true, cell: (q) => h("span", { class: q.consumers === 0 && q.messages_ready > 0 ? "alarming" : null }, format.whole(q.consumers)) },
  ];
}

function add(names, where, refresh) {
  dialog.form({
    title: "Add a queue",
    fields: [
      vhosts.field(names, where),
      { name: "name", label: "Name", required: true },
      { name: "durable", label: "Durable: survives a restart", type: "tick", value: true },
      { name: "auto_delete", label: "Delete it with its last consumer", type: "tick", value: false },
      { name: "arguments", label: "Arguments", type: "pairs", known: QUEUE_ARGUMENTS },
    ],
    action: "Add queue",
    submit: async ({ vhost, name, ...body }) => {
      await api.put(api.path`queues/${vhost}/${name}`, body);
      return `Queue ${name} is there.`;
    },
    done: refresh,
  });
}

function view({ page, names }, { where, refresh }) {
  return [
    heading("Queues", { actions: names.length > 0 ? button("Add a queue", () => add(names, where, refresh), { kind: "primary", picture: "plus" }) : null }),
    list.view(where, page, {
      columns: columns(names.length < 2 || where.parameters.get("vhost")),
      what: ["queue", "queues"],
      key: (q) => `${q.vhost}\n${q.name}`,
      sort: "name",
      filters: [vhosts.filter(where, names), list.choice(where, "attention", "Show", CONCERNS)],
      empty: "There is no queue yet. Applications declare them when they start; you can add one here.",
    }),
  ];
}

export default { title: () => "Queues", load, view };
