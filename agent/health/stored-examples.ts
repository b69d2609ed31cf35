// Examples of devices in one shard's Redis: reads the heads of the lists that a plan adds to, and writes what becomes of
// them; and reads whole lists. Enters: the examples of a plan. Leaves: commands for the commit that the counts
// belong to as well, so that a list names nobody who is not counted.
import type { Redis } from "../../runtime/redis.ts";
import {
  EXAMPLES_HEAD_BYTES,
  EXAMPLES_RETENTION_SECONDS,
  appendExamples,
  byOutcome,
  inTurns,
  readExampleList,
} from "./examples.ts";
import type { ExampleOutcome } from "./examples.ts";
import { tryDecodeDeviceState } from "./device-state.ts";
import { nameOf } from "./device-table.ts";
import { SILENT } from "./outcomes.ts";
import type { ReleasePlace } from "./release-counts.ts";
import { readAt } from "./revision.ts";
import type { ShardAt } from "./revision.ts";
import type { ShardCommit } from "./shard-commit.ts";
import { deviceBucketKey, examplesKey } from "./shard-keys.ts";
import type { ChangedRelease } from "./stored-counts.ts";

export interface ExamplesToWrite {
  readonly changed: readonly ChangedRelease[];
  readonly perOutcomeMax: number;
}

/** Adds to the commit what comes to the lists. Throws when the revision has moved. Most commits have nothing to add. */
export async function writeExamples(
  at: ShardAt,
  commit: ShardCommit,
  { changed, perOutcomeMax }: ExamplesToWrite,
): Promise<void> {
  const adding = changed
    .filter(({ delta }) => delta.examples.length > 0)
    .map(({ releaseNumber, delta }) => ({ key: examplesKey(at.shard, releaseNumber), delta }));
  if (adding.length === 0) return;
  const heads = await readAt(at, (transaction) => {
    for (const { key } of adding) transaction.getrangeBuffer(key, 0, EXAMPLES_HEAD_BYTES - 1);
  });
  adding.forEach(({ key, delta }, index) => {
    const appended = appendExamples(heads[index] as Buffer, delta.examples, perOutcomeMax);
    if (appended === undefined) return;
    commit.command("SETRANGE", key, 0, appended.head);
    commit.command("APPEND", key, appended.entries);
    commit.command("EXPIRE", key, EXAMPLES_RETENTION_SECONDS);
  });
}

/** By outcome: device ids as reported, and of `silent` digests of 16 hexadecimal digits. */
export type ReleaseExamples = Readonly<Record<ExampleOutcome, readonly string[]>>;

/** At most EXAMPLES_PER_OUTCOME_MAX of each outcome, a turn of each shard after the other; nobody twice. */
export async function readExamples(redis: Redis, places: readonly ReleasePlace[]): Promise<ReleaseExamples> {
  const lists = await Promise.all(places.map((place) => readPlace(redis, place)));
  return byOutcome((outcome) => inTurns(lists.map((list) => list[outcome])));
}

async function readPlace(redis: Redis, { shard, releaseNumber }: ReleasePlace): Promise<ReleaseExamples> {
  const list = await redis.getBuffer(examplesKey(shard, releaseNumber));
  const names = readExampleList(list ?? Buffer.alloc(0));
  const silent = await stillSilent(redis, { shard, releaseNumber }, names.silent);
  return byOutcome((outcome) =>
    outcome === "silent"
      ? silent.map((field) => field.toString("hex"))
      : names[outcome].map((name) => name.toString("utf8")),
  );
}

/** Silence ends, and a list is never rewritten: who has been heard of since is left out here. */
async function stillSilent(
  redis: Redis,
  { shard, releaseNumber }: ReleasePlace,
  fields: readonly Buffer[],
): Promise<Buffer[]> {
  const states = await Promise.all(
    fields.map((field) => {
      const { bucket } = nameOf(field.toString("latin1"));
      return redis.hgetBuffer(deviceBucketKey(shard, bucket), field);
    }),
  );
  return fields.filter((_, index) => {
    const state = states[index] ?? null;
    const record = state === null ? undefined : tryDecodeDeviceState(state)?.records.get(releaseNumber);
    return record !== undefined && (record.flags & SILENT) !== 0;
  });
}
