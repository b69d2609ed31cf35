// The agent's HTTP side: operations routes for machines and a JSON API for operators, the CLI and the demo.
// It reads, but for what operators do with dead letters. Enters: the stores. Leaves: an Express app.
import express from "express";
import type { Express, Request, RequestHandler } from "express";
import helmet from "helmet";
import { formatChannelKey, formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Clock } from "../../runtime/clock.ts";
import { operationsRouter } from "../../runtime/http-server.ts";
import type { ReadinessChecks } from "../../runtime/http-server.ts";
import type { Logger } from "../../runtime/logger.ts";
import { isRedisAway } from "../../runtime/redis.ts";
import type { MetricsSource } from "../../runtime/metrics.ts";
import { METHOD_NOT_ALLOWED, NOT_FOUND, Problem, problemHandler } from "../../runtime/problem.ts";
import type { HealthStore } from "../health/health-store.ts";
import type { DeadLetterStore } from "../intake/dead-letters.ts";
import type { Queues } from "../jobs/queues.ts";
import type { AbsolutionStore } from "../journal/absolution-store.ts";
import type { AlertStore } from "../journal/alert-store.ts";
import type { FreezeStore } from "../journal/freeze-store.ts";
import { JOURNAL_PAGE_MAX } from "../journal/journal.ts";
import type { Journal } from "../journal/journal.ts";
import type { HoldStore } from "../journal/hold-store.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import { readStory } from "../journal/story.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";
import { standingDecisions } from "../rollback/channel-history.ts";
import { isFreezing } from "../policy/freeze.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import { actRoutes } from "./act-routes.ts";
import type { ActDeps } from "./acts/act.ts";
import { alertmanagerRoutes } from "./alertmanager-routes.ts";
import { AGENT_HEADER } from "./agent-header.ts";
import type { WatchedChannels } from "../watched-channels.ts";
import { authenticateOperator, requireAdmin } from "./authenticate.ts";
import type { ListOperators } from "./authenticate.ts";
import { deadLetterRoutes } from "./dead-letter-routes.ts";
import { deviceRoutes } from "./device-routes.ts";
import { healthRoutes } from "./health-routes.ts";
import { bodyProblem } from "./json-body.ts";
import { createLoginAttempts } from "./login-attempts.ts";
import { openApiRoutes } from "./openapi/openapi-routes.ts";
import { pageRoutes } from "./page-routes.ts";
import { scopeRoutes } from "./scope-routes.ts";
import { ADMIN_PROBLEMS } from "./problems.ts";
import { QUEUE_BOARD_PATH, queueBoard } from "./queue-board.ts";
import { sessionRoutes, whoami } from "./session-routes.ts";
import type { SessionStore } from "./session-store.ts";
import { replayRoutes } from "./replay-routes.ts";
import { viewDecision, viewRelease } from "./views.ts";

/** What a client is told to wait while Redis is away, in seconds. */
const REDIS_RETRY_SECONDS = 2;

