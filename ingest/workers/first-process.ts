// Ingest as several processes on one address (`ingest.processes`, docs/adr/0028-several-ingest-processes.md): this one
// listens, hands connections to its workers in turn, starts again those that die, and answers for all of them under
// /metrics and /readyz. It touches no report. Enters: settings. Leaves: the two base URLs, and a stop that loses nothing.
import cluster from "node:cluster";
import { startHttpServer } from "../../runtime/http-server.ts";
import type { Readiness, ReadinessChecks } from "../../runtime/http-server.ts";
import type { Logger } from "../../runtime/logger.ts";
import { createRegistry, readMetrics } from "../../runtime/metrics.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { createSupervisor } from "../../runtime/supervisor.ts";
import type { SupervisorEvent } from "../../runtime/supervisor.ts";
import { createOperationsApp } from "../app.ts";
import type { IngestOptions, RunningIngest } from "../ingest.ts";
import { mergeChecks } from "./worker-checks.ts";
import { createWorkerMetrics } from "./worker-metrics.ts";
import type { WorkerMetrics } from "./worker-metrics.ts";
import { forkWorker } from "./worker-process.ts";
import type { WorkerProcess } from "./worker-process.ts";

/** What the operations address may take to close at a stop, in milliseconds. */
const OPERATIONS_MS_MAX = 500;

export async function startFirstProcess(
  options: Omit<IngestOptions, "serveOperations">,
): Promise<RunningIngest> {
  const { settings, redisUrl, version, logger } = options;
  // Settings hold maps, sets and patterns: JSON would lose them.
  cluster.setupPrimary({ serialization: "advanced" });
  const registry = createRegistry({ process: "ingest", version });
  const metrics = createWorkerMetrics();
  const workers = new Map<number, Living>();
  const count = settings.ingest.processes ?? 1;
  let isDraining = false;
  let lives = 0;

  const launch = (number: number): WorkerProcess => {
    const life = (lives += 1);
    const worker = forkWorker({
      name: nameOf(number),
      start: { kind: "start", settings, redisUrl, version },
      onLastMetrics: (reading) => metrics.note(life, reading),
    });
    workers.set(number, { life, worker });
    void worker.exited.then(async () => {
      if (workers.get(number)?.life === life) workers.delete(number);
      await metrics.noteEnd(life);
    });
    return worker;
  };
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  const supervisor = createSupervisor({
    specs: numbers.map((number) => ({
      name: nameOf(number),
      kind: "essential",
      launch: () => launch(number),
    })),
    onEvent: (event) => logEvent(logger, event),
  });
  const operations = await startHttpServer(
    createOperationsApp({
      registry: () => metricsOfAll(registry, metrics, workers),
      checks: checksOfAll({ numbers, workers, isDraining: () => isDraining }),
      logger,
    }),
    settings.ingest.operationsListen,
    { name: "operations", registry, logger },
  );
  await supervisor.start();
  return {
    url: supervisor.urls()[nameOf(1)]!["http"]!,
    operationsUrl: operations.url,
    async stop() {
      isDraining = true;
      // From here on none is started again. All at once: one after the other would take as many times as long.
      const stopped = supervisor.stop();
      for (const { worker } of workers.values()) worker.askToStop();
      await stopped;
      await operations.stop(OPERATIONS_MS_MAX);
    },
  };
}

interface Living {
  readonly life: number;
  readonly worker: WorkerProcess;
}

function nameOf(number: number): string {
  return `ingest worker ${number}`;
}

async function metricsOfAll(
  registry: Registry,
  metrics: WorkerMetrics,
  workers: ReadonlyMap<number, Living>,
): Promise<Registry> {
  await Promise.all(
    [...workers].map(async ([number, { life, worker }]) => {
      const reading = await worker.metrics();
      // One that does not answer in time stands with what it said last; what one that is dead had counted is noted already.
      if (reading !== undefined && workers.get(number)?.life === life) metrics.note(life, reading);
    }),
  );
  return metrics.merged(await readMetrics(registry));
}

function checksOfAll({
  numbers,
  workers,
  isDraining,
}: {
  readonly numbers: readonly number[];
  readonly workers: ReadonlyMap<number, Living>;
  readonly isDraining: () => boolean;
}): ReadinessChecks {
  const ask = async (check: "redis" | "workers"): Promise<Readiness> => {
    const answers = await Promise.all(
      numbers.map(async (number) => await workers.get(number)?.worker.checks()),
    );
    return mergeChecks(answers)[check];
  };
  return {
    redis: () => ask("redis"),
    process: () => (isDraining() ? "stopping" : undefined),
    workers: () => ask("workers"),
  };
}

function logEvent(logger: Logger, event: SupervisorEvent): void {
  if (event.kind === "died")
    logger.error({ reason: event.reason, pauseMs: event.pauseMs }, `${event.name} died: it is started again`);
  if (event.kind === "stopped" && event.how === "killed")
    logger.error(`${event.name} did not stop in time, and was killed`);
}
