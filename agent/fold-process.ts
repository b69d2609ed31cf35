// A process that does nothing but fold: what `agent.processes` above 1 adds to an agent (docs/adr/0030-several-agent-processes.md).
// Enters: from the agent, where Redis is and what counts how; and whatever changes of it. Leaves: folded shards, until it
// is told to stop. It serves nothing, judges nothing and keeps no time: without it the agent folds all by itself.
import { settledWithin, systemClock } from "../runtime/clock.ts";
import { createLogger } from "../runtime/logger.ts";
import type { Logger } from "../runtime/logger.ts";
import { createRegistry } from "../runtime/metrics.ts";
import { closeRedis, createRedis, waitUntilReady } from "../runtime/redis.ts";
import type { RedisAddress } from "../runtime/redis.ts";
import { createErrorReporter } from "../runtime/sentry.ts";
import { runWorker } from "../runtime/workers/worker.ts";
import type { FirstProcess } from "../runtime/workers/worker.ts";
import { liveCountingRules, rulesOf } from "./config/counting-rules.ts";
import type { CountingTable } from "./config/counting-rules.ts";
import { createGatherer } from "./jobs/gatherer.ts";
import { createHeardFrom } from "./jobs/poll.ts";
import type { PolledServer } from "./jobs/poll.ts";
import { openQueues } from "./jobs/queues.ts";
import { createFoldWorkers } from "./jobs/workers.ts";
import { countLostFolds, createFolding, openStores } from "./pipeline.ts";

const REDIS_START_MS_MAX = 10_000;
const FLUSH_MS_MAX = 2_000;

/** What may change while it runs. */
export interface FoldSettings {
  readonly counting: CountingTable;
  /** OTA servers that are asked what devices do: who is heard through one is silent only while it is read. */
  readonly polled: readonly PolledServer[];
}

export interface FoldStart {
  readonly redisUrl: RedisAddress;
  readonly shards: number;
  readonly logLevel: string;
  readonly sentryDsn: string | undefined;
  readonly version: string;
  readonly settings: FoldSettings;
}

export async function runFoldProcess(): Promise<void> {
  await runWorker<FoldStart, FoldSettings>({
    loggerOf: ({ logLevel }) => createLogger({ name: "agent", level: logLevel }),
    run: startFolding,
  });
}

async function startFolding({
  start: { redisUrl, shards, sentryDsn, version, settings },
  logger,
  firstProcess,
}: {
  readonly start: FoldStart;
  readonly logger: Logger;
  readonly firstProcess: FirstProcess<FoldSettings>;
}) {
  const clock = systemClock;
  const redis = createRedis({ url: redisUrl, role: "worker", logger });
  await waitUntilReady(redis, REDIS_START_MS_MAX);
  const registry = createRegistry({ process: "agent", version });
  const errors = await createErrorReporter({ dsn: sentryDsn, process: "agent", version });
  const { connection, queues } = openQueues({ redisUrl, logger });
  const gatherer = createGatherer({
    onFlush: (channels) => queues.evaluate(channels),
    onError: (err) => logger.warn({ err }, "a wake-up was lost; the sweep makes up for it"),
  });
  let current = settings;
  let stopping = false;
  firstProcess.onNews((changed) => {
    current = changed;
    logger.info("a fold process has the settings that are in force now");
  });
  const handlers = createFolding({
    ...openStores(redis, shards),
    rules: liveCountingRules(() => current.counting, rulesOf),
    gatherer,
    readHeardFrom: createHeardFrom({ redis, servers: () => current.polled, clock }),
    foldsLost: countLostFolds(registry),
    isStopping: () => stopping,
    clock,
    logger,
  });
  const workers = createFoldWorkers({ connection, handlers, logger, errors });
  const operations = firstProcess.answer({ registry, checks: {} }, logger);
  workers.start();
  return {
    urls: {},
    async stop(deadlineMs: number) {
      stopping = true;
      await workers.stop(deadlineMs - 3 * FLUSH_MS_MAX);
      await settledWithin(FLUSH_MS_MAX, gatherer.stop());
      await settledWithin(FLUSH_MS_MAX, queues.close()).catch(() => {});
      await settledWithin(FLUSH_MS_MAX, connection.close()).catch(() => {});
      await Promise.all([operations.stop(), errors.flush(FLUSH_MS_MAX), closeRedis(redis)]);
    },
  };
}
