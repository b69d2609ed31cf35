// A faithful double of Eclipse hawkBit's management API, as far as rollouts, assignments and actions go, with the device API
// (DDI, hawkbit-device-api.ts) beside it (shared reference, ota-systems.md 2.1 and 2.2). Ugly parts included: verbs answer
// 204 and happen later, 400 for a rollout in the wrong state and for a field that cannot be filtered or sorted by, 405 for
// what cannot be cancelled, errors with hawkBit's own codes. `era: "old"` is a server before 0.10: no stop, an action's
// `status` says only `pending` or `finished` (an error too), and no time can be filtered by. Calls can be made to fail.
import express from "express";
import type { Express, Request, RequestHandler, Response } from "express";
import { z } from "zod";
import { createDeviceApi } from "./hawkbit-device-api.ts";
import { createHawkbitState } from "./hawkbit-state.ts";
import type { ActionRow, HawkbitState, RolloutRow, SetRow, TargetRow } from "./hawkbit-state.ts";
import { RsqlError, parseRsql } from "./rsql.ts";
import type { RsqlFields } from "./rsql.ts";
import type { WireFault } from "./wire-fault.ts";

export type HawkbitCall = "read" | "stop" | "pause" | "assign" | "actions" | "invalidate" | "rollouts";

export type HawkbitFault = WireFault | { readonly kind: "another_set"; readonly version: string };

export interface HawkbitDouble {
  readonly express: Express;
  readonly state: HawkbitState;
  fault(call: HawkbitCall, fault: HawkbitFault): void;
  /** Called before each page of actions: for what changes in between. */
  beforeActions(hook: (() => void) | undefined): void;
  /** Called after each assignment by the management API. */
  afterAssign(hook: (() => void) | undefined): void;
  /** Assignments by the management API that assigned somebody something. */
  assignments(): number;
  /** Pauses that changed a rollout. */
  pauses(): number;
  readonly calls: string[];
}

export interface HawkbitDoubleOptions {
  readonly username: string;
  readonly password: string;
  readonly clock: () => number;
  readonly era?: "new" | "old";
}

const PAGE_DEFAULT = 50;
const PAGE_MAX = 500;

interface Double extends HawkbitDoubleOptions {
  readonly state: HawkbitState;
  readonly takeFault: (call: HawkbitCall) => HawkbitFault | undefined;
  readonly onActions: () => void;
  readonly onAssign: () => void;
  readonly noteAssignment: () => void;
  readonly notePause: () => void;
  readonly calls: string[];
}

export function createHawkbitDouble(options: HawkbitDoubleOptions): HawkbitDouble {
  const state = createHawkbitState(options.clock);
  const faults = new Map<HawkbitCall, HawkbitFault>();
  const calls: string[] = [];
  let hook: (() => void) | undefined;
  let assignHook: (() => void) | undefined;
  let assignments = 0;
  let pauses = 0;
  const double: Double = {
    ...options,
    state,
    calls,
    takeFault(call) {
      const fault = faults.get(call);
      faults.delete(call);
      return fault;
    },
    onActions: () => hook?.(),
    onAssign: () => assignHook?.(),
    noteAssignment: () => void (assignments += 1),
    notePause: () => void (pauses += 1),
  };
  return {
    express: createApp(double),
    state,
    calls,
    fault: (call, fault) => void faults.set(call, fault),
    beforeActions: (next) => void (hook = next),
    afterAssign: (next) => void (assignHook = next),
    assignments: () => assignments,
    pauses: () => pauses,
  };
}

