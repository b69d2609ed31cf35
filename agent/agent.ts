// The agent: everything after the stream. Read it top to bottom and you have read the architecture.
//
//   A DeviceReport becomes a ReportEntry in a Redis stream; entries fold into HealthWindows; windows are
//   weighed into Evidence; a judge gives a Verdict; the policy turns Verdicts into a RollbackDecision; the
//   executor answers with a RollbackOutcome; the journal keeps all of it.
import type { Express } from "express";
import type { ChannelKey } from "../ingest/contract/release-key.ts";
import { LAYOUT_KEY } from "../ingest/contract/stream-names.ts";
import { settledWithin, systemClock } from "../runtime/clock.ts";
import type { Clock } from "../runtime/clock.ts";
import { keepFixed } from "../runtime/fixed-setting.ts";
import { startHttpServer } from "../runtime/http-server.ts";
import type { Running } from "../runtime/lifecycle.ts";
import type { Logger } from "../runtime/logger.ts";
import { Counter, Histogram, createRegistry } from "../runtime/metrics.ts";
import type { Registry } from "../runtime/metrics.ts";
import { closeRedis, createRedis, waitUntilReady } from "../runtime/redis.ts";
import type { Redis } from "../runtime/redis.ts";
import { createErrorReporter } from "../runtime/sentry.ts";
import { createAdminApp } from "./admin/app.ts";
import type { Settings } from "./config/schema.ts";
import { createHealthStore } from "./health/health-store.ts";
import type { HealthStore } from "./health/health-store.ts";
import { createShardStore } from "./health/shard-store.ts";
import type { ShardStore } from "./health/shard-store.ts";
import { createDoorbell } from "./intake/doorbell.ts";
import { evaluateChannel } from "./jobs/evaluate-channel.ts";
import { executeDecision } from "./jobs/execute-rollback.ts";
import { foldShard } from "./jobs/fold-shard.ts";
import { createQueues } from "./jobs/queues.ts";
import type { Queues } from "./jobs/queues.ts";
import { dropOldWindows } from "./jobs/retention.ts";
import { startCalendar } from "./jobs/calendar.ts";
import { sweep } from "./jobs/sweep.ts";
import { createWorkers } from "./jobs/workers.ts";
import type { Handlers } from "./jobs/workers.ts";
import { createHoldStore } from "./journal/hold-store.ts";
import type { HoldStore } from "./journal/hold-store.ts";
import { createJournal } from "./journal/journal.ts";
import type { Journal } from "./journal/journal.ts";
import { createSummaryStore } from "./journal/summary-store.ts";
import type { SummaryStore } from "./journal/summary-store.ts";
import { AGENT_METRICS } from "./metrics/names.ts";
import { registerScrapedMetrics } from "./metrics/scraped-metrics.ts";
import { checkRedis } from "./preflight.ts";
import { createDecisionStore } from "./rollback/decision-store.ts";
import type { DecisionStore } from "./rollback/decision-store.ts";
import type { OtaServer } from "./rollback/ota-server.ts";
import { createWatchedChannels } from "./watched-channels.ts";
import type { WatchedChannels } from "./watched-channels.ts";

const REDIS_START_MS_MAX = 10_000;
const FLUSH_MS_MAX = 2_000;

export interface AgentOptions {
  readonly settings: Settings;
  readonly redisUrl: string;
  readonly version: string;
  readonly logger: Logger;
  readonly clock?: Clock;
}

export interface RunningAgent extends Running {
  readonly url: string;
}

/** What the pipeline stands on: Redis, and the stores over it. */
interface Stores {
  readonly redis: Redis;
  readonly shards: readonly ShardStore[];
  readonly health: HealthStore;
  readonly journal: Journal;
  readonly summaries: SummaryStore;
  readonly holds: HoldStore;
  readonly decisions: DecisionStore;
}

function openStores(redis: Redis, shards: number): Stores {
  const journal = createJournal({ redis });
  return {
    redis,
    shards: Array.from({ length: shards }, (_, shard) => createShardStore({ redis, shard })),
    health: createHealthStore({ redis, shards }),
    journal,
    summaries: createSummaryStore({ redis }),
    holds: createHoldStore({ redis, journal }),
    decisions: createDecisionStore({ redis, journal }),
  };
}

