// The spool of one ingest process, as its start needs it. Enters: settings. Leaves: how reports are written: to Redis alone
// where the spool is off, else to Redis or the disk; and the life of what is on disk.
import path from "node:path";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Redis } from "../../runtime/redis.ts";
import type { IngestProcessSettings } from "../config.ts";
import type { IngestMetrics } from "../metrics.ts";
import { createBoundedAppend, createStreamWriter } from "../stream-writer.ts";
import type { ReportWriter } from "../keep-reports.ts";
import { takeSpoolFolder } from "./spool-folder.ts";
import { openSpool } from "./spool.ts";
import type { Spool } from "./spool.ts";
import { createSpoolingWriter } from "./spooling-writer.ts";
import type { SpoolOutage, SpoolingWriter } from "./spooling-writer.ts";

export interface IngestSpool {
  /** Once. */
  readonly createWriter: (metrics: IngestMetrics) => ReportWriter;
  /** Whether reports wait on disk that Redis has not got. */
  isBehind(): boolean;
  /** Undefined = reports go to Redis, or the spool is off. */
  outage(): SpoolOutage | undefined;
  start(): void;
  /** What is on disk stays there for the next start. */
  stop(): Promise<void>;
}

export interface IngestSpoolOptions {
  readonly settings: Pick<IngestProcessSettings, "dataDir" | "ingest" | "shards" | "replicaAcks">;
  /** A connection of the role `request`. */
  readonly redis: Redis;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onSpooled: () => void;
}

/** Rejects, with the remedy, when the folder can't be used. */
export async function openIngestSpool(options: IngestSpoolOptions): Promise<IngestSpool> {
  const { settings, redis, clock, logger, onSpooled } = options;
  const { ingest, dataDir, shards, replicaAcks } = settings;
  const toRedis = { redis, shards, streamEntriesMax: ingest.streamEntriesMax, replicaAcks, clock };
  if (ingest.spool === undefined) return withoutSpool(() => createStreamWriter(toRedis));
  const dir = ingest.spool.dir ?? path.join(dataDir, "spool");
  const { spool, release } = await openIn(dir, { bytesMax: ingest.spool.bytesMax, shards, clock, logger });
  let writer: SpoolingWriter | undefined;
  return {
    createWriter(metrics) {
      const { append, appendAlone } = createBoundedAppend(toRedis);
      writer = createSpoolingWriter({
        spool,
        append,
        appendAlone,
        shards,
        metrics: metrics.spool,
        clock,
        logger,
        onSpooled,
      });
      metrics.spool.watch(() => ({ ...spool.state(), isAway: writer?.outage() !== undefined }));
      return writer;
    },
    isBehind: () => !spool.state().isEmpty,
    outage: () => writer?.outage(),
    start: () => writer?.start(),
    async stop() {
      await writer?.stop();
      release();
    },
  };
}

function withoutSpool(createWriter: () => ReportWriter): IngestSpool {
  return {
    createWriter,
    isBehind: () => false,
    outage: () => undefined,
    start: () => {},
    stop: () => Promise.resolve(),
  };
}

async function openIn(
  dir: string,
  options: Omit<Parameters<typeof openSpool>[0], "folder">,
): Promise<{ readonly spool: Spool; readonly release: () => void }> {
  try {
    const own = await takeSpoolFolder(dir);
    return { spool: await openSpool({ ...options, folder: own.folder }), release: () => own.release() };
  } catch (error) {
    throw new Error(
      `the spool can't be kept in ${dir} (${(error as Error).message}): make the folder writable for this user, ` +
        "name another one as ingest.spool.dir, or set ingest.spool: off",
      { cause: error },
    );
  }
}
