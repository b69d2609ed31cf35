// A faithful double of `@hot-updater/server`: its bundles routes and its update checks, as a handler of web requests like the
// real one. Written from the shared reference (ota-systems.md 5, ota-systems-details.md 1), ugly parts included: no
// precondition, 500 for an id that is not there, an update check that goes back by `enabled` alone. Kept in memory, can be
// looked at. test/contract/hot-updater-parity.test.ts asks it and the real server the same, and compares.
//
// One thing is its own: which of the 1,000 cohorts a partial rollout takes. The real server shuffles them per bundle; here
// a partial rollout of n takes the cohorts 1 to n.
import semver from "semver";

export interface HotUpdaterRecord {
  readonly id: string;
  readonly platform: "ios" | "android";
  readonly channel: string;
  readonly enabled: boolean;
  readonly shouldForceUpdate: boolean;
  readonly fileHash: string;
  readonly storageUri: string;
  readonly gitCommitHash: string | null;
  readonly message: string | null;
  readonly targetAppVersion: string | null;
  readonly fingerprintHash: string | null;
  readonly rolloutCohortCount?: number | null;
  readonly targetCohorts?: readonly string[] | null;
}

/** As the real server has it. */
export type HotUpdaterHandler = (request: Request) => Promise<Response>;

export interface HotUpdaterDouble {
  readonly handler: HotUpdaterHandler;
  readonly bundles: Map<string, HotUpdaterRecord>;
}

export interface HotUpdaterDoubleOptions {
  readonly basePath: string;
  /** Whether `/api/bundles` is served: not unless asked for. */
  readonly routes?: { readonly bundles: boolean };
}

const NIL_UUID = "00000000-0000-0000-0000-000000000000";
const COHORTS = 1_000;
const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 100;
/** The SDK from which on "nothing to do" is said in words. */
const EXPLICIT_SDK = "0.31.0";

class BadRequest extends Error {}

type Bundles = Map<string, HotUpdaterRecord>;
interface Asked {
  readonly request: Request;
  readonly url: URL;
  readonly bundles: Bundles;
  readonly id: string;
}
type Handle = (asked: Asked) => Response | Promise<Response>;

export function createHotUpdaterDouble({ basePath, routes }: HotUpdaterDoubleOptions): HotUpdaterDouble {
  const bundles: Bundles = new Map();
  return {
    bundles,
    async handler(request) {
      const url = new URL(request.url);
      const path = url.pathname.startsWith(basePath) ? url.pathname.slice(basePath.length) : url.pathname;
      try {
        const segments = path.split("/").slice(1);
        const handle = routeOf(request.method, segments, routes?.bundles === true);
        if (handle === undefined) return json(404, { error: "Not found" });
        return await handle({ request, url, bundles, id: segments[2] ?? "" });
      } catch (error) {
        if (error instanceof BadRequest) return json(400, { error: error.message });
        const message = error instanceof Error ? error.message : "Unknown error";
        return json(500, { error: "Internal server error", message });
      }
    },
  };
}

function routeOf(method: string, segments: readonly string[], hasBundles: boolean): Handle | undefined {
  const [first, second, third] = segments;
  const count = segments.length;
  if (method === "GET" && first === "version" && count === 1) return () => json(200, { version: "0.36.3" });
  if (
    method === "GET" &&
    (first === "app-version" || first === "fingerprint") &&
    (count === 6 || count === 7)
  )
    return (asked) => checkUpdate(asked, segments.map(decoded));
  if (!hasBundles || first !== "api" || second !== "bundles") return undefined;
  if (count === 2) {
    if (method === "GET") return listBundles;
    return method === "POST" ? createBundles : undefined;
  }
  if (count !== 3) return undefined;
  if (method === "GET") return third === "channels" ? listChannels : getBundle;
  if (method === "PATCH") return patchBundle;
  return method === "DELETE" ? deleteBundle : undefined;
}

