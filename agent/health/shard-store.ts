// One shard in Redis: reads what stands there at one revision, and commits what folding, a visit or time
// made of it. The revision is the lock: whatever was read is only written back when nobody else has
// written meanwhile, so several agents, crashes and retries can never count twice.
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import { SHARDS_DEFAULT, reportStream, deadLetterStream } from "../../ingest/contract/stream-names.ts";
import type { Redis } from "../../runtime/redis.ts";
import type { DeviceName, StateOf } from "./device-table.ts";
import { examplesPerShard } from "./examples.ts";
import type { FoldPlan, RefusedReport } from "./fold-plan.ts";
import { readReportBatch } from "./report-batch.ts";
import type { DeadLetter, ReportBatch } from "./report-batch.ts";
import { NO_REVISION, orConflict, readAt } from "./revision.ts";
import type { Revision, ShardAt } from "./revision.ts";
import { createShardCommit } from "./shard-commit.ts";
import type { CommitResult, ShardCommit } from "./shard-commit.ts";
import { readDue, writeDue, writeSeen } from "./deadline-index.ts";
import type { DueDevices } from "./deadline-index.ts";
import {
  countsKey,
  dayMarksKey,
  deviceBucketKey,
  dirtyKey,
  examplesKey,
  hourMarksKey,
  metaKey,
  tableKey,
  windowsKey,
} from "./shard-keys.ts";
import { TABLE_NAMES, grown, highestNumber, parseTable } from "./shard-tables.ts";
import type { ShardTable, ShardTables } from "./shard-tables.ts";
import { writeCounts } from "./stored-counts.ts";
import { writeExamples } from "./stored-examples.ts";
import { readEach } from "./stored-fields.ts";

const START = "0-0";

/** Where a shard stands. */
export interface ShardPosition {
  readonly revision: Revision;
  /** Id of the last folded entry. */
  readonly cursor: string;
}

export interface Batch extends ReportBatch {
  readonly position: ShardPosition;
}

/** What is read at a revision throws RevisionMoved (revision.ts) when the shard has another one by then. */
export interface ShardStore {
  readonly shard: number;
  readPosition(): Promise<ShardPosition>;
  /** The next entries, or undefined when nothing waited at the position. */
  readBatch(position: ShardPosition): Promise<Batch | undefined>;
  readTables(revision: Revision): Promise<ShardTables>;
  readStates(revision: Revision, devices: readonly DeviceName[]): Promise<StateOf>;
  /** Up to a few thousand devices whose deadline ends by the minute; undefined when there are none. */
  readDue(revision: Revision, nowMinute: number): Promise<DueDevices | undefined>;
  /** What a fold changes: the batch is done with. */
  commitBatch(batch: Batch, plan: FoldPlan): Promise<CommitResult>;
  /** What time changes; `seen` devices leave the index of deadlines. */
  commitVisit(revision: Revision, plan: FoldPlan, seen?: DueDevices): Promise<CommitResult>;
  /** Makes room in the table: a tenth of the channel's releases, those not reported about for longest, leave. */
  retireReleases(revision: Revision, key: ChannelKey): Promise<CommitResult>;
}

export interface ShardStoreOptions {
  readonly redis: Redis;
  readonly shard: number;
  /** Devices of an outcome and release whose names are kept (examples.ts). */
  readonly examplesMax?: number;
}

export function createShardStore({
  redis,
  shard,
  examplesMax = examplesPerShard(SHARDS_DEFAULT),
}: ShardStoreOptions): ShardStore {
  const tables = createTableCache(redis, shard);
  const at = (revision: Revision): ShardAt => ({ redis, shard, revision });

  const commitPlan = (commit: ShardCommit, revision: Revision, plan: FoldPlan): Promise<CommitResult> =>
    orConflict(async () => {
      const now = grown(await tables.at(revision), plan.newRows);
      await writePlan(commit, { at: at(revision), plan, releases: now.releases, perOutcomeMax: examplesMax });
      const result = await commit.run(revision);
      if (result === "committed") tables.keep(commit.revision, now);
      return result;
    });

  return {
    shard,
    readPosition: () => positionOf(redis, shard),
    async readBatch(position) {
      const batch = await readReportBatch(at(position.revision), position.cursor);
      return batch === undefined ? undefined : { ...batch, position };
    },
    readTables: (revision) => tables.at(revision),
    readStates: (revision, devices) => readStates(at(revision), devices),
    readDue: (revision, nowMinute) => readDue(at(revision), nowMinute),
    async commitBatch(batch, plan) {
      const commit = createShardCommit(redis, shard);
      writeCursor(commit, shard, batch);
      writeDeadLetters(commit, shard, [...batch.deadLetters, ...plan.refused.map(refusedLetter)]);
      return commitPlan(commit, batch.position.revision, plan);
    },
    async commitVisit(revision, plan, seen) {
      const commit = createShardCommit(redis, shard);
      if (seen !== undefined) writeSeen(commit, shard, seen);
      return commitPlan(commit, revision, plan);
    },
    retireReleases: (revision, key) =>
      orConflict(async () => retireReleases(at(revision), (await tables.at(revision)).releases, key)),
  };
}

async function positionOf(redis: Redis, shard: number): Promise<ShardPosition> {
  const [revision, cursor] = await redis.hmget(metaKey(shard), "revision", "cursor");
  return { revision: revision ?? NO_REVISION, cursor: cursor ?? START };
}

