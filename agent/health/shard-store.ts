// One shard in Redis: reads a batch behind the cursor with all that folding needs, and commits a
// FoldPlan in one atomic step. The cursor is the lock: whatever was read is only written back when the
// cursor still stands where it stood, so several agents, crashes and retries can never count twice.
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import type { AcceptedReport, ReportEntry } from "../../ingest/contract/report-entry.ts";
import { decodeReportEntry } from "../../ingest/contract/report-entry.ts";
import { deadLetterStream, reportStream } from "../../ingest/contract/stream-names.ts";
import { loadLuaScript } from "../../runtime/lua.ts";
import type { Redis } from "../../runtime/redis.ts";
import { payloadOfEntry } from "../intake/dead-letter.ts";
import { highestNumber, toFoldable } from "./fold.ts";
import type { FoldPlan, FoldableReport, ReleaseDelta, ReleaseTable } from "./fold.ts";
import { deviceBucketKey, dirtyKey, metaKey, releaseTableKey, totalsKey, windowsKey } from "./shard-keys.ts";

/** Reports folded in one commit at most, beyond the last entry's own (an entry is never split). */
export const BATCH_REPORTS_MAX = 5_000;
/** Dead letters kept per shard; older ones give way. */
export const DEAD_LETTERS_MAX = 10_000;

const COMMIT = loadLuaScript(new URL("./lua/commit-fold.lua", import.meta.url));
const RETIRE = loadLuaScript(new URL("./lua/retire-releases.lua", import.meta.url));
const START = "0-0";
const NONE_RETIRED = "0";

export interface DeadLetter {
  readonly reason: string;
  readonly payload: string;
}

export interface Batch {
  readonly cursor: string;
  /** How many releases had retired from the table when the batch was read. */
  readonly retired: string;
  /** Id of the last entry of the batch: where the cursor goes. */
  readonly nextCursor: string;
  readonly reports: readonly FoldableReport[];
  readonly deadLetters: readonly DeadLetter[];
  /** Whether more entries may wait behind this batch. */
  readonly hasMore: boolean;
}

export interface ShardStore {
  /** The next entries, or undefined when nothing waits. */
  readBatch(): Promise<Batch | undefined>;
  readReleaseTable(cursor: string): Promise<ReleaseTable>;
  readStates(
    reports: readonly FoldableReport[],
  ): Promise<(bucket: number, field: string) => Buffer | undefined>;
  commit(batch: Batch, plan: FoldPlan, releaseTable: ReleaseTable): Promise<"committed" | "cursor_moved">;
  /** Makes room in the table: a tenth of the channel's releases, those not reported about for longest, leave. */
  retireReleases(cursor: string, key: ChannelKey): Promise<void>;
}

export function createShardStore({ redis, shard }: { redis: Redis; shard: number }): ShardStore {
  let entriesPerRead = 64;
  let cached: { readonly cursor: string; readonly table: ReleaseTable } | undefined;
  let retired = NONE_RETIRED;
  return {
    async readBatch() {
      const [cursor = START, retiredNow = NONE_RETIRED] = await readMeta(redis, shard);
      // Another agent made room in the table, at the same cursor: what is remembered of it is not true any more.
      if (retiredNow !== retired) cached = undefined;
      retired = retiredNow;
      const rows = await redis.xrange(reportStream(shard), `(${cursor}`, "+", "COUNT", entriesPerRead);
      if (rows.length === 0) return undefined;
      const { batch, entries, undecodable } = decodeRows(cursor, rows, entriesPerRead);
      entriesPerRead = nextReadSize(entries, batch.reports.length);
      const letters = undecodable.map((entry) => letterOf(redis, shard, entry));
      return { ...batch, retired, deadLetters: await Promise.all(letters) };
    },
    async readReleaseTable(cursor) {
      if (cached?.cursor === cursor) return cached.table;
      const rows = await redis.hgetall(releaseTableKey(shard));
      const table = new Map(
        Object.entries(rows).map(([text, releaseNumber]) => [text, Number(releaseNumber)]),
      );
      cached = { cursor, table };
      return table;
    },
    readStates: (reports) => readStates(redis, shard, reports),
    async commit(batch, plan, releaseTable) {
      const numbers =
        plan.newReleases.size === 0 ? releaseTable : new Map([...releaseTable, ...plan.newReleases]);
      const { keys, args } = commitArguments({ shard, batch, plan, numbers });
      const isCommitted = (await COMMIT.run(redis, keys, args)) === 1;
      cached = isCommitted ? { cursor: batch.nextCursor, table: numbers } : undefined;
      return isCommitted ? "committed" : "cursor_moved";
    },
    async retireReleases(cursor, key) {
      const table = await this.readReleaseTable(cursor);
      cached = undefined;
      await retireReleases({ redis, shard, cursor, retired, table, key });
    },
  };
}

