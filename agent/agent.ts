// The agent: everything after the stream, as one thing with a life. Enters: settings and an address of
// Redis. Leaves: a running agent that stops in an order that loses nothing. What it does is in pipeline.ts.
import type { Express } from "express";
import { plainHttpWarning } from "../ingest/contract/listener.ts";
import { LAYOUT_KEY } from "../ingest/contract/stream-names.ts";
import { settledWithin, systemClock } from "../runtime/clock.ts";
import type { Clock } from "../runtime/clock.ts";
import { keepFixed } from "../runtime/fixed-setting.ts";
import { startHttpServer } from "../runtime/http-server.ts";
import type { RunningServer } from "../runtime/http-server.ts";
import type { Running } from "../runtime/lifecycle.ts";
import type { Logger } from "../runtime/logger.ts";
import { createRegistry } from "../runtime/metrics.ts";
import type { Registry } from "../runtime/metrics.ts";
import { closeRedis, createRedis, waitUntilReady } from "../runtime/redis.ts";
import type { Redis, RedisAddress } from "../runtime/redis.ts";
import { pingServers } from "../runtime/redis-servers.ts";
import { createErrorReporter } from "../runtime/sentry.ts";
import type { ErrorReporter } from "../runtime/sentry.ts";
import { createAdminApp } from "./admin/app.ts";
import { createSessionStore } from "./admin/session-store.ts";
import { createConfigReload, createLiveSettings, createReloadMetrics } from "./config-reload.ts";
import type { ConfigOrigin, LiveSettings } from "./config-reload.ts";
import type { ConfigFileWatch } from "./config/config-file-watch.ts";
import { countingRulesOf, liveCountingRules } from "./config/counting-rules.ts";
import type { Settings } from "./config/schema.ts";
import { createFoldProcesses } from "./fold-processes.ts";
import type { FoldProcesses } from "./fold-processes.ts";
import { keepCountsLayout } from "./health/layout.ts";
import { createDoorbell } from "./intake/doorbell.ts";
import { hourOf, startCalendar } from "./jobs/calendar.ts";
import { hadBefore } from "./jobs/channel-view.ts";
import { createOutlets, registerPageMetrics } from "./jobs/outlets.ts";
import { createPolling } from "./jobs/poll.ts";
import type { Polling } from "./jobs/poll.ts";
import { openQueues } from "./jobs/queues.ts";
import type { QueueConnection, Queues } from "./jobs/queues.ts";
import { createWakeUps } from "./jobs/wake-ups.ts";
import type { WakeUps } from "./jobs/wake-ups.ts";
import { createWorkers } from "./jobs/workers.ts";
import type { Workers } from "./jobs/workers.ts";
import { createConfigJournal } from "./journal/config-record.ts";
import { registerScrapedMetrics } from "./metrics/scraped-metrics.ts";
import { createPolledSources } from "./polling/polled-sources.ts";
import type { PolledSources } from "./polling/polled-sources.ts";
import { createPipeline, createTimers, openStores } from "./pipeline.ts";
import type { Stores } from "./pipeline.ts";
import { checkChannels } from "./preflight-channels.ts";
import { checkRedis } from "./preflight.ts";
import type { CheckRedisOptions } from "./preflight.ts";
import { createWatchedChannels } from "./watched-channels.ts";
import type { WatchedChannels } from "./watched-channels.ts";

const REDIS_START_MS_MAX = 10_000;
const FLUSH_MS_MAX = 2_000;

export interface AgentOptions {
  readonly settings: Settings;
  readonly redisUrl: RedisAddress;
  readonly version: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** The file that the settings are from: what changes in it takes effect while the agent runs. */
  readonly origin?: ConfigOrigin;
}

export interface RunningAgent extends Running {
  readonly url: string;
  /** Reads the configuration file now. */
  reload(): Promise<void>;
}

interface FrontDeps {
  readonly options: AgentOptions;
  readonly live: LiveSettings;
  readonly registry: Registry;
  readonly queues: Queues;
  readonly channels: WatchedChannels;
  readonly foldProcesses: FoldProcesses;
  readonly isStopping: () => boolean;
  readonly clock: Clock;
}

/**
 * What people and Prometheus see, over a connection of its own that fails fast: while Redis is away the
 * pipeline waits for it, but a question gets its answer, if only "Redis does not answer".
 */
