// All queues: what they hold, how fast that changes, where they are and whether their mirrors are in sync.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as badges from "../parts/badges.js";
import * as copies from "../parts/copies.js";
import * as dialog from "../parts/dialog.js";
import * as format from "../format.js";
import { QUEUE_ARGUMENTS } from "../parts/known.js";
import * as list from "../parts/list.js";
import { button, heading } from "../parts/parts.js";
import * as route from "../route.js";
import * as session from "../session.js";
import * as vhosts from "../parts/vhosts.js";

const CONCERNS = [
  ["", "all"],
  ["unavailable_queues", "not served"],
  ["unsynchronised_mirrors", "with unsynchronised mirrors"],
  ["growing_backlogs", "growing"],
  ["queues_without_consumers", "without consumers"],
];

// What a row shows, and no more: a hundred rows with all that is known of them would be ten times as much.
const FIELDS = [
  "name,vhost,type,node,state,durable,auto_delete,exclusive,arguments,policy,operator_policy,consumers",
  "slave_nodes,synchronised_slave_nodes,members,online,sync_messages,messages,messages_ready,messages_unacknowledged",
  ...["publish", "deliver_get", "ack"].map((name) => `message_stats.${name}_details.rate`),
].join(",");

async function load({ where, signal }) {
  const vhost = where.parameters.get("vhost");
  const base = vhost ? api.path`queues/${vhost}` : "queues";
  const [page, names, nodes] = await Promise.all([
    list.load(where, base, { signal, more: { attention: where.parameters.get("attention"), columns: FIELDS } }),
    vhosts.names(signal),
    session.isMonitor() ? api.getOr([], "nodes?columns=name,running", { signal }) : [],
  ]);
  return { page, names, nodes: nodes.filter((node) => node.running).map((node) => node.name) };
}

const rateOf = (name) => (queue) => format.rate(queue.message_stats?.[`${name}_details`]?.rate);

function columns({ isOneVhost, isConcern, refresh }) {
  return [
    { name: "Name", sort: "name", cell: (q) => [h("a", { class: "name", href: route.to("queues", q.vhost, q.name) }, q.name), h("span", { class: "badges under" }, isOneVhost ? null : h("span", { class: "dim" }, `in ${q.vhost}`), badges.ofQueue(q))] },
    { name: "Leader", sort: "node", title: "The node that leads the queue, and its mirrors", cell: (q) => [h("span", { class: "nowrap" }, q.node), h("span", { class: "badges under" }, copies.summary(q), copies.progress(q), isConcern ? copies.syncButton(q, refresh, { kind: "small" }) : null)] },
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

const TYPES = [["", "as the virtual host's default"], ["classic", "classic"], ["quorum", "quorum: copies on several nodes, chosen by itself"]];

function add(names, nodes, where, refresh) {
  dialog.form({
    title: "Add a queue",
    fields: [
      vhosts.field(names, where),
      { name: "name", label: "Name", required: true },
      { name: "type", label: "Type", type: "select", value: "", options: TYPES },
      nodes.length > 1 ? { name: "node", label: "Led by", type: "select", value: "", options: [["", "the node that answers"], ...nodes.map((node) => [node, node])] } : null,
      { name: "durable", label: "Durable: survives a restart", type: "tick", value: true },
      { name: "auto_delete", label: "Delete it with its last consumer", type: "tick", value: false },
      { name: "arguments", label: "Arguments", type: "pairs", known: QUEUE_ARGUMENTS },
    ].filter(Boolean),
    action: "Add queue",
    submit: async ({ vhost, name, type, node, ...body }) => {
      if (type) body.arguments = { ...body.arguments, "x-queue-type": type };
      if (node) body.node = node;
      await api.put(api.path`queues/${vhost}/${name}`, body);
      return `Queue ${name} is there.`;
    },
    done: refresh,
  });
}

function view({ page, names, nodes }, { where, refresh }) {
  const isConcern = where.parameters.get("attention") === "unsynchronised_mirrors";
  const waiting = page.items.filter((queue) => copies.lagging(queue).length > 0 && !copies.isSyncing(queue));
  const actions = [
    isConcern && waiting.length > 1 && session.isPolicymaker() ? button("Synchronise these", () => copies.synchronise(waiting, refresh)) : null,
    names.length > 0 ? button("Add a queue", () => add(names, nodes, where, refresh), { kind: "primary", picture: "plus" }) : null,
  ];
  return [
    heading("Queues", { actions }),
    list.view(where, page, {
      columns: columns({ isOneVhost: names.length < 2 || where.parameters.get("vhost"), isConcern, refresh }),
      what: ["queue", "queues"],
      key: (q) => `${q.vhost}\n${q.name}`,
      sort: "name",
      filters: [vhosts.filter(where, names), list.choice(where, "attention", "Show", CONCERNS)],
      empty: "There is no queue yet. Applications declare them when they start; you can add one here.",
    }),
  ];
}

export default { title: () => "Queues", load, view };
