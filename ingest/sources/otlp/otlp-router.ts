// POST /v1/logs: where the log exporter of an OpenTelemetry SDK leads (OTLP over HTTP, in JSON). Enters: log records, with
// an ingest key. Leaves: 200 after the reports are kept, with how many records could not be counted and why; or a
// refusal as OTLP has it, a `Status` in JSON: 503 with `Retry-After` is sent again, everything else is final.
import { Router } from "express";
import type { ErrorRequestHandler, RequestHandler, Response } from "express";
import { Problem } from "../../../runtime/problem.ts";
import type { IngestAppSettings } from "../../config.ts";
import { REPORTS_PER_REQUEST_MAX } from "../../contract/device-report.ts";
import type { DeviceReport } from "../../contract/device-report.ts";
import type { AppId } from "../../contract/release-key.ts";
import type { OtlpSource } from "../../contract/sources/otlp.ts";
import { countRefusedRequest } from "../../metrics.ts";
import type { SourceResult } from "../../metrics.ts";
import { appsOfKey, authenticate } from "../../middleware/authenticate.ts";
import { nameRoute } from "../../middleware/measure-requests.ts";
import { anyBodyOf, readAnyBody } from "../../middleware/read-body.ts";
import { problem } from "../../problems.ts";
import type { ProblemCode } from "../../problems.ts";
import { jsonOfBody } from "../json-body.ts";
import { checkDraft } from "../source.ts";
import type { SourceDeps } from "../source.ts";
import { attributesOf, isRecord } from "./any-value.ts";
import { readLogRecord } from "./log-record.ts";

export const OTLP_ROUTE = "/v1/logs";

/**
 * Lists and objects in one another. A map in a map of OTLP costs four of them (`{value: {kvlistValue: {values: [`), and a
 * batch is refused as a whole: this is room for some 60 maps in one another. Nothing here walks a value by recursion.
 */
export const OTLP_JSON_DEPTH_MAX = 256;

export function otlpRouter(deps: SourceDeps): Router {
  const router = Router();
  router.all(OTLP_ROUTE, nameRoute(OTLP_ROUTE));
  router.post(
    OTLP_ROUTE,
    ...deps.limit,
    authenticate,
    onlyJson,
    readAnyBody({ bodyBytesMax: deps.bodyBytesMax }),
    takeLogs(deps),
  );
  router.all(OTLP_ROUTE, (request, response) => {
    response.set("Allow", "POST");
    throw problem("method_not_allowed", `${request.method} is not taken here; use POST.`);
  });
  router.use(asStatus(deps.metrics));
  return router;
}

const onlyJson: RequestHandler = (request, _response, next) => {
  const [mediaType = ""] = (request.headers["content-type"] ?? "").split(";");
  if (mediaType.trim().toLowerCase() !== "application/json")
    throw problem(
      "unsupported_media_type",
      "Only OTLP in JSON is taken here, with Content-Type application/json. Set OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/json, or let a collector send it on with `encoding: json`.",
    );
  next();
};

/** Codes of google.rpc.Status, by the status that goes with them. */
const RPC_CODES: ReadonlyMap<number, number> = new Map([
  [400, 3],
  [401, 16],
  [403, 7],
  [413, 8],
  [429, 14],
  [503, 14],
]);
const RPC_INVALID_ARGUMENT = 3;

function asStatus(metrics: SourceDeps["metrics"]): ErrorRequestHandler {
  return (error, _request, response, next) => {
    if (!(error instanceof Problem) || response.headersSent) {
      next(error);
      return;
    }
    const { code, status } = error.kind;
    countRefusedRequest(metrics, code as ProblemCode);
    const { detail, retryAfterSeconds } = error.details;
    if (retryAfterSeconds !== undefined) response.setHeader("Retry-After", String(retryAfterSeconds));
    answer(response, status, { code: RPC_CODES.get(status) ?? RPC_INVALID_ARGUMENT, message: detail });
  };
}

function answer(response: Response, status: number, body: object): void {
  response.statusCode = status;
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify(body));
}

interface Taken {
  readonly result: SourceResult;
  readonly report?: DeviceReport;
}