function openFront(deps: FrontDeps): { app: Express; redis: Redis } {
  const { options, live, registry, queues, channels, foldProcesses, isStopping, clock } = deps;
  const { settings, redisUrl, logger } = options;
  const redis = createRedis({ url: redisUrl, role: "request", logger });
  const stores = openStores(redis, settings.shards);
  registerScrapedMetrics({ registry, ...stores, queues, channels, clock });
  registerPageMetrics({ registry, redis, settings });
  const checks = {
    redis: () => pingRedis(redis),
    folding: () => foldProcesses.readiness(),
    stopping: () => (isStopping() ? "stopping" : undefined),
  };
  const app = createAdminApp({
    registry: () => foldProcesses.metrics(registry),
    checks,
    operators: () => live.current().agent.operators,
    sessions: createSessionStore({ redis, clock }),
    trustedProxies: settings.agent.trustedProxies,
    channels,
    queues,
    ...stores,
    onDecision: (id) => queues.rollback([id]),
    onChange: (key) => queues.evaluate(key === "all" ? channels.all.map((each) => each.key) : [key]),
    async judgeAnew(release) {
      await stores.health.markDirty([release]);
      await queues.evaluate([{ app: release.app, channel: release.channel }]);
    },
    shardCount: settings.shards,
    clock,
    logger,
  });
  return { app, redis };
}

/** Over a connection of its own that fails fast: what can't be kept now is read again later. */
function openPolling({
  options: { settings, redisUrl, logger },
  ...deps
}: Omit<FrontDeps, "channels" | "foldProcesses" | "live"> & { readonly sources: PolledSources }): {
  polling: Polling;
  pollRedis: Redis;
} {
  const pollRedis = createRedis({ url: redisUrl, role: "request", logger });
  const { shards, replicaAcks, ingest } = settings;
  const { streamEntriesMax } = ingest;
  return {
    polling: createPolling({ ...deps, redis: pollRedis, shards, replicaAcks, streamEntriesMax, logger }),
    pollRedis,
  };
}

export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const { settings, redisUrl, version, logger, clock = systemClock } = options;
  const redis = await openCounts(options, clock);
  const registry = createRegistry({ process: "agent", version });
  const errors = await createErrorReporter({ dsn: settings.sentryDsn, process: "agent", version });
  let stopping = false;
  const isStopping = (): boolean => stopping;

  const stores = openStores(redis, settings.shards);
  const live = createLiveSettings(settings);
  const channels = createWatchedChannels({ settings: live.current, clock, version });
  const { connection, queues } = openQueues({ redisUrl, logger });
  const timers = createTimers(registry);
  const sources = createPolledSources({ settings: live.current, clock, version });
  const foldProcesses = createFoldProcesses({ live, sources, redisUrl, version, logger });
  const { polling, pollRedis } = openPolling({ options, sources, queues, registry, isStopping, clock });
  const { readUnread } = polling;
  const outlets = createOutlets({ settings, stores, channels, readUnread, queues, registry, clock, logger });
  const wakeUps = createWakeUps({ queues, logger, others: [...outlets.wakeUps, polling.wakeUp] });
  const handlers = createPipeline({
    stores,
    queues,
    channels,
    timers,
    wakeUps,
    polling,
    outlets,
    rules: liveCountingRules(live.current, countingRulesOf),
    settings,
    isStopping,
    clock,
    logger,
  });
  const bell = createRedis({ url: redisUrl, role: "blocking", logger });
  const doorbell = createDoorbell({ redis: bell, shards: settings.shards, onRing: queues.fold, logger });
  const workers = createWorkers({ connection, handlers, logger, errors });
  const calendar = startCalendar({ queues, summary: settings.summary, logger });
  const reload = openReload({ options, live, stores, channels, wakeUps, registry, clock });
  const front = openFront({ options, live, registry, queues, channels, foldProcesses, isStopping, clock });

  await Promise.all([front.redis, pollRedis].map((each) => waitUntilReady(each, REDIS_START_MS_MAX)));
  await judgeAnew(stores, channels);
  workers.start();
  foldProcesses.start();
  wakeUps.start();
  doorbell.start();
  // The calendar may have been missed while no agent ran.
  await queues.rollUp(hourOf(new Date(clock())));
  const server = await listen(front.app, options, registry);
  reload?.start();
  // Of a process that was started by hand or by a supervisor: what is amiss at the OTA servers is said, and waited for.
  if (options.origin !== undefined) sayWhatChannelsLack({ channels, stores, clock, logger });
  const ringers = [doorbell, wakeUps, ...(reload === undefined ? [] : [reload])];
  const connections = [bell, front.redis, pollRedis, redis];
  const parts = {
    calendar,
    ringers,
    workers,
    foldProcesses,
    queues,
    connection,
    server,
    errors,
    connections,
  };
  return {
    url: server.url,
    reload: async () => reload?.lookNow(),
    stop(deadlineMs) {
      stopping = true;
      return stopInOrder(parts, deadlineMs);
    },
  };
}