function createApp(double: Double): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag");
  app.use(express.json({ type: ["application/json", "application/hal+json"], limit: "5mb" }));
  const rest = express.Router();
  rest.use(authorise(double));
  const { state, era = "new" } = double;
  rest.get(
    "/distributionsets",
    ...managed(double, "read", (request) => list(request, state.sets, SET_FIELDS, showSet)),
  );
  rest.get(
    "/rollouts",
    ...managed(double, "read", (request) => list(request, state.rollouts, ROLLOUT_FIELDS, showRollout)),
  );
  rest.post("/rollouts", ...managed(double, "rollouts", (request) => create(double, request)));
  rest.get(
    "/rollouts/:id",
    ...managed(double, "read", (request) => {
      const rollout = rolloutOf(double, request);
      return rollout === undefined ? NO_ROLLOUT : { status: 200, json: showRollout(rollout) };
    }),
  );
  rest.get(
    "/targets",
    ...managed(double, "read", (request) => list(request, state.targets, TARGET_FIELDS, showTarget)),
  );
  rest.get(
    "/actions",
    ...managed(double, "actions", (request) => {
      double.onActions();
      const show = (action: ActionRow): object => showAction(action, era);
      return list(request, state.actions, actionFields(era), show);
    }),
  );
  rest.delete(
    "/targets/:device/actions/:action",
    ...managed(double, "rollouts", (request) => cancel(double, request)),
  );
  rest.get(
    "/targets/:device/installedDS",
    ...managed(double, "read", (request) => installed(double, request)),
  );
  for (const verb of ["start", "resume", "retry"] as const)
    rest.post(
      `/rollouts/:id/${verb}`,
      ...managed(double, "rollouts", (request) => VERBS[verb](double, request)),
    );
  rest.get(
    "/targets/:device/actions/:action/status",
    ...managed(double, "read", (request) => history(double, request)),
  );
  rest.post("/rollouts/:id/stop", ...managed(double, "stop", (request) => stop(double, request)));
  rest.post("/rollouts/:id/pause", ...managed(double, "pause", (request) => pause(double, request)));
  rest.post(
    "/distributionsets/:id/assignedTargets",
    ...managed(double, "assign", (request, fault) => assign(double, request, fault)),
  );
  rest.post(
    "/distributionsets/:id/invalidate",
    ...managed(double, "invalidate", (request) => invalidate(double, request)),
  );
  app.use("/rest/v1", rest);
  app.use("/DEFAULT/controller/v1", createDeviceApi(double.state));
  return app;
}

// ---- the management API -----------------------------------------------------------------------------------

interface Told {
  readonly status: number;
  readonly json?: unknown;
}
type Act = (request: Request, fault?: HawkbitFault) => Told;

function mistake(status: number, errorCode: string, message: string): Told {
  return {
    status,
    json: {
      exceptionClass: "org.eclipse.hawkbit.Exception",
      errorCode: `hawkbit.server.error.${errorCode}`,
      message,
    },
  };
}

function authorise({ username, password }: Double): RequestHandler {
  const expected = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  return (request, response, next) => {
    if (request.get("authorization") === expected) next();
    else response.status(401).set("WWW-Authenticate", 'Basic realm="hawkBit"').end();
  };
}

function managed(double: Double, call: HawkbitCall, act: Act): RequestHandler[] {
  return [
    (request, response) => {
      double.calls.push(`${request.method} ${request.path}`);
      const fault = double.takeFault(call);
      switch (fault?.kind) {
        case "error":
          return tell(response, mistake(fault.status, "unknown", "a fault that was asked for"));
        case "rate_limited":
          response.set("Retry-After", String(fault.retryAfterSeconds));
          return tell(response, mistake(429, "quota.tooManyEntries", "Quota exceeded."));
        case "redirect":
          return response.redirect(307, fault.location);
        case "late":
          setTimeout(() => tell(response, attempt(act, request, fault)), fault.ms).unref();
          return;
        case "lost_answer":
          attempt(act, request, fault);
          response.destroy();
          return;
        case "garbage":
          attempt(act, request, fault);
          response.status(200).type("html").send("<html>a proxy's own words</html>");
          return;
        case "oversize":
          attempt(act, request, fault);
          response.json({ padding: "x".repeat(fault.bytes) });
          return;
        case "another_set":
        case undefined:
          return tell(response, attempt(act, request, fault));
      }
    },
  ];
}

function attempt(act: Act, request: Request, fault: HawkbitFault | undefined): Told {
  try {
    return act(request, fault);
  } catch (error) {
    if (error instanceof RsqlError) return mistake(400, "rest.param.rsqlParamSyntax", error.message);
    if (error instanceof SortError) return mistake(400, "rest.param.sortParamField", error.message);
    throw error;
  }
}

