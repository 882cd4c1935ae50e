// Talks to the management API as any other client does: JSON over HTTP with the header Authorization. No cookie is ever
// sent, so no other page can speak for the person in front of this one.

import * as session from "./session.js";

const BASE = new URL("api/", document.baseURI);
const PATIENCE_MS = 30_000;

// An answer that is no success, or none at all.
export class Failure extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

// Builds a path of encoded segments: path`queues/${vhost}/${name}`.
export function path(strings, ...names) {
  return strings.reduce((whole, part, index) => whole + encodeURIComponent(names[index - 1]) + part);
}

// A path with parameters; those that are null or empty are left out.
export function query(base, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length === 0 ? base : `${base}?${new URLSearchParams(given)}`;
}

function wording(reason) {
  if (typeof reason === "string") return reason.trim();
  return Array.isArray(reason) ? reason.map(wording).join(": ") : JSON.stringify(reason);
}

async function failure(response) {
  const text = await response.text();
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Some failures have no body, and a proxy's may be anything.
  }
  const reason = body?.reason ? wording(body.reason) : `${response.status} ${response.statusText || "without a reason"}`;
  return { body, failure: new Failure(response.status, reason) };
}

function headers(options) {
  const all = { accept: "application/json", ...options.headers };
  const authorization = options.authorization ?? session.authorization();
  if (authorization) all.authorization = authorization;
  if (options.body !== undefined) all["content-type"] = "application/json";
  return all;
}

// Sends a request and returns the answer's JSON, or null when it has no body.
export async function request(method, where, options = {}) {
  const limit = AbortSignal.timeout(PATIENCE_MS);
  let response;
  try {
    response = await fetch(new URL(where, BASE), {
      method,
      headers: headers(options),
      body: options.body === undefined ? undefined : typeof options.body === "string" ? options.body : JSON.stringify(options.body),
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      signal: options.signal ? AbortSignal.any([options.signal, limit]) : limit,
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Failure(0, "The broker does not answer. It may be stopped, or the network between may be down.");
  }
  if (response.ok) return response.status === 204 || response.status === 201 ? null : response.json();
  const { body, failure: failed } = await failure(response);
  // Wrong tags are told as 401 too, in RabbitMQ's other spelling; only a refused log-in ends the session.
  if (response.status === 401 && !options.authorization && (body === null || body.error === "not_authorized")) session.end("Your log-in is no longer accepted.");
  throw failed;
}

export const get = (where, options) => request("GET", where, options);
export const put = (where, body, options) => request("PUT", where, { ...options, body });
export const post = (where, body, options) => request("POST", where, { ...options, body });
export const remove = (where, options) => request("DELETE", where, options);

// The answer, or `otherwise` when this person may not see it or it is not there.
export async function getOr(otherwise, where, options) {
  try {
    return await get(where, options);
  } catch (error) {
    if (error instanceof Failure && [401, 403, 404, 405].includes(error.status)) return otherwise;
    throw error;
  }
}