function takeLogs({ apps, keepReports, metrics }: SourceDeps): RequestHandler {
  return async (_request, response) => {
    const keyApps = appsOfKey(response);
    const found = otlpAppsOf(apps, keyApps);
    const isOfOne = keyApps.size === 1;
    const taken = groupsIn(anyBodyOf(response).bytes).flatMap((group) => readGroup(group, found, isOfOne));
    const unkept = await keepReports(taken.flatMap(({ report }) => report ?? []));
    if (unkept !== undefined) throw unkept;
    for (const { result } of taken) metrics.sourceEvents.inc({ source: "otlp", result });
    answer(response, 200, partialSuccessOf(taken));
  };
}

/** Log records of one resource. */
interface Group {
  readonly resource: ReadonlyMap<string, string>;
  readonly records: readonly unknown[];
}

function groupsIn(bytes: Buffer): Group[] {
  const body = jsonOfBody(bytes, OTLP_JSON_DEPTH_MAX);
  const resourceLogs = isRecord(body) ? (body["resourceLogs"] ?? []) : undefined;
  if (!Array.isArray(resourceLogs))
    throw problem("malformed_json", 'Send an ExportLogsServiceRequest in JSON: {"resourceLogs": [ … ]}.');
  const groups = (resourceLogs as unknown[]).map((each): Group => {
    const logs = isRecord(each) ? each : {};
    const resource = isRecord(logs["resource"]) ? logs["resource"]["attributes"] : undefined;
    const records = listOf(logs["scopeLogs"]).flatMap((scope) =>
      isRecord(scope) ? listOf(scope["logRecords"]) : [],
    );
    return { resource: attributesOf(resource), records };
  });
  const records = groups.reduce((sum, group) => sum + group.records.length, 0);
  if (records > REPORTS_PER_REQUEST_MAX)
    throw problem("too_many_reports", `A request may carry ${REPORTS_PER_REQUEST_MAX} log records.`);
  return groups;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

interface FoundApp {
  readonly app: AppId;
  readonly settings: IngestAppSettings;
  readonly source: OtlpSource;
}

/** Of the key's apps those that have the source. */
function otlpAppsOf(
  apps: ReadonlyMap<AppId, IngestAppSettings>,
  keyApps: ReadonlySet<AppId>,
): readonly FoundApp[] {
  const found = [...apps].flatMap(([app, settings]) => {
    const source = settings.sources?.otlp;
    return source !== undefined && keyApps.has(app) ? [{ app, settings, source }] : [];
  });
  if (found.length === 0)
    throw problem("key_for_another_app", "No app of this ingest key has sources.otlp in the configuration.");
  return found;
}

function readGroup({ resource, records }: Group, found: readonly FoundApp[], isOfOne: boolean): Taken[] {
  const place = appOf(resource.get("service.name"), found, isOfOne);
  return records.map((record): Taken => {
    if (place === undefined) return { result: "unknown_app" };
    const read = readLogRecord(record, resource, place.source);
    if (read.kind === "nothing") return { result: read.result };
    const check = checkDraft({ ...read.draft, app: place.app }, place.settings);
    return check.kind === "good" ? { result: "reported", report: check.report } : { result: check.result };
  });
}

/** A key of one app names it, unless that app insists on a name; a key of several needs `service.name`. */
function appOf(
  serviceName: string | undefined,
  found: readonly FoundApp[],
  isOfOne: boolean,
): FoundApp | undefined {
  const [only] = found;
  if (isOfOne && only!.source.serviceName === undefined) return only;
  return found.find(({ app, source }) => (source.serviceName ?? app) === serviceName);
}

/** What to do about records that were meant to count and could not; `no_outcome` and `excluded` were not. */
const REMEDIES: Partial<Record<SourceResult, string>> = {
  unattributed: "the attribute of the release is missing (sources.otlp.release_attribute)",
  no_device: "the attribute of the device is missing (sources.otlp.device_attribute)",
  unknown_app: "service.name is that of no app of this ingest key (sources.otlp.service_name)",
  unknown_channel: "the app has no such channel",
  invalid: "a record has not the form of one, or a name that no release or device can have",
};

function partialSuccessOf(taken: readonly Taken[]): object {
  const rejected = taken.flatMap(({ result }) => REMEDIES[result] ?? []);
  if (rejected.length === 0) return {};
  return {
    partialSuccess: {
      rejectedLogRecords: String(rejected.length),
      errorMessage: `Not counted: ${[...new Set(rejected)].join("; ")}.`,
    },
  };
}
