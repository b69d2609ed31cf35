// The part of Capgo's public API that a rollback needs: a channel as it is, the app's bundles, and three changes. Enters:
// names and ids. Leaves: what Capgo said, as values; its 400s, which stand for 403 and 404 as well, with a remedy.
import { z } from "zod";
import type { Clock } from "../../../runtime/clock.ts";
import { notDone, parseJson, unreadable } from "../http-answer.ts";
import type { NamedAnswer } from "../http-answer.ts";
import { printable } from "../http-call.ts";
import type { HttpRequest } from "../http-call.ts";
import { createNamedCall, jsonBody } from "../named-call.ts";
import type { Refused, Unavailable } from "../ota-server.ts";
import type { CapgoAccount, CapgoAuthBrake } from "./capgo-auth-brake.ts";

/** Rows of one page of bundles, at least: pages of a list whose `page` Capgo reads as text are longer, and overlap. */
export const CAPGO_BUNDLES_PER_PAGE = 50;
/** The newest bundles that are looked at; what a channel had before them is no place to go back to. */
export const CAPGO_BUNDLES_MAX = 500;
/** Pages that are asked for at most, whatever they hold. */
export const CAPGO_BUNDLE_PAGES_MAX = 12;
/** Longest page of bundles that is read, in bytes: a row may carry the list of an app's native packages. */
export const CAPGO_BUNDLES_BYTES_MAX = 8_388_608;

export interface CapgoApiOptions {
  /** Without a slash at the end. */
  readonly url: string;
  readonly apiKey: string;
  /** For one request, in milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly brake: CapgoAuthBrake;
  readonly productVersion?: string;
  readonly fetch?: typeof fetch;
}

const namedIdSchema = z.object({ id: z.int(), name: z.string() });
const percentageSchema = z.number().nullish();
const channelSchema = z.object({
  id: z.int(),
  updated_at: z.string().nullish(),
  version: namedIdSchema.nullable(),
  rollout_version_info: namedIdSchema.nullish(),
  rolloutEnabled: z.boolean().nullish(),
  rolloutPercentageBps: percentageSchema,
  rolloutPausedAt: z.string().nullish(),
  disableAutoUpdateUnderNative: z.boolean().nullish(),
});
const bundleSchema = z.object({
  id: z.int(),
  name: z.string(),
  created_at: z.iso.datetime({ offset: true }),
  deleted: z.boolean().nullish(),
  external_url: z.string().nullish(),
  r2_path: z.string().nullish(),
  manifest_count: z.number().nullish(),
});
export type CapgoChannel = z.infer<typeof channelSchema>;
export type CapgoBundle = z.infer<typeof bundleSchema>;

export type CapgoRead<T> = { readonly kind: "read"; readonly value: T } | Refused | Unavailable;
export type CapgoChange = { readonly kind: "changed" } | Refused | Unavailable;

export interface CapgoApi {
  readChannel(appId: string, channel: string): Promise<CapgoRead<CapgoChannel>>;
  /** Newest first, each once, those that are deleted among them. */
  listBundles(appId: string): Promise<CapgoRead<readonly CapgoBundle[]>>;
  setBundle(
    appId: string,
    ids: { readonly channelId: number; readonly bundleId: number },
  ): Promise<CapgoChange>;
  /** Only of a channel that was seen to exist: Capgo makes a new one of a name that it does not know. */
  changeRollout(
    appId: string,
    channel: string,
    change:
      | { readonly rollback: true }
      | { readonly rolloutPaused: true; readonly rolloutPauseReason: string },
  ): Promise<CapgoChange>;
}

export function createCapgoApi(options: CapgoApiOptions): CapgoApi {
  const send = createSend(options);
  return {
    readChannel: (appId, channel) => readChannel(send, { appId, channel }),
    listBundles: (appId) => listBundles(send, appId),
    setBundle: (appId, { channelId, bundleId }) =>
      change(send, "PUT", "/bundle", { app_id: appId, version_id: bundleId, channel_id: channelId }),
    changeRollout: (appId, channel, fields) =>
      change(send, "POST", "/channel", { app_id: appId, channel, ...fields }),
  };
}

// ---- one request ------------------------------------------------------------------------------------------

interface Sent {
  readonly kind: "answered";
  readonly named: NamedAnswer;
  /** Capgo's word for what is wrong, where it has one. */
  readonly code: string | undefined;
  /** What a status other than 200 means. */
  readonly failure: (remedies?: Readonly<Record<string, string>>) => Refused | Unavailable;
}
type Send = (request: {
  readonly method: HttpRequest["method"];
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly answerBytesMax?: number;
}) => Promise<Sent | Refused | Unavailable>;

const LOCKED_OUT = "too_many_failed_auth_attempts";
const REMEDY_OF_KEY = "; check ota_server.api_key: Capgo does not know it";
const REMEDY_BY_CODE: Readonly<Record<string, string>> = {
  invalid_app_id: "; check ota_server.app_id",
  missing_app_id: "; check ota_server.app_id",
  cannot_access_app:
    "; check ota_server.app_id, and that the API key may read and change this app's channels",
  cannot_promote_bundle: "; give the API key the permission channel.promote_bundle",
  cannot_set_bundle_to_channel: "; give the API key the permission channel.promote_bundle",
};

