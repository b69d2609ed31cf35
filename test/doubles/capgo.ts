// A faithful double of Capgo (shared reference, ota-systems.md 1.7, 1.9 to 1.11, 9.2): the public API for Lastgood and the
// update check for devices, its ugly parts included: 400 for what is forbidden or not there, an empty page that is a 400,
// `page` read as text, a channel made of a typo, 500 for an unknown version, reads that lag, and the lock-out after 20 failed
// log-ins. Enters: keys, a clock. Leaves: an Express app, its state, a record of calls, and faults on demand.
import { setTimeout as sleepMs } from "node:timers/promises";
import express from "express";
import type { Express, NextFunction, Request, RequestHandler, Response } from "express";
import { BUILTIN_NAMES, createCapgoState } from "./capgo-state.ts";
import type { CapgoAppRows, CapgoBundleRow, CapgoChannelRow, CapgoState } from "./capgo-state.ts";
import { answerUpdate, updateRequestSchema } from "./capgo-updates.ts";
import type { WireFault } from "./wire-fault.ts";

const PER_PAGE = 50;
export const CAPGO_FAILED_LOGINS_MAX = 20;
export const CAPGO_LOCKED_OUT_MS = 15 * 60_000;
export const CAPGO_REQUESTS_PER_MINUTE_MAX = 2_000;

export type CapgoPermission = "app.read" | "channel.promote_bundle" | "channel.update_settings";
export type CapgoCallKind = "read" | "write";
export type CapgoFault =
  | Exclude<WireFault, { readonly kind: "error" }>
  | { readonly kind: "error"; readonly status: number; readonly body?: object }
  | { readonly kind: "another_bundle"; readonly name: string };

export interface CapgoCall {
  readonly kind: CapgoCallKind;
  readonly method: string;
  /** With the query. */
  readonly url: string;
  readonly body: unknown;
  status: number | null;
}

export interface CapgoDouble {
  readonly express: Express;
  readonly state: CapgoState;
  /** Of the public API, oldest first. */
  readonly calls: CapgoCall[];
  /** How often the API has changed what a channel offers. */
  readonly acts: () => number;
  /** The next call of this kind, of this path if one is named, meets it. */
  fault(on: CapgoCallKind, fault: CapgoFault, path?: string): void;
  /** How far behind what reads show is, in milliseconds: 60,000 is what Capgo's own cache may be. */
  lag(ms: number): void;
  /** Called before each call: for what happens in between. */
  beforeCall(hook: ((call: CapgoCall) => void) | undefined): void;
}

export interface CapgoDoubleOptions {
  /** What each API key may do, of all apps; `app_ids` limits it to some. */
  readonly keys: Readonly<
    Record<string, { readonly may: readonly CapgoPermission[]; readonly appIds?: readonly string[] }>
  >;
  readonly clock: () => number;
}

interface Double extends CapgoDoubleOptions {
  readonly state: CapgoState;
  readonly calls: CapgoCall[];
  readonly faults: {
    readonly on: CapgoCallKind;
    readonly fault: CapgoFault;
    readonly path: string | undefined;
  }[];
  readonly failedLogins: number[];
  readonly requests: Map<string, number[]>;
  lockedOutUntilMs: number;
  acts: number;
  lagMs: number;
  hook: ((call: CapgoCall) => void) | undefined;
}

export function createCapgoDouble(options: CapgoDoubleOptions): CapgoDouble {
  const double: Double = {
    ...options,
    state: createCapgoState({ clock: options.clock, staleMs: () => double.lagMs }),
    calls: [],
    faults: [],
    failedLogins: [],
    requests: new Map(),
    lockedOutUntilMs: 0,
    acts: 0,
    lagMs: 0,
    hook: undefined,
  };
  return {
    express: createApp(double),
    state: double.state,
    calls: double.calls,
    acts: () => double.acts,
    fault: (on, fault, path) => void double.faults.push({ on, fault, path }),
    lag: (ms) => void (double.lagMs = ms),
    beforeCall: (hook) => void (double.hook = hook),
  };
}

function createApp(double: Double): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag");
  app.use(express.json({ limit: "1mb" }));
  app.post("/updates", (request, response) => {
    const parsed = updateRequestSchema.safeParse(request.body);
    if (!parsed.success) return fail(response, 400, "invalid_json_body");
    const { status, body } = answerUpdate(double.state.shown(parsed.data.app_id), parsed.data);
    response.status(status).json(body);
  });
  const api = express.Router();
  api.use(record(double), logIn(double), meetFaults(double));
  api.get("/channel", (request, response) => getChannel(double, request, response));
  api.post("/channel", changing(double, postChannel));
  api.get("/bundle", (request, response) => getBundles(double, request, response));
  api.put("/bundle", changing(double, putBundle));
  app.use(api);
  app.use((_request, response) => fail(response, 404, "not_found"));
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) =>
    error instanceof SyntaxError
      ? fail(response, 400, "invalid_json_body")
      : fail(response, 500, "unknown_error", error instanceof Error ? error.message : String(error)),
  );
  return app;
}