interface TableCache {
  at(revision: Revision): Promise<ShardTables>;
  keep(revision: Revision, tables: ShardTables): void;
}

/** Tables are read once, and then grow with our own commits until somebody else makes one. */
function createTableCache(redis: Redis, shard: number): TableCache {
  let cached: { readonly revision: Revision; readonly tables: ShardTables } | undefined;
  return {
    async at(revision) {
      if (cached?.revision === revision) return cached.tables;
      const tables = await readTables({ redis, shard, revision });
      cached = { revision, tables };
      return tables;
    },
    keep: (revision, tables) => void (cached = { revision, tables }),
  };
}

async function readTables(at: ShardAt): Promise<ShardTables> {
  const answers = await readAt(at, (transaction) => {
    for (const name of TABLE_NAMES) transaction.hgetall(tableKey(at.shard, name));
  });
  const [releases, strata, reasons] = answers.map((rows) => parseTable(rows as Record<string, string>));
  return { releases: releases!, strata: strata!, reasons: reasons! };
}

async function readStates(at: ShardAt, devices: readonly DeviceName[]): Promise<StateOf> {
  const fieldsByBucket = new Map<number, Set<string>>();
  for (const { bucket, field } of devices) {
    const fields = fieldsByBucket.get(bucket);
    if (fields === undefined) fieldsByBucket.set(bucket, new Set([field]));
    else fields.add(field);
  }
  const asked = [...fieldsByBucket].map(([bucket, fields]) => ({
    key: deviceBucketKey(at.shard, bucket),
    fields: [...fields],
  }));
  const states = new Map<string, Buffer>();
  await readEach(at, asked, (_index, field, state) => void states.set(field, state));
  return (_bucket, field) => states.get(field);
}

function writeCursor(commit: ShardCommit, shard: number, batch: Batch): void {
  const meta = metaKey(shard);
  commit.command("HSET", meta, "cursor", batch.nextCursor);
  commit.command("HINCRBY", meta, "folded", batch.reports.length);
  commit.command("XTRIM", reportStream(shard), "MINID", idAfter(batch.nextCursor));
}

/** The smallest stream id above `id`: everything below it is folded and may be trimmed. */
function idAfter(id: string): string {
  const [ms, sequence] = id.split("-") as [string, string];
  return `${ms}-${BigInt(sequence) + 1n}`;
}

function refusedLetter({ report, receivedAtMs, reason }: RefusedReport): DeadLetter {
  return { reason, payload: JSON.stringify({ receivedAtMs, report }) };
}

function writeDeadLetters(commit: ShardCommit, shard: number, letters: readonly DeadLetter[]): void {
  for (const { reason, payload } of letters)
    commit.command("XADD", deadLetterStream(shard), "*", "reason", reason, "payload", payload);
  if (letters.length > 0) commit.command("HINCRBY", metaKey(shard), "dead", letters.length);
}

async function writePlan(
  commit: ShardCommit,
  {
    at,
    plan,
    releases,
    perOutcomeMax,
  }: { at: ShardAt; plan: FoldPlan; releases: ShardTable; perOutcomeMax: number },
): Promise<void> {
  const { shard } = at;
  for (const name of TABLE_NAMES) commit.many("HSET", tableKey(shard, name), [...plan.newRows[name]]);
  for (const [bucket, states] of plan.states) commit.fields(deviceBucketKey(shard, bucket), states);
  writeDue(commit, shard, plan.due);
  const changed = [...plan.releases].map(([text, delta]) => ({
    text,
    releaseNumber: releases.get(text)!,
    delta,
  }));
  commit.many(
    "HSET",
    dirtyKey(shard),
    changed.map(({ text }) => [text, commit.revision]),
  );
  // Read side by side: the commands of the one need not stand before those of the other.
  await Promise.all([
    writeCounts(at, commit, changed),
    writeExamples(at, commit, { changed, perOutcomeMax }),
  ]);
}

/** Share of a full channel's releases that retire at once. */
const RETIRED_SHARE = 0.1;

async function retireReleases(at: ShardAt, releases: ShardTable, key: ChannelKey): Promise<CommitResult> {
  const { redis, shard, revision } = at;
  const highest = highestNumber(releases);
  const rows = [...releases].filter(
    ([text, releaseNumber]) => text.startsWith(`${formatChannelKey(key)}|`) && releaseNumber !== highest,
  );
  const lasts = await readAt(at, (transaction) => {
    for (const [, releaseNumber] of rows) transaction.hget(countsKey(shard, releaseNumber), "last");
  });
  const oldest = rows
    .map(([text, releaseNumber], index) => ({ text, releaseNumber, last: Number(lasts[index] ?? 0) }))
    .toSorted((left, right) => left.last - right.last)
    .slice(0, Math.ceil(rows.length * RETIRED_SHARE));
  const commit = createShardCommit(redis, shard);
  for (const { text, releaseNumber } of oldest) {
    commit.command("HDEL", tableKey(shard, "releases"), text);
    // Evaluated once more, so that its summary goes as well when no shard knows it any longer.
    commit.command("HSET", dirtyKey(shard), text, commit.revision);
    commit.command("DEL", countsKey(shard, releaseNumber));
    commit.command("DEL", windowsKey(shard, releaseNumber));
    commit.command("DEL", dayMarksKey(shard, releaseNumber));
    commit.command("DEL", hourMarksKey(shard, releaseNumber));
    commit.command("DEL", examplesKey(shard, releaseNumber));
  }
  return commit.run(revision);
}