function createSend(options: CapgoApiOptions): Send {
  const { url, apiKey, clock, brake } = options;
  const account = { url, apiKey };
  const call = createNamedCall(options);
  return ({ method, path, query = {}, body, answerBytesMax }) => {
    const request = {
      method,
      url: new URL(`${url}${path}?${new URLSearchParams(query).toString()}`.replace(/\?$/, "")),
      headers: { capgkey: apiKey },
      ...jsonBody(body),
      ...(answerBytesMax === undefined ? {} : { answerBytesMax }),
    };
    return brake.asking(account, async () => {
      const named = await call(request);
      return "kind" in named ? named : readAnswer(named, { account, brake, clock });
    });
  };
}

/** What came back, told to the brake as well. */
function readAnswer(
  named: NamedAnswer,
  {
    account,
    brake,
    clock,
  }: { readonly account: CapgoAccount; readonly brake: CapgoAuthBrake; readonly clock: Clock },
): Sent | Refused {
  const { status, text } = named.answer;
  const code = codeOf(text);
  const failure: Sent["failure"] = (remedies = {}) =>
    notDone(named, clock, {
      401: REMEDY_OF_KEY,
      400: code === undefined ? "" : (remedies[code] ?? REMEDY_BY_CODE[code] ?? ` (${code})`),
    });
  if (status < 400) brake.accepted(account);
  if (status === 401) {
    const why = failure();
    if (why.kind === "refused") return brake.refused(account, why);
  }
  if (status === 429 && text.includes(LOCKED_OUT)) {
    const why = failure();
    if (why.kind === "unavailable") brake.lockedOut(account, why);
  }
  return { kind: "answered", named, code, failure };
}

const codeSchema = z.object({ error: z.string() });

function codeOf(text: string): string | undefined {
  const parsed = codeSchema.safeParse(parseJson(text));
  return parsed.success ? printable(parsed.data.error) : undefined;
}

function parseAnswer<S extends z.ZodType>(named: NamedAnswer, schema: S): CapgoRead<z.infer<S>> {
  const parsed = schema.safeParse(parseJson(named.answer.text));
  if (parsed.success) return { kind: "read", value: parsed.data };
  return unreadable(named, parsed.error, " but not as Capgo does");
}

// ---- reads ------------------------------------------------------------------------------------------------

async function readChannel(
  send: Send,
  { appId, channel }: { readonly appId: string; readonly channel: string },
): Promise<CapgoRead<CapgoChannel>> {
  const sent = await send({ method: "GET", path: "/channel", query: { app_id: appId, channel } });
  if (sent.kind !== "answered") return sent;
  if (sent.named.answer.status === 200) return parseAnswer(sent.named, channelSchema);
  const remedy = `; Capgo has no channel ${printable(channel)} of ${printable(appId)}: name it under ota_server.channels`;
  // Of a read that asks for a channel, the "version" that can't be found is the channel.
  return sent.failure({ cannot_find_version: remedy, cannot_find_channel: remedy });
}

/**
 * `page` is counted from the rows that came, not one by one: Capgo reads it as text, and page 1 answers 500 rows and not
 * 50. Where it reads it as a number, the same count asks for page after page.
 */
async function listBundles(send: Send, appId: string): Promise<CapgoRead<readonly CapgoBundle[]>> {
  const byId = new Map<number, CapgoBundle>();
  let page = 0;
  for (let asked = 0; asked < CAPGO_BUNDLE_PAGES_MAX; asked += 1) {
    const sent = await send({
      method: "GET",
      path: "/bundle",
      query: { app_id: appId, page: String(page) },
      answerBytesMax: CAPGO_BUNDLES_BYTES_MAX,
    });
    if (sent.kind !== "answered") return sent;
    // An empty page is a 400; the first one may be an app without bundles, whose channels offer nothing.
    if (sent.named.answer.status === 400 && sent.code === "cannot_get_bundle") break;
    if (sent.named.answer.status !== 200) return sent.failure();
    const rows = parseAnswer(sent.named, z.array(bundleSchema));
    if (rows.kind !== "read") return rows;
    for (const row of rows.value) byId.set(row.id, row);
    if (rows.value.length < CAPGO_BUNDLES_PER_PAGE || byId.size >= CAPGO_BUNDLES_MAX) break;
    // A page that brought nothing new: rows moved meanwhile, and the next one is asked for.
    page = Math.max(page + 1, Math.floor(byId.size / CAPGO_BUNDLES_PER_PAGE));
  }
  const newestFirst = [...byId.values()].toSorted(
    (left, right) => Date.parse(right.created_at) - Date.parse(left.created_at) || right.id - left.id,
  );
  return { kind: "read", value: newestFirst.slice(0, CAPGO_BUNDLES_MAX) };
}

// ---- changes ----------------------------------------------------------------------------------------------

const changedSchema = z.object({ status: z.string() });

async function change(send: Send, method: "PUT" | "POST", path: string, body: object): Promise<CapgoChange> {
  const sent = await send({ method, path, body });
  if (sent.kind !== "answered") return sent;
  if (sent.named.answer.status !== 200) return sent.failure();
  const parsed = parseAnswer(sent.named, changedSchema);
  return parsed.kind === "read" ? { kind: "changed" } : parsed;
}
