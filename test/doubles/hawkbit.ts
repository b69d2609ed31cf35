// A faithful double of Eclipse hawkBit: the management API as far as rollouts are stopped and sets assigned, and the device
// API (DDI) for a simulated fleet (shared reference, ota-systems.md 2.1 and 2.2). Ugly parts included: verbs answer 204 and
// happen later, 400 for a rollout in the wrong state, 404 where an old server knows no stop, 410 for feedback to an action
// that is over, errors with hawkBit's own codes. Calls can be made to fail.
import express from "express";
import type { Express, Request, RequestHandler, Response } from "express";
import { createHawkbitState } from "./hawkbit-state.ts";
import type { ActionRow, HawkbitState, RolloutRow, SetRow, TargetRow } from "./hawkbit-state.ts";
import { RsqlError, parseRsql } from "./rsql.ts";

export type HawkbitCall = "read" | "stop" | "pause" | "assign" | "actions";

export type HawkbitFault =
  | { readonly kind: "error"; readonly status: number }
  | { readonly kind: "rate_limited"; readonly retryAfterSeconds: number }
  | { readonly kind: "late"; readonly ms: number }
  | { readonly kind: "lost_answer" }
  | { readonly kind: "garbage" }
  | { readonly kind: "oversize"; readonly bytes: number }
  | { readonly kind: "redirect"; readonly location: string }
  | { readonly kind: "another_set"; readonly version: string };

export interface HawkbitDouble {
  readonly express: Express;
  readonly state: HawkbitState;
  fault(call: HawkbitCall, fault: HawkbitFault): void;
  /** Called before each page of actions: for what changes in between. */
  beforeActions(hook: (() => void) | undefined): void;
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
  /** Servers before 0.10 have no stop. */
  readonly hasStop?: boolean;
}

const PAGE_DEFAULT = 50;
const PAGE_MAX = 500;

interface Double extends HawkbitDoubleOptions {
  readonly state: HawkbitState;
  readonly takeFault: (call: HawkbitCall) => HawkbitFault | undefined;
  readonly onActions: () => void;
  readonly noteAssignment: () => void;
  readonly notePause: () => void;
  readonly calls: string[];
}

export function createHawkbitDouble(options: HawkbitDoubleOptions): HawkbitDouble {
  const state = createHawkbitState(options.clock);
  const faults = new Map<HawkbitCall, HawkbitFault>();
  const calls: string[] = [];
  let hook: (() => void) | undefined;
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
    noteAssignment: () => void (assignments += 1),
    notePause: () => void (pauses += 1),
  };
  return {
    express: createApp(double),
    state,
    calls,
    fault: (call, fault) => void faults.set(call, fault),
    beforeActions: (next) => void (hook = next),
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
  const { state } = double;
  rest.get(
    "/distributionsets",
    ...managed(double, "read", (request) => list(request, state.sets, readSet, showSet)),
  );
  rest.get(
    "/rollouts",
    ...managed(double, "read", (request) => list(request, state.rollouts, () => undefined, showRollout)),
  );
  rest.get(
    "/targets",
    ...managed(double, "read", (request) => list(request, state.targets, readTarget, showTarget)),
  );
  rest.get(
    "/actions",
    ...managed(double, "actions", (request) => {
      double.onActions();
      return list(request, state.actions, readAction, showAction);
    }),
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
    ...managed(double, "stop", (request) => invalidate(double, request)),
  );
  app.use("/rest/v1", rest);
  app.use("/DEFAULT/controller/v1", deviceApi(double));
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
    throw error;
  }
}

function tell(response: Response, { status, json }: Told): void {
  if (json === undefined) response.status(status).end();
  else response.status(status).type("application/hal+json").send(JSON.stringify(json));
}

type Read<T> = (item: T, field: string) => readonly (string | number)[] | undefined;

function list<T extends object>(
  request: Request,
  rows: readonly T[],
  read: Read<T>,
  show: (row: T) => object,
): Told {
  const text = (name: string): string | undefined => {
    const value = request.query[name];
    return typeof value === "string" ? value : undefined;
  };
  const q = text("q");
  const found = q === undefined ? [...rows] : rows.filter(parseRsql(q, read));
  const sorted = sortRows(found, text("sort") ?? "id:ASC");
  const offset = Number(text("offset") ?? 0);
  const limit = Math.min(Number(text("limit") ?? PAGE_DEFAULT), PAGE_MAX);
  const content = sorted.slice(offset, offset + limit).map(show);
  return { status: 200, json: { content, total: found.length, size: content.length } };
}

function sortRows<T extends object>(rows: readonly T[], sort: string): T[] {
  const keys = sort.split(",").map((part) => part.split(":"));
  return rows.toSorted((left, right) => {
    for (const [field = "id", direction] of keys) {
      const [one, other] = [left, right].map((row) => (row as Record<string, string | number>)[field]);
      if (one === undefined || other === undefined || one === other) continue;
      return (one < other ? -1 : 1) * (direction === "DESC" ? -1 : 1);
    }
    return 0;
  });
}

const readSet: Read<SetRow> = (set, field) =>
  field === "name" ? [set.name] : field === "version" ? [set.version] : field === "id" ? [set.id] : undefined;

const readTarget: Read<TargetRow> = (target, field) => {
  const ofSet = (set: SetRow | null, part: string): readonly string[] =>
    set === null ? [] : [part === "name" ? set.name : set.version];
  switch (field) {
    case "tag":
      return target.tags;
    case "controllerid":
      return [target.controllerId];
    case "updatestatus":
      return [target.updateStatus];
    case "assignedds.name":
    case "assignedds.version":
      return ofSet(target.assigned, field.split(".")[1]!);
    case "installedds.name":
    case "installedds.version":
      return ofSet(target.installed, field.split(".")[1]!);
    default:
      return undefined;
  }
};

