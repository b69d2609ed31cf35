// A faithful double of a Mender server (shared reference, ota-systems.md 3.1 to 3.4): the management API for Lastgood and
// for people, the device API for a simulated fleet, its ugly parts included: 201 with a Location and no body, an abort
// with a wrong status that answers 400 and aborts all the same, a list of devices that is sorted by what changes.
// Enters: a token, a clock. Leaves: an Express app, its state, a record of calls, and faults on demand.
import { randomUUID } from "node:crypto";
import { setTimeout as sleepMs } from "node:timers/promises";
import express from "express";
import type { Express, NextFunction, Request, RequestHandler, Response } from "express";
import { createMenderState, ROW_STATUSES } from "./mender-state.ts";
import type { DeviceRow, MenderDeployment, MenderState, RowStatus } from "./mender-state.ts";
import type { WireFault } from "./wire-fault.ts";

const MANAGEMENT = "/api/management/v1/deployments/deployments";
const DEVICE = "/api/devices/v1/deployments/device/deployments";
const PER_PAGE_DEFAULT = 20;
const PER_PAGE_MAX = 500;
const STATISTICS_IDS_MAX = 100;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export type MenderCallKind = "read" | "create" | "abort";
export type MenderFault =
  | WireFault
  | { readonly kind: "another_artifact"; readonly name: string }
  /** A list says that it has so many entries. */
  | { readonly kind: "total"; readonly count: number };

export interface MenderCall {
  readonly kind: MenderCallKind | "other";
  readonly method: string;
  /** With the query. */
  readonly url: string;
  readonly body: unknown;
  status: number | null;
}

export interface MenderDouble {
  readonly express: Express;
  readonly state: MenderState;
  /** Of the management API, oldest first. */
  readonly calls: MenderCall[];
  /** The next call of this kind meets it; before acting, or after. */
  fault(on: MenderCallKind, fault: MenderFault): void;
  /** While it is down, its management API answers 503; devices go on. */
  setDown(isDown: boolean): void;
  /** Called before each call of the management API: for what happens in between. */
  beforeCall(hook: ((call: MenderCall) => void) | undefined): void;
}

interface Double {
  readonly token: string;
  readonly state: MenderState;
  readonly calls: MenderCall[];
  readonly faults: { on: MenderCallKind; fault: MenderFault }[];
  hook: ((call: MenderCall) => void) | undefined;
  isDown: boolean;
}

export function createMenderDouble(options: {
  readonly token: string;
  readonly clock: () => number;
}): MenderDouble {
  const double: Double = {
    token: options.token,
    state: createMenderState(options.clock),
    calls: [],
    faults: [],
    hook: undefined,
    isDown: false,
  };
  return {
    express: createApp(double),
    state: double.state,
    calls: double.calls,
    fault: (on, fault) => void double.faults.push({ on, fault }),
    setDown: (isDown) => void (double.isDown = isDown),
    beforeCall: (hook) => void (double.hook = hook),
  };
}

function createApp(double: Double): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag");
  app.use((_request, response, next) => {
    response.set("X-MEN-RequestID", randomUUID());
    next();
  });
  app.use(express.json({ type: () => true, limit: "8mb" }));
  const management = managementRoutes(double);
  app.use("/api/management", guardManagement(double), management);
  app.use("/api/devices", deviceRoutes(double.state));
  app.use((_request, response) => fail(response, 404, "not found"));
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) =>
    error instanceof SyntaxError ? fail(response, 400, "invalid JSON") : fail(response, 500, String(error)),
  );
  return app;
}

function fail(response: Response, status: number, error: string): void {
  response.status(status).json({ error, request_id: response.get("X-MEN-RequestID") });
}

// ---- who calls, the record of it, and faults ------------------------------------------------------------

function kindOf({ method, path }: Request): MenderCall["kind"] {
  if (method === "GET" || path.endsWith("/statistics/list")) return "read";
  if (method === "PUT" && path.endsWith("/status")) return "abort";
  return method === "POST" ? "create" : "other";
}