async function readMeta(
  redis: Redis,
  shard: number,
): Promise<[cursor: string | undefined, retired: string | undefined]> {
  const [cursor, retired] = await redis.hmget(metaKey(shard), "cursor", "retired");
  return [cursor ?? undefined, retired ?? undefined];
}

/** Share of a full channel's releases that retire at once. */
const RETIRED_SHARE = 0.1;

async function retireReleases(options: {
  redis: Redis;
  shard: number;
  cursor: string;
  retired: string;
  table: ReleaseTable;
  key: ChannelKey;
}): Promise<void> {
  const { redis, shard, cursor, retired, table, key } = options;
  const highest = highestNumber(table);
  const rows = [...table].filter(
    ([text, releaseNumber]) => text.startsWith(`${formatChannelKey(key)}|`) && releaseNumber !== highest,
  );
  const lastReports = await Promise.all(
    rows.map(async ([text, releaseNumber]) => {
      const last = Number((await redis.hget(totalsKey(shard, releaseNumber), "last")) ?? 0);
      return { text, releaseNumber, last };
    }),
  );
  const oldest = lastReports
    .toSorted((left, right) => left.last - right.last)
    .slice(0, Math.ceil(rows.length * RETIRED_SHARE));
  const counts = oldest.flatMap(({ releaseNumber }) => [
    totalsKey(shard, releaseNumber),
    windowsKey(shard, releaseNumber),
  ]);
  const keys = [metaKey(shard), releaseTableKey(shard), dirtyKey(shard), ...counts];
  await RETIRE.run(redis, keys, [cursor, retired, ...oldest.map(({ text }) => text)]);
}

/** Aims at BATCH_REPORTS_MAX reports a read, from what the last batch held; entries carry 1 to 1,000 reports. */
function nextReadSize(entries: number, reports: number): number {
  const reportsPerEntry = Math.max(1, reports / entries);
  return Math.max(8, Math.min(2_000, Math.ceil(BATCH_REPORTS_MAX / reportsPerEntry)));
}

interface UndecodableEntry {
  readonly id: string;
  readonly fields: readonly string[];
  readonly reason: string;
}

/** What is no text was mangled as it was read: it is read once more, as bytes, so that it can go back as it was. */
async function letterOf(
  redis: Redis,
  shard: number,
  { id, fields, reason }: UndecodableEntry,
): Promise<DeadLetter> {
  if (!fields.some((field) => field.includes("\uFFFD")))
    return { reason, payload: JSON.stringify({ id, fields }) };
  const [row] = await redis.xrangeBuffer(reportStream(shard), id, id);
  // Gone already: another agent has folded it, and this batch will not be committed.
  return { reason, payload: row === undefined ? "" : payloadOfEntry(id, row[1]) };
}

/** `entries`: how many of the rows are in the batch; the others were read for nothing. */
function decodeRows(
  cursor: string,
  rows: readonly [id: string, fields: string[]][],
  asked: number,
): {
  readonly batch: Omit<Batch, "deadLetters" | "retired">;
  readonly entries: number;
  readonly undecodable: readonly UndecodableEntry[];
} {
  const reports: FoldableReport[] = [];
  const undecodable: UndecodableEntry[] = [];
  let nextCursor = cursor;
  let taken = 0;
  for (const [id, fields] of rows) {
    if (reports.length >= BATCH_REPORTS_MAX) break;
    taken += 1;
    nextCursor = id;
    const decoded = decodeReportEntry(fields);
    if (decoded.kind === "decoded") appendReports(reports, decoded.entry);
    else undecodable.push({ id, fields, reason: decoded.reason });
  }
  const hasMore = taken < rows.length || rows.length === asked;
  return { batch: { cursor, nextCursor, reports, hasMore }, entries: taken, undecodable };
}

