// The device API of a CodePush server, as far as clients use it: status reports are counted here and sent on, update
// checks are passed through. So the one URL that clients know leads here, and nothing else changes for them. Enters:
// requests on both path styles, also under /codepush. Leaves: 200 `OK` once the report is kept; what is refused as the
// server refuses it, in text; never a redirect.
import { Router } from "express";
import type { Request, RequestHandler, Response } from "express";
import semver from "semver";
import type { Forwarder } from "../../forwarding/forwarder.ts";
import { createForwarder } from "../../forwarding/forwarder.ts";
import type { SourceResult } from "../../metrics.ts";
import type { DeviceReport } from "../../contract/device-report.ts";
import { allowOnly } from "../../middleware/allow-only.ts";
import { nameRoute } from "../../middleware/measure-requests.ts";
import { anyBodyOf, readAnyBody } from "../../middleware/read-body.ts";
import { splitBody } from "../../split-body.ts";
import { checkDraft } from "../source.ts";
import type { SourceDeps } from "../source.ts";
import { answerText, textProblems } from "./answer-text.ts";
import { createDeployments } from "./deployments.ts";
import type { Deployments } from "./deployments.ts";
import { cameThroughHere, onwardHeaders } from "../../forwarding/relayed-headers.ts";
import { readDeployReport, readDownloadReport } from "./status-report.ts";
import type { StatusReport } from "./status-report.ts";
import { createUpdateCheckProxy } from "./update-check-proxy.ts";
import type { UpdateCheckProxy } from "./update-check-proxy.ts";

/** Of a report, sent as well as inflated: as the server has it. */
export const REPORT_BYTES_MAX = 10 * 1024;
/** Reports that wait to be sent on: the server's own counters miss what is beyond, ours don't. */
const FORWARD_QUEUE_MAX = 10_000;
const FORWARD_QUEUE_BYTES_MAX = 16 * 1024 ** 2;
const FORWARD_ATTEMPTS_MAX = 5;
const FORWARD_MS_MAX = 10_000;

/** From this SDK on, reports without an id are taken. */
const MODERN_SDK = "1.5.2-beta";

const DEPLOY_PATHS = ["/v0.1/public/codepush/report_status/deploy", "/reportStatus/deploy"];
const DOWNLOAD_PATHS = ["/v0.1/public/codepush/report_status/download", "/reportStatus/download"];
const CHECK_PATHS = ["/v0.1/public/codepush/update_check", "/updateCheck"];
/** Before each path, for a reverse proxy that passes paths on as they come. */
const PREFIX = "/codepush";

type ReadReport = (value: unknown, request: Request) => StatusReport;

interface CodePushDeps extends SourceDeps {
  readonly deployments: Deployments;
  readonly forwarder: Forwarder;
}

export function codePushRouter(deps: SourceDeps): Router {
  const { apps, metrics, registry, clock, logger, onClose } = deps;
  const deployments = createDeployments(apps);
  const forwarder = createForwarder({
    name: "codepush",
    queueMax: FORWARD_QUEUE_MAX,
    queueBytesMax: FORWARD_QUEUE_BYTES_MAX,
    attemptsMax: FORWARD_ATTEMPTS_MAX,
    timeoutMs: FORWARD_MS_MAX,
    clock,
    logger,
    registry,
  });
  const proxy = createUpdateCheckProxy({ logger });
  onClose(async () => {
    proxy.close();
    await forwarder.stop();
  });

  const router = Router();
  const readDeploy: ReadReport = (value, request) => readDeployReport(value, { isModern: isModern(request) });
  const serve = (paths: readonly string[], method: string, ...handlers: readonly RequestHandler[]): void => {
    for (const path of paths) {
      const both = [path, PREFIX + path];
      router.all(both, nameRoute(path), refuseLoop);
      for (const handler of handlers) router[method === "POST" ? "post" : "get"](both, handler);
      router.all(both, method === "POST" ? allowOnly("POST") : allowOnly("GET", "HEAD"));
    }
  };
  const body = readAnyBody({ bodyBytesMax: REPORT_BYTES_MAX });
  const codePushDeps = { ...deps, deployments, forwarder };
  serve(DEPLOY_PATHS, "POST", ...deps.limit, body, takeReport(readDeploy, codePushDeps));
  serve(DOWNLOAD_PATHS, "POST", ...deps.limit, body, takeReport(readDownloadReport, codePushDeps));
  serve(CHECK_PATHS, "GET", passCheck(deployments, proxy));
  router.use(textProblems(metrics));
  return router;
}