function fail(
  response: Response,
  status: number,
  error: string,
  message = error.replaceAll("_", " "),
  more = {},
): void {
  response.status(status).json({ error, message, ...more });
}

// ---- who calls, and how often -----------------------------------------------------------------------------

function record(double: Double): RequestHandler {
  return (request, response, next) => {
    const { method, originalUrl: url, body } = request;
    const call: CapgoCall = { kind: method === "GET" ? "read" : "write", method, url, body, status: null };
    double.calls.push(call);
    response.once("finish", () => (call.status = response.statusCode));
    double.hook?.(call);
    next();
  };
}

/** All calls come from one address here, so failed log-ins are counted once. */
function logIn(double: Double): RequestHandler {
  return (request, response, next) => {
    const nowMs = double.clock();
    if (nowMs < double.lockedOutUntilMs)
      return tooMany(response, double.lockedOutUntilMs - nowMs, "too_many_requests", {
        reason: "too_many_failed_auth_attempts",
      });
    const key = request.get("capgkey") ?? request.get("authorization");
    if (key === undefined || double.keys[key] === undefined) {
      double.failedLogins.push(nowMs);
      const recent = double.failedLogins.filter((atMs) => atMs > nowMs - CAPGO_LOCKED_OUT_MS);
      if (recent.length >= CAPGO_FAILED_LOGINS_MAX) double.lockedOutUntilMs = nowMs + CAPGO_LOCKED_OUT_MS;
      return fail(response, 401, key === undefined ? "no_key_provided" : "invalid_apikey");
    }
    const requests = (double.requests.get(key) ?? []).filter((atMs) => atMs > nowMs - 60_000);
    double.requests.set(key, [...requests, nowMs]);
    if (requests.length >= CAPGO_REQUESTS_PER_MINUTE_MAX)
      return tooMany(response, requests[0]! + 60_000 - nowMs, "api_key_rate_limit_exceeded");
    next();
  };
}

function tooMany(response: Response, waitMs: number, error: string, more = {}): void {
  response.set("Retry-After", String(Math.ceil(waitMs / 1_000)));
  fail(response, 429, error, undefined, more);
}

/** Undefined after a 400 was sent: what is forbidden and what is not there look alike. */
function appFor(
  double: Double,
  request: Request,
  response: Response,
  may: CapgoPermission,
  rows: (id: string) => CapgoAppRows | undefined,
) {
  const source = (request.method === "GET" ? request.query : request.body) as
    | Record<string, unknown>
    | undefined;
  const id = source?.["app_id"];
  const key = double.keys[(request.get("capgkey") ?? request.get("authorization"))!]!;
  if (typeof id !== "string" || id === "") fail(response, 400, "missing_app_id");
  else if (!/^[a-z0-9]+(\.[\w-]+)+$/i.test(id)) fail(response, 400, "invalid_app_id");
  else {
    const app = rows(id);
    const isAllowed = key.may.includes(may) && (key.appIds?.includes(id) ?? true);
    if (app !== undefined && isAllowed) return app;
    fail(response, 400, "cannot_access_app");
  }
  return undefined;
}

// ---- faults -----------------------------------------------------------------------------------------------

function meetFaults(double: Double): RequestHandler {
  return async (request, response, next) => {
    const kind = request.method === "GET" ? "read" : "write";
    const at = double.faults.findIndex(
      ({ on, path }) => on === kind && (path === undefined || path === request.path),
    );
    if (at < 0) return next();
    await meet(double, { fault: double.faults.splice(at, 1)[0]!.fault, request, response, next });
  };
}

interface Meeting {
  readonly fault: CapgoFault;
  readonly request: Request;
  readonly response: Response;
  readonly next: NextFunction;
}

