// The pictures of the navigation and of buttons, drawn here: nothing is loaded for them.

import { s } from "../dom.js";

const PATHS = {
  overview: "M3 13h7V3H3v10Zm11 8h7V11h-7v10ZM3 21h7v-4H3v4ZM14 3v4h7V3h-7Z",
  queues: "M4 5h16M4 10h16M4 15h16M4 20h10",
  exchanges: "M4 7h13l-3-3M20 17H7l3 3",
  connections: "M9 15l6-6M8 11l-3 3a3.5 3.5 0 0 0 5 5l3-3M16 13l3-3a3.5 3.5 0 0 0-5-5l-3 3",
  channels: "M4 6c6 0 6 6 12 6M4 12h16M4 18c6 0 6-6 12-6",
  nodes: "M4 4h16v6H4V4Zm0 10h16v6H4v-6ZM8 7h.01M8 17h.01",
  vhosts: "M3 7l9-4 9 4-9 4-9-4Zm0 5 9 4 9-4M3 17l9 4 9-4",
  users: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-8 9a8 8 0 0 1 16 0",
  policies: "M6 3h9l4 4v14H6V3Zm3 9h7M9 16h7M9 8h3",
  limits: "M4 18a8 8 0 1 1 16 0M12 18l4-6",
  definitions: "M12 3v12m0 0-4-4m4 4 4-4M4 19h16",
  features: "M6 21V4m0 0h11l-2 4 2 4H6",
  cluster: "M12 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM5 22a3 3 0 1 0 0-6 3 3 0 0 0 0 6Zm14 0a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM11 8l-5 8m7-8 5 8M8 19h8",
  menu: "M4 6h16M4 12h16M4 18h16",
  theme: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5Z",
  leave: "M10 4H5v16h5M15 8l4 4-4 4M19 12H9",
  close: "M6 6l12 12M18 6 6 18",
  plus: "M12 5v14M5 12h14",
  error: "M12 8v5m0 3.5h.01M10.3 4 2.5 18a2 2 0 0 0 1.7 3h15.6a2 2 0 0 0 1.7-3L13.7 4a2 2 0 0 0-3.4 0Z",
  well: "M5 12.5 10 17.5 19 7.5",
};

// A picture; the text beside it says what it means.
export function icon(name) {
  return s("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, s("path", { d: PATHS[name] }));
}
