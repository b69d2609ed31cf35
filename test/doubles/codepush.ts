// A faithful double of code-push-server (microsoft/code-push-server, api/script): the management API as far as a release is
// read, changed and rolled back, and the device API on both path families. Written from the shared reference (ota-systems.md,
// section 4), ugly parts included: text errors, labels appended by a rollback, `undefined` as text, counters that count
// repeats. State can be looked at, and each call can be made to fail.
import express from "express";
import type { Express, NextFunction, Request, RequestHandler, Response } from "express";
import semver from "semver";
import { toCamelCase, toWholeVersion, updateFor } from "./codepush-updates.ts";
import type { WireFault } from "./wire-fault.ts";

export interface CodePushPackage {
  appVersion: string;
  blobUrl: string;
  description: string;
  isDisabled: boolean;
  isMandatory: boolean;
  label: string;
  packageHash: string;
  releaseMethod: "Upload" | "Promote" | "Rollback";
  originalLabel?: string;
  rollout: number | null;
  size: number;
  uploadTime: number;
}

export interface CodePushCounters {
  active: number;
  downloaded: number;
  installed: number;
  failed: number;
}

export type CodePushCall = "history" | "rollback" | "patch";

export type CodePushFault =
  | Exclude<WireFault, { readonly kind: "error" }>
  | { readonly kind: "error"; readonly status: number; readonly text?: string }
  | { readonly kind: "another_label"; readonly label: string }
  /** As some versions of lisong's did for ever. */
  | { readonly kind: "says_ok_and_does_nothing" };

export interface CodePushDouble {
  readonly express: Express;
  /** Of the one deployment there is, oldest first. */
  readonly history: CodePushPackage[];
  readonly metrics: Map<string, CodePushCounters>;
  /** Uploads a release; its label is the next one. */
  release(packageHash: string, fields?: Partial<CodePushPackage>): CodePushPackage;
  fault(call: CodePushCall, fault: CodePushFault): void;
  /** Rollbacks that the management API made. */
  rollbacks(): number;
}

export interface CodePushDoubleOptions {
  readonly app: string;
  readonly deployment: string;
  readonly deploymentKey: string;
  readonly accessKey: string;
  readonly clock: () => number;
  /**
   * Answers as lisong/code-push-server and what was made from it do, where that differs for who rolls back: the history
   * newest first and short, 200 `ok` for a rollback, 406 for one that can't be.
   */
  readonly isOfLisong?: boolean;
}

/** As Microsoft's server keeps it. */
export const HISTORY_MAX = 50;
/** As the other family tells it. */
const LISONG_HISTORY_MAX = 15;
/** From this SDK on the server keeps no memory of devices. */
const MODERN_SDK = "1.5.2-beta";

export function createCodePushDouble(options: CodePushDoubleOptions): CodePushDouble {
  const history: CodePushPackage[] = [];
  const metrics = new Map<string, CodePushCounters>();
  const faults = new Map<CodePushCall, CodePushFault>();
  let labels = 0;
  let rollbacks = 0;
  const append = (fields: Omit<CodePushPackage, "label" | "uploadTime">): CodePushPackage => {
    const before = history.at(-1);
    if (before !== undefined) before.rollout = null;
    const made = { ...fields, label: `v${(labels += 1)}`, uploadTime: options.clock() };
    history.push(made);
    if (history.length > HISTORY_MAX) history.shift();
    return made;
  };
  const state: State = {
    options,
    history,
    metrics,
    activeByClient: new Map(),
    takeFault(call) {
      const fault = faults.get(call);
      faults.delete(call);
      return fault;
    },
    append,
    noteRollback: () => void (rollbacks += 1),
  };
  return {
    express: createApp(state),
    history,
    metrics,
    release: (packageHash, fields = {}) =>
      append({
        appVersion: "1.2.0",
        blobUrl: `https://files.example.test/${packageHash}`,
        description: "",
        isDisabled: false,
        isMandatory: false,
        packageHash,
        releaseMethod: "Upload",
        rollout: 100,
        size: 481_223,
        ...fields,
      }),
    fault: (call, fault) => void faults.set(call, fault),
    rollbacks: () => rollbacks,
  };
}

