// OTA server of type `http`: the open contract for one's own server (docs/ota-server-http.md), three calls
// below one URL. Enters: the port's requests. Leaves: signed HTTP requests, and the port's answers made
// from what came back; an answer that breaks the contract is `unavailable`, never a guess.
import { z } from "zod";
import { versionSchema } from "../../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../../ingest/contract/release-key.ts";
import type { Clock } from "../../../runtime/clock.ts";
import { notDone, parseJson, quote, unreadable } from "../http-answer.ts";
import type { NamedAnswer } from "../http-answer.ts";
import { createNamedCall } from "../named-call.ts";
import type {
  ChannelAnswer,
  OtaServer,
  PauseRequest,
  Release,
  RollbackAnswer,
  RollbackRequest,
  Unavailable,
} from "../ota-server.ts";
import { SIGNATURE_HEADER, signBody } from "../signature.ts";

export interface HttpOtaServerOptions {
  /** Base URL, http or https, may carry a path; no query, no credentials. */
  readonly url: string;
  /** Shared with the server; signs every request and is never sent. */
  readonly secret: string;
  /** For one whole exchange, in milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Lastgood's own version, for the user agent. */
  readonly productVersion?: string;
  readonly fetch?: typeof fetch;
}

const channelAnswerSchema = z.object({
  version: versionSchema.nullable(),
  releases: z.array(z.object({ version: z.string(), released_at: z.iso.datetime({ offset: true }) })),
  paused: z.boolean().optional(),
});
const rollbackAnswerSchema = z.object({ version: versionSchema });

type Send = (request: {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}) => Promise<NamedAnswer | Unavailable>;

/** Throws on a URL that cannot be used: the configuration's schema refuses it before. */
export function createHttpOtaServer(options: HttpOtaServerOptions): OtaServer {
  const send = createSend(options);
  return {
    type: "http",
    capabilities: { rollback: true, pause: true },
    readChannel: (key) => readChannel(key, send, options.clock),
    rollback: (request) => rollback(request, send, options.clock),
    pause: (request) => pause(request, send, options.clock),
  };
}

function createSend(options: HttpOtaServerOptions): Send {
  const base = parseBase(options.url);
  const call = createNamedCall(options);
  return ({ method, path, body, headers = {} }) => {
    const signature = signBody({ secret: options.secret, body: body ?? "", atMs: options.clock() });
    const all = { [SIGNATURE_HEADER]: signature, ...headers };
    return call({
      method,
      url: new URL(`${base}${path}`),
      headers: all,
      ...(body === undefined ? {} : { body }),
    });
  };
}

function parseBase(text: string): string {
  const url = new URL(text);
  const isPlain = url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (!["http:", "https:"].includes(url.protocol) || !isPlain)
    throw new Error("ota_server.url must be http(s)://host[:port][/path], without user, query or fragment");
  return url.href.replace(/\/+$/, "");
}

function channelPath({ app, channel }: ChannelKey): string {
  return `/apps/${encodeURIComponent(app)}/channels/${encodeURIComponent(channel)}`;
}

async function readChannel(key: ChannelKey, send: Send, clock: Clock): Promise<ChannelAnswer> {
  const named = await send({ method: "GET", path: channelPath(key) });
  if ("kind" in named) return named;
  if (named.answer.status !== 200) return notDone(named, clock, REMEDY_BY_STATUS);
  const parsed = parseAnswer(named, channelAnswerSchema);
  if (parsed.kind === "unavailable") return parsed;
  const { version, releases, paused } = parsed.value;
  const state = { version, releases: newestFirst(releases), ...(paused === undefined ? {} : { paused }) };
  return { kind: "channel", state };
}

/**
 * The contract asks for this order; sorting keeps a server that forgot it from choosing a wrong target. A
 * release whose name can't be one of ours (no report could ever name it) is passed over: one odd name of
 * long ago must not stand in the way of every rollback.
 */
function newestFirst(releases: z.infer<typeof channelAnswerSchema>["releases"]): Release[] {
  return releases
    .flatMap(({ version, released_at }) => {
      const parsed = versionSchema.safeParse(version);
      return parsed.success ? [{ version: parsed.data, releasedAt: released_at }] : [];
    })
    .toSorted((left, right) => Date.parse(right.releasedAt) - Date.parse(left.releasedAt));
}

function rollback(request: RollbackRequest, send: Send, clock: Clock): Promise<RollbackAnswer> {
  const { from, to, reason } = request;
  return change(
    { call: "rollback", key: request, decisionId: request.decisionId, from, body: { from, to, reason } },
    send,
    clock,
  );
}

function pause(request: PauseRequest, send: Send, clock: Clock): Promise<RollbackAnswer> {
  const { version, reason } = request;
  return change(
    { call: "pause", key: request, decisionId: request.decisionId, from: version, body: { version, reason } },
    send,
    clock,
  );
}

interface Change {
  readonly call: "rollback" | "pause";
  readonly key: ChannelKey;
  readonly decisionId: string;
  /** What the channel must offer. */
  readonly from: string;
  readonly body: Readonly<Record<string, string>>;
}

async function change(
  { call, key, decisionId, from, body }: Change,
  send: Send,
  clock: Clock,
): Promise<RollbackAnswer> {
  const named = await send({
    method: "POST",
    path: `${channelPath(key)}/${call}`,
    body: JSON.stringify({ decision_id: decisionId, ...body }),
    headers: { "Idempotency-Key": decisionId },
  });
  if ("kind" in named) return named;
  if (named.answer.status === 409)
    return { kind: "stale", detail: `the channel no longer points at ${from}${quote(named.answer)}` };
  if (named.answer.status !== 200) return notDone(named, clock, REMEDY_BY_STATUS);
  const parsed = parseAnswer(named, rollbackAnswerSchema);
  return parsed.kind === "unavailable" ? parsed : { kind: "done", version: parsed.value.version };
}

function parseAnswer<S extends z.ZodType>(
  named: NamedAnswer,
  schema: S,
): { readonly kind: "parsed"; readonly value: z.infer<S> } | Unavailable {
  const parsed = schema.safeParse(parseJson(named.answer.text));
  if (parsed.success) return { kind: "parsed", value: parsed.data };
  return unreadable(named, parsed.error, " but not as docs/ota-server-http.md says");
}

const REMEDY_BY_STATUS: Readonly<Record<number, string>> = {
  401: "; check that both sides have the same secret and the same time of day",
  403: "; check that the server lets this secret act on this app and channel",
  404: "; check ota_server.url and that the server knows this app and channel",
};