function guardManagement(double: Double): RequestHandler {
  return async (request, response, next) => {
    const { method, originalUrl: url } = request;
    const call: MenderCall = { kind: kindOf(request), method, url, body: request.body, status: null };
    double.calls.push(call);
    response.once("finish", () => (call.status = response.statusCode));
    double.hook?.(call);
    if (double.isDown) return fail(response, 503, "down");
    if (request.get("Authorization") !== `Bearer ${double.token}`) return fail(response, 401, "unauthorized");
    const at = double.faults.findIndex(({ on }) => on === call.kind);
    const fault = at < 0 ? undefined : double.faults.splice(at, 1)[0]!.fault;
    if (fault === undefined) return next();
    await meet(fault, request, response, next);
  };
}

async function meet(
  fault: MenderFault,
  request: Request,
  response: Response,
  next: NextFunction,
): Promise<void> {
  switch (fault.kind) {
    case "error":
      return fail(response, fault.status, "a fault that was asked for");
    case "rate_limited":
      response.set("Retry-After", String(fault.retryAfterSeconds));
      return fail(response, 429, "too many requests");
    case "redirect":
      return response.redirect(307, fault.location);
    case "another_artifact":
      (request.body as { artifact_name: string }).artifact_name = fault.name;
      return next();
    case "total":
      return afterActing(response, next, (end) => {
        response.set("X-Total-Count", String(fault.count));
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
      return afterActing(response, next, (end) => {
        response.status(200);
        end("<html>a proxy's own words</html>");
      });
    case "oversize":
      return afterActing(response, next, (end) => end("x".repeat(fault.bytes)));
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
      // A 201 or a 204 with these words in it: no server says that, a proxy may.
      if (text !== undefined && response.statusCode === 204) response.status(200);
      end(text ?? own);
    });
    return response;
  }) as typeof response.end;
  next();
}

// ---- management -----------------------------------------------------------------------------------------

function managementRoutes({ state }: Double): express.Router {
  const router = express.Router();
  const base = MANAGEMENT.slice("/api/management".length);
  router.get(base, (request, response) => listDeployments(state, request, response));
  router.post(base, (request, response) => create(state, request, response, undefined));
  router.get(`${base}/releases`, (request, response) => listReleases(state, request, response));
  router.post(`${base}/statistics/list`, (request, response) => {
    const ids = (request.body as { deployment_ids?: string[] } | undefined)?.deployment_ids ?? [];
    if (ids.length > STATISTICS_IDS_MAX || !ids.every((id) => UUID.test(id)))
      return fail(response, 400, "deployment_ids: the length must be between 1 and 100.");
    const found = ids.map((id) => state.find(id));
    if (found.includes(undefined)) return fail(response, 404, "Deployment not found");
    response.json(found.map((deployment) => ({ id: deployment!.id, stats: deployment!.counters })));
  });
  router.post(`${base}/group/:group`, (request, response) =>
    create(state, request, response, request.params["group"]),
  );
  router.delete(`${base}/devices/:device`, (request, response) => {
    state.abortDevice(request.params["device"]);
    response.status(204).end();
  });
  router.get(
    `${base}/:id`,
    withDeployment(state, (deployment, _request, response) => {
      response.json(viewOf(deployment));
    }),
  );
  router.get(
    `${base}/:id/statistics`,
    withDeployment(state, (deployment, _request, response) => {
      response.json(deployment.counters);
    }),
  );
  router.get(`${base}/:id/devices/list`, withDeployment(state, listDevices));
  router.get(
    `${base}/:id/devices/:device/log`,
    withDeployment(state, (deployment, request, response) => {
      const log = deployment.rows.get(String(request.params["device"]))?.log;
      if (log === undefined) return fail(response, 404, "Resource not found");
      response.type("text/plain").send(log.map((line) => JSON.stringify(line)).join("\n"));
    }),
  );
  router.put(
    `${base}/:id/status`,
    withDeployment(state, (deployment, request, response) => {
      // The real handler renders 400 for another status and forgets to return: it goes on, and aborts.
      const isAbort = (request.body as { status?: unknown } | undefined)?.status === "aborted";
      if (deployment.status === "finished")
        return fail(response, isAbort ? 422 : 400, "Deployment already finished");
      state.abort(deployment);
      if (isAbort) response.status(204).end();
      else fail(response, 400, "Unexpected deployment status");
    }),
  );
  return router;
}