interface State {
  readonly options: CodePushDoubleOptions;
  readonly history: CodePushPackage[];
  readonly metrics: Map<string, CodePushCounters>;
  /** What old SDKs are remembered by. */
  readonly activeByClient: Map<string, string>;
  readonly takeFault: (call: CodePushCall) => CodePushFault | undefined;
  readonly append: (fields: Omit<CodePushPackage, "label" | "uploadTime">) => CodePushPackage;
  readonly noteRollback: () => void;
}

function createApp(state: State): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag");
  app.use(express.json({ limit: "10kb", strict: false }));
  const base = "/apps/:app/deployments/:deployment";
  const managed = (call: CodePushCall, act: Act): RequestHandler[] => [
    authorise(state),
    withFault(state, call, act),
  ];
  app.get(
    "/authenticated",
    authorise(state),
    (_request, response) => void response.json({ authenticated: true }),
  );
  app.get(
    `${base}/history`,
    ...managed("history", () => ({ status: 200, json: { history: historyAsTold(state) } })),
  );
  app.post(`${base}/rollback`, ...managed("rollback", (request, fault) => rollBack(state, request, fault)));
  app.post(
    `${base}/rollback/:label`,
    ...managed("rollback", (request, fault) => rollBack(state, request, fault)),
  );
  app.patch(`${base}/release`, ...managed("patch", (request) => patch(state, request)));
  app.get(`${base}/metrics`, authorise(state), (_request, response) => {
    response.json({ metrics: Object.fromEntries(state.metrics) });
  });
  app.get("/apps", authorise(state), (_request, response) => {
    response.json({ apps: [{ name: state.options.app, deployments: [state.options.deployment] }] });
  });
  app.get("/apps/:app/deployments", authorise(state), (_request, response) => {
    response.json({ deployments: [deploymentOf(state)] });
  });
  app.get(base, authorise(state), (_request, response) => {
    response.json({ deployment: deploymentOf(state) });
  });
  app.delete(`${base}/history`, authorise(state), (_request, response) => {
    state.history.splice(0);
    response.status(204).end();
  });
  for (const [prefix, isSnake] of [
    ["/v0.1/public/codepush", true],
    ["", false],
  ] as const) {
    app.get(`${prefix}${isSnake ? "/update_check" : "/updateCheck"}`, checkUpdate(state, isSnake));
    const report = isSnake ? "/report_status" : "/reportStatus";
    app.post(`${prefix}${report}/deploy`, takeDeployReport(state));
    app.post(`${prefix}${report}/download`, takeDownloadReport(state));
  }
  // A body that is not JSON is no 400: it is null to the handler, which fails at it.
  app.use((error: { status?: number }, _request: Request, response: Response, _next: NextFunction) => {
    response
      .status(error.status === 413 ? 413 : 500)
      .type("text")
      .send("An unexpected error occurred.");
  });
  return app;
}

// ---- the management API -----------------------------------------------------------------------------------

function deploymentOf({ options, history }: State): object {
  const newest = history.at(-1);
  return {
    key: options.deploymentKey,
    name: options.deployment,
    ...(newest === undefined ? {} : { package: newest }),
  };
}

function historyAsTold({ options, history }: State): readonly CodePushPackage[] {
  return options.isOfLisong === true ? history.toReversed().slice(0, LISONG_HISTORY_MAX) : history;
}

interface Told {
  readonly status: number;
  readonly json?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}
type Act = (request: Request, fault: CodePushFault | undefined) => Told;

/** A token that nobody has is 401; an app or a deployment that nobody has is 404, in words. */
function authorise({ options }: State): RequestHandler {
  return (request, response, next) => {
    if (request.get("authorization") !== `Bearer ${options.accessKey}`) {
      response
        .status(401)
        .type("text")
        .send("The session or access key being used is invalid, please log in again.");
      return;
    }
    const { app, deployment } = request.params;
    if (app !== undefined && app !== options.app) {
      response
        .status(404)
        .type("text")
        .send(`App "${String(app)}" does not exist.`);
      return;
    }
    if (deployment !== undefined && deployment !== options.deployment) {
      response
        .status(404)
        .type("text")
        .send(`Deployment "${String(deployment)}" does not exist.`);
      return;
    }
    next();
  };
}

