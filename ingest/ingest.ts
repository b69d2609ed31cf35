// Ingest as one thing with a life: connects to Redis, listens, and stops in an order that loses nothing.
// Enters: settings and an address of Redis. Leaves: the two base URLs, and a stop.
import { settledWithin, systemClock } from "../runtime/clock.ts";
import { keepFixed } from "../runtime/fixed-setting.ts";
import { startHttpServer } from "../runtime/http-server.ts";
import type { ReadinessChecks, RunningServer } from "../runtime/http-server.ts";
import type { Running } from "../runtime/lifecycle.ts";
import type { Logger } from "../runtime/logger.ts";
import { createRegistry } from "../runtime/metrics.ts";
import type { Registry } from "../runtime/metrics.ts";
import { closeRedis, createRedis, waitUntilReady } from "../runtime/redis.ts";
import type { RedisAddress } from "../runtime/redis.ts";
import { createErrorReporter } from "../runtime/sentry.ts";
import { plainHttpWarning } from "./contract/listener.ts";
import { LAYOUT_KEY } from "./contract/stream-names.ts";
import { createIngestApp, createIngestChecks, createOperationsApp } from "./app.ts";
import type { IngestProcessSettings } from "./config.ts";
import { createProofTally } from "./device-auth/proof-tally.ts";
import { createListeningBeat } from "./listening-beat.ts";
import { openIngestSpool } from "./spool/ingest-spool.ts";

/** How long a start waits for Redis before it gives up and says so, in milliseconds. */
const REDIS_START_MS_MAX = 10_000;
/** What errors may take to reach Sentry when the process stops, in milliseconds. */
const FLUSH_MS_MAX = 2_000;
/** What copies of requests may take to be sent on when the process stops, in milliseconds. */
const CLOSE_MS_MAX = 3_000;

export interface IngestOptions {
  readonly settings: IngestProcessSettings;
  readonly redisUrl: RedisAddress;
  readonly version: string;
  readonly logger: Logger;
  /** Default: over HTTP. Several processes of one ingest have one address for it (workers/). */
  readonly serveOperations?: ServeOperations;
}

export interface OperationsOfProcess {
  readonly registry: Registry;
  readonly checks: ReadinessChecks;
  readonly settings: Pick<IngestProcessSettings, "ingest">;
  readonly logger: Logger;
}

export type ServeOperations = (operations: OperationsOfProcess) => Promise<RunningServer>;

export interface RunningIngest extends Running {
  /** Where devices report to. */
  readonly url: string;
  readonly operationsUrl: string;
}

export async function startIngest({
  settings,
  redisUrl,
  version,
  logger,
  serveOperations = operationsOverHttp,
}: IngestOptions): Promise<RunningIngest> {
  const redis = createRedis({ url: redisUrl, role: "request", logger });
  const registry = createRegistry({ process: "ingest", version });
  const errorReporter = await createErrorReporter({ dsn: settings.sentryDsn, process: "ingest", version });
  await waitUntilReady(redis, REDIS_START_MS_MAX);
  await keepFixed(redis, { key: LAYOUT_KEY, name: "shards", value: String(settings.shards) });

  let draining = false;
  const isDraining = (): boolean => draining;
  const clock = systemClock;
  // Opened after the number of shards is known to be that of the data: what it holds was sorted by it.
  const spool = await openIngestSpool({
    settings,
    redis,
    clock,
    logger,
    onSpooled: () => listening.noteTurnedAway(),
  });
  const listening = createListeningBeat({ redis, clock, logger, isBehind: () => spool.isBehind() });
  const proofs = createProofTally({ redis, clock });
  const closes: (() => Promise<void>)[] = [];
  const app = createIngestApp({
    settings,
    redis,
    registry,
    clock,
    logger,
    errorReporter,
    createWriter: spool.createWriter,
    onTurnedAway: () => listening.noteTurnedAway(),
    onProof: (name, proof) => proofs.note(name, proof),
    onClose: (close) => void closes.push(close),
  });
  const checks = createIngestChecks({ redis, isDraining, spoolOutage: () => spool.outage() });
  const operations = await serveOperations({ registry, checks, settings, logger });
  const { listen, tls, connectionsMax } = settings.ingest;
  const plain = plainHttpWarning({ section: "ingest", ...settings.ingest });
  if (plain !== undefined) logger.warn(plain);
  const server = await startHttpServer(app, listen, {
    name: "ingest",
    registry,
    logger,
    tls,
    connectionsMax,
  });
  listening.start();
  proofs.start();
  spool.start();
  return {
    url: server.url,
    operationsUrl: operations.url,
    async stop(deadlineMs) {
      // Not ready first, so that nobody sends more; then the requests in flight get their reports into
      // Redis (or the spool) and their answers; only then does Redis go. /readyz and /metrics answer until the end.
      draining = true;
      await Promise.all([listening.stop(), server.stop(deadlineMs)]);
      await Promise.all([spool.stop(), proofs.stop()]);
      await settledWithin(CLOSE_MS_MAX, Promise.all(closes.map((close) => close())));
      await closeRedis(redis);
      await Promise.all([operations.stop(FLUSH_MS_MAX), errorReporter.flush(FLUSH_MS_MAX)]);
    },
  };
}

function operationsOverHttp({
  registry,
  checks,
  settings,
  logger,
}: OperationsOfProcess): Promise<RunningServer> {
  const app = createOperationsApp({ registry, checks, logger });
  return startHttpServer(app, settings.ingest.operationsListen, { name: "operations", registry, logger });
}
