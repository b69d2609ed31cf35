// One HTTP request with a JSON body to whoever is told things (Alertmanager, Grafana, a chat): with a time-out over the
// whole exchange, no redirects (they would carry a token to a host that nobody configured), and an answer that is read
// only up to a size. Enters: the request. Leaves: a value; it never throws for what a network can do.
import { formatDuration } from "../../runtime/units.ts";

/** Longest piece of an answer that is read, in bytes. */
export const ANSWER_BYTES_MAX = 65_536;
/** Longest piece of it in a message, in characters. */
const QUOTE_CHARS_MAX = 300;

export interface JsonRequest {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly timeoutMs: number;
}

export type JsonAnswer =
  | { readonly kind: "answered"; readonly status: number; readonly text: string }
  /** `not_sent`: nobody was there to take it. `unknown`: it may have been taken, and the answer was lost. */
  | { readonly kind: "unavailable"; readonly sent: "not_sent" | "unknown"; readonly detail: string };

const NOT_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

export async function callJson({ method, url, headers, body, timeoutMs }: JsonRequest): Promise<JsonAnswer> {
  try {
    const response = await fetch(url, {
      method,
      headers: { "Content-Type": "application/json", ...headers },
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { kind: "answered", status: response.status, text: await readText(response) };
  } catch (error) {
    return explain(error, url, timeoutMs);
  }
}

/** What it said, for a message: never a whole page, never a control character. */
export function describeAnswer({ status, text }: { readonly status: number; readonly text: string }): string {
  const clean = text.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim();
  const quoted = clean.length > QUOTE_CHARS_MAX ? `${clean.slice(0, QUOTE_CHARS_MAX)}…` : clean;
  if (status >= 300 && status < 400)
    return `it answered ${status}, a redirect, which is never followed: configure the final address`;
  return `it answered ${status}${quoted === "" ? "" : `: ${quoted}`}`;
}

async function readText(response: Response): Promise<string> {
  if (response.body === null) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    // Leaving the loop cancels the stream.
    if (bytes >= ANSWER_BYTES_MAX) break;
  }
  return Buffer.concat(chunks).subarray(0, ANSWER_BYTES_MAX).toString("utf8");
}

function explain(error: unknown, url: URL, timeoutMs: number): JsonAnswer {
  if (error instanceof Error && error.name === "TimeoutError")
    return {
      kind: "unavailable",
      sent: "unknown",
      detail: `${url.host} did not answer within ${formatDuration(timeoutMs)}`,
    };
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  return {
    kind: "unavailable",
    sent: NOT_SENT.has(code) ? "not_sent" : "unknown",
    detail: `no answer from ${url.host} (${code})`,
  };
}
