// `statsUrl` of the Capgo plugin: `POST /capgo/stats`, and the paths that Capgo itself has. Enters: an array of events
// (plugins since 2026), or one. Leaves: what a device needs to hear, and nothing that could keep it from asking for
// updates, for by these a rollback reaches it:
//
// - 200 whatever an event says: a plugin drops the batch on any 4xx, and nothing of it would be sent again.
// - Never 429, and no `Retry-After` or `retryAfterSeconds`: the plugin then stops *all* its requests, update checks too.
// - A bare 503 while Redis does not take the reports: the plugin keeps its queue (200 events, on disk since 8.51) and
//   tries again every second. An answer of 200 would lose them for certain.
import { Router } from "express";
import type { ErrorRequestHandler, Request, RequestHandler, Response } from "express";
import { Problem } from "../../../runtime/problem.ts";
import { REPORTS_PER_REQUEST_MAX } from "../../contract/device-report.ts";
import type { DeviceReport } from "../../contract/device-report.ts";
import { createForwarder } from "../../forwarding/forwarder.ts";
import type { Forwarder } from "../../forwarding/forwarder.ts";
import { cameThroughHere, onwardHeaders } from "../../forwarding/relayed-headers.ts";
import { countRefusedRequest } from "../../metrics.ts";
import type { SourceResult } from "../../metrics.ts";
import { nameRoute } from "../../middleware/measure-requests.ts";
import { anyBodyOf, readAnyBody } from "../../middleware/read-body.ts";
import type { ProblemCode } from "../../problems.ts";
import { splitBody } from "../../split-body.ts";
import { checkDraft } from "../source.ts";
import type { SourceDeps } from "../source.ts";
import { needsTimeline } from "./actions.ts";
import { attribute, momentOf } from "./attribute.ts";
import { createCapgoApps } from "./capgo-apps.ts";
import type { CapgoApps } from "./capgo-apps.ts";
import { readStatsEvent } from "./stats-event.ts";
import type { ReadEvent, StatsEvent } from "./stats-event.ts";
import { createTimelineStore } from "./timeline-store.ts";
import type { DeviceMoments, TimelineStore } from "./timeline-store.ts";
import type { Timeline } from "./timeline.ts";

export const STATS_PATHS = ["/capgo/stats", "/stats", "/plugin/stats"];

/** Copies that wait to be sent on: Capgo's own numbers miss what is beyond, ours don't. */
const RELAY_QUEUE_MAX = 10_000;
const RELAY_QUEUE_BYTES_MAX = 16 * 1024 ** 2;
const RELAY_ATTEMPTS_MAX = 5;
const RELAY_MS_MAX = 10_000;

interface CapgoDeps extends SourceDeps {
  readonly capgoApps: CapgoApps;
  readonly timelines: TimelineStore;
  readonly relay: Forwarder;
}

export function capgoRouter(deps: SourceDeps): Router {
  const { registry, clock, logger, onClose, bodyBytesMax, metrics } = deps;
  const relay = createForwarder({
    name: "capgo",
    queueMax: RELAY_QUEUE_MAX,
    queueBytesMax: RELAY_QUEUE_BYTES_MAX,
    attemptsMax: RELAY_ATTEMPTS_MAX,
    timeoutMs: RELAY_MS_MAX,
    clock,
    logger,
    registry,
  });
  onClose(() => relay.stop());
  const capgoDeps = {
    ...deps,
    relay,
    capgoApps: createCapgoApps(deps.apps),
    timelines: createTimelineStore(deps),
  };
  const router = Router();
  for (const path of STATS_PATHS) {
    router.all(path, nameRoute(path));
    router.get(path, (_request, response) => answer(response, 200, { status: "ok" }));
    router.post(path, readAnyBody({ bodyBytesMax }), takeEvents(capgoDeps));
    router.all(path, (_request, response) => answer(response, 405, { error: "method_not_allowed" }));
  }
  router.use(withoutRetryAfter(metrics));
  return router;
}

/** Problems on these paths, in Capgo's form; what nobody foresaw goes on to the handler of all. */
function withoutRetryAfter(metrics: SourceDeps["metrics"]): ErrorRequestHandler {
  return (error, _request, response, next) => {
    if (!(error instanceof Problem) || response.headersSent) {
      next(error);
      return;
    }
    const { code, status } = error.kind;
    countRefusedRequest(metrics, code as ProblemCode);
    answer(response, status, { error: code, message: error.details.detail });
  };
}

function answer(response: Response, status: number, body: object): void {
  response.statusCode = status;
  response.setHeader("Content-Type", "application/json; charset=utf-8");
  response.end(JSON.stringify(body));
}