function withDeployment(
  state: MenderState,
  handle: (deployment: MenderDeployment, request: Request, response: Response) => void,
): RequestHandler {
  return (request, response) => {
    const id = String(request.params["id"]);
    if (!UUID.test(id)) return fail(response, 400, "ID is not a valid UUID");
    const deployment = state.find(id);
    if (deployment === undefined) return fail(response, 404, "Resource not found");
    return handle(deployment, request, response);
  };
}

/** The page that was asked for, with the headers of one; undefined when what was asked is refused. */
function paged<T>(all: readonly T[], request: Request, response: Response): readonly T[] | undefined {
  const page = Number(request.query["page"] ?? 1);
  const perPage = Number(request.query["per_page"] ?? PER_PAGE_DEFAULT);
  if (!(page >= 1) || !(perPage >= 1) || perPage > PER_PAGE_MAX) {
    fail(response, 400, "Can't parse param per_page");
    return undefined;
  }
  const link = (rel: string, to: number): string =>
    `<${request.baseUrl}${request.path}?page=${to}&per_page=${perPage}>; rel="${rel}"`;
  const links = [link("first", 1)];
  if (page > 1) links.push(link("prev", page - 1));
  if (all.length > page * perPage) links.push(link("next", page + 1));
  response.set("Link", links.join(", ")).set("X-Total-Count", String(all.length));
  return all.slice((page - 1) * perPage, page * perPage);
}

function listDeployments(state: MenderState, request: Request, response: Response): void {
  const { status, type, search } = request.query as Partial<Record<string, string>>;
  if (status !== undefined && !["pending", "inprogress", "finished"].includes(status))
    return fail(response, 400, `unknown status ${status}`);
  const words = search === undefined ? [] : search.toLowerCase().split(/\s+/);
  const matching = state.deployments
    .filter(
      (deployment) =>
        (status === undefined || deployment.status === status) &&
        (type === undefined || deployment.type === type) &&
        // A text search: any of the words, which is why nobody can look a name up with it.
        (words.length === 0 || words.some((word) => deployment.name.toLowerCase().includes(word))),
    )
    .toReversed();
  const page = paged(matching, request, response);
  if (page !== undefined) response.json(page.map(viewOf));
}

function viewOf(deployment: MenderDeployment): Record<string, unknown> {
  const { id, name, artifactName, createdMs, finishedMs, status, groups, deviceList, counters, type } =
    deployment;
  return {
    name,
    artifact_name: artifactName,
    created: new Date(createdMs).toISOString(),
    ...(finishedMs === undefined ? {} : { finished: new Date(finishedMs).toISOString() }),
    id,
    statistics: { status: { ...counters }, total_size: 0 },
    status,
    device_count: deployment.rows.size,
    max_devices: deviceList.length,
    ...(groups === undefined ? {} : { groups }),
    type,
  };
}

interface NewDeploymentBody {
  readonly name: string;
  readonly artifact_name: string;
  readonly all_devices: boolean;
  readonly force_installation: boolean;
  readonly devices: readonly string[];
}

function create(state: MenderState, request: Request, response: Response, group: string | undefined): void {
  const body = (request.body ?? {}) as Partial<NewDeploymentBody>;
  const created = state.create({
    name: body.name ?? "",
    artifactName: body.artifact_name ?? "",
    allDevices: body.all_devices === true,
    forceInstallation: body.force_installation === true,
    devices: body.devices ?? [],
    ...(group === undefined ? {} : { group }),
  });
  switch (created.kind) {
    case "created":
      response.status(201).location(`${MANAGEMENT}/${created.deployment.id}`).end();
      return;
    case "invalid":
      return fail(response, 400, created.error);
    case "conflict":
      return fail(response, 409, created.error);
    case "no_artifact":
      return fail(response, 422, created.error);
    default:
      return created satisfies never;
  }
}