interface PipelineDeps {
  readonly stores: Stores;
  readonly queues: Queues;
  readonly channels: WatchedChannels;
  readonly timers: Timers;
  readonly isStopping: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The pipeline: each stage is a job, and wakes the next. */
function createPipeline({
  stores,
  queues,
  channels,
  timers,
  isStopping,
  clock,
  logger,
}: PipelineDeps): Handlers {
  const { health, summaries, holds, decisions, journal } = stores;
  return {
    /** ReportEntries -> HealthWindows. */
    async fold({ shard }) {
      const store = stores.shards[shard]!;
      const result = await foldShard({ store, onChange: (changed) => queues.evaluate(changed), isStopping });
      timers.foldsLost.inc(result.lost);
    },
    /** HealthWindows -> Verdict -> RollbackDecision, kept in the outbox. */
    async evaluate(key) {
      const watched = channels.find(key);
      if (watched === undefined) return;
      const stopTimer = timers.evaluation.startTimer();
      const onDecision = (id: string): Promise<void> => queues.rollback([id]);
      await evaluateChannel(watched, {
        health,
        summaries,
        holds,
        decisions,
        journal,
        onDecision,
        clock,
        logger,
      });
      stopTimer();
    },
    /** RollbackDecision -> the OTA server -> RollbackOutcome. */
    rollback: ({ decisionId, tries }) => {
      const serverOf = (decision: ChannelKey): OtaServer | undefined => channels.find(decision)?.server;
      return executeDecision(decisionId, tries, { decisions, summaries, serverOf, clock, logger });
    },
    /** Whatever a crash left lying is found again. */
    sweep: () =>
      sweep({
        health,
        summaries,
        holds,
        decisions,
        nowMs: clock(),
        evaluate: (changed) => queues.evaluate(changed),
        rollback: (ids) => queues.rollback(ids),
      }),
    retention: async () =>
      void (await dropOldWindows({ redis: stores.redis, shards: stores.shards.length, nowMs: clock() })),
  };
}

interface FrontDeps {
  readonly options: AgentOptions;
  readonly registry: Registry;
  readonly queues: Queues;
  readonly channels: WatchedChannels;
  readonly isStopping: () => boolean;
  readonly clock: Clock;
}

/**
 * What people and Prometheus see, over a connection of its own that fails fast: while Redis is away the
 * pipeline waits for it, but a question gets its answer, if only "Redis does not answer".
 */
function openFront({ options, registry, queues, channels, isStopping, clock }: FrontDeps): {
  app: Express;
  redis: Redis;
} {
  const { settings, redisUrl, logger } = options;
  const redis = createRedis({ url: redisUrl, role: "request", logger });
  const stores = openStores(redis, settings.shards);
  registerScrapedMetrics({ registry, ...stores, queues, clock });
  const checks = { redis: () => pingRedis(redis), stopping: () => (isStopping() ? "stopping" : undefined) };
  const { operators } = settings.agent;
  const app = createAdminApp({
    registry,
    checks,
    operators,
    channels: channels.all,
    ...stores,
    clock,
    logger,
  });
  return { app, redis };
}

export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const { settings, redisUrl, version, logger, clock = systemClock } = options;
  const redis = createRedis({ url: redisUrl, role: "worker", logger });
  await waitUntilReady(redis, REDIS_START_MS_MAX);
  await refuseBadRedis(redis, clock, logger);
  await keepFixed(redis, { key: LAYOUT_KEY, name: "shards", value: String(settings.shards) });
  const registry = createRegistry({ process: "agent", version });
  const errors = await createErrorReporter({ dsn: settings.sentryDsn, process: "agent", version });
  let stopping = false;
  const isStopping = (): boolean => stopping;

  const stores = openStores(redis, settings.shards);
  const channels = createWatchedChannels({ settings, clock, version });
  const queues = createQueues({
    redisUrl,
    onError: (err) => logger.warn({ err }, "a queue lost Redis, going on"),
  });
  const timers = createTimers(registry);
  const handlers = createPipeline({ stores, queues, channels, timers, isStopping, clock, logger });
  const bell = createRedis({ url: redisUrl, role: "blocking", logger });
  const onRing = (shards: readonly number[]): Promise<void> => queues.fold(shards);
  const doorbell = createDoorbell({ redis: bell, shards: settings.shards, onRing, logger });
  const workers = createWorkers({ redisUrl, handlers, clock, logger, errors });
  const calendar = startCalendar({ onRetention: (day) => queues.retention(day), logger });
  const front = openFront({ options, registry, queues, channels, isStopping, clock });

  await queues.scheduleSweep();
  await queues.sweep();
  workers.start();
  doorbell.start();
  const server = await startHttpServer(front.app, settings.agent.listen);
  return {
    url: server.url,
    async stop(deadlineMs) {
      stopping = true;
      calendar.stop();
      // Each of these waits for Redis to answer, which a Redis that is gone never does. Being late loses
      // nothing: what counts is in Redis, and the next start goes on from there.
      await settledWithin(FLUSH_MS_MAX, doorbell.stop());
      await workers.stop(deadlineMs - 4 * FLUSH_MS_MAX);
      await settledWithin(FLUSH_MS_MAX, queues.close());
      await Promise.all([server.stop(FLUSH_MS_MAX), errors.flush(FLUSH_MS_MAX), closeRedis(bell)]);
      await Promise.all([closeRedis(front.redis), closeRedis(redis)]);
    },
  };
}

async function refuseBadRedis(redis: Redis, clock: Clock, logger: Logger): Promise<void> {
  const findings = await checkRedis({ redis, clock });
  for (const { detail } of findings.filter(({ level }) => level === "warn")) logger.warn(detail);
  const refusals = findings.filter(({ level }) => level === "refuse");
  if (refusals.length > 0) throw new Error(refusals.map(({ detail }) => detail).join(" "));
}

async function pingRedis(redis: Redis): Promise<string | undefined> {
  return redis.ping().then(
    () => undefined,
    (error: unknown) => `Redis does not answer: ${error instanceof Error ? error.message : String(error)}`,
  );
}

type Timers = ReturnType<typeof createTimers>;

function createTimers(registry: ReturnType<typeof createRegistry>) {
  return {
    evaluation: new Histogram({
      name: "ota_evaluation_duration_seconds",
      help: AGENT_METRICS.ota_evaluation_duration_seconds.help,
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
      registers: [registry],
    }),
    foldsLost: new Counter({
      name: "ota_folds_lost_total",
      help: AGENT_METRICS.ota_folds_lost_total.help,
      registers: [registry],
    }),
  };
}
