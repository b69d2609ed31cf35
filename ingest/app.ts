// The two HTTP applications of ingest, in the order in which a request passes through them: the one that
// devices reach, and the one for operations on an address of its own. Enters: the settings and what the
// process made (Redis, metrics, log). Leaves: Express apps that do not listen yet.
import type { RequestListener } from "node:http";
import express from "express";
import type { ErrorRequestHandler, Express, RequestHandler } from "express";
import type { Clock } from "../runtime/clock.ts";
import { operationsRouter } from "../runtime/http-server.ts";
import type { Readiness, ReadinessChecks } from "../runtime/http-server.ts";
import type { Logger } from "../runtime/logger.ts";
import type { MetricsSource, Registry } from "../runtime/metrics.ts";
import { Problem, createProblemAnswer, problemHandler } from "../runtime/problem.ts";
import type { Redis } from "../runtime/redis.ts";
import { pingServers } from "../runtime/redis-servers.ts";
import type { ErrorReporter } from "../runtime/sentry.ts";
import { createCheckReport } from "./check-report.ts";
import type { IngestProcessSettings } from "./config.ts";
import { createDeviceGuard } from "./device-auth/device-guard.ts";
import type { ProofTally } from "./device-auth/proof-tally.ts";
import { createRequestLimits, limitRequests } from "./limits/request-limits.ts";
import { createKeepReports } from "./keep-reports.ts";
import type { ReportWriter } from "./keep-reports.ts";
import { REPORTS_ROUTE, countRefusedRequest, createIngestMetrics } from "./metrics.ts";
import type { IngestMetrics } from "./metrics.ts";
import { answerHeaders, setAnswerHeaders } from "./middleware/answer-headers.ts";
import { createKeyring, noteSender } from "./middleware/authenticate.ts";
import { measureRequest, nameRoute, namedRouteOf } from "./middleware/measure-requests.ts";
import { problem } from "./problems.ts";
import type { ProblemCode } from "./problems.ts";
import { createReleaseTally } from "./release-tally.ts";
import { reportsRoute } from "./routes/reports.ts";
import type { ReportsRoute } from "./routes/reports.ts";
import { servedSources, sourceRouter } from "./sources/source-router.ts";
import type { SpoolOutage } from "./spool/spooling-writer.ts";
import { createStreamWriter } from "./stream-writer.ts";

export interface IngestDeps {
  readonly settings: Pick<IngestProcessSettings, "ingest" | "shards" | "apps" | "replicaAcks">;
  /** A connection of the role `request`. */
  readonly redis: Redis;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly errorReporter: ErrorReporter;
  /** How reports are kept; left out: in Redis, or not at all. */
  readonly createWriter?: (metrics: IngestMetrics) => ReportWriter;
  /** Called when good reports could not be kept, and were answered with "send again later". */
  readonly onTurnedAway?: () => void;
  /** Told of each report of an app with device_auth. */
  readonly onProof?: ProofTally["note"];
  /** Told of what has to end before the process does: copies of requests that are still to be sent on. */
  readonly onClose?: (close: () => Promise<void>) => void;
}

export function createIngestApp({
  settings,
  redis,
  registry,
  clock,
  logger,
  errorReporter,
  createWriter,
  onTurnedAway = () => {},
  onProof = () => {},
  onClose = () => {},
}: IngestDeps): RequestListener {
  const { ingest, shards, apps, replicaAcks } = settings;
  const deviceAuthApps = [...apps].flatMap(([app, { deviceAuth }]) =>
    deviceAuth === undefined ? [] : [app],
  );
  const sources = servedSources(apps);
  const metrics = createIngestMetrics(registry, ingest, { deviceAuthApps, sources });
  const { streamEntriesMax } = ingest;
  const writer =
    createWriter?.(metrics) ?? createStreamWriter({ redis, shards, streamEntriesMax, replicaAcks, clock });
  const noteKept = createReleaseTally({ registry, clock });
  const keepReports = createKeepReports({ writer, metrics, logger, noteKept, onTurnedAway });
  const checkReport = createCheckReport(apps);
  const guardDevices = createDeviceGuard({ apps, metrics, clock, logger, onProof });

  const keyring = createKeyring(apps);
  const limit = createRequestLimits({ settings: ingest });
  const takeReports = reportsRoute({
    keyring,
    limit,
    limits: ingest,
    checkReport,
    guardDevices,
    keepReports,
    metrics,
  });
  const noteFailure = createFailureNote({ metrics, errorReporter });

  const app = bareExpress();
  // However else the path may be written: with a slash at its end, or in capitals.
  app.all(REPORTS_ROUTE, nameRoute(REPORTS_ROUTE), takeReports);
  for (const source of sources)
    app.use(
      sourceRouter(source, {
        apps,
        bodyBytesMax: ingest.bodyBytesMax,
        shards,
        redis,
        registry,
        keepReports,
        limit: [noteSender(keyring), limitRequests(limit)],
        noteTurnedAway: onTurnedAway,
        metrics,
        clock,
        logger,
        onClose,
      }),
    );
  app.use(nothingHere);
  const answerProblem = createProblemAnswer({ logger });
  app.use(((error, _request, _response, next) => {
    noteFailure(error);
    next(error);
  }) satisfies ErrorRequestHandler);
  app.use(problemHandler({ logger }));
  return hotPathFirst({ app, metrics, takeReports, noteFailure, answerProblem });
}