function withFault(state: State, call: CodePushCall, act: Act): RequestHandler {
  return (request, response) => {
    const fault = state.takeFault(call);
    switch (fault?.kind) {
      case "error":
        return void response
          .status(fault.status)
          .type("html")
          .send(fault.text ?? "<h1>Internal Server Error</h1>");
      case "rate_limited":
        return void response
          .status(429)
          .set("Retry-After", String(fault.retryAfterSeconds))
          .type("text")
          .send("Too many requests");
      case "redirect":
        response.redirect(307, fault.location);
        return;
      case "late": {
        const told = act(request, fault);
        setTimeout(() => tell(response, told), fault.ms).unref();
        return;
      }
      case "lost_answer":
        act(request, fault);
        return void response.destroy();
      case "garbage":
        return tell(response, {
          status: act(request, fault).status,
          text: "<html>a proxy's own words</html>",
        });
      case "oversize":
        return tell(response, {
          status: act(request, fault).status,
          json: { padding: "x".repeat(fault.bytes) },
        });
      case "says_ok_and_does_nothing":
        return tell(response, { status: 200, text: "ok" });
      case "another_label":
      case undefined:
        return tell(response, act(request, fault));
    }
  };
}

function tell(response: Response, { status, json, text, headers = {} }: Told): void {
  response.set(headers);
  if (json !== undefined) response.status(status).json(json);
  else
    response
      .status(status)
      .type("text")
      .send(text ?? "");
}

function rollBack(state: State, request: Request, fault: CodePushFault | undefined): Told {
  const { options, history, append, noteRollback } = state;
  const refuse = (status: 404 | 409, why: string): Told => ({
    status: options.isOfLisong === true ? 406 : status,
    text: `Cannot perform rollback ${why}`,
  });
  const newest = history.at(-1);
  if (newest === undefined) return refuse(404, "because there are no releases on this deployment.");
  const label = fault?.kind === "another_label" ? fault.label : request.params["label"];
  // Without a target it takes the second newest, whatever that was.
  const target = label === undefined ? history.at(-2) : history.find((each) => each.label === label);
  if (target === undefined && label === undefined)
    return refuse(404, "because there are no prior releases to rollback to.");
  if (target === undefined)
    return refuse(
      404,
      `because the target release (${String(label)}) could not be found in the deployment history.`,
    );
  if (target.label === newest.label)
    return refuse(409, `because the target release (${target.label}) is already the latest release.`);
  // With the newest, be it disabled; and as text.
  if (target.appVersion !== newest.appVersion)
    return refuse(
      409,
      "to a different app version. Please perform a new release with the desired replacement package.",
    );
  // Disabled and mandatory come along from the target.
  const { originalLabel: _original, ...copied } = target;
  const made = append({ ...copied, releaseMethod: "Rollback", originalLabel: target.label, rollout: null });
  noteRollback();
  if (options.isOfLisong === true) return { status: 200, text: "ok" };
  const { label: _label, ...shown } = made;
  const headers = { Location: `/apps/${options.app}/deployments/${options.deployment}` };
  return { status: 201, json: { package: shown }, headers };
}

function patch({ history }: State, request: Request): Told {
  const info = (request.body as { packageInfo?: Partial<CodePushPackage> } | null)?.packageInfo ?? {};
  const target =
    info.label === undefined ? history.at(-1) : history.find(({ label }) => label === info.label);
  if (target === undefined) return { status: 404, text: "Release not found for given label." };
  if (info.rollout !== undefined && info.rollout !== null) {
    if (target.rollout === null || target.rollout === 100)
      return { status: 409, text: "Cannot update rollout value for a completed rollout release." };
    if (info.rollout < target.rollout)
      return {
        status: 409,
        text: `Rollout value must be greater than "${target.rollout}", the existing value.`,
      };
  }
  const changes = Object.entries(info).filter(
    ([name, value]) => name !== "label" && target[name as keyof CodePushPackage] !== value,
  );
  if (changes.length === 0) return { status: 204 };
  Object.assign(target, Object.fromEntries(changes));
  return { status: 200, json: { package: target } };
}

// ---- the device API ---------------------------------------------------------------------------------------