function tell(response: Response, { status, json }: Told): void {
  if (json === undefined) response.status(status).end();
  else response.status(status).type("application/hal+json").send(JSON.stringify(json));
}

function list<T>(
  request: Request,
  rows: readonly T[],
  fields: RsqlFields<T>,
  show: (row: T) => object,
): Told {
  const text = (name: string): string | undefined => {
    const value = request.query[name];
    return typeof value === "string" ? value : undefined;
  };
  const q = text("q");
  const found = q === undefined ? [...rows] : rows.filter(parseRsql(q, fields));
  const sorted = sortRows(found, fields, text("sort") ?? "id:ASC");
  const offset = Number(text("offset") ?? 0);
  const limit = Math.min(Number(text("limit") ?? PAGE_DEFAULT), PAGE_MAX);
  const content = sorted.slice(offset, offset + limit).map(show);
  return { status: 200, json: { content, total: found.length, size: content.length } };
}

function sortRows<T>(rows: readonly T[], fields: RsqlFields<T>, sort: string): T[] {
  const keys = sort.split(",").map((part) => {
    const [name = "", direction = "ASC"] = part.split(":");
    const read = fields[name.toLowerCase()];
    if (read === undefined || name.includes(".")) throw new SortError(name);
    return { read, isDescending: direction.toUpperCase() === "DESC" };
  });
  return rows.toSorted((left, right) => {
    for (const { read, isDescending } of keys) {
      const [one = ""] = read(left);
      const [other = ""] = read(right);
      if (one !== other) return (one < other ? -1 : 1) * (isDescending ? -1 : 1);
    }
    return 0;
  });
}

class SortError extends Error {}

const one = (value: string | number | boolean | null): readonly (string | number | boolean)[] =>
  value === null ? [] : [value];

const SET_FIELDS: RsqlFields<SetRow> = {
  id: ({ id }) => [id],
  name: ({ name }) => [name],
  version: ({ version }) => [version],
  valid: ({ valid }) => [valid],
  createdat: ({ createdAt }) => [createdAt],
};

const ROLLOUT_FIELDS: RsqlFields<RolloutRow> = {
  id: ({ id }) => [id],
  name: ({ name }) => [name],
  status: ({ status }) => [status],
  "distributionset.id": ({ set }) => [set.id],
  "distributionset.name": ({ set }) => [set.name],
  "distributionset.version": ({ set }) => [set.version],
};

const TARGET_FIELDS: RsqlFields<TargetRow> = {
  id: ({ controllerId }) => [controllerId],
  controllerid: ({ controllerId }) => [controllerId],
  tag: ({ tags }) => tags,
  updatestatus: ({ updateStatus }) => [updateStatus],
  lastcontrollerrequestat: ({ lastControllerRequestAt }) => one(lastControllerRequestAt),
  "assignedds.name": ({ assigned }) => one(assigned?.name ?? null),
  "assignedds.version": ({ assigned }) => one(assigned?.version ?? null),
  "installedds.name": ({ installed: set }) => one(set?.name ?? null),
  "installedds.version": ({ installed: set }) => one(set?.version ?? null),
};

const actionFields = (era: "new" | "old"): RsqlFields<ActionRow> => ({
  id: ({ id }) => [id],
  "distributionset.id": ({ set }) => [set.id],
  "distributionset.name": ({ set }) => [set.name],
  "distributionset.version": ({ set }) => [set.version],
  "target.controllerid": ({ target }) => [target.controllerId],
  "rollout.id": ({ rolloutId }) => one(rolloutId),
  ...(era === "old"
    ? { status: ({ active }) => [active ? "pending" : "finished"], detailstatus: ({ status }) => [status] }
    : {
        active: ({ active }) => [active],
        status: ({ status }) => [status],
        createdat: ({ createdAt }) => [createdAt],
        lastmodifiedat: ({ lastModifiedAt }) => [lastModifiedAt],
      }),
});

const showSet = ({ id, name, version, createdAt, valid }: SetRow): object => ({
  id,
  name,
  version,
  createdAt,
  valid,
  complete: true,
  deleted: false,
});

