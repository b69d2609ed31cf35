// The way of reports into Redis, or onto this machine's disk while Redis does not take them. Enters: validated reports.
// Leaves: `written` only after one of the two has them for good. What is on disk follows by itself, and in any order with
// what comes in meanwhile: counts are a function of the set of reports.
//
// While Redis is known to be away (shard by shard) entries go to the disk at once, without asking it: a Redis that hangs would
// hold up each request for as long as a command may take. The drain asks, and its first success brings the shard back.
//
// A full stream is no outage: the agent is behind, and a second queue behind the first would only hide that. So
// `backlog_full` stays the sender's business.
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { KeepOutcome, ReportWriter } from "../keep-reports.ts";
import type { SpoolMetrics } from "../metrics.ts";
import { byShard, encodeReports } from "../stream-writer.ts";
import type { AppendEntries, AppendOutcome, EncodedEntry } from "../stream-writer.ts";
import { createTurnClock } from "../turn-clock.ts";
import { createDrain } from "./drain.ts";
import { createRedisLink } from "./redis-link.ts";
import type { KeepResult, Spool } from "./spool.ts";

export interface SpoolingWriter extends ReportWriter {
  /** Whether reports wait on disk that Redis has not got. */
  isBehind(): boolean;
  /** What keeps new reports away from Redis, in a few words; undefined = they go there. */
  outage(): SpoolOutage | undefined;
  /** Begins to drain. */
  start(): void;
  stop(): Promise<void>;
}

export interface SpoolOutage {
  /** `kept`: the disk takes reports. */
  readonly kind: "kept" | "turned_away";
  readonly detail: string;
}

export interface SpoolingWriterOptions {
  readonly spool: Spool;
  readonly append: AppendEntries;
  /** For the drain: not in one group with requests. */
  readonly appendAlone: AppendEntries;
  readonly shards: number;
  readonly metrics: Pick<SpoolMetrics, "reports" | "damaged" | "drainErrors">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when reports went to the disk: until they are in Redis nobody may take their devices for silent. */
  readonly onSpooled: () => void;
}

export function createSpoolingWriter(options: SpoolingWriterOptions): SpoolingWriter {
  const { spool, append, appendAlone, shards, metrics, clock, logger, onSpooled } = options;
  const receivedAt = createTurnClock(clock);
  const link = createRedisLink({ spool, shards, logger });
  let lastRefusal: Exclude<KeepResult["kind"], "kept"> | undefined;

  async function keep(entries: readonly EncodedEntry[]): Promise<KeepResult["kind"]> {
    const { kind } = await spool.keep(entries);
    metrics.reports.inc({ result: kind }, countReports(entries));
    lastRefusal = kind === "kept" ? undefined : kind;
    if (kind === "kept") onSpooled();
    return kind;
  }

  const drain = createDrain({
    spool,
    shards,
    append: appendAlone,
    link,
    onDrained: (reports) => {
      metrics.reports.inc({ result: "drained" }, reports);
      link.noteDrained(reports);
    },
    onEmpty: () => link.noteEmpty(),
    onDamaged: (records) => metrics.damaged.inc(records),
    onFailed: () => metrics.drainErrors.inc(),
    logger,
  });

  async function ask(entries: readonly EncodedEntry[]): Promise<AppendOutcome> {
    if (entries.length === 0) return { kind: "appended" };
    const forShards = byShard(entries);
    const outcome = await append(forShards);
    link.note(forShards.keys(), outcome);
    return outcome;
  }

  return {
    async write(reports) {
      const { entries, skews } = encodeReports({ reports, shards, receivedAtMs: receivedAt() });
      const written: KeepOutcome = { kind: "written", skews };
      // With nothing on disk the drain has nothing to ask with: then requests ask.
      const isAway = ({ shard }: EncodedEntry): boolean => link.isAway(shard) && !spool.state().isEmpty;
      const forDisk = entries.filter(isAway);
      const first = await ask(forDisk.length === 0 ? entries : entries.filter((entry) => !isAway(entry)));
      if (first.kind === "backlog_full") return first;
      const unkept = first.kind === "appended" ? forDisk : entries;
      if (unkept.length === 0) return written;
      const kept = await keep(unkept);
      if (kept === "kept") return written;
      // Better a request that waits for Redis than one that is turned away unheard.
      const last = first.kind === "appended" ? await ask(unkept) : first;
      if (last.kind === "appended") return written;
      return kept === "full" && last.kind === "redis_unavailable" ? { kind: "spool_full" } : last;
    },
    isBehind: () => !spool.state().isEmpty,
    outage() {
      const cause = link.cause();
      if (cause === undefined) return undefined;
      const kind = lastRefusal === undefined ? "kept" : "turned_away";
      return {
        kind,
        detail: kind === "kept" ? "reports are kept in the spool" : `the spool is ${lastRefusal}`,
      };
    },
    start: () => drain.start(),
    async stop() {
      await drain.stop();
      const { bytes, isEmpty } = spool.state();
      if (!isEmpty) logger.warn({ bytes }, "reports stay in the spool; the next start sends them to Redis");
      await spool.close();
    },
  };
}

function countReports(entries: readonly EncodedEntry[]): number {
  return entries.reduce((sum, { reports }) => sum + reports, 0);
}
