// Where the person is: the part of the address behind #, as segments and parameters. Names in it are encoded, so any name
// can be in it.

// Reads an address: #/queues/%2F/name?page=2.
export function read(hash = location.hash) {
  const [where, parameters] = hash.replace(/^#\/?/, "").split("?");
  const segments = where.split("/").filter((part) => part !== "").map(decode);
  return { segments, parameters: new URLSearchParams(parameters ?? "") };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

// An address: to("queues", vhost, name). A last argument that is an object holds parameters.
export function to(...parts) {
  const last = parts.at(-1);
  const parameters = typeof last === "object" ? parts.pop() : {};
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  const tail = given.length > 0 ? `?${new URLSearchParams(given)}` : "";
  return `#/${parts.map(encodeURIComponent).join("/")}${tail}`;
}

// The same place with other parameters; what is null goes.
export function withParameters(route, changes) {
  const parameters = Object.fromEntries(route.parameters);
  return to(...route.segments, { ...parameters, ...changes });
}

// Goes there.
export function go(address) {
  location.hash = address;
}

// Goes there without a step in the browser's history.
export function replace(address) {
  history.replaceState(null, "", address);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
