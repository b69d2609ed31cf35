// A worker of an ingest with several processes: the whole of ingest but for the operations address, which it answers over
// IPC. Enters: settings, from the first process. Leaves: a process that takes reports until it is told to stop.
import { createLogger } from "../../runtime/logger.ts";
import type { RedisAddress } from "../../runtime/redis.ts";
import { runWorker } from "../../runtime/workers/worker.ts";
import type { IngestProcessSettings } from "../config.ts";
import { startIngest } from "../ingest.ts";

/** What a worker of ingest works with. */
export interface WorkerStart {
  readonly settings: IngestProcessSettings;
  readonly redisUrl: RedisAddress;
  readonly version: string;
}

export async function runIngestWorker(): Promise<void> {
  await runWorker<WorkerStart>({
    loggerOf: ({ settings }) => createLogger({ name: "ingest", level: settings.logLevel }),
    async run({ start, logger, firstProcess }) {
      const ingest = await startIngest({
        ...start,
        logger,
        serveOperations: (operations) =>
          Promise.resolve({ url: "", ...firstProcess.answer(operations, logger) }),
      });
      return { ...ingest, urls: { http: ingest.url } };
    },
  });
}
