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

/** The marks that a release has: days and hours since the epoch. */
export interface HeldMarks {
  readonly days: readonly string[];
  readonly hours: readonly string[];
}

export function hasOldMarks({ hours }: HeldMarks, dropMinute: number): boolean {
  return hours.some((hour) => isOver(hour, COARSE_SLOT_MINUTES, dropMinute));
}

/** Adds to the commit that the marks of all windows that ended by `dropMinute` leave with them. */
export function dropMarks(
  commit: ShardCommit,
  release: MarkedRelease,
  { held, dropMinute }: { readonly held: HeldMarks; readonly dropMinute: number },
): void {
  const { shard, releaseNumber } = release;
  const hours = held.hours.filter((hour) => isOver(hour, COARSE_SLOT_MINUTES, dropMinute));
  // A day that loses an hour has changed, unless it leaves itself.
  markDays(
    commit,
    release,
    hours.map((hour) => Number(hour) * COARSE_SLOT_MINUTES),
  );
  commit.many(
    "HDEL",
    hourMarksKey(shard, releaseNumber),
    hours.map((hour) => [hour]),
  );
  commit.many(
    "HDEL",
    dayMarksKey(shard, releaseNumber),
    held.days.filter((day) => isOver(day, DAY_MINUTES, dropMinute)).map((day) => [day]),
  );
}

function isOver(each: string, minutes: number, dropMinute: number): boolean {
  return (Number(each) + 1) * minutes <= dropMinute;
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