const readAction: Read<ActionRow> = (action, field) => {
  switch (field) {
    case "id":
      return [action.id];
    case "status":
      return [action.status];
    case "lastmodifiedat":
      return [action.lastModifiedAt];
    case "createdat":
      return [action.createdAt];
    case "distributionset.name":
      return [action.set.name];
    case "target.controllerid":
      return [action.target.controllerId];
    default:
      return undefined;
  }
};

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

const showTarget = ({ controllerId, updateStatus }: TargetRow): object => ({
  controllerId,
  name: controllerId,
  updateStatus,
});

const showAction = (action: ActionRow): object => ({
  id: action.id,
  type: action.status === "canceling" ? "cancel" : "update",
  active: action.active,
  status: action.status,
  forceType: "forced",
  createdAt: action.createdAt,
  lastModifiedAt: action.lastModifiedAt,
  ...(action.lastStatusCode === null ? {} : { lastStatusCode: action.lastStatusCode }),
  _links: {
    target: {
      href: `https://hawkbit.example/rest/v1/targets/${encodeURIComponent(action.target.controllerId)}`,
      name: action.target.controllerId,
    },
    distributionset: {
      href: `https://hawkbit.example/rest/v1/distributionsets/${action.set.id}`,
      name: `${action.set.name}:${action.set.version}`,
    },
  },
});

function history({ state }: Double, request: Request): Told {
  const action = state.actions.find(
    ({ id, target }) =>
      String(id) === request.params["action"] && target.controllerId === request.params["device"],
  );
  if (action === undefined) return mistake(404, "repo.entitiyNotFound", "Action does not exist.");
  const content = action.history.map(({ type, timestamp }, index) => ({
    id: action.id * 1_000 + index,
    type,
    messages: [],
    reportedAt: timestamp,
    timestamp,
  }));
  return { status: 200, json: { content, total: content.length, size: content.length } };
}

function rolloutOf({ state }: Double, request: Request): RolloutRow | undefined {
  return state.rollouts.find(({ id }) => String(id) === request.params["id"]);
}

const NO_ROLLOUT = mistake(404, "repo.entitiyNotFound", "Rollout does not exist.");

function illegalState(rollout: RolloutRow): Told {
  return mistake(400, "rollout.illegalState", `Rollout is in state ${rollout.status}.`);
}

/** Asynchronous: 204 now, `stopped` when the scheduler has come by. */
function stop(double: Double, request: Request): Told {
  const rollout = rolloutOf(double, request);
  if (rollout === undefined || double.hasStop === false) return NO_ROLLOUT;
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
  const results = ids.flatMap((id) => {
    const target = state.targets.find(({ controllerId }) => controllerId === id);
    return target === undefined ? [] : [state.assign(set, target)];
  });
  const assigned = results.filter((result) => result === "assigned").length;
  if (assigned > 0) double.noteAssignment();
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

// ---- the device API ---------------------------------------------------------------------------------------

function deviceApi({ state }: Double): express.Router {
  const router = express.Router();
  const openOf = (id: string): ActionRow | undefined =>
    state.actions.find(({ target, active }) => active && target.controllerId === id);
  const actionOf = (request: Request): ActionRow | undefined =>
    state.actions.find(
      ({ id, target }) =>
        String(id) === request.params["action"] && target.controllerId === request.params["device"],
    );
  router.get("/:device", (request, response) => {
    const id = request.params["device"];
    if (!state.targets.some(({ controllerId }) => controllerId === id)) state.addTarget(id, []);
    const open = openOf(id);
    const self = `${request.protocol}://${request.get("host")}${request.baseUrl}/${encodeURIComponent(id)}`;
    const link = open?.status === "canceling" ? "cancelAction" : "deploymentBase";
    response.json({
      config: { polling: { sleep: "00:05:00" } },
      _links: open === undefined ? {} : { [link]: { href: `${self}/${link}/${open.id}` } },
    });
  });
  router.get("/:device/deploymentBase/:action", (request, response) => {
    const action = actionOf(request);
    if (action === undefined || action.status === "canceling" || !action.active) {
      response.status(404).end();
      return;
    }
    if (action.status === "running" && action.lastModifiedAt === action.createdAt)
      state.touch(action, "retrieved");
    response.json({
      id: String(action.id),
      deployment: {
        download: "forced",
        update: "forced",
        chunks: [{ part: "os", name: action.set.name, version: action.set.version, artifacts: [] }],
      },
    });
  });
  router.get("/:device/cancelAction/:action", (request, response) => {
    const action = actionOf(request);
    if (action === undefined || action.status !== "canceling") response.status(404).end();
    else response.json({ id: String(action.id), cancelAction: { stopId: String(action.id) } });
  });
  const takeFeedback =
    (isCancel: boolean): RequestHandler =>
    (request, response) => {
      const action = actionOf(request);
      if (action === undefined) return void response.status(404).end();
      if (!action.active) return void response.status(410).end();
      if (isCancel && action.status !== "canceling") return void response.status(405).end();
      const { status } = request.body as {
        status: { execution: string; result: { finished: string }; code?: number };
      };
      state.feedback(action, {
        execution: status.execution,
        finished: status.result.finished,
        code: status.code,
      });
      response.status(200).end();
    };
  router.post("/:device/deploymentBase/:action/feedback", takeFeedback(false));
  router.post("/:device/cancelAction/:action/feedback", takeFeedback(true));
  return router;
}
