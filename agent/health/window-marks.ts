// Marks on windows: a token per day and hour that every commit which changes a window of it replaces, in the same
// atomic step. Whoever has read a window knows by them whether it has to be read again. Tokens are revisions of the
// shard: random, told apart by equality alone, because after a failover an older state may come back (ADR 0011).
import { COARSE_SLOT_MINUTES, startOf } from "./health-window.ts";
import { DAY_MINUTES } from "./release-history.ts";
import type { ShardCommit } from "./shard-commit.ts";
import { dayMarksKey, hourMarksKey } from "./shard-keys.ts";
import { parseSlot } from "./windows.ts";

export interface MarkedRelease {
  readonly shard: number;
  readonly releaseNumber: number;
}

/** Adds to the commit that windows with these fields change. */
export function markWindows(commit: ShardCommit, release: MarkedRelease, fields: Iterable<string>): void {
  const hours = startsOf(fields, COARSE_SLOT_MINUTES);
  writeMarks(commit, hourMarksKey(release.shard, release.releaseNumber), hours, COARSE_SLOT_MINUTES);
  markDays(commit, release, hours);
}

/** Adds to the commit that windows with these fields leave for good, as all that began before `dropMinute` do. */
export function unmarkWindows(
  commit: ShardCommit,
  release: MarkedRelease,
  { fields, dropMinute }: { readonly fields: Iterable<string>; readonly dropMinute: number },
): void {
  const { shard, releaseNumber } = release;
  const hours = startsOf(fields, COARSE_SLOT_MINUTES);
  const isOver = (minute: number): boolean => startOf(minute, DAY_MINUTES) + DAY_MINUTES <= dropMinute;
  removeMarks(commit, hourMarksKey(shard, releaseNumber), hours, COARSE_SLOT_MINUTES);
  removeMarks(commit, dayMarksKey(shard, releaseNumber), startsOfDays(hours.filter(isOver)), DAY_MINUTES);
  markDays(
    commit,
    release,
    hours.filter((minute) => !isOver(minute)),
  );
}

function markDays(
  commit: ShardCommit,
  { shard, releaseNumber }: MarkedRelease,
  hours: readonly number[],
): void {
  writeMarks(commit, dayMarksKey(shard, releaseNumber), startsOfDays(hours), DAY_MINUTES);
}

function startsOf(fields: Iterable<string>, minutes: number): number[] {
  return [...new Set([...fields].map((field) => startOf(parseSlot(field).slotMinute, minutes)))];
}

function startsOfDays(hours: readonly number[]): number[] {
  return [...new Set(hours.map((minute) => startOf(minute, DAY_MINUTES)))];
}

function writeMarks(commit: ShardCommit, key: string, starts: readonly number[], minutes: number): void {
  commit.many(
    "HSET",
    key,
    starts.map((start) => [start / minutes, commit.revision]),
  );
}

function removeMarks(commit: ShardCommit, key: string, starts: readonly number[], minutes: number): void {
  commit.many(
    "HDEL",
    key,
    starts.map((start) => [start / minutes]),
  );
}
