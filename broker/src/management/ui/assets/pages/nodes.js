// The nodes of the cluster with what each has left of memory, disk and descriptors.

import * as api from "../api.js";
import { card, heading } from "../parts/parts.js";
import { nodesTable } from "./overview.js";

export default {
  title: () => "Nodes",
  load: ({ signal }) => api.get("nodes", { signal }),
  view: (nodes) => [heading("Nodes"), card("", nodesTable(nodes))],
};
