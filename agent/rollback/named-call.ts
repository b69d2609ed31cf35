// Calls to the API of one OTA server, as every make makes them: JSON wanted, Lastgood named, the answer with the name to
// speak of the call by. Enters: the make's own headers. Leaves: answers, or why there is none.
import type { NamedAnswer } from "./http-answer.ts";
import { callHttp, nameOf } from "./http-call.ts";
import type { HttpRequest } from "./http-call.ts";
import type { Unavailable } from "./ota-server.ts";

export interface NamedCallOptions {
  /** For one whole exchange, in milliseconds. */
  readonly timeoutMs: number;
  /** Lastgood's own version, for the user agent. */
  readonly productVersion?: string;
  readonly fetch?: typeof fetch;
}

export interface NamedRequest extends Pick<HttpRequest, "method" | "url" | "body" | "answerBytesMax"> {
  /** Before those that every call has. */
  readonly headers: Readonly<Record<string, string>>;
}

export type NamedCall = (request: NamedRequest) => Promise<NamedAnswer | Unavailable>;

export function createNamedCall({
  timeoutMs,
  productVersion,
  fetch: fetchWith = fetch,
}: NamedCallOptions): NamedCall {
  const userAgent = productVersion === undefined ? "lastgood" : `lastgood/${productVersion}`;
  return async ({ headers, ...rest }) => {
    const all = new Headers({ Accept: "application/json", "User-Agent": userAgent });
    if (rest.body !== undefined) all.set("Content-Type", "application/json");
    for (const [name, value] of Object.entries(headers)) all.set(name, value);
    const request: HttpRequest = { ...rest, headers: all, timeoutMs, fetch: fetchWith };
    const answer = await callHttp(request);
    return answer.kind === "answered" ? { call: nameOf(request), answer } : answer;
  };
}

/** A body of a request, where there is one. */
export function jsonBody(body: unknown): Pick<HttpRequest, "body"> {
  return body === undefined ? {} : { body: JSON.stringify(body) };
}
