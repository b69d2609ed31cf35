// POST /api/<project>/envelope/: where the DSN of a Sentry SDK leads. Enters: envelopes, in any encoding and of any media
// type. Leaves: 200 with the event's id after the reports are kept, or a refusal in Sentry's form, `{"detail": …}`; and a
// copy of the envelope, where one is to go on.
//
// What SDKs do with an answer decides what it may be. No answer here carries `Retry-After`: the JavaScript SDK heeds it
// whatever the status, and throws away all it would send until then. 429 is never given, for the same reason. When Redis is
// away the answer is 503: what was not kept is never acknowledged. An SDK that keeps envelopes on disk can send it again; the
// JavaScript ones let it go, as they would whatever we answered. Then counts are missing, and none is wrong.
import { Router } from "express";
import type { ErrorRequestHandler, Request, RequestHandler, Response } from "express";
import { Problem } from "../../../runtime/problem.ts";
import type { DeviceReport } from "../../contract/device-report.ts";
import { createForwarder } from "../../forwarding/forwarder.ts";
import type { Forwarder } from "../../forwarding/forwarder.ts";
import { cameThroughHere } from "../../forwarding/relayed-headers.ts";
import { countRefusedRequest } from "../../metrics.ts";
import type { SourceResult } from "../../metrics.ts";
import { nameRoute } from "../../middleware/measure-requests.ts";
import { anyBodyOf, readAnyBody } from "../../middleware/read-body.ts";
import { problem } from "../../problems.ts";
import type { ProblemCode } from "../../problems.ts";
import { checkDraft } from "../source.ts";
import type { SourceDeps } from "../source.ts";
import { allowOrigins } from "./cross-origin.ts";
import { envelopeCopy } from "./envelope-copy.ts";
import { ITEMS_MAX, parseEnvelope } from "./envelope.ts";
import type { Envelope } from "./envelope.ts";
import { SESSIONS_MAX, readEnvelope } from "./read-envelope.ts";
import type { ReadItem } from "./read-item.ts";
import { admit, checkDsn, servedProjects } from "./sentry-projects.ts";
import type { ServedProject } from "./sentry-projects.ts";

export const SENTRY_ROUTE = "/api/:project/envelope";
/**
 * With and without the slash at its end. Not in Express's own words: it decodes what stands there, and what can't be decoded
 * would be a failure that nobody foresaw.
 */
const SENTRY_PATH = /^\/api\/(?<project>\w{1,64})\/envelope\/?$/;

const FORWARD_ATTEMPTS_MAX = 5;
const FORWARD_MS_MAX = 10_000;

interface SentryDeps extends SourceDeps {
  /** Undefined = of no project a copy goes on. */
  readonly forwarder: Forwarder | undefined;
  readonly noteLoop: () => void;
}

export function sentryRouter(deps: SourceDeps): Router {
  const served = servedProjects(deps.apps);
  const hasForward = [...served.values()].some(({ project }) => project.forward !== undefined);
  const sentryDeps = {
    ...deps,
    forwarder: hasForward ? startForwarder(deps) : undefined,
    noteLoop: onlyOnce(() =>
      deps.logger.warn(
        "sources.sentry: a `forward` leads back to this ingest: name the DSN of the real Sentry",
      ),
    ),
  };
  const admitKeys: RequestHandler = (request, response, next) => {
    const places = { query: request.query["sentry_key"], headers: request.headers };
    response.locals["admitted"] = admit(served, String(request.params["project"]), places);
    next();
  };
  const router = Router();
  router.all(SENTRY_PATH, nameRoute(SENTRY_ROUTE), allowOrigins(served));
  router.post(
    SENTRY_PATH,
    ...deps.limit,
    admitKeys,
    readAnyBody({ bodyBytesMax: deps.bodyBytesMax }),
    takeEnvelope(sentryDeps),
  );
  router.all(SENTRY_PATH, (request, response) => {
    response.set("Allow", "POST, OPTIONS");
    throw problem("method_not_allowed", `${request.method} is not taken here; use POST.`);
  });
  router.use(inSentrysForm(deps.metrics));
  return router;
}

function startForwarder({ clock, logger, registry, onClose }: SourceDeps): Forwarder {
  const forwarder = createForwarder({
    name: "sentry",
    attemptsMax: FORWARD_ATTEMPTS_MAX,
    timeoutMs: FORWARD_MS_MAX,
    clock,
    logger,
    registry,
  });
  onClose(() => forwarder.stop());
  return forwarder;
}