const showRollout = (rollout: RolloutRow): object => ({
  id: rollout.id,
  name: rollout.name,
  status: rollout.status,
  targetFilterQuery: rollout.targetFilterQuery,
  distributionSetId: rollout.set.id,
  totalTargets: rollout.groups.reduce((sum, { targets }) => sum + targets.length, 0),
  deleted: false,
});

const showTarget = ({ controllerId, updateStatus, lastControllerRequestAt }: TargetRow): object => ({
  controllerId,
  name: controllerId,
  updateStatus,
  ...(lastControllerRequestAt === null ? {} : { lastControllerRequestAt }),
});

const showAction = (action: ActionRow, era: "new" | "old"): object => ({
  id: action.id,
  type: action.status === "canceling" || action.status === "canceled" ? "cancel" : "update",
  ...(era === "old"
    ? { status: action.active ? "pending" : "finished", detailStatus: action.status }
    : { active: action.active, status: action.status }),
  forceType: "forced",
  createdAt: action.createdAt,
  lastModifiedAt: action.lastModifiedAt,
  ...(action.lastStatusCode === null ? {} : { lastStatusCode: action.lastStatusCode }),
  _links: {
    target: {
      href: `https://hawkbit.example/rest/v1/targets/${encodeURIComponent(action.target.controllerId)}`,
      name: `The target ${action.target.controllerId}`,
    },
    distributionset: {
      href: `https://hawkbit.example/rest/v1/distributionsets/${action.set.id}`,
      name: `${action.set.name}:${action.set.version}`,
    },
  },
});

function actionOf({ state }: Double, request: Request): ActionRow | undefined {
  const { action, device } = request.params;
  return state.actions.find(({ id, target }) => String(id) === action && target.controllerId === device);
}

const NO_ACTION = mistake(404, "repo.entitiyNotFound", "Action does not exist.");

function history(double: Double, request: Request): Told {
  const action = actionOf(double, request);
  if (action === undefined) return NO_ACTION;
  const rows = action.history.map((row, index) => ({ ...row, id: action.id * 1_000 + index }));
  const fields = {
    id: ({ id }: { id: number }) => [id],
    reportedat: (row: { reportedAt: number }) => [row.reportedAt],
  };
  return list(request, rows, fields, ({ id, type, messages, reportedAt, timestamp, code }) => ({
    id,
    type,
    messages,
    reportedAt,
    timestamp,
    ...(code === null ? {} : { code }),
  }));
}

/** Softly: the device has to agree. By force only after that. */
function cancel(double: Double, request: Request): Told {
  const action = actionOf(double, request);
  if (action === undefined) return NO_ACTION;
  const isForced = request.query["force"] === "true";
  if (!action.active || (!isForced && action.status === "canceling"))
    return mistake(
      405,
      "action.notCancelable",
      "Only active actions which are in state pending are cancelable.",
    );
  if (isForced && action.status !== "canceling")
    return mistake(405, "action.notForceQuitable", "Action is not canceled yet and cannot be force quit.");
  if (isForced) double.state.feedback(action, { execution: "closed", finished: "success", isOfCancel: true });
  else double.state.cancel(action);
  return { status: 204 };
}

function installed({ state }: Double, request: Request): Told {
  const target = state.targets.find(({ controllerId }) => controllerId === request.params["device"]);
  if (target === undefined) return mistake(404, "repo.entitiyNotFound", "Target does not exist.");
  return target.installed === null ? { status: 204 } : { status: 200, json: showSet(target.installed) };
}

function rolloutOf({ state }: Double, request: Request): RolloutRow | undefined {
  return state.rollouts.find(({ id }) => String(id) === request.params["id"]);
}

const NO_ROLLOUT = mistake(404, "repo.entitiyNotFound", "Rollout does not exist.");

function illegalState(rollout: RolloutRow): Told {
  return mistake(400, "rollout.illegalState", `Rollout is in state ${rollout.status}.`);
}

const createSchema = z.object({
  name: z.string(),
  distributionSetId: z.number(),
  targetFilterQuery: z.string(),
  amountGroups: z.number().default(1),
  errorCondition: z.object({ expression: z.string() }).optional(),
  successCondition: z.object({ expression: z.string() }).optional(),
});