function appendReports(reports: FoldableReport[], entry: ReportEntry): void {
  for (const report of entry.reports) reports.push(toFoldable(report, entry.receivedAtMs));
}

async function readStates(
  redis: Redis,
  shard: number,
  reports: readonly FoldableReport[],
): Promise<(bucket: number, field: string) => Buffer | undefined> {
  const fieldsByBucket = new Map<number, Set<string>>();
  for (const { bucket, field } of reports) {
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
  const answers = (await pipeline.exec()) ?? [];
  for (const [index, [error, values]] of answers.entries()) {
    if (error !== null) throw error;
    const names = asked[index]!;
    for (const [position, value] of (values as (Buffer | null)[]).entries()) {
      if (value !== null) states.set(names[position]!, value);
    }
  }
  return (_bucket, field) => states.get(field);
}

interface CommitArguments {
  readonly keys: string[];
  readonly args: (string | number | Buffer)[];
}

function commitArguments({
  shard,
  batch,
  plan,
  numbers,
}: {
  shard: number;
  batch: Batch;
  plan: FoldPlan;
  numbers: ReleaseTable;
}): CommitArguments {
  const keys = [
    metaKey(shard),
    reportStream(shard),
    releaseTableKey(shard),
    dirtyKey(shard),
    deadLetterStream(shard),
  ];
  const args: (string | number | Buffer)[] = [
    batch.cursor,
    batch.nextCursor,
    idAfter(batch.nextCursor),
    batch.reports.length,
    DEAD_LETTERS_MAX,
    batch.retired,
  ];
  args.push(plan.newReleases.size);
  for (const [text, releaseNumber] of plan.newReleases) args.push(text, releaseNumber);
  args.push(plan.states.size);
  for (const [bucket, states] of plan.states) {
    keys.push(deviceBucketKey(shard, bucket));
    args.push(states.size);
    for (const [field, state] of states) args.push(Buffer.from(field, "latin1"), state);
  }
  args.push(plan.releases.size);
  for (const [text, delta] of plan.releases) {
    const releaseNumber = numbers.get(text)!;
    keys.push(totalsKey(shard, releaseNumber), windowsKey(shard, releaseNumber));
    args.push(text, delta.firstReportAtMs, delta.lastReportAtMs, delta.lastFailureAtMs);
    pushCounts(args, [...nonZero(delta.totals, "")]);
    pushCounts(args, windowCounts(delta));
  }
  const deadLetters = [
    ...batch.deadLetters,
    ...plan.refused.map(({ report, receivedAtMs, reason }) => refusedLetter(report, receivedAtMs, reason)),
  ];
  args.push(deadLetters.length);
  for (const { reason, payload } of deadLetters) args.push(reason, payload);
  return { keys, args };
}

function refusedLetter(report: AcceptedReport, receivedAtMs: number, reason: string): DeadLetter {
  return { reason, payload: JSON.stringify({ receivedAtMs, report }) };
}

function windowCounts(delta: ReleaseDelta): (readonly [field: string, difference: number])[] {
  return [...delta.windows].flatMap(([slot, counts]) => nonZero(counts, `${slot}:`));
}

function nonZero(
  counts: readonly number[],
  prefix: string,
): (readonly [field: string, difference: number])[] {
  const fields: (readonly [string, number])[] = [];
  counts.forEach((difference, index) => {
    if (difference !== 0) fields.push([`${prefix}${index}`, difference]);
  });
  return fields;
}

function pushCounts(
  args: (string | number | Buffer)[],
  counts: (readonly [field: string, difference: number])[],
): void {
  args.push(counts.length);
  for (const [field, difference] of counts) args.push(field, difference);
}

/** The smallest stream id above `id`: everything below it is folded and may be trimmed. */
function idAfter(id: string): string {
  const [ms, sequence] = id.split("-") as [string, string];
  return `${ms}-${BigInt(sequence) + 1n}`;
}
