// The virtual hosts that this person sees: for filters and for the forms that create things.

import * as api from "../api.js";
import { choice } from "./list.js";

// Their names; asked for anew with every page, since they change.
export async function names(signal) {
  const all = await api.get("vhosts?columns=name&disable_stats=true", { signal });
  return all.map((vhost) => vhost.name).sort();
}

// A filter that stands in the address; nothing where there is one virtual host.
export function filter(where, all) {
  if (all.length < 2) return null;
  return choice(where, "vhost", "Virtual host", [["", "all"], ...all.map((name) => [name, name])]);
}

// The field of a form.
export function field(all, where) {
  const chosen = where.parameters.get("vhost") ?? (all.includes("/") ? "/" : all[0]);
  return { name: "vhost", label: "Virtual host", type: "select", value: chosen, options: all.map((name) => [name, name]) };
}