/**
 * Native reports are nearly all that comes, and Express costs more than all that is done with one: they are served
 * before it is asked (docs/adr/0027-the-hot-path.md). What is done is the same code either way.
 */
function hotPathFirst(parts: {
  readonly app: Express;
  readonly metrics: IngestMetrics;
  readonly takeReports: ReportsRoute;
  readonly noteFailure: (error: unknown) => void;
  readonly answerProblem: ReturnType<typeof createProblemAnswer>;
}): RequestListener {
  const { app, metrics, takeReports, noteFailure, answerProblem } = parts;
  return (request, response) => {
    if (request.url !== REPORTS_ROUTE) {
      setAnswerHeaders(response);
      measureRequest(metrics, request, response, namedRouteOf);
      app(request, response);
      return;
    }
    measureRequest(metrics, request, response, () => REPORTS_ROUTE);
    takeReports(request, response).catch((error: unknown) => {
      noteFailure(error);
      if (response.headersSent) return void response.destroy();
      setAnswerHeaders(response);
      answerProblem(error, response);
    });
  };
}

export interface IngestChecksDeps {
  readonly redis: Redis;
  /** True from the moment that stopping began. */
  readonly isDraining: () => boolean;
  /** Where reports go while Redis does not take them; undefined = they go to Redis. */
  readonly spoolOutage?: () => SpoolOutage | undefined;
}

export function createIngestChecks({
  redis,
  isDraining,
  spoolOutage = () => undefined,
}: IngestChecksDeps): ReadinessChecks {
  return {
    redis: async () => withSpool(await checkRedis(redis), spoolOutage()),
    process: () => (isDraining() ? "stopping" : undefined),
  };
}

export interface OperationsDeps {
  readonly registry: MetricsSource;
  readonly checks: ReadinessChecks;
  readonly logger: Logger;
}

export function createOperationsApp({ registry, checks, logger }: OperationsDeps): Express {
  const app = bareExpress();
  app.use(answerHeaders);
  app.use(operationsRouter({ registry, checks }));
  app.use(nothingHere);
  app.use(problemHandler({ logger }));
  return app;
}

function bareExpress(): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  return app;
}

/** How long /readyz waits for Redis, in milliseconds: shorter than any probe's own patience. */
const PING_MS_MAX = 1_000;

async function checkRedis(redis: Redis): Promise<string | undefined> {
  if (redis.status !== "ready") return "not connected";
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${PING_MS_MAX} ms`), PING_MS_MAX);
  });
  const answered = pingServers(redis).then(
    () => undefined,
    (error: Error) => error.message,
  );
  return await Promise.race([answered, late]).finally(() => clearTimeout(timer));
}

/** Devices are served while the spool takes what Redis does not: a balancer must go on sending them here. */
function withSpool(redis: string | undefined, outage: SpoolOutage | undefined): Readiness {
  if (outage === undefined) return redis;
  const told = `${redis ?? "takes no reports"}; ${outage.detail}`;
  return outage.kind === "kept" ? { note: told } : told;
}

const nothingHere: RequestHandler = () => {
  throw problem("not_found", "Reports go to POST /v1/reports; docs/errors.md lists every code.");
};

/** Counts every refusal by its code, and sends what nobody foresaw to Sentry; somebody else answers. */
function createFailureNote({
  metrics,
  errorReporter,
}: {
  metrics: IngestMetrics;
  errorReporter: ErrorReporter;
}): (error: unknown) => void {
  return (error) => {
    if (error instanceof Problem) countRefusedRequest(metrics, error.kind.code as ProblemCode);
    else {
      countRefusedRequest(metrics, "internal_error");
      errorReporter.capture(error);
    }
  };
}