interface RunningParts {
  readonly calendar: { stop(): void };
  /** Whatever wakes the workers. */
  readonly ringers: readonly { stop(): Promise<void> }[];
  readonly workers: Workers;
  readonly foldProcesses: FoldProcesses;
  readonly queues: Queues;
  readonly connection: QueueConnection;
  readonly server: RunningServer;
  readonly errors: ErrorReporter;
  readonly connections: readonly Redis[];
}

/**
 * Each of these waits for Redis to answer, which a Redis that is gone never does. Being late loses nothing: what counts
 * is in Redis, and the next start goes on from there.
 */
async function stopInOrder(parts: RunningParts, deadlineMs: number): Promise<void> {
  const { calendar, ringers, workers, foldProcesses, queues, connection, server, errors, connections } =
    parts;
  calendar.stop();
  // From here on none is started again, whoever else is still waited for.
  const folded = foldProcesses.stop();
  await settledWithin(FLUSH_MS_MAX, Promise.all(ringers.map((each) => each.stop())));
  const workMs = deadlineMs - 5 * FLUSH_MS_MAX;
  await Promise.all([workers.stop(workMs), settledWithin(workMs, folded)]);
  foldProcesses.kill();
  await settledWithin(FLUSH_MS_MAX, queues.close()).catch(() => {});
  await settledWithin(FLUSH_MS_MAX, connection.close()).catch(() => {});
  await Promise.all([server.stop(FLUSH_MS_MAX), errors.flush(FLUSH_MS_MAX)]);
  await Promise.all(connections.map(closeRedis));
}

/** A Redis that is fit for counts, and holds those of this configuration or none. */
async function openCounts({ settings, redisUrl, logger }: AgentOptions, clock: Clock): Promise<Redis> {
  const redis = createRedis({ url: redisUrl, role: "worker", logger });
  await waitUntilReady(redis, REDIS_START_MS_MAX);
  await refuseBadRedis({ redis, replicaAcks: settings.replicaAcks, clock, logger });
  await keepFixed(redis, { key: LAYOUT_KEY, name: "shards", value: String(settings.shards) });
  await keepCountsLayout(redis, settings.shards);
  return redis;
}

function listen(
  app: Express,
  { settings: { agent }, logger }: AgentOptions,
  registry: Registry,
): Promise<RunningServer> {
  const plain = plainHttpWarning({ section: "agent", ...agent });
  if (plain !== undefined) logger.warn(plain);
  return startHttpServer(app, agent.listen, { name: "agent", registry, logger, tls: agent.tls });
}

function sayWhatChannelsLack({
  channels,
  stores: { summaries },
  clock,
  logger,
}: Pick<FrontDeps, "channels" | "clock"> & { readonly stores: Stores; readonly logger: Logger }): void {
  checkChannels(channels.all, (key, state) => hadBefore(key, state, { summaries, nowMs: clock() })).then(
    (findings) => findings.forEach((finding) => logger.warn(finding)),
    (err: unknown) => logger.warn({ err }, "the channels could not be looked at"),
  );
}

interface ReloadDeps {
  readonly options: AgentOptions;
  readonly live: LiveSettings;
  readonly stores: Stores;
  readonly channels: WatchedChannels;
  readonly wakeUps: WakeUps;
  readonly registry: Registry;
  readonly clock: Clock;
}

/** Undefined where the settings are from no file. */
function openReload(deps: ReloadDeps): ConfigFileWatch | undefined {
  const { options, live, stores, channels, wakeUps, registry, clock } = deps;
  const { origin, logger } = options;
  const metrics = createReloadMetrics({ registry, clock });
  if (origin === undefined) return undefined;
  const onApplied = async (): Promise<void> => {
    await judgeAnew(stores, channels);
    wakeUps.gatherer.add(channels.all.map(({ key }) => key));
  };
  return createConfigReload({
    origin,
    live,
    journal: createConfigJournal(stores),
    metrics,
    onApplied,
    clock,
    logger,
  });
}

/** The policy may have changed since the last start: every release that is watched is judged once more. */
async function judgeAnew({ health, summaries }: Stores, channels: WatchedChannels): Promise<void> {
  const releases = (await summaries.list()).map(({ verdict }) => verdict.release);
  await health.markDirty(releases.filter((release) => channels.find(release) !== undefined));
}

async function refuseBadRedis({ logger, ...asked }: CheckRedisOptions & { logger: Logger }): Promise<void> {
  const findings = await checkRedis(asked);
  for (const { detail } of findings.filter(({ level }) => level === "warn")) logger.warn(detail);
  const refusals = findings.filter(({ level }) => level === "refuse");
  if (refusals.length > 0) throw new Error(refusals.map(({ detail }) => detail).join(" "));
}

async function pingRedis(redis: Redis): Promise<string | undefined> {
  return pingServers(redis).then(
    () => undefined,
    (error: unknown) => `Redis does not answer: ${error instanceof Error ? error.message : String(error)}`,
  );
}
