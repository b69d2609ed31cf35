// Puts the good reports of one request into the shards' streams. Enters: validated reports. Leaves: an
// outcome: `written` only after Redis (and its replicas) acknowledged every entry, else why not. Nothing is ever trimmed here
// (no MAXLEN): a stream that is full refuses new reports instead of forgetting old ones. The two halves, encoding and
// appending, are there by themselves too: between them entries may wait on disk (spool/).
import type { Redis } from "../runtime/redis.ts";
import { isCluster } from "../runtime/redis-servers.ts";
import type { Clock } from "../runtime/clock.ts";
import { clampReportTime } from "./contract/device-report.ts";
import type { ClockSkew, DeviceReport } from "./contract/device-report.ts";
import { encodeReportEntry } from "./contract/report-entry.ts";
import type { AcceptedReport } from "./contract/report-entry.ts";
import { deviceDigest, shardOfDevice } from "./contract/shard.ts";
import { reportStream } from "./contract/stream-names.ts";
import { createEntryAppender } from "./entry-appender.ts";
import type { AsksLength, EntriesByShard, EntryAppender, EntryFields } from "./entry-appender.ts";
import { createGroupAppender } from "./group-appender.ts";
import { createTurnClock } from "./turn-clock.ts";

/** Reports in one entry: bounds how much the agent takes in one bite. */
export const REPORTS_PER_ENTRY_MAX = 1_000;
/** While a stream is full its length is asked for this often at most, in milliseconds. */
export const BACKLOG_RECHECK_MS = 250;

export type WriteOutcome = { readonly kind: "written"; readonly skews: ClockSkews } | Refusal;

export type AppendOutcome = { readonly kind: "appended" } | Refusal;

type Refusal =
  | { readonly kind: "backlog_full"; readonly shard: number }
  | { readonly kind: "redis_unavailable"; readonly cause: Error };

/** Reports by whether their time was clamped. */
export type ClockSkews = Readonly<Record<ClockSkew, number>>;

export interface StreamWriter {
  /**
   * Never rejects. After `redis_unavailable` some entries may have been written all the same (a shard's
   * entry before the connection broke, or one that no replica acknowledged in time). That is harmless: the sender
   * sends again, and counting the same report twice changes nothing.
   */
  write(reports: readonly DeviceReport[]): Promise<WriteOutcome>;
}

export interface StreamWriterOptions {
  /** A connection of the role `request`: it fails fast when Redis is away. */
  readonly redis: Redis;
  readonly shards: number;
  /** Entries that may wait in one shard's stream. Requests that run at the same moment may overshoot it. */
  readonly streamEntriesMax: number;
  /** Replicas that must have the entries before `written`; default 0. */
  readonly replicaAcks?: number;
  readonly clock: Clock;
}

export function createStreamWriter({ shards, clock, ...options }: StreamWriterOptions): StreamWriter {
  const { append } = createBoundedAppend({ ...options, clock });
  const receivedAt = createTurnClock(clock);
  return {
    async write(reports) {
      const { entries, skews } = encodeReports({ reports, shards, receivedAtMs: receivedAt() });
      const outcome = await append(byShard(entries));
      return outcome.kind === "appended" ? { kind: "written", skews } : outcome;
    },
  };
}

/** Never rejects; what {@link StreamWriter} says of `redis_unavailable` holds here as well. */
export type AppendEntries = (entries: EntriesByShard) => Promise<AppendOutcome>;

export interface BoundedAppend {
  /** Together with what other requests append at that moment. */
  readonly append: AppendEntries;
  /**
   * By itself: for what waited on disk. In a group it would be joined with entries that were received at another time,
   * and its failure would be told to requests that have nothing to do with it (or theirs to it).
   */
  readonly appendAlone: AppendEntries;
}

/** Appends where no stream is full; what is known of their lengths both ways share. */
export function createBoundedAppend({
  redis,
  streamEntriesMax,
  replicaAcks = 0,
  clock,
}: Omit<StreamWriterOptions, "shards">): BoundedAppend {
  const backlog = createBacklog({ redis, streamEntriesMax, clock });
  const { asksLength } = backlog;
  const alone = createEntryAppender({ redis, replicaAcks, asksLength });
  // On a cluster a group would span servers, and one that is away would refuse the reports of all the others.
  const grouped = isCluster(redis) ? alone : createGroupAppender(alone);
  const boundedBy =
    (appender: EntryAppender): AppendEntries =>
    async (entries) => {
      try {
        const fullShard = backlog.mayBeFull(entries.keys())
          ? await backlog.fullShardOf(entries.keys())
          : undefined;
        if (fullShard !== undefined) return { kind: "backlog_full", shard: fullShard };
        const lengths = await appender.append(entries);
        for (const [shard, length] of lengths) backlog.note(shard, length);
        return { kind: "appended" };
      } catch (error) {
        return { kind: "redis_unavailable", cause: error as Error };
      }
    };
  return { append: boundedBy(grouped), appendAlone: boundedBy(alone) };
}

/** A stream entry, with what has to be known of it where it waits. */
export interface EncodedEntry {
  readonly shard: number;
  /** When ingest took the reports in, epoch milliseconds. */
  readonly receivedAtMs: number;
  /** How many are in it. */
  readonly reports: number;
  readonly fields: EntryFields;
}

