// The two calls of a hot-updater server's management API that Lastgood makes: list the bundles of a channel and platform,
// and disable one. Enters: names. Leaves: what the server answered, as values, with the remedy where a person has to act.
import { z } from "zod";
import type { Clock } from "../../../runtime/clock.ts";
import type { HotUpdaterTarget } from "../../config/ota-servers/hot-updater.ts";
import { notDone, parseJson, unreadable } from "../http-answer.ts";
import type { NamedAnswer } from "../http-answer.ts";
import { createNamedCall, jsonBody } from "../named-call.ts";
import type { Refused, Unavailable } from "../ota-server.ts";

/** Bundles asked for at a time: a record lists its patches, and an answer is read up to 1 MiB only. */
export const HOT_UPDATER_PAGE_BUNDLES = 50;

export interface HotUpdaterApiOptions {
  /** The server's base path, under which `/api/bundles` is. */
  readonly url: string;
  /** For what the deployer put in front: the server itself knows no authentication. */
  readonly headers: Readonly<Record<string, string>>;
  /** For one whole exchange, in milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Lastgood's own version, for the user agent. */
  readonly productVersion?: string;
  readonly fetch?: typeof fetch;
}

const bundleSchema = z.looseObject({
  id: z.string().min(1),
  channel: z.string(),
  platform: z.string(),
  enabled: z.boolean(),
  fileHash: z.string().nullish(),
  targetAppVersion: z.string().nullish(),
  fingerprintHash: z.string().nullish(),
  rolloutCohortCount: z.number().nullish(),
  targetCohorts: z.array(z.string()).nullish(),
});

export type HotUpdaterBundle = z.infer<typeof bundleSchema>;

const pageSchema = z.looseObject({
  data: z.array(bundleSchema),
  pagination: z.looseObject({ hasNextPage: z.boolean() }),
});
const successSchema = z.looseObject({ success: z.literal(true) });

export interface BundlePage {
  readonly kind: "page";
  /** Newest first. */
  readonly bundles: readonly HotUpdaterBundle[];
  /** What to ask for as `after`; absent on the last page. */
  readonly next?: string;
}

export interface HotUpdaterApi {
  listBundles(target: HotUpdaterTarget, after?: string): Promise<BundlePage | Refused | Unavailable>;
  /** `gone`: the server has no such bundle any more, which is to devices as if it were disabled. */
  disable(
    id: string,
  ): Promise<{ readonly kind: "disabled" } | { readonly kind: "gone" } | Refused | Unavailable>;
}

const CHECK_HEADERS =
  "; check ota_server.headers: what stands in front of the hot-updater server does not take them";
const REMEDIES: Readonly<Record<number, string>> = {
  401: CHECK_HEADERS,
  403: CHECK_HEADERS,
  404: "; the server serves /api/bundles only with `routes: { bundles: true }`, below its base path: with basePath /hot-updater, ota_server.url ends in /hot-updater. Managed hot-updater (Supabase, Cloudflare, Firebase, AWS) has no such API",
};

/** The server's own words for an id that it does not have; the status is 500, as for any failure. */
const UNKNOWN_BUNDLE = "targetBundleId not found";
const failureSchema = z.looseObject({ message: z.string() });

type Send = (method: "GET" | "PATCH", path: string, body?: unknown) => Promise<NamedAnswer | Unavailable>;

export function createHotUpdaterApi(options: HotUpdaterApiOptions): HotUpdaterApi {
  const send = createSend(options);
  const { clock } = options;
  return {
    async listBundles({ channel, platform }, after) {
      const query = new URLSearchParams({ channel, platform, limit: String(HOT_UPDATER_PAGE_BUNDLES) });
      if (after !== undefined) query.set("after", after);
      const named = await send("GET", `/api/bundles?${query.toString()}`);
      if ("kind" in named) return named;
      if (named.answer.status !== 200) return notDone(named, clock, REMEDIES);
      const parsed = pageSchema.safeParse(parseJson(named.answer.text));
      if (!parsed.success) return unreadable(named, parsed.error, UNLIKE);
      const { data, pagination } = parsed.data;
      const next = pagination.hasNextPage ? data.at(-1)?.id : undefined;
      return { kind: "page", bundles: data, ...(next === undefined ? {} : { next }) };
    },
    async disable(id) {
      const named = await send("PATCH", `/api/bundles/${encodeURIComponent(id)}`, { enabled: false });
      if ("kind" in named) return named;
      const body = parseJson(named.answer.text);
      if (named.answer.status === 500 && failureSchema.safeParse(body).data?.message === UNKNOWN_BUNDLE)
        return { kind: "gone" };
      if (named.answer.status !== 200) return notDone(named, clock, REMEDIES);
      const parsed = successSchema.safeParse(body);
      return parsed.success ? { kind: "disabled" } : unreadable(named, parsed.error, UNLIKE);
    },
  };
}

function createSend(options: HotUpdaterApiOptions): Send {
  const call = createNamedCall(options);
  const { url, headers } = options;
  return (method, path, body) => call({ method, url: new URL(`${url}${path}`), headers, ...jsonBody(body) });
}

const UNLIKE = ", but not as a hot-updater server does";