function takeEvents(deps: CapgoDeps): RequestHandler {
  const { capgoApps, keepReports, metrics, clock } = deps;
  return async (request, response) => {
    const body = anyBodyOf(response);
    const values = valuesOf(body.bytes);
    if (values === undefined) {
      answer(response, 400, { error: "invalid_json_parse_body", message: "The body is not JSON." });
      return;
    }
    if (values.list.length > REPORTS_PER_REQUEST_MAX) {
      answer(response, 413, {
        error: "too_many_events",
        message: `At most ${REPORTS_PER_REQUEST_MAX} at once.`,
      });
      return;
    }
    const receivedAtMs = clock();
    const read = values.list.map((value) => readStatsEvent(value, capgoApps, receivedAtMs));
    const timelines = await readTimelines(read, deps.timelines);
    if (timelines === undefined) {
      answer(response, 503, { error: "redis_unavailable", message: "Send the batch again." });
      return;
    }
    const taken = read.map((each) => toReport(each, timelines));
    const unkept = await keepReports(taken.flatMap(({ report }) => report ?? []));
    if (unkept !== undefined) {
      answer(response, 503, { error: unkept.kind.code, message: unkept.details.detail });
      return;
    }
    for (const { result } of taken) metrics.sourceEvents.inc({ source: "capgo", result });
    answer(response, 200, answerOf(values.isBatch, taken));
    relayCopy(request, read, body.sent, deps);
  };
}

interface SentValues {
  readonly isBatch: boolean;
  readonly list: readonly unknown[];
}

/** Undefined for what is no JSON. */
function valuesOf(bytes: Buffer): SentValues | undefined {
  const split = splitBody({ form: "json", bytes });
  switch (split.kind) {
    case "single":
      return split.item.kind === "value" ? { isBatch: false, list: [split.item.value] } : undefined;
    case "batch":
      return {
        isBatch: true,
        list: split.items.map((item) => (item.kind === "value" ? item.value : undefined)),
      };
    case "refused":
      // An empty array, which is fine here, or one that is too long.
      return split.problem.kind.code === "empty_batch"
        ? { isBatch: true, list: [] }
        : { isBatch: true, list: Array.from({ length: REPORTS_PER_REQUEST_MAX + 1 }) };
  }
}

type Timelines = ReadonlyMap<string, Timeline>;

function nameOf({ app, device }: StatsEvent): string {
  return `${app.app} ${device}`;
}

/** Of the devices that need one: a device that only says that it is in use costs no round trip. Undefined = no Redis. */
async function readTimelines(
  read: readonly ReadEvent[],
  store: TimelineStore,
): Promise<Timelines | undefined> {
  const devices = new Map<
    string,
    { app: string; device: string; moments: DeviceMoments["moments"][number][] }
  >();
  for (const each of read) {
    if (each.kind !== "event" || !needsTimeline(each.event.meaning)) continue;
    const name = nameOf(each.event);
    const known = devices.get(name) ?? { app: each.event.app.app, device: each.event.device, moments: [] };
    devices.set(name, known);
    const moment = momentOf(each.event);
    if (moment !== undefined) known.moments.push(moment);
  }
  if (devices.size === 0) return new Map();
  try {
    const timelines = await store.tell([...devices.values()]);
    return new Map([...devices.keys()].map((name, index) => [name, timelines[index]!]));
  } catch {
    return undefined;
  }
}

interface Taken {
  readonly result: SourceResult;
  readonly report?: DeviceReport;
}

function toReport(read: ReadEvent, timelines: Timelines): Taken {
  if (read.kind === "nothing") return { result: read.result };
  const { event } = read;
  const attributed = attribute(event, timelines.get(nameOf(event)) ?? []);
  if (attributed.kind === "nothing") return { result: attributed.result };
  const check = checkDraft(attributed.draft, event.app.settings);
  return check.kind === "good" ? { result: "reported", report: check.report } : { result: check.result };
}

/** As Capgo answers; a plugin looks at the status alone. */
function answerOf(isBatch: boolean, taken: readonly Taken[]): object {
  const isWrong = ({ result }: Taken): boolean => result === "invalid" || result === "unknown_app";
  const told = ({ result }: Taken): object =>
    result === "unknown_app"
      ? { error: "on_premise_app", message: "No app of this Lastgood has this app_id." }
      : { error: "invalid_json_body", message: "Cannot parse body" };
  if (!isBatch) return isWrong(taken[0]!) ? told(taken[0]!) : { status: "ok" };
  return {
    status: "ok",
    results: taken.map((each, index) =>
      isWrong(each) ? { status: "error", ...told(each), index } : { status: "ok", index },
    ),
  };
}

/** After the answer, as it came: a batch is of one app, as Capgo's own backend demands. */
function relayCopy(
  request: Request,
  read: readonly ReadEvent[],
  body: Buffer,
  { relay, capgoApps, logger }: CapgoDeps,
): void {
  const first = read.find((each) => each.kind === "event");
  const url = (first?.event.app ?? capgoApps.only())?.source.relay;
  if (url === undefined) return;
  if (cameThroughHere(request.headers)) {
    logger.warn({ relay: url }, "sources.capgo.relay leads back to this ingest: name Capgo's own statsUrl");
    return;
  }
  const headers = onwardHeaders(request.rawHeaders, request.socket.remoteAddress, [
    "content-length",
    "expect",
  ]);
  relay.offer({ url, headers, body });
}