export interface EncodedReports {
  readonly entries: readonly EncodedEntry[];
  readonly skews: ClockSkews;
}

/** Reports as the entries that they become. Pure. */
export function encodeReports({
  reports,
  shards,
  receivedAtMs,
}: {
  readonly reports: readonly DeviceReport[];
  readonly shards: number;
  readonly receivedAtMs: number;
}): EncodedReports {
  const { groups, skews } = groupByShard({ reports, shards, receivedAtMs });
  return { entries: encode(groups, receivedAtMs), skews };
}

export function byShard(entries: readonly EncodedEntry[]): EntriesByShard {
  const groups = new Map<number, EntryFields[]>();
  for (const { shard, fields } of entries) {
    const group = groups.get(shard);
    if (group === undefined) groups.set(shard, [fields]);
    else group.push(fields);
  }
  return groups;
}

type ReportsByShard = ReadonlyMap<number, readonly AcceptedReport[]>;

function groupByShard({
  reports,
  shards,
  receivedAtMs,
}: {
  reports: readonly DeviceReport[];
  shards: number;
  receivedAtMs: number;
}): { groups: ReportsByShard; skews: Record<ClockSkew, number> } {
  const groups = new Map<number, AcceptedReport[]>();
  const skews = { none: 0, past: 0, future: 0 };
  for (const report of reports) {
    const { atMs, skew } = clampReportTime(report.at, receivedAtMs);
    skews[skew] += 1;
    const shard = shardOfDevice(deviceDigest(report.app, report.device), shards);
    const accepted = toAccepted(report, atMs);
    const group = groups.get(shard);
    if (group === undefined) groups.set(shard, [accepted]);
    else group.push(accepted);
  }
  return { groups, skews };
}

/** Field by field, so that all have one shape: what reads them, for every report, is then several times as quick. */
function toAccepted(report: DeviceReport, atMs: number): AcceptedReport {
  return {
    app: report.app,
    channel: report.channel,
    device: report.device,
    version: report.version,
    event: report.event,
    atMs,
    from: report.from,
    id: report.id,
    reason: report.reason,
    crash: report.crash,
    platform: report.platform,
    model: report.model,
    os_version: report.os_version,
    native_version: report.native_version,
  };
}

/** Entries of bounded size. */
function encode(groups: ReportsByShard, receivedAtMs: number): EncodedEntry[] {
  const entries: EncodedEntry[] = [];
  for (const [shard, ofShard] of groups)
    for (let start = 0; start < ofShard.length; start += REPORTS_PER_ENTRY_MAX) {
      const reports = ofShard.slice(start, start + REPORTS_PER_ENTRY_MAX);
      const fields = encodeReportEntry({ receivedAtMs, reports });
      entries.push({ shard, receivedAtMs, reports: reports.length, fields });
    }
  return entries;
}

interface Backlog {
  note(shard: number, entries: number): void;
  /** Whether the length has to be asked when so many entries are added; if not, they are reckoned in. */
  asksLength: AsksLength;
  /** False when it is known that none is full, which is nearly always: then nobody waits. */
  mayBeFull(shards: Iterable<number>): boolean;
  /** One of `shards` whose stream is full, as far as known. Rejects when Redis can't be asked. */
  fullShardOf(shards: Iterable<number>): Promise<number | undefined>;
}

interface KnownLength {
  /** At most so many as far as this process knows: what it adds is reckoned in, what the agent took away is not. */
  readonly entries: number;
  readonly checkedAtMs: number;
}

/** Other processes add as well: what is known of a stream is no older than this, in milliseconds. */
export const LENGTH_KNOWN_MS = 100;

/** What is known of each stream's length. A full one is looked at again now and then, so it recovers by itself. */
function createBacklog({
  redis,
  streamEntriesMax,
  clock,
}: Pick<StreamWriterOptions, "redis" | "streamEntriesMax" | "clock">): Backlog {
  const known = new Map<number, KnownLength>();

  const note = (shard: number, entries: number): void =>
    void known.set(shard, { entries, checkedAtMs: clock() });

  const isFull = async (shard: number): Promise<boolean> => {
    const last = known.get(shard);
    if (last === undefined || last.entries < streamEntriesMax) return false;
    const ageMs = clock() - last.checkedAtMs;
    // A negative age means that the wall clock was set back: look again rather than refuse for long.
    if (ageMs >= 0 && ageMs < BACKLOG_RECHECK_MS) return true;
    // Noted before asking, so that only one request asks and the others are refused meanwhile.
    note(shard, last.entries);
    note(shard, await redis.xlen(reportStream(shard)));
    return known.get(shard)!.entries >= streamEntriesMax;
  };

  return {
    note,
    asksLength(shard, added) {
      const last = known.get(shard);
      if (last === undefined) return true;
      const ageMs = clock() - last.checkedAtMs;
      const entries = last.entries + added;
      if (entries >= streamEntriesMax || ageMs < 0 || ageMs >= LENGTH_KNOWN_MS) return true;
      known.set(shard, { entries, checkedAtMs: last.checkedAtMs });
      return false;
    },
    mayBeFull(shards) {
      for (const shard of shards) if ((known.get(shard)?.entries ?? 0) >= streamEntriesMax) return true;
      return false;
    },
    async fullShardOf(shards) {
      for (const shard of shards) if (await isFull(shard)) return shard;
      return undefined;
    },
  };
}
