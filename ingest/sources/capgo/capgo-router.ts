// POST /capgo/stats (also /stats and /plugin/stats, as Capgo has them): what devices with Capgo's plugin tell of their
// updates, once `statsUrl` leads here. Enters: one event or an array of them. Leaves: Capgo's own answer, once the reports
// are kept; and, if the app asks for it, a copy to Capgo, whose answer reaches nobody.
//
// What the plugin does with an answer (ota-systems 1.6):
// - 2xx: the batch is done, whatever the body says. Other 4xx: it is thrown away. So no content is refused: one bad event,
//   or one of an app that is unknown here, would take up to 199 good ones with it. 400, 413 and 415 are left for what can't
//   be read at all and would be the same the next time.
// - 5xx: it is kept (200 events, since 8.51 over a restart), and sent again a second later. So 503 while Redis is away
//   loses nothing; a 200 that nobody stands for would. The price is one request a second of each device that has something
//   to tell, until Redis is back.
// - 429 with a hint when to come back, in the header or in the body: the plugin then asks nobody, not even for updates. It
//   would keep the rollback from the device. So 429 is never sent, and no answer has `Retry-After`, `retryAfterSeconds` or
//   `rateLimitResetAt`.
import { Router } from "express";
import type { ErrorRequestHandler, Request, RequestHandler, Response } from "express";
import { Problem } from "../../../runtime/problem.ts";
import { createForwarder } from "../../forwarding/forwarder.ts";
import type { Forwarder } from "../../forwarding/forwarder.ts";
import { countRefusedRequest } from "../../metrics.ts";
import type { IngestMetrics, SourceResult } from "../../metrics.ts";
import { allowOnly } from "../../middleware/allow-only.ts";
import { nameRoute } from "../../middleware/measure-requests.ts";
import { anyBodyOf, readAnyBody } from "../../middleware/read-body.ts";
import { problem } from "../../problems.ts";
import type { ProblemCode } from "../../problems.ts";
import { VIA, cameThroughHere } from "../../forwarding/relayed-headers.ts";
import type { SourceDeps } from "../source.ts";
import { readCapgoBody } from "./capgo-body.ts";
import type { CapgoBody } from "./capgo-body.ts";
import { createTakeEvents } from "./take-events.ts";
import type { TakeEvents, TakenEvent } from "./take-events.ts";
import { createTimelineStore } from "./timeline-store.ts";

const PATHS = ["/capgo/stats", "/stats", "/plugin/stats"];
const RELAY_ATTEMPTS_MAX = 5;
/** Of one attempt. */
const RELAY_MS_MAX = 10_000;

export function capgoRouter(deps: SourceDeps): Router {
  const { apps, shards, redis, clock, logger, registry, metrics, onClose } = deps;
  const relay = createForwarder({
    name: "capgo",
    attemptsMax: RELAY_ATTEMPTS_MAX,
    timeoutMs: RELAY_MS_MAX,
    clock,
    logger,
    registry,
  });
  onClose(() => relay.stop());
  const takeEvents = createTakeEvents({ apps, timelines: createTimelineStore({ redis, shards }), clock });
  const router = Router();
  for (const path of PATHS) {
    router.all(path, nameRoute(path));
    router.get(path, (_request, response) => void response.json({ status: "ok" }));
    router.post(path, ...deps.limit, readAnyBody(deps), takeStats({ ...deps, takeEvents, relay }));
    router.all(path, allowOnly("GET", "HEAD", "POST"));
    router.use(path, capgoProblems(metrics));
  }
  return router;
}

interface StatsDeps extends SourceDeps {
  readonly takeEvents: TakeEvents;
  readonly relay: Forwarder;
}

/** Kept first, answered then, and only then sent on: what is not answered comes again, and Capgo would count it twice. */
function takeStats({ takeEvents, relay, keepReports, noteTurnedAway, metrics }: StatsDeps): RequestHandler {
  return async (request, response) => {
    const bytes = anyBodyOf(response);
    const body = readCapgoBody(bytes.bytes);
    const answer = await takeEvents(body.values);
    if (answer.kind === "redis_unavailable") {
      noteTurnedAway();
      throw problem("redis_unavailable", "What is known of the devices can't be read: send all of it again.");
    }
    const taken = answer.events;
    const unkept = await keepReports(taken.flatMap(({ reports }) => reports));
    if (unkept !== undefined) throw unkept;
    for (const { result } of taken) metrics.sourceEvents.inc({ source: "capgo", result });
    metrics.sourceEvents.inc({ source: "capgo", result: "invalid" }, body.ignored);
    response.status(200).json(answerTo(body, taken));
    sendOn(request, bytes.sent, taken, relay);
  };
}

/** Of an event that was not taken, in Capgo's words where it has some; a device reads none of it. */
const ERRORS: Partial<Record<SourceResult, readonly [error: string, message: string]>> = {
  invalid: [
    "invalid_json_body",
    "Not an event of the plugin, or a name in it is none that a release may have",
  ],
  unknown_app: ["on_premise_app", "No app has this app_id under sources.capgo here"],
  unknown_channel: ["no_channel", "The app has no such channel here: map it under sources.capgo.channels"],
};

function answerTo(body: CapgoBody, taken: readonly TakenEvent[]): object {
  const errors = taken.map(({ result }) => ERRORS[result]);
  if (!body.isBatch) {
    const [first] = errors;
    return first === undefined ? { status: "ok" } : { error: first[0], message: first[1] };
  }
  const results = errors.map((found, index) =>
    found === undefined
      ? { status: "ok", index }
      : { status: "error", error: found[0], message: found[1], index },
  );
  return { status: "ok", results };
}

/** As it came. Capgo classifies the caller by its address, so it learns the device's. */
function sendOn(request: Request, body: Buffer, taken: readonly TakenEvent[], relay: Forwarder): void {
  // `relay` leads back here: each turn would be one more to send on, for ever.
  if (cameThroughHere(request.headers)) return;
  // Of one app, as a plugin's always is: no other app's events may go along with it.
  const url = taken.find((event) => event.relay !== undefined)?.relay;
  if (url === undefined || !taken.every((event) => event.relay === url || event.result === "invalid")) return;
  relay.offer({ url, headers: relayedHeaders(request), body });
}

function relayedHeaders(request: Request): Record<string, string> {
  const headers: Record<string, string> = { via: VIA };
  for (const name of ["content-type", "content-encoding", "user-agent"]) {
    const value = request.get(name);
    if (value !== undefined) headers[name] = value;
  }
  const from = [request.get("x-forwarded-for"), request.socket.remoteAddress];
  headers["x-forwarded-for"] = from.filter((address) => address !== undefined).join(", ");
  return headers;
}

/** Problems in Capgo's form; what they say of when to come back stays here. What nobody foresaw goes on. */
function capgoProblems(metrics: IngestMetrics): ErrorRequestHandler {
  return (error, _request, response, next) => {
    if (!(error instanceof Problem) || response.headersSent) {
      next(error);
      return;
    }
    const { kind, details } = error;
    countRefusedRequest(metrics, kind.code as ProblemCode);
    answerError(
      response,
      kind.status === 429 ? 503 : kind.status,
      ERROR_NAMES[kind.code] ?? kind.code,
      `${kind.title}. ${details.detail}`,
    );
  };
}

const ERROR_NAMES: Readonly<Record<string, string>> = { malformed_json: "invalid_json_parse_body" };

function answerError(response: Response, status: number, error: string, message: string): void {
  response.status(status).json({ error, message, moreInfo: {} });
}