function isModern(request: Request): boolean {
  const version = request.get("x-codepush-sdk-version") ?? "";
  return semver.valid(version) !== null && semver.gte(version, MODERN_SDK);
}

/** Each turn would be one more report to send on, for ever. */
const refuseLoop: RequestHandler = (request, response, next) => {
  if (!cameThroughHere(request.headers)) {
    next();
    return;
  }
  answerText(response, {
    status: 508,
    text: "sources.codepush.server leads back to this ingest: name the CodePush server itself, behind the reverse proxy.",
  });
};

/**
 * Kept first, answered then, and only then sent on: what is not answered with OK comes again, and the server counts
 * repeats. A client keeps one report that was answered with an error, and sends it at a later start; so while Redis is
 * away 503 loses less than an OK that nobody stands for.
 */
function takeReport(readReport: ReadReport, deps: CodePushDeps): RequestHandler {
  const { deployments, forwarder, keepReports, metrics } = deps;
  return async (request, response) => {
    const body = anyBodyOf(response);
    const read = readReport(jsonOf(body.bytes), request);
    if (read.kind === "refused") {
      metrics.sourceEvents.inc({ source: "codepush", result: "invalid" });
      answerText(response, { status: 400, text: read.message });
      return;
    }
    const { result, reports } = toReports(read, deployments);
    const unkept = await keepReports(reports);
    if (unkept !== undefined) throw unkept;
    metrics.sourceEvents.inc({ source: "codepush", result });
    answerText(response, { status: 200, text: "OK" });
    const server = deployments.serverOf(read.deploymentKey);
    if (server !== undefined) forwarder.offer(onward(request, server, body.sent));
  };
}

/** Undefined for what is no JSON: then it has no field that is needed. */
function jsonOf(bytes: Buffer): unknown {
  const split = splitBody({ form: "json", bytes });
  return split.kind === "single" && split.item.kind === "value" ? split.item.value : undefined;
}

interface Counted {
  readonly result: SourceResult;
  readonly reports: readonly DeviceReport[];
}

/** Whatever can't be counted is OK for the device: it could do nothing about it. */
function toReports(read: Extract<StatusReport, { kind: "read" }>, deployments: Deployments): Counted {
  const deployment = deployments.find(read.deploymentKey);
  if (deployment === undefined) return { result: "unknown_app", reports: [] };
  const { app, settings, channel } = deployment;
  const event = read.toEvent(channel);
  if (event.kind !== "drafts") return { result: event.result, reports: [] };
  const reports: DeviceReport[] = [];
  for (const draft of event.drafts) {
    const check = checkDraft({ ...draft, app }, settings);
    if (check.kind === "bad") return { result: check.result, reports: [] };
    reports.push(check.report);
  }
  return { result: "reported", reports };
}

/** The body as it came: `Content-Encoding` goes with it. */
function onward(
  request: Request,
  server: string,
  body: Buffer,
): { url: string; headers: Record<string, string>; body: Buffer } {
  const headers = onwardHeaders(request.rawHeaders, request.socket.remoteAddress, [
    "content-length",
    "expect",
  ]);
  return { url: server + pathOf(request), headers, body };
}

function passCheck(deployments: Deployments, proxy: UpdateCheckProxy): RequestHandler {
  return async (request, response) => {
    const query = new URLSearchParams(queryOf(request));
    const key = query.get("deploymentKey") ?? query.get("deployment_key") ?? undefined;
    const server = deployments.serverOf(key);
    if (server === undefined) {
      noServer(response);
      return;
    }
    await proxy.pass({ request, response, server, path: pathOf(request) + queryOf(request) });
  };
}

function noServer(response: Response): void {
  answerText(response, {
    status: 404,
    text: "Update checks are not served here: sources.codepush.server names no CodePush server for this deployment key.",
  });
}

/** As the server has it; what stands there is one of the paths above. */
function pathOf(request: Request): string {
  return request.path.toLowerCase().startsWith(`${PREFIX}/`)
    ? request.path.slice(PREFIX.length)
    : request.path;
}

/** With its question mark, as it came. */
function queryOf({ originalUrl }: Request): string {
  const start = originalUrl.indexOf("?");
  return start === -1 ? "" : originalUrl.slice(start);
}