export interface AdminDeps {
  readonly registry: MetricsSource;
  readonly checks: ReadinessChecks;
  readonly operators: ListOperators;
  readonly sessions: SessionStore;
  /** As in `agent.trusted_proxies`. */
  readonly trustedProxies: readonly string[];
  /** Looked at anew for each request: a reload of the configuration changes them. */
  readonly channels: WatchedChannels;
  readonly queues: Pick<Queues, "all">;
  readonly health: HealthStore;
  readonly summaries: SummaryStore;
  readonly holds: HoldStore;
  readonly decisions: DecisionStore;
  readonly freezes: FreezeStore;
  readonly absolutions: AbsolutionStore;
  readonly alerts: AlertStore;
  readonly onDecision: ActDeps["onDecision"];
  readonly onChange: ActDeps["onChange"];
  readonly judgeAnew: ActDeps["judgeAnew"];
  readonly deadLetters: DeadLetterStore;
  readonly shardCount: number;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createAdminApp(deps: AdminDeps): Express {
  const app = express();
  app.disable("x-powered-by");
  app.set("trust proxy", [...deps.trustedProxies]);
  app.use(helmet());
  app.use((_request, response, next) => {
    response.set(AGENT_HEADER, "1");
    next();
  });
  app.use(operationsRouter(deps));
  app.use(pageRoutes());
  app.use(openApiRoutes());
  const attempts = createLoginAttempts(deps.clock);
  app.use("/v1", sessionRoutes({ ...deps, attempts }));
  const authenticate = authenticateOperator({ ...deps, attempts });
  app.use("/v1", authenticate);
  app.get("/v1/whoami", whoami);
  app.get("/v1/status", async (_request, response) => void response.json(await readStatus(deps)));
  app.get("/v1/lag", async (_request, response) => void response.json(await readLag(deps)));
  app.get("/v1/decisions", async (_request, response) => {
    response.json({ decisions: (await deps.decisions.list()).map(viewDecision) });
  });
  app.get("/v1/decisions/:id", async (request, response) => {
    response.json(viewDecision(await readDecision(deps, request.params.id)));
  });
  app.get("/v1/decisions/:id/story", async (request, response) => {
    const decision = await readDecision(deps, request.params.id);
    const { entries, isWhole } = await readStory(decision, deps.journal);
    response.json({ decision: viewDecision(decision), entries, is_whole: isWhole });
  });
  app.get("/v1/journal", async (request, response) => {
    const afterSeq = wholeNumber(request, "after", 0);
    const limit = wholeNumber(request, "limit", 100);
    if (limit < 1 || limit > JOURNAL_PAGE_MAX) throw invalidQuery("limit");
    // The head first: what is appended meanwhile is no entry that should have been there.
    const head = await deps.journal.head();
    response.json({ entries: await deps.journal.read({ afterSeq, limit }), head });
  });
  app.use("/v1/scope", scopeRoutes(deps));
  app.use("/v1/devices", deviceRoutes(deps));
  app.use("/v1", healthRoutes(deps));
  app.use("/v1/replay", replayRoutes(deps));
  const findChannel: ActDeps["findChannel"] = (key) => deps.channels.find(key);
  app.use("/v1", actRoutes({ ...deps, findChannel }));
  app.use(
    "/v1",
    alertmanagerRoutes({
      ...deps,
      onResolved: deps.judgeAnew,
      isWatched: (key) => findChannel(key) !== undefined,
    }),
  );
  app.use("/v1/dead-letters", deadLetterRoutes({ ...deps, shards: deps.shardCount }));
  app.use(
    QUEUE_BOARD_PATH,
    authenticate,
    requireAdmin,
    requireRedis(deps.checks),
    queueBoard(Object.values(deps.queues.all)),
  );
  app.use(nothingHere);
  app.use(problemHandler({ logger: deps.logger, translate }));
  return app;
}

const nothingHere: RequestHandler = (request, response) => {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.set("Allow", "GET, HEAD");
    throw new Problem(METHOD_NOT_ALLOWED, { detail: "This is only read: use GET." });
  }
  throw new Problem(NOT_FOUND, {
    detail:
      "See / in a browser, /v1/status, /v1/releases/<app>/<channel>/<version>, /v1/channels/<app>/<channel>/targets, " +
      "/v1/scope/<app>/<version>, /v1/devices/<app>/<device>, /v1/decisions, /v1/freezes, /v1/journal, /v1/lag, " +
      "/v1/dead-letters, /v1/replay, /v1/whoami, /openapi.json, /queues, /metrics, /healthz, /readyz.",
  });
};

/** The queues' connections wait for a Redis that is away: who looks at them gets an answer. */
function requireRedis(checks: ReadinessChecks): RequestHandler {
  return async (_request, _response, next) => {
    if ((await checks["redis"]?.()) !== undefined) throw redisAway();
    next();
  };
}

