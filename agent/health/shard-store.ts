// One shard in Redis: reads what stands there at one revision, and commits what folding, a visit or time
// made of it. The revision is the lock: whatever was read is only written back when nobody else has
// written meanwhile, so several agents, crashes and retries can never count twice.
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import { reportStream, deadLetterStream } from "../../ingest/contract/stream-names.ts";
import type { Redis } from "../../runtime/redis.ts";
import type { DeviceName, StateOf } from "./device-table.ts";
import type { FoldPlan, RefusedReport } from "./fold-plan.ts";
import { createBatchReader } from "./report-batch.ts";
import type { DeadLetter, ReportBatch } from "./report-batch.ts";
import { NO_REVISION, createShardCommit } from "./shard-commit.ts";
import type { CommitResult, Revision, ShardCommit } from "./shard-commit.ts";
import { readDue, writeDue, writeSeen } from "./deadline-index.ts";
import type { DueDevices } from "./deadline-index.ts";
import { countsKey, deviceBucketKey, dirtyKey, metaKey, tableKey, windowsKey } from "./shard-keys.ts";
import { TABLE_NAMES, grown, highestNumber } from "./shard-tables.ts";
import type { ShardTable, ShardTables } from "./shard-tables.ts";
import { writeCounts } from "./stored-counts.ts";

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

export interface ShardStore {
  readonly shard: number;
  readPosition(): Promise<ShardPosition>;
  /** The next entries, or undefined when nothing waits. */
  readBatch(): Promise<Batch | undefined>;
  readTables(revision: Revision): Promise<ShardTables>;
  readStates(devices: readonly DeviceName[]): Promise<StateOf>;
  /** Up to a few thousand devices whose deadline ends by the minute; undefined when there are none. */
  readDue(nowMinute: number): Promise<DueDevices | undefined>;
  /** What a fold changes: the batch is done with. */
  commitBatch(batch: Batch, plan: FoldPlan): Promise<CommitResult>;
  /** What time changes; `seen` devices leave the index of deadlines. */
  commitVisit(revision: Revision, plan: FoldPlan, seen?: DueDevices): Promise<CommitResult>;
  /** Makes room in the table: a tenth of the channel's releases, those not reported about for longest, leave. */
  retireReleases(revision: Revision, key: ChannelKey): Promise<CommitResult>;
}

export function createShardStore({ redis, shard }: { redis: Redis; shard: number }): ShardStore {
  const batches = createBatchReader({ redis, shard });
  const tables = createTableCache(redis, shard);
  const readPosition = (): Promise<ShardPosition> => positionOf(redis, shard);

  const commitPlan = async (
    commit: ShardCommit,
    revision: Revision,
    plan: FoldPlan,
  ): Promise<CommitResult> => {
    const before = await tables.at(revision);
    const now = grown(before, plan.newRows);
    await writePlan(commit, { redis, shard, plan, releases: now.releases });
    const result = await runCommit(redis, { shard, commit, revision });
    if (result === "committed") tables.keep(commit.revision, now);
    return result;
  };

  return {
    shard,
    readPosition,
    async readBatch() {
      const position = await readPosition();
      const batch = await batches.read(position.cursor);
      return batch === undefined ? undefined : { ...batch, position };
    },
    readTables: (revision) => tables.at(revision),
    readStates: (devices) => readStates(redis, shard, devices),
    readDue: (nowMinute) => readDue({ redis, shard, nowMinute }),
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
    async retireReleases(revision, key) {
      const { releases } = await tables.at(revision);
      return retireReleases(redis, { shard, revision, releases, key });
    },
  };
}

async function positionOf(redis: Redis, shard: number): Promise<ShardPosition> {
  const [revision, cursor] = await redis.hmget(metaKey(shard), "revision", "cursor");
  return { revision: revision ?? NO_REVISION, cursor: cursor ?? START };
}

/**
 * Everything was read at the revision if it still holds after the last read: on a cluster that has replaced
 * a primary an older one can come back, and must not meet what was read in between.
 */
export async function runCommit(
  redis: Redis,
  { shard, commit, revision }: { shard: number; commit: ShardCommit; revision: Revision },
): Promise<CommitResult> {
  if ((await positionOf(redis, shard)).revision !== revision) return "conflict";
  return commit.run(revision);
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
      cached = await readTables(redis, shard);
      // Tables of another revision will not be committed with: the caller's revision is over.
      return cached.tables;
    },
    keep: (revision, tables) => void (cached = { revision, tables }),
  };
}

