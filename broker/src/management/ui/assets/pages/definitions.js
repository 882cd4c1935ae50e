// Definitions as a file: everything but the messages, downloaded from here or uploaded to here.

import { h } from "../dom.js";
import * as api from "../api.js";
import * as dialog from "../parts/dialog.js";
import * as format from "../format.js";
import { button, card, heading } from "../parts/parts.js";
import * as session from "../session.js";
import * as vhosts from "../parts/vhosts.js";

const SECTIONS = ["users", "vhosts", "permissions", "topic_permissions", "parameters", "global_parameters", "policies", "queues", "exchanges", "bindings"];

async function load({ signal }) {
  return { names: await vhosts.names(signal) };
}

function counted(file) {
  const found = SECTIONS.filter((section) => Array.isArray(file[section]) && file[section].length > 0);
  return found.map((section) => `${format.whole(file[section].length)} ${section.replace("_", " ")}`).join(", ") || "nothing";
}

function save(file, name) {
  const url = URL.createObjectURL(new Blob([JSON.stringify(file, null, 2)], { type: "application/json" }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const place = (vhost) => (vhost === "" ? "definitions" : api.path`definitions/${vhost}`);

async function download(vhost) {
  try {
    const file = await api.get(place(vhost));
    const day = new Date().toISOString().slice(0, 10);
    save(file, `definitions-${vhost === "" ? "all" : vhost.replace(/[^A-Za-z0-9._-]/g, "_")}-${day}.json`);
    dialog.note(`Saved ${counted(file)}.`);
  } catch (error) {
    dialog.note(error.message, "bad");
  }
}

function scope(names) {
  return { name: "vhost", label: "Of", type: "select", value: "", options: [["", "the whole broker, users included"], ...names.map((name) => [name, `virtual host ${name}`])] };
}

function chooseDownload(names) {
  dialog.form({
    title: "Download definitions",
    intro: "The file holds everything but messages; that of the whole broker also password hashes. Keep it where nobody else reads it.",
    fields: [scope(names)],
    action: "Download",
    submit: ({ vhost }) => download(vhost),
  });
}

async function parsed(file) {
  if (!file) throw new Error("Choose a file first.");
  try {
    return JSON.parse(await file.text());
  } catch {
    throw new Error(`${file.name} is not JSON.`);
  }
}

function upload(names) {
  dialog.form({
    title: "Upload definitions",
    intro: "Users, permissions, policies and parameters with the same name are overwritten. Queues and exchanges that are there already stay as they are; nothing is deleted.",
    fields: [{ name: "file", label: "File", type: "file", accept: ".json,application/json" }, { ...scope(names), label: "Into" }],
    action: "Upload",
    danger: true,
    submit: async ({ file, vhost }) => {
      const definitions = await parsed(file);
      await api.post(place(vhost), definitions);
      return `Imported ${counted(definitions)}.`;
    },
  });
}

function view({ names }) {
  return [
    heading("Definitions"),
    h(
      "div",
      { class: "columns" },
      card("Download", h("p", {}, "Users, virtual hosts, permissions, policies, exchanges, queues and bindings as one JSON file, as RabbitMQ writes it."), button("Download", () => chooseDownload(names), { kind: "primary" })),
      card("Upload", h("p", {}, "A file from here or from a RabbitMQ of versions 3 and 4."), session.isAdministrator() ? button("Upload", () => upload(names)) : null),
    ),
  ];
}

export default { title: () => "Definitions", load, view };