function redisAway(): Problem {
  const detail = "Redis does not answer; nothing is lost, and this works again as soon as it does.";
  return new Problem(ADMIN_PROBLEMS.redis_unavailable, { detail, retryAfterSeconds: REDIS_RETRY_SECONDS });
}

/** A path whose percent signs mean nothing is a client's mistake: Express throws what decoding threw. */
function translate(error: unknown): Problem | undefined {
  if (error instanceof URIError)
    return new Problem(NOT_FOUND, { detail: "The path is not percent-encoded UTF-8." });
  return isRedisAway(error) ? redisAway() : bodyProblem(error);
}

async function readDecision({ decisions }: AdminDeps, id: string): Promise<DecisionRecord> {
  const decision = await decisions.read(id);
  if (decision !== undefined) return decision;
  throw new Problem(ADMIN_PROBLEMS.unknown_decision, {
    detail: "GET /v1/decisions lists the decisions there are.",
  });
}

async function readStatus({
  channels,
  summaries,
  holds: holdStore,
  decisions,
  freezes: freezeStore,
  absolutions: absolutionStore,
  clock,
}: AdminDeps): Promise<Record<string, unknown>> {
  const nowMs = clock();
  const [all, holds, decided, freezes, absolutions] = await Promise.all([
    summaries.list(),
    holdStore.list(),
    decisions.list(),
    freezeStore.list(nowMs),
    absolutionStore.list(),
  ]);
  // Newest first, so the oldest is written first and the newest stays.
  const decisionIds = new Map(
    standingDecisions({ decisions: decided, absolutions })
      .toReversed()
      .map((decision) => [formatReleaseKey(decision), decision.id]),
  );
  const views = channels.all.map(async ({ key, policy }) => {
    const text = formatChannelKey(key);
    const releases = all
      .filter(({ verdict }) => formatChannelKey(verdict.release) === text)
      .toSorted((left, right) => right.firstReportAtMs - left.firstReportAtMs);
    const seen = await summaries.readChannel(key);
    return {
      ...key,
      policy: policy.name,
      action: policy.action,
      mode: policy.mode,
      current_version: seen?.version ?? null,
      paused: seen?.paused ?? null,
      releases_on_server: (seen?.releases ?? []).map(({ version, releasedAt }) => ({
        version,
        released_at: releasedAt,
      })),
      freezes: freezes.filter((freeze) => isFreezing(freeze, key)),
      releases: releases.map((summary) =>
        viewRelease(summary, { decisionIds, hold: holds.get(formatReleaseKey(summary.verdict.release)) }),
      ),
    };
  });
  return { at: new Date(nowMs).toISOString(), channels: await Promise.all(views) };
}

async function readLag({ health, clock }: AdminDeps): Promise<Record<string, unknown>> {
  const [shards, totals] = await Promise.all([health.readLag(clock()), health.readFoldTotals()]);
  return {
    waiting_entries: shards.reduce((sum, { waitingEntries }) => sum + waitingEntries, 0),
    folded_reports: totals.folded,
    dead_letters: totals.deadLetters,
    shards: shards.map(({ shard, waitingEntries, lagSeconds }) => ({
      shard,
      waiting_entries: waitingEntries,
      lag_seconds: lagSeconds,
    })),
  };
}

function wholeNumber(request: Request, name: "after" | "limit", otherwise: number): number {
  const value = request.query[name];
  if (value === undefined) return otherwise;
  if (typeof value !== "string" || !/^\d{1,15}$/.test(value)) throw invalidQuery(name);
  return Number(value);
}

function invalidQuery(name: "after" | "limit"): Problem {
  const rule = name === "limit" ? `from 1 to ${JOURNAL_PAGE_MAX}` : "of at least 0";
  return new Problem(ADMIN_PROBLEMS.invalid_query, { detail: `\`${name}\` must be a whole number ${rule}.` });
}