/** Read with the revision in one step, so that they are never taken for those of another. */
async function readTables(redis: Redis, shard: number): Promise<{ revision: Revision; tables: ShardTables }> {
  const transaction = redis.multi().hget(metaKey(shard), "revision");
  for (const name of TABLE_NAMES) transaction.hgetall(tableKey(shard, name));
  const answers = (await transaction.exec()) ?? [];
  const [revision, releases, strata, reasons] = answers.map(([error, value]) => {
    if (error !== null) throw error;
    return value;
  });
  const table = (rows: unknown): ShardTable =>
    new Map(Object.entries(rows as Record<string, string>).map(([text, number]) => [text, Number(number)]));
  return {
    revision: (revision as string | null) ?? NO_REVISION,
    tables: { releases: table(releases), strata: table(strata), reasons: table(reasons) },
  };
}

async function readStates(redis: Redis, shard: number, devices: readonly DeviceName[]): Promise<StateOf> {
  const fieldsByBucket = new Map<number, Set<string>>();
  for (const { bucket, field } of devices) {
    const fields = fieldsByBucket.get(bucket);
    if (fields === undefined) fieldsByBucket.set(bucket, new Set([field]));
    else fields.add(field);
  }
  const states = new Map<string, Buffer>();
  const pipeline = redis.pipeline();
  const asked: string[][] = [];
  for (const [bucket, fields] of fieldsByBucket) {
    const names = [...fields];
    asked.push(names);
    pipeline.hmgetBuffer(deviceBucketKey(shard, bucket), ...names.map((name) => Buffer.from(name, "latin1")));
  }
  const answers = asked.length === 0 ? [] : ((await pipeline.exec()) ?? []);
  for (const [index, [error, values]] of answers.entries()) {
    if (error !== null) throw error;
    const names = asked[index]!;
    for (const [position, value] of (values as (Buffer | null)[]).entries()) {
      if (value !== null) states.set(names[position]!, value);
    }
  }
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
  { redis, shard, plan, releases }: { redis: Redis; shard: number; plan: FoldPlan; releases: ShardTable },
): Promise<void> {
  for (const name of TABLE_NAMES) commit.many("HSET", tableKey(shard, name), [...plan.newRows[name]]);
  for (const [bucket, states] of plan.states) writeStates(commit, deviceBucketKey(shard, bucket), states);
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
  await writeCounts({ redis, shard, commit }, changed);
}

function writeStates(commit: ShardCommit, key: string, states: ReadonlyMap<string, Buffer>): void {
  const rows = [...states].map(([field, state]) => [Buffer.from(field, "latin1"), state] as const);
  commit.many(
    "HSET",
    key,
    rows.filter(([, state]) => state.length > 0),
  );
  commit.many(
    "HDEL",
    key,
    rows.filter(([, state]) => state.length === 0).map(([field]) => [field]),
  );
}

/** Share of a full channel's releases that retire at once. */
const RETIRED_SHARE = 0.1;

async function retireReleases(
  redis: Redis,
  {
    shard,
    revision,
    releases,
    key,
  }: { shard: number; revision: Revision; releases: ShardTable; key: ChannelKey },
): Promise<CommitResult> {
  const highest = highestNumber(releases);
  const rows = [...releases].filter(
    ([text, releaseNumber]) => text.startsWith(`${formatChannelKey(key)}|`) && releaseNumber !== highest,
  );
  const lastReports = await Promise.all(
    rows.map(async ([text, releaseNumber]) => {
      const last = Number((await redis.hget(countsKey(shard, releaseNumber), "last")) ?? 0);
      return { text, releaseNumber, last };
    }),
  );
  const oldest = lastReports
    .toSorted((left, right) => left.last - right.last)
    .slice(0, Math.ceil(rows.length * RETIRED_SHARE));
  const commit = createShardCommit(redis, shard);
  for (const { text, releaseNumber } of oldest) {
    commit.command("HDEL", tableKey(shard, "releases"), text);
    // Evaluated once more, so that its summary goes as well when no shard knows it any longer.
    commit.command("HSET", dirtyKey(shard), text, commit.revision);
    commit.command("DEL", countsKey(shard, releaseNumber));
    commit.command("DEL", windowsKey(shard, releaseNumber));
  }
  return runCommit(redis, { shard, commit, revision });
}