async function meet(double: Double, { fault, request, response, next }: Meeting): Promise<void> {
  switch (fault.kind) {
    case "error":
      return void response
        .status(fault.status)
        .json(fault.body ?? { error: "unknown_error", message: "Unknown error" });
    case "rate_limited":
      return tooMany(response, fault.retryAfterSeconds * 1_000, "api_key_rate_limit_exceeded");
    case "redirect":
      return response.redirect(307, fault.location);
    case "another_bundle":
      return afterActing(response, next, (end) => {
        const { app_id: app } = request.body as { app_id: string };
        const [channel] = double.state.apps.get(app)!.channels;
        double.state.clearRollout(channel!);
        double.state.setVersion(app, channel!.name, fault.name);
        end();
      });
    case "late":
      return afterActing(response, next, async (end) => {
        await sleepMs(fault.ms, undefined, { ref: false });
        end();
      });
    case "lost_answer":
      return afterActing(response, next, () => void response.destroy());
    case "garbage":
      return afterActing(response, next, (end) => end("<html>a proxy's own words</html>"));
    case "oversize":
      return afterActing(response, next, (end) => end(JSON.stringify({ padding: "x".repeat(fault.bytes) })));
    default:
      return fault satisfies never;
  }
}

/** The server acts; what it then says goes another way. */
function afterActing(
  response: Response,
  next: NextFunction,
  answer: (end: (text?: string) => void) => void | Promise<void>,
): void {
  const end = response.end.bind(response) as (text?: unknown) => Response;
  response.end = ((own?: unknown) => {
    void answer((text) => {
      if (text !== undefined) response.removeHeader("Content-Length");
      end(text ?? own);
    });
    return response;
  }) as typeof response.end;
  next();
}

// ---- reads ------------------------------------------------------------------------------------------------

const iso = (ms: number): string => new Date(ms).toISOString().replace("Z", "+00:00");

function getChannel(double: Double, request: Request, response: Response): void {
  const app = appFor(double, request, response, "app.read", (id) => double.state.shown(id));
  if (app === undefined) return;
  const { channel: name, page = "0" } = request.query as { channel?: string; page?: string };
  if (name === undefined) {
    const from = Number(page) * PER_PAGE;
    return void response.json(app.channels.slice(from, from + PER_PAGE).map((row) => channelView(app, row)));
  }
  const row = app.channels.find((each) => each.name === name);
  if (row === undefined) return fail(response, 400, "cannot_find_version", "Cannot find version");
  response.json(channelView(app, row));
}

function channelView(app: CapgoAppRows, row: CapgoChannelRow): object {
  const named = (id: number | null) => {
    const bundle = app.bundles.find((each) => each.id === id);
    return bundle === undefined ? null : { id: bundle.id, name: bundle.name };
  };
  return {
    id: row.id,
    created_at: iso(row.createdAtMs),
    updated_at: iso(row.updatedAtMs),
    name: row.name,
    app_id: app.id,
    created_by: "11111111-2222-3333-4444-555555555555",
    public: row.public,
    allow_device_self_set: false,
    allow_emulator: row.allowEmulator,
    allow_device: row.allowDevice,
    allow_dev: row.allowDev,
    allow_prod: row.allowProd,
    version: named(row.versionId),
    rollout_version: row.rolloutVersionId,
    rollout_id: `rollout-${row.rolloutId}`,
    rollout_version_info: named(row.rolloutVersionId),
    rolloutEnabled: row.rolloutEnabled,
    rolloutPercentageBps: row.rolloutBps,
    rolloutPausedAt: row.rolloutPausedAtMs === null ? null : iso(row.rolloutPausedAtMs),
    rolloutPauseReason: row.rolloutPauseReason,
    disableAutoUpdateUnderNative: row.underNative,
    disableAutoUpdate: row.disableAutoUpdate,
  };
}

/** `page` is text: what is added to it is written behind it, so that page "1" ends where page 11 would. */
function getBundles(double: Double, request: Request, response: Response): void {
  const app = appFor(double, request, response, "app.read", (id) => double.state.shown(id));
  if (app === undefined) return;
  const { page = "0" } = request.query as { page?: string };
  const from = Number(page) * PER_PAGE;
  const to = Number(`${page}1`) * PER_PAGE - 1;
  const rows = app.bundles
    .toSorted((left, right) => right.createdAtMs - left.createdAtMs || right.id - left.id)
    .slice(from, to + 1);
  if (rows.length === 0) return fail(response, 400, "cannot_get_bundle", "Cannot get bundle");
  response.json(rows.map((row) => bundleView(app.id, row)));
}

function bundleView(appId: string, { id, name, createdAtMs, deleted, r2Path }: CapgoBundleRow): object {
  return {
    id,
    created_at: iso(createdAtMs),
    app_id: appId,
    name,
    updated_at: iso(createdAtMs),
    deleted,
    external_url: null,
    checksum: `sha-of-${name}`,
    session_key: null,
    storage_provider: "r2",
    min_update_version: null,
    native_packages: null,
    owner_org: "11111111-2222-3333-4444-555555555555",
    user_id: "11111111-2222-3333-4444-555555555555",
    r2_path: r2Path,
    manifest: null,
    link: null,
    comment: null,
    manifest_count: 0,
    key_id: null,
    cli_version: "7.9.0",
    deleted_at: deleted ? iso(createdAtMs) : null,
  };
}

