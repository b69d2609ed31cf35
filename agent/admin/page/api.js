// Asks the agent. Enters: a path below the page's own address (so that it works behind a proxy's prefix), a method, a
// body. Leaves: an answer as a value; what goes wrong on the way is one of its kinds. The session is a cookie that
// scripts can't read: no token is ever kept here.
// @ts-check

/** @import { Answer, WarningView } from "./api-shapes.d.ts" */

/** How long an answer may take, in milliseconds. */
const TIMEOUT_MS = 8_000;

/**
 * `key` names an act: asked for twice under the same one, it is done once.
 * @param {string} path
 * @param {{ method?: "GET" | "POST" | "DELETE", body?: unknown, key?: string | null }} options
 * @returns {Promise<Answer>}
 */
export async function ask(path, { method = "GET", body, key = null } = {}) {
  /** @type {RequestInit} */
  const request = {
    method,
    cache: "no-store",
    credentials: "same-origin",
    redirect: "error",
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: {
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...(key === null ? {} : { "Idempotency-Key": key }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  try {
    const response = await fetch(new URL(path, document.baseURI), request);
    return await readAnswer(response);
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    const detail = isLate ? `No answer within ${TIMEOUT_MS / 1_000} s.` : "The connection failed.";
    return { kind: "away", detail };
  }
}

/**
 * @param {Response} response
 * @returns {Promise<Answer>}
 */
async function readAnswer(response) {
  if (response.status === 204) return { kind: "ok", body: null };
  const isJson = /[/+]json\b/.test(response.headers.get("content-type") ?? "");
  if (!isJson)
    return {
      kind: "away",
      detail: `Something that is not Lastgood's agent answered (HTTP ${response.status}).`,
    };
  const body = await response.json();
  if (response.ok) return { kind: "ok", body };
  const { code, detail, title, warnings } =
    /** @type {{ code?: string, detail?: string, title?: string, warnings?: unknown }} */ (body);
  return {
    kind: "refused",
    status: response.status,
    code: code ?? "unknown",
    detail: detail ?? title ?? `The agent answered ${response.status}.`,
    warnings: Array.isArray(warnings) ? /** @type {WarningView[]} */ (warnings) : [],
  };
}

/**
 * A path of the API with its parts percent-encoded.
 * @param {string[]} parts
 */
export function apiPath(...parts) {
  return ["v1", ...parts.map(encodeURIComponent)].join("/");
}

/** A name for an act. `crypto.randomUUID` is there under https only. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