/** `creating` until the scheduler has come by; only then it can be started. */
function create({ state }: Double, request: Request): Told {
  const asked = createSchema.safeParse(request.body);
  if (!asked.success)
    return mistake(400, "rest.body.notReadable", "The given request body is not well formed.");
  const { distributionSetId, targetFilterQuery: filter, amountGroups: groups, ...conditions } = asked.data;
  const set = state.sets.find(({ id }) => id === distributionSetId);
  if (set === undefined) return mistake(404, "repo.entitiyNotFound", "DistributionSet does not exist.");
  const rollout = state.addRollout({
    set,
    filter,
    groups,
    targets: state.targets.filter(parseRsql(filter, TARGET_FIELDS)),
    errorPercent: Number(conditions.errorCondition?.expression ?? 100),
    successPercent: Number(conditions.successCondition?.expression ?? 50),
  });
  return { status: 201, json: showRollout(rollout) };
}

function moveFrom(from: RolloutRow["status"], to: RolloutRow["status"]) {
  return (double: Double, request: Request): Told => {
    const rollout = rolloutOf(double, request);
    if (rollout === undefined) return NO_ROLLOUT;
    if (rollout.status !== from) return illegalState(rollout);
    rollout.status = to;
    return { status: 204 };
  };
}

/** A new rollout over the targets that failed; the only verb with a body. */
function retry(double: Double, request: Request): Told {
  const { state } = double;
  const rollout = rolloutOf(double, request);
  if (rollout === undefined) return NO_ROLLOUT;
  if (rollout.status !== "finished") return illegalState(rollout);
  const failed = rollout.groups.flatMap(({ actions }) => actions).filter(({ status }) => status === "error");
  const again = state.addRollout({
    set: rollout.set,
    filter: `failedrollout==${rollout.id}`,
    targets: failed.map(({ target }) => target),
  });
  return { status: 201, json: showRollout(again) };
}

const VERBS = { start: moveFrom("ready", "starting"), resume: moveFrom("paused", "running"), retry };

/** Asynchronous: 204 now, `stopped` when the scheduler has come by. */
function stop(double: Double, request: Request): Told {
  const rollout = rolloutOf(double, request);
  if (rollout === undefined || double.era === "old") return NO_ROLLOUT;
  if (["stopping", "stopped", "finished"].includes(rollout.status)) return illegalState(rollout);
  rollout.status = "stopping";
  return { status: 204 };
}

function pause(double: Double, request: Request): Told {
  const rollout = rolloutOf(double, request);
  if (rollout === undefined) return NO_ROLLOUT;
  if (rollout.status !== "running") return illegalState(rollout);
  rollout.status = "paused";
  double.notePause();
  return { status: 204 };
}

function assign(double: Double, request: Request, fault: HawkbitFault | undefined): Told {
  const { state } = double;
  const asked = state.sets.find(({ id }) => String(id) === request.params["id"]);
  const set =
    fault?.kind === "another_set" ? state.sets.find(({ version }) => version === fault.version) : asked;
  if (set === undefined) return mistake(404, "repo.entitiyNotFound", "DistributionSet does not exist.");
  if (!set.valid) return mistake(400, "repo.invalidDistributionSet", "The distribution set is invalid.");
  const ids = (request.body as readonly { readonly id: string }[]).map(({ id }) => id);
  const offline = request.query["offline"] === "true";
  const results = ids.flatMap((id) => {
    const target = state.targets.find(({ controllerId }) => controllerId === id);
    return target === undefined ? [] : [state.assign(set, target, { offline })];
  });
  const assigned = results.filter((result) => result === "assigned").length;
  if (assigned > 0) double.noteAssignment();
  double.onAssign();
  return {
    status: 200,
    json: { assigned, alreadyAssigned: results.length - assigned, total: results.length },
  };
}

/** For ever: it takes no new assignments. */
function invalidate({ state }: Double, request: Request): Told {
  const set = state.sets.find(({ id }) => String(id) === request.params["id"]);
  if (set === undefined) return mistake(404, "repo.entitiyNotFound", "DistributionSet does not exist.");
  set.valid = false;
  return { status: 204 };
}