function checkUpdate({ options, history }: State, isSnake: boolean): RequestHandler {
  return (request, response) => {
    // Either spelling on either path. What is missing or empty becomes the text "undefined" before it is compared.
    const read = (camel: string, snake: string): string =>
      [request.query[camel], request.query[snake]].find(isFilled) ?? "undefined";
    const asked = read("appVersion", "app_version");
    const appVersion = toWholeVersion(asked);
    if (read("deploymentKey", "deployment_key") !== options.deploymentKey || appVersion === null) {
      response
        .status(400)
        .type("text")
        .send("An update check must include a valid deployment key and app version.");
      return;
    }
    const label = request.query["label"];
    const info = updateFor(history, {
      appVersion,
      packageHash: read("packageHash", "package_hash"),
      label: typeof label === "string" ? label : "undefined",
      clientUniqueId: read("clientUniqueId", "client_unique_id"),
      isCompanion: read("isCompanion", "is_companion").toLowerCase() === "true",
    });
    const told =
      info.app_version === appVersion ? { ...info, app_version: asked, target_binary_range: asked } : info;
    response.json(isSnake ? { update_info: told } : { updateInfo: toCamelCase(told) });
  };
}

function isFilled(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** Either spelling, camelCase first. */
function fieldOf(body: unknown, camel: string, snake: string): string | undefined {
  const fields = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  const value = fields[camel] ?? fields[snake];
  return typeof value === "string" && value !== "" ? value : undefined;
}

function countersOf({ metrics }: State, label: string): CodePushCounters {
  const counters = metrics.get(label) ?? { active: 0, downloaded: 0, installed: 0, failed: 0 };
  metrics.set(label, counters);
  return counters;
}

function takeDeployReport(state: State): RequestHandler {
  return (request, response) => {
    const read = (camel: string, snake: string): string | undefined => fieldOf(request.body, camel, snake);
    const key = read("deploymentKey", "deployment_key");
    const appVersion = read("appVersion", "app_version");
    const refuse = (text: string): void => void response.status(400).type("text").send(text);
    if (key === undefined || appVersion === undefined)
      return refuse("A deploy status report must contain a valid appVersion and deploymentKey.");
    const label = read("label", "label");
    const status = read("status", "status");
    if (label !== undefined && status === undefined)
      return refuse("A deploy status report for a labelled package must contain a valid status.");
    if (
      label !== undefined &&
      !["DeploymentSucceeded", "DeploymentFailed", "Downloaded"].includes(status ?? "")
    )
      return refuse(`Invalid status: ${status}`);
    const sdk = request.get("X-CodePush-SDK-Version");
    const isModern = sdk !== undefined && semver.valid(sdk) !== null && semver.gte(sdk, MODERN_SDK);
    const client = read("clientUniqueId", "client_unique_id");
    if (!isModern && client === undefined)
      return refuse("A deploy status report must contain a valid clientUniqueId.");
    if (label !== undefined && status === "DeploymentFailed") countersOf(state, label).failed += 1;
    else
      noteActive(state, {
        name: label ?? appVersion,
        client,
        isModern,
        // Of another deployment, it is taken off there.
        previous:
          (read("previousDeploymentKey", "previous_deployment_key") ?? key) === key
            ? read("previousLabelOrAppVersion", "previous_label_or_app_version")
            : undefined,
      });
    response.status(200).type("text").send("OK");
  };
}

/** New SDKs: every report counts, also a repeat. Old ones: the server remembers the label of each client. */
function noteActive(
  state: State,
  {
    name,
    client,
    isModern,
    previous,
  }: { name: string; client: string | undefined; isModern: boolean; previous: string | undefined },
): void {
  const before = isModern ? previous : state.activeByClient.get(client ?? "");
  if (!isModern && before === name) return;
  const counters = countersOf(state, name);
  counters.active += 1;
  counters.installed += 1;
  if (before !== undefined) countersOf(state, before).active -= 1;
  if (!isModern) state.activeByClient.set(client ?? "", name);
}

function takeDownloadReport(state: State): RequestHandler {
  return (request, response) => {
    const key = fieldOf(request.body, "deploymentKey", "deployment_key");
    const label = fieldOf(request.body, "label", "label");
    if (key === undefined || label === undefined) {
      response
        .status(400)
        .type("text")
        .send("A download status report must contain a valid deploymentKey and package label.");
      return;
    }
    countersOf(state, label).downloaded += 1;
    response.status(200).type("text").send("OK");
  };
}
