// The copy of an envelope that goes on to the real Sentry: what the SDK sent, with the key of the real DSN in place of
// ours. Pure. Enters: the request, its body as sent, and the parsed envelope. Leaves: a request to send.
//
// The body is what was sent, byte for byte and in its encoding, unless the envelope's own header names our key: as `dsn`
// (native SDKs) or as `trace.public_key` where the two keys differ. Then the header line is written anew, the items stay
// byte for byte, and the body goes without encoding. Whoever gives the project here the number and the key of the real one
// changes the DSN's host alone.
import type { ForwardedRequest } from "../../forwarding/forwarder.ts";
import { onwardHeaders } from "../../forwarding/relayed-headers.ts";
import type { Dsn } from "../../contract/sources/sentry.ts";
import type { Envelope } from "./envelope.ts";

export interface SentEnvelope {
  readonly rawHeaders: readonly string[];
  readonly remoteAddress: string | undefined;
  /** With the question mark, as it came; may be empty. */
  readonly search: string;
  readonly body: Buffer;
  readonly envelope: Envelope;
  /** Under which it came in. */
  readonly key: string;
}

export function envelopeCopy(sent: SentEnvelope, dsn: Dsn): ForwardedRequest {
  const swapped = swappedHeader(sent, dsn);
  const header = swapped === undefined ? undefined : JSON.stringify(swapped);
  const headers = onwardHeaders(sent.rawHeaders, sent.remoteAddress, [
    "content-length",
    "expect",
    // Of this host, and nobody else's to know.
    "cookie",
    ...(header === undefined ? [] : ["content-encoding"]),
  ]);
  const query = new URLSearchParams(sent.search);
  // Where the envelope alone named the key, the real server gets it in the query: one place is enough, and it takes it.
  query.set("sentry_key", dsn.key);
  return {
    url: `${dsn.base}/api/${dsn.project}/envelope/?${query.toString()}`,
    headers: swappedAuth(headers, dsn),
    body: header === undefined ? sent.body : Buffer.concat([Buffer.from(header), sent.envelope.rest]),
  };
}

/** Undefined where nothing in it has to change. */
function swappedHeader({ envelope: { header }, key }: SentEnvelope, dsn: Dsn): object | undefined {
  const { trace } = header;
  const namesDsn = header["dsn"] !== undefined && header["dsn"] !== null;
  const tracesKey =
    typeof trace === "object" && trace !== null && "public_key" in trace && trace.public_key === key;
  if (!namesDsn && !(tracesKey && key !== dsn.key)) return undefined;
  return {
    ...header,
    ...(namesDsn ? { dsn: dsnText(dsn) } : {}),
    ...(tracesKey ? { trace: { ...(trace as object), public_key: dsn.key } } : {}),
  };
}

function dsnText({ base, key, project }: Dsn): string {
  return `${base.replace("://", `://${key}@`)}/${project}`;
}

/** `Authorization` of another scheme is meant for somebody on the way here. */
function swappedAuth(headers: Readonly<Record<string, string>>, dsn: Dsn): Record<string, string> {
  const { authorization, ...swapped } = { ...headers };
  const withKey = (text: string): string => text.replace(/(sentry_key=)[^,\s]*/, `$1${dsn.key}`);
  if (swapped["x-sentry-auth"] !== undefined) swapped["x-sentry-auth"] = withKey(swapped["x-sentry-auth"]);
  return /^Sentry\s/i.test(authorization ?? "")
    ? { ...swapped, authorization: withKey(authorization!) }
    : swapped;
}
