// Ingest as several processes on one address (`ingest.processes`, docs/adr/0028-several-ingest-processes.md): this one
// listens, hands connections to its workers in turn, starts again those that die, and answers for all of them under
// /metrics and /readyz. It touches no report. Enters: settings. Leaves: the two base URLs, and a stop that loses nothing.
import { startHttpServer } from "../../runtime/http-server.ts";
import type { Readiness, ReadinessChecks } from "../../runtime/http-server.ts";
import { createRegistry } from "../../runtime/metrics.ts";
import { keepWorkers } from "../../runtime/workers/kept-workers.ts";
import type { KeptWorkers } from "../../runtime/workers/kept-workers.ts";
import { mergeChecks } from "../../runtime/workers/worker-checks.ts";
import { createOperationsApp } from "../app.ts";
import type { IngestOptions, RunningIngest } from "../ingest.ts";
import type { WorkerStart } from "./worker.ts";

/** What the operations address may take to close at a stop, in milliseconds. */
const OPERATIONS_MS_MAX = 500;

export async function startFirstProcess(
  options: Omit<IngestOptions, "serveOperations">,
): Promise<RunningIngest> {
  const { settings, redisUrl, version, logger } = options;
  const registry = createRegistry({ process: "ingest", version });
  const workers = keepWorkers<WorkerStart>({
    count: settings.ingest.processes ?? 1,
    kind: "essential",
    nameOf: (number) => `ingest worker ${number}`,
    start: () => ({ settings, redisUrl, version }),
    logger,
  });
  let isDraining = false;
  const operations = await startHttpServer(
    createOperationsApp({
      registry: () => workers.metrics(registry),
      checks: checksOfAll(workers, () => isDraining),
      logger,
    }),
    settings.ingest.operationsListen,
    { name: "operations", registry, logger },
  );
  await workers.start();
  return {
    url: workers.urls()["http"]!,
    operationsUrl: operations.url,
    async stop() {
      isDraining = true;
      await workers.stop();
      await operations.stop(OPERATIONS_MS_MAX);
    },
  };
}

function checksOfAll(workers: KeptWorkers, isDraining: () => boolean): ReadinessChecks {
  const ask = async (check: "redis" | "workers"): Promise<Readiness> =>
    mergeChecks(await workers.checks())[check];
  return {
    redis: () => ask("redis"),
    process: () => (isDraining() ? "stopping" : undefined),
    workers: () => ask("workers"),
  };
}