// ---- changes ----------------------------------------------------------------------------------------------

type Change = (double: Double, request: Request, response: Response) => void;

/** Counts the changes that moved what a channel offers. */
function changing(double: Double, change: Change): RequestHandler {
  const offers = (): string =>
    JSON.stringify(
      [...double.state.apps.values()].map(({ channels }) =>
        channels.map(({ id, versionId, rolloutVersionId, rolloutEnabled, rolloutBps, rolloutPausedAtMs }) => [
          id,
          versionId,
          rolloutVersionId,
          rolloutEnabled,
          rolloutBps,
          rolloutPausedAtMs,
        ]),
      ),
    );
  return (request, response) => {
    const before = offers();
    change(double, request, response);
    if (offers() !== before) double.acts += 1;
    double.state.changed();
  };
}

/** By ids; can't make a channel, can't set builtin, and leaves the rollout as it is. */
function putBundle(double: Double, request: Request, response: Response): void {
  const app = appFor(double, request, response, "channel.promote_bundle", (id) => double.state.apps.get(id));
  if (app === undefined) return;
  const { version_id, channel_id } = request.body as { version_id?: unknown; channel_id?: unknown };
  if (version_id === undefined || channel_id === undefined)
    return fail(response, 400, "missing_required_fields");
  const bundle = app.bundles.find((each) => each.id === version_id && !each.deleted);
  if (bundle === undefined) return fail(response, 400, "cannot_find_version");
  const channel = app.channels.find((each) => each.id === channel_id);
  if (channel === undefined) return fail(response, 400, "cannot_find_channel");
  channel.versionId = bundle.id;
  channel.updatedAtMs = double.clock();
  response.json({
    status: "success",
    message: `Bundle ${bundle.name} set to channel ${channel.name} successfully`,
  });
}

interface ChannelBody {
  readonly channel?: string;
  readonly version?: string | null;
  readonly rolloutVersion?: string | null;
  readonly rolloutPercentageBps?: number;
  readonly rolloutEnabled?: boolean;
  readonly rolloutPaused?: boolean;
  readonly rolloutPauseReason?: string;
  readonly rollback?: boolean;
  readonly disableAutoUpdateUnderNative?: boolean;
}

/** By names; makes the channel when there is none of that name. */
function postChannel(double: Double, request: Request, response: Response): void {
  const app = appFor(double, request, response, "channel.update_settings", (id) => double.state.apps.get(id));
  if (app === undefined) return;
  const body = request.body as ChannelBody;
  if (typeof body.channel !== "string") return fail(response, 400, "missing_channel");
  const known = app.channels.find(({ name }) => name === body.channel);
  const isRollout = [body.rollback, body.rolloutPaused, body.rolloutVersion, body.rolloutEnabled].some(
    (each) => each !== undefined,
  );
  if (known === undefined && isRollout && body.rollback !== true)
    return fail(response, 400, "cannot_find_channel");
  const idOf = (name: string): number => {
    const bundle = app.bundles.find((each) => each.name === name && !each.deleted);
    if (bundle === undefined) throw new Error(`Cannot find version ${name}`);
    return bundle.id;
  };
  const { version, rolloutVersion, rolloutPercentageBps: bps } = body;
  const versionId =
    version === undefined || version === null || BUILTIN_NAMES.includes(version) ? null : idOf(version);
  const rolloutVersionId =
    rolloutVersion === undefined || rolloutVersion === null ? null : idOf(rolloutVersion);
  const row = known ?? double.state.addChannel(app.id, body.channel);
  if (version !== undefined) row.versionId = versionId;
  if (rolloutVersion !== undefined) row.rolloutVersionId = rolloutVersionId;
  if (body.rolloutEnabled !== undefined) row.rolloutEnabled = body.rolloutEnabled;
  if (bps !== undefined) row.rolloutBps = bps;
  if (body.rolloutPaused !== undefined)
    row.rolloutPausedAtMs = body.rolloutPaused ? (row.rolloutPausedAtMs ?? double.clock()) : null;
  if (body.rolloutPauseReason !== undefined) row.rolloutPauseReason = body.rolloutPauseReason;
  if (body.disableAutoUpdateUnderNative !== undefined) row.underNative = body.disableAutoUpdateUnderNative;
  if (body.rollback === true) double.state.clearRollout(row);
  row.updatedAtMs = double.clock();
  response.json({ status: "ok" });
}