/** Version 1 of this list writes its names with a capital, and takes a part of a name for the name. */
function listReleases(state: MenderState, request: Request, response: Response): void {
  const { name: asked = "" } = request.query as Partial<Record<string, string>>;
  const part = asked.toLowerCase();
  const names = [...new Set(state.artifacts.map(({ name }) => name))].toSorted();
  response.json(
    names
      .filter((name) => name.toLowerCase().includes(part))
      .map((name) => {
        const images = state.artifacts.filter((artifact) => artifact.name === name);
        return { Name: name, Artifacts: images.map(imageView), ArtifactsCount: images.length };
      }),
  );
}

function imageView({ id, name, deviceTypes }: { id: string; name: string; deviceTypes: readonly string[] }) {
  return { id, name, device_types_compatible: deviceTypes, description: "", signed: false, size: 1024 };
}

function listDevices(deployment: MenderDeployment, request: Request, response: Response): void {
  const { status } = request.query;
  if (status !== undefined && !ROW_STATUSES.includes(status as RowStatus))
    return fail(response, 400, "status: must be a valid value.");
  const rows = [...deployment.rows.values()]
    .filter((row) => status === undefined || row.status === status)
    .toSorted(
      (left, right) =>
        ROW_STATUSES.indexOf(left.status) - ROW_STATUSES.indexOf(right.status) ||
        (left.deviceId < right.deviceId ? -1 : 1),
    );
  const page = paged(rows, request, response);
  if (page !== undefined) response.json(page.map(rowView));
}

function rowView(row: DeviceRow): Record<string, unknown> {
  const time = (name: string, ms: number | undefined): Record<string, string> =>
    ms === undefined ? {} : { [name]: new Date(ms).toISOString() };
  return {
    id: row.deviceId,
    status: row.status,
    ...time("created", row.createdMs),
    ...time("started", row.startedMs),
    ...time("finished", row.finishedMs),
    ...(row.substate === undefined ? {} : { substate: row.substate }),
    log: row.log !== undefined,
    ...(row.image === undefined ? {} : { image: imageView(row.image) }),
  };
}

// ---- devices --------------------------------------------------------------------------------------------

function deviceRoutes(state: MenderState): express.Router {
  const router = express.Router();
  const base = DEVICE.slice("/api/devices".length);
  const deviceOf = (request: Request): string | undefined => {
    const id = request.get("Authorization")?.replace(/^Bearer /, "");
    return id !== undefined && state.devices.has(id) ? id : undefined;
  };
  const next: RequestHandler = (request, response) => {
    const device = deviceOf(request);
    if (device === undefined) return fail(response, 401, "unauthorized");
    const asked = (request.method === "POST" ? request.body : request.query) as Record<string, unknown>;
    const { artifact_name: artifactName, device_type: deviceType } = asked;
    if (typeof artifactName !== "string" || typeof deviceType !== "string")
      return fail(response, 400, "artifact_name: cannot be blank; device_type: cannot be blank.");
    const answer = state.next(device, { artifactName, deviceType });
    if (answer.kind === "conflict") return fail(response, 409, "conflicting request data");
    if (answer.kind !== "deployment") return void response.status(204).end();
    const { deployment, image } = answer;
    response.json({
      id: deployment.id,
      artifact: {
        id: image.id,
        artifact_name: deployment.artifactName,
        source: { uri: `http://storage.invalid/${image.id}`, expire: "2099-01-01T00:00:00Z" },
        device_types_compatible: image.deviceTypes,
      },
    });
  };
  router.get(`${base}/next`, next);
  router.post(`${base}/next`, next);
  router.put(`${base}/:id/status`, (request, response) => {
    const device = deviceOf(request);
    if (device === undefined) return fail(response, 401, "unauthorized");
    const { status, substate } = request.body as { status: RowStatus; substate?: string };
    const outcome = state.setStatus(device, request.params["id"], { status, substate });
    if (outcome === "done") return void response.status(204).end();
    const statuses = { unknown: 404, invalid: 400, conflict: 409 } as const;
    fail(response, statuses[outcome], outcome === "conflict" ? "deployment aborted" : outcome);
  });
  router.put(`${base}/:id/log`, (request, response) => {
    const device = deviceOf(request);
    const row = state.find(request.params["id"])?.rows.get(device ?? "");
    if (row === undefined) return fail(response, 404, "Resource not found");
    row.log = (request.body as { messages?: unknown[] }).messages ?? [];
    response.status(204).end();
  });
  return router;
}