function onlyOnce(say: () => void): () => void {
  let isSaid = false;
  return () => {
    if (!isSaid) say();
    isSaid = true;
  };
}

/** Problems on this path; what nobody foresaw goes on to the handler of all. */
function inSentrysForm(metrics: SourceDeps["metrics"]): ErrorRequestHandler {
  return (error, _request, response, next) => {
    if (!(error instanceof Problem) || response.headersSent) {
      next(error);
      return;
    }
    const { code, status } = error.kind;
    countRefusedRequest(metrics, code as ProblemCode);
    const { retryAfterSeconds } = error.details;
    // Without it an SDK is silent for a minute.
    if (status === 429) response.setHeader("Retry-After", String(retryAfterSeconds ?? 1));
    answer(response, status, { detail: error.details.detail });
  };
}

function answer(response: Response, status: number, body: object): void {
  response.statusCode = status;
  response.setHeader("Content-Type", "application/json; charset=utf-8");
  response.end(JSON.stringify(body));
}

function takeEnvelope(deps: SentryDeps): RequestHandler {
  const { keepReports, metrics, clock } = deps;
  return async (request, response) => {
    const { project, hasKey } = response.locals["admitted"] as ReturnType<typeof admit>;
    const body = anyBodyOf(response);
    const envelope = readableEnvelope(body.bytes);
    checkDsn(project, { dsn: envelope.header["dsn"], hasKey });
    const read = readEnvelope(envelope, { ...project, receivedAtMs: clock() });
    if (read.kind === "too_many_sessions")
      throw problem("too_many_reports", `An envelope may hold ${SESSIONS_MAX} items of sessions.`);
    // Whatever becomes of it here: Sentry's own numbers must not depend on our Redis.
    sendCopy(request, { project, envelope, body: body.sent }, deps);
    const taken = read.items.map((item) => toReports(item, project));
    const unkept = await keepReports(taken.flatMap(({ reports }) => reports));
    if (unkept !== undefined) throw unkept;
    for (const { result } of taken) metrics.sourceEvents.inc({ source: "sentry", result });
    answer(response, 200, idOf(envelope));
  };
}

function readableEnvelope(bytes: Buffer): Envelope {
  const parsed = parseEnvelope(bytes);
  switch (parsed.kind) {
    case "envelope":
      return parsed;
    case "unreadable":
      throw problem("malformed_envelope", parsed.detail);
    case "too_many_items":
      throw problem("too_many_reports", `An envelope may hold ${ITEMS_MAX} items.`);
  }
}

interface Taken {
  readonly result: SourceResult;
  readonly reports: readonly DeviceReport[];
}

/** All of an item or nothing: its reports have the names in common by which one could be bad. */
function toReports(item: ReadItem, { app, settings }: ServedProject): Taken {
  if (item.kind === "nothing") return { result: item.result, reports: [] };
  const reports: DeviceReport[] = [];
  for (const draft of item.drafts) {
    const check = checkDraft({ ...draft, app }, settings);
    if (check.kind === "bad") return { result: check.result, reports: [] };
    reports.push(check.report);
  }
  return { result: "reported", reports };
}

/** SDKs look at the status alone. */
function idOf({ header }: Envelope): { readonly id?: string } {
  const id = header["event_id"];
  return typeof id === "string" && /^[0-9a-fA-F-]{32,36}$/.test(id)
    ? { id: id.replaceAll("-", "").toLowerCase() }
    : {};
}

interface ToCopy {
  readonly project: ServedProject;
  readonly envelope: Envelope;
  readonly body: Buffer;
}

function sendCopy(
  request: Request,
  { project, envelope, body }: ToCopy,
  { forwarder, noteLoop }: SentryDeps,
): void {
  const { forward, key } = project.project;
  if (forward === undefined || forwarder === undefined) return;
  if (cameThroughHere(request.headers)) {
    noteLoop();
    return;
  }
  const at = request.originalUrl.indexOf("?");
  const sent = {
    rawHeaders: request.rawHeaders,
    remoteAddress: request.socket.remoteAddress,
    search: at === -1 ? "" : request.originalUrl.slice(at),
    body,
    envelope,
    key,
  };
  forwarder.offer(envelopeCopy(sent, forward));
}