function json(status: number, body: unknown): Response {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// ---- management -------------------------------------------------------------------------------------------

/** What the server keeps of a record that leaves these out. */
function kept(record: HotUpdaterRecord): HotUpdaterRecord {
  const { targetAppVersion, fingerprintHash, rolloutCohortCount: count } = record;
  if (!targetAppVersion?.trim() && !fingerprintHash?.trim())
    throw new Error("Bundle must define either targetAppVersion or fingerprintHash.");
  if (count != null && (!Number.isInteger(count) || count < 0 || count > COHORTS))
    throw new Error(`rolloutCohortCount must be an integer between 0 and ${COHORTS}.`);
  return { ...record, rolloutCohortCount: count ?? COHORTS, targetCohorts: record.targetCohorts ?? null };
}

async function createBundles({ request, bundles }: Asked): Promise<Response> {
  const body = (await request.json()) as HotUpdaterRecord | HotUpdaterRecord[];
  for (const record of Array.isArray(body) ? body : [body]) bundles.set(record.id, kept(record));
  return json(201, { success: true });
}

async function patchBundle({ request, bundles, id }: Asked): Promise<Response> {
  const body: unknown = await request.json();
  const patch = (Array.isArray(body) ? body[0] : body) as Partial<HotUpdaterRecord> | null | undefined;
  if (patch === null || typeof patch !== "object") throw new BadRequest("Invalid bundle payload");
  if (patch.id !== undefined && patch.id !== id) throw new BadRequest("Bundle id mismatch");
  const current = bundles.get(id);
  if (current === undefined) throw new Error("targetBundleId not found");
  bundles.set(id, kept({ ...current, ...patch }));
  return json(200, { success: true });
}

function deleteBundle({ bundles, id }: Asked): Response {
  bundles.delete(id);
  return json(200, { success: true });
}

function getBundle({ bundles, id }: Asked): Response {
  const found = bundles.get(id);
  return found === undefined ? json(404, { error: "Bundle not found" }) : json(200, found);
}

function listChannels({ bundles }: Asked): Response {
  const channels = new Set([...bundles.values()].map(({ channel }) => channel));
  return json(200, { data: { channels: [...channels].toSorted() } });
}

function positive(url: URL, name: string, most: number): number | undefined {
  const text = url.searchParams.get(name);
  if (text === null) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new BadRequest(
    most === LIMIT_MAX
      ? `The '${name}' query parameter must be a positive integer between 1 and ${most}.`
      : `The '${name}' query parameter must be a positive integer.`,
  );
}

/** Whether a record is one that the query asks for. */
function filterOf(url: URL): (record: HotUpdaterRecord) => boolean {
  const param = (name: string): string | undefined => url.searchParams.get(name) ?? undefined;
  const enabled = param("enabled");
  if (enabled !== undefined && enabled !== "true" && enabled !== "false")
    throw new BadRequest("The 'enabled' query parameter must be 'true' or 'false'.");
  const platform = param("platform");
  if (platform !== undefined && platform !== "ios" && platform !== "android")
    throw new BadRequest(`Invalid platform: ${platform}. Expected 'ios' or 'android'.`);
  const isText = (name: string, value: string | null): boolean => {
    const asked = param(name);
    return asked === undefined || (asked === "null" ? value === null : value === asked);
  };
  const ids = url.searchParams.getAll("idIn");
  const holds = (name: string, test: (asked: string) => boolean): boolean => {
    const asked = param(name);
    return asked === undefined || asked === "" || test(asked);
  };
  return ({ id, ...record }) =>
    holds("channel", (asked) => record.channel === asked) &&
    holds("platform", (asked) => record.platform === asked) &&
    (enabled === undefined || String(record.enabled) === enabled) &&
    isText("targetAppVersion", record.targetAppVersion) &&
    isText("fingerprintHash", record.fingerprintHash) &&
    holds("idEq", (asked) => id === asked) &&
    holds("idGt", (asked) => id > asked) &&
    holds("idGte", (asked) => id >= asked) &&
    holds("idLt", (asked) => id < asked) &&
    holds("idLte", (asked) => id <= asked) &&
    (ids.length === 0 || ids.includes(id));
}

function listBundles({ url, bundles }: Asked): Response {
  const limit = positive(url, "limit", LIMIT_MAX) ?? LIMIT_DEFAULT;
  const page = url.searchParams.has("offset")
    ? fail(
        "The 'offset' query parameter has been removed. Use 'after' or 'before' cursor pagination instead.",
      )
    : positive(url, "page", Number.MAX_SAFE_INTEGER);
  const matching = [...bundles.values()].filter(filterOf(url)).toSorted(newestFirst);
  const total = matching.length;
  const pages = Math.ceil(total / limit);
  const start = startOf(url, matching, { limit, page, pages });
  const data = matching.slice(start, start + limit);
  const hasNext = start + limit < total;
  // Past the end the real server names the cursor that it was asked with as the way back.
  const previousCursor = data.length > 0 ? (start > 0 ? data[0]!.id : null) : url.searchParams.get("after");
  return json(200, {
    data,
    pagination: {
      total,
      hasNextPage: total > 0 && hasNext,
      hasPreviousPage: total > 0 && start > 0,
      currentPage: total === 0 ? 1 : Math.floor(start / limit) + 1,
      totalPages: pages,
      ...(data.length > 0 && hasNext ? { nextCursor: data.at(-1)!.id } : {}),
      ...(previousCursor === null ? {} : { previousCursor }),
    },
  });
}

function fail(message: string): never {
  throw new BadRequest(message);
}

function newestFirst(left: HotUpdaterRecord, right: HotUpdaterRecord): number {
  return left.id < right.id ? 1 : -1;
}

/** A page beyond the last one is the last one. */
function startOf(
  url: URL,
  matching: readonly HotUpdaterRecord[],
  { limit, page, pages }: { limit: number; page: number | undefined; pages: number },
): number {
  if (page !== undefined) return (Math.max(1, Math.min(page, pages)) - 1) * limit;
  const after = url.searchParams.get("after");
  if (after !== null) return matching.filter(({ id }) => id >= after).length;
  const before = url.searchParams.get("before");
  if (before !== null) return Math.max(0, matching.filter(({ id }) => id > before).length - limit);
  return 0;
}

// ---- devices ----------------------------------------------------------------------------------------------

function isEligible(
  { rolloutCohortCount, targetCohorts }: HotUpdaterRecord,
  cohort: string | undefined,
): boolean {
  const asked = cohort?.trim().toLowerCase();
  if (asked !== undefined && (targetCohorts ?? []).some((each) => each.trim().toLowerCase() === asked))
    return true;
  const count = rolloutCohortCount ?? COHORTS;
  if (asked === undefined) return count >= COHORTS;
  const number = /^\d+$/.test(asked) ? Number(asked) : Number.NaN;
  // A named cohort gets what names it, and nothing else.
  return number >= 1 && number <= COHORTS && number <= count;
}

function checkUpdate({ request, bundles }: Asked, segments: readonly string[]): Response {
  const [strategy, platform, asking, channel, minBundleId, current, cohort] = segments as [
    ...[string, string, string, string, string, string],
    string | undefined,
  ];
  if (platform !== "ios" && platform !== "android")
    throw new BadRequest(`Invalid platform: ${platform}. Expected 'ios' or 'android'.`);
  const fits = (record: HotUpdaterRecord): boolean =>
    strategy === "fingerprint"
      ? record.fingerprintHash === asking
      : record.targetAppVersion !== null &&
        semver.satisfies(semver.coerce(asking) ?? "", record.targetAppVersion);
  const candidates = [...bundles.values()]
    .filter(
      (record) =>
        record.enabled &&
        record.platform === platform &&
        record.channel === channel &&
        record.id >= minBundleId &&
        fits(record),
    )
    .toSorted(newestFirst);
  for (const record of candidates) {
    if (record.id < current && current !== NIL_UUID) return offer(record, "ROLLBACK");
    if (!isEligible(record, cohort)) continue;
    return record.id === current ? nothing(request) : offer(record, "UPDATE");
  }
  if (current === NIL_UUID || current <= minBundleId) return nothing(request);
  return json(200, {
    message: null,
    id: NIL_UUID,
    shouldForceUpdate: true,
    status: "ROLLBACK",
    fileHash: null,
    fileUrl: null,
  });
}

function offer(record: HotUpdaterRecord, status: "UPDATE" | "ROLLBACK"): Response {
  const { id, message, fileHash, storageUri } = record;
  return json(200, {
    id,
    message,
    shouldForceUpdate: status === "ROLLBACK" ? true : record.shouldForceUpdate,
    status,
    fileHash,
    fileUrl: `https://files.example.test/${encodeURIComponent(storageUri)}`,
  });
}

function nothing(request: Request): Response {
  const sdk = semver.coerce(request.headers.get("Hot-Updater-SDK-Version") ?? "");
  return json(200, sdk !== null && semver.gte(sdk, EXPLICIT_SDK) ? { status: "UP_TO_DATE" } : null);
}
