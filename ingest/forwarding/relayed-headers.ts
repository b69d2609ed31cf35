// Which headers go through a reverse proxy, and how one notices that it asks itself. Pure (RFC 9110, 7.6).
import type { IncomingHttpHeaders } from "node:http";

/** Of one connection, not of the message. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export type HeaderPair = readonly [name: string, value: string];

/** Of `rawHeaders` of Node, without those of the connection and `without` (in lower case). */
export function endToEndHeaders(
  rawHeaders: readonly string[],
  without: readonly string[] = [],
): HeaderPair[] {
  const pairs: HeaderPair[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2)
    pairs.push([rawHeaders[index]!, rawHeaders[index + 1]!]);
  const dropped = new Set([
    ...HOP_BY_HOP,
    ...without,
    ...pairs.flatMap(([name, value]) => (name.toLowerCase() === "connection" ? tokensOf(value) : [])),
  ]);
  return pairs.filter(([name]) => !dropped.has(name.toLowerCase()));
}

function tokensOf(value: string): string[] {
  return value.split(",").map((token) => token.trim().toLowerCase());
}

/** What this program adds to `Via`. */
export const VIA = "1.1 lastgood-ingest";

/** Whether the request comes from an ingest: then `server` leads back here, and each answer would ask again. */
export function cameThroughHere(headers: IncomingHttpHeaders): boolean {
  return (headers.via ?? "").split(",").some((hop) => hop.trim() === VIA);
}

/** For a request that goes on to `server`: of the message, with where it came from and whom it passed. */
export function onwardHeaders(
  rawHeaders: readonly string[],
  remoteAddress: string | undefined,
  without: readonly string[],
): Record<string, string> {
  const onward: Record<string, string> = {};
  for (const [name, value] of endToEndHeaders(rawHeaders, ["host", ...without])) {
    const key = name.toLowerCase();
    const known = Object.hasOwn(onward, key) ? onward[key] : undefined;
    // Defined and not set: a header may be called `__proto__`.
    Object.defineProperty(onward, key, {
      value: known === undefined ? value : `${known}, ${value}`,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
  const before = onward["x-forwarded-for"];
  if (remoteAddress !== undefined)
    onward["x-forwarded-for"] = before === undefined ? remoteAddress : `${before}, ${remoteAddress}`;
  onward["via"] = onward["via"] === undefined ? VIA : `${onward["via"]}, ${VIA}`;
  return onward;
}
