// One HTTP request to an OTA server, with the limits that every make needs: a time-out over the whole
// exchange, no redirects (a redirect could carry our signature to a host that nobody configured), and an
// answer that is read only up to a size. Enters: the request. Leaves: status, headers and text, or why not.
import type { Clock } from "../../runtime/clock.ts";
import { formatDuration } from "../../runtime/units.ts";
import type { Unavailable } from "./ota-server.ts";

/** Longest answer that is read, in bytes after decompression. */
export const ANSWER_BYTES_MAX = 1_048_576;

/** Longest wait that a server may ask of us: a channel must not stay bad because of one odd header. */
export const RETRY_AFTER_MS_MAX = 600_000;

export interface HttpRequest {
  readonly method: "GET" | "PATCH" | "POST" | "PUT";
  readonly url: URL;
  readonly headers: Headers;
  readonly body?: string;
  /** For the whole exchange: connect, send, wait, read to the end. */
  readonly timeoutMs: number;
  /** For lists that are long by nature; left out = ANSWER_BYTES_MAX. */
  readonly answerBytesMax?: number;
  readonly fetch: typeof fetch;
}

export interface HttpAnswer {
  readonly kind: "answered";
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export async function callHttp(request: HttpRequest): Promise<HttpAnswer | Unavailable> {
  const { method, url, headers, body, timeoutMs } = request;
  const init: RequestInit = { method, headers, redirect: "manual", signal: AbortSignal.timeout(timeoutMs) };
  try {
    const response = await request.fetch(url, body === undefined ? init : { ...init, body });
    if (isRedirect(response)) return await redirected(request, response);
    const bytesMax = request.answerBytesMax ?? ANSWER_BYTES_MAX;
    const text = await readText(response, bytesMax);
    if (text === undefined)
      return unavailable(`${nameOf(request)} answered more than ${bytesMax} bytes, which nobody reads`);
    return { kind: "answered", status: response.status, headers: response.headers, text };
  } catch (error) {
    return unavailable(explain(error, request));
  }
}

/** `POST /apps/…`: for messages; the host is named only where it matters. */
export function nameOf({ method, url }: Pick<HttpRequest, "method" | "url">): string {
  return `${method} ${url.pathname}`;
}

function unavailable(detail: string): Unavailable {
  return { kind: "unavailable", detail };
}

// `opaqueredirect` is what browsers' fetch makes of one; Node's shows the status.
function isRedirect(response: Response): boolean {
  return response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400);
}

async function redirected(request: HttpRequest, response: Response): Promise<Unavailable> {
  await response.body?.cancel();
  const target = response.headers.get("location") ?? "an unknown place";
  return unavailable(
    `${nameOf(request)} answered ${response.status}, a redirect to ${printable(target)}, which is never ` +
      "followed; set ota_server.url to the final address",
  );
}

/** Undefined when the answer is longer than the limit; the rest of it is then never fetched. */
async function readText(response: Response, bytesMax: number): Promise<string | undefined> {
  if (response.body === null) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the stream.
    if (bytes > bytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function explain(error: unknown, request: HttpRequest): string {
  if (error instanceof Error && error.name === "TimeoutError")
    return `${nameOf(request)} was not answered within ${formatDuration(request.timeoutMs)}; it may have been done all the same`;
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  return `no answer to ${nameOf(request)} from ${request.url.host} (${printable(code)}); check that the OTA server runs and can be reached`;
}

/** `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), from now, cut at the limit; else undefined. */
export function readRetryAfterMs(headers: Headers, clock: Clock): number | undefined {
  const value = headers.get("retry-after")?.trim();
  if (value === undefined || value === "") return undefined;
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - clock();
  if (Number.isNaN(waitMs)) return undefined;
  return Math.min(Math.max(waitMs, 0), RETRY_AFTER_MS_MAX);
}

/** Longest piece of a server's own words in a message, in characters. */
const QUOTE_CHARS_MAX = 300;

/** A foreign text made fit for a log line: no control characters, not long. */
export function printable(text: string): string {
  const clean = text.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim();
  return clean.length <= QUOTE_CHARS_MAX ? clean : `${clean.slice(0, QUOTE_CHARS_MAX)}…`;
}
