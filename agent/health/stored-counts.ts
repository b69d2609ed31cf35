// The counts of releases in one shard's Redis: reads those that a plan changes, and writes what they become.
// Enters: differences. Leaves: commands for the commit that the differences belong to.
import { addCounts, countsAt, decodeCounts, encodeCounts, isZero } from "./count-vector.ts";
import type { CountVector } from "./count-vector.ts";
import { horizonsAt, slotOf } from "./health-window.ts";
import type { ReleaseDelta } from "./release-delta.ts";
import type { ShardAt } from "./revision.ts";
import { NOTHING } from "./shard-commit.ts";
import type { ShardCommit } from "./shard-commit.ts";
import { countsKey, fineKey, windowsKey } from "./shard-keys.ts";
import { readFields } from "./stored-fields.ts";
import type { Fields } from "./stored-fields.ts";
import { markWindows } from "./window-marks.ts";
import { addToSlot, formatSlot } from "./windows.ts";
import type { StrataCounts } from "./windows.ts";

/** A release that a plan changes, with its number. */
export interface ChangedRelease {
  readonly releaseNumber: number;
  readonly delta: ReleaseDelta;
}

const TIMES = ["first", "last", "failure", "deadline", "rolled", "total"] as const;

/** Adds to the commit what the counts of the releases become. Throws when the revision has moved. */
export async function writeCounts(
  at: ShardAt,
  commit: ShardCommit,
  changed: readonly ChangedRelease[],
): Promise<void> {
  if (changed.length === 0) return;
  const { shard } = at;
  const stored = await readFields(
    at,
    changed.map(({ releaseNumber, delta }) => ({
      key: countsKey(shard, releaseNumber),
      fields: [...TIMES, ...strataFields(delta), ...contactFields(delta), ...reasonFields(delta)],
    })),
  );
  const withWindows = changed.map((each, index) => ({
    ...each,
    counts: stored[index]!,
    windows: windowDeltas(each.delta, Number(stored[index]!.get("rolled") ?? 0)),
  }));
  const storedWindows = await readFields(
    at,
    withWindows.map(({ releaseNumber, windows }) => ({
      key: windowsKey(shard, releaseNumber),
      fields: [...windows.keys()],
    })),
  );
  withWindows.forEach(({ releaseNumber, delta, counts, windows }, index) => {
    writeTotals(commit, countsKey(shard, releaseNumber), { delta, stored: counts });
    writePacked(commit, windowsKey(shard, releaseNumber), { added: windows, stored: storedWindows[index]! });
    markWindows(commit, { shard, releaseNumber }, windows.keys());
    if (windows.size > 0) commit.command("SADD", fineKey(shard), releaseNumber);
  });
}

function strataFields({ strata }: ReleaseDelta): string[] {
  return [...strata.keys()].map((stratum) => `s${stratum}`);
}

/** Per stratum one field, of all days: packed as a slot is of all strata. */
function contactFields({ contacts }: ReleaseDelta): string[] {
  return [...contacts.keys()].map((stratum) => `d${stratum}`);
}

function reasonFields({ reasons }: ReleaseDelta): string[] {
  return [...reasons.keys()].map((reason) => `r${reason}`);
}

/** The minutes of a delta in the slots that are kept of them. What is older than all slots has been dropped. */
function windowDeltas({ windows }: ReleaseDelta, rolledMinute: number): ReadonlyMap<string, StrataCounts> {
  const horizons = horizonsAt(rolledMinute);
  const deltas = new Map<string, Map<number, CountVector>>();
  for (const [minute, strata] of windows) {
    const slot = slotOf(minute, horizons);
    if (slot === undefined) continue;
    const field = formatSlot(slot);
    const ofSlot = deltas.get(field) ?? new Map<number, CountVector>();
    for (const [stratum, counts] of strata) {
      if (!isZero(counts)) addCounts(countsAt(ofSlot, stratum), counts);
    }
    if (ofSlot.size > 0) deltas.set(field, ofSlot);
  }
  return deltas;
}

function writeTotals(
  commit: ShardCommit,
  key: string,
  { delta, stored }: { delta: ReleaseDelta; stored: Fields },
): void {
  const numberIn = (field: string): number => Number(stored.get(field) ?? 0);
  const times: [string, number][] = [];
  const { firstReportAtMs, lastReportAtMs, lastFailureAtMs, silenceDeadlineMs } = delta;
  const first = numberIn("first");
  if (firstReportAtMs !== 0 && (first === 0 || firstReportAtMs < first))
    times.push(["first", firstReportAtMs]);
  if (lastReportAtMs > numberIn("last")) times.push(["last", lastReportAtMs]);
  if (lastFailureAtMs > numberIn("failure")) times.push(["failure", lastFailureAtMs]);
  const deadline = numberIn("deadline");
  if (silenceDeadlineMs !== 0 && (deadline === 0 || silenceDeadlineMs < deadline))
    times.push(["deadline", silenceDeadlineMs]);
  commit.many("HSET", key, times);
  const strata = [...delta.strata].map(([stratum, counts]) => [`s${stratum}`, counts] as const);
  writeVectors(commit, key, { added: new Map([["total", delta.totals], ...strata]), stored });
  const contacts = [...delta.contacts].map(([stratum, days]) => [`d${stratum}`, days] as const);
  writePacked(commit, key, { added: new Map(contacts), stored });
  const changed = [...delta.reasons].filter(([, devices]) => devices !== 0);
  const reasons = changed.map(([reason, more]) => {
    const devices = numberIn(`r${reason}`) + more;
    return [`r${reason}`, devices === 0 ? NOTHING : Buffer.from(String(devices))] as const;
  });
  commit.fields(key, new Map(reasons));
}

/** Slots of windows by stratum, and strata by day. */
function writePacked(
  commit: ShardCommit,
  key: string,
  { added, stored }: { added: ReadonlyMap<string, StrataCounts>; stored: Fields },
): void {
  const slots = [...added].map(([field, counts]) => [field, addToSlot(stored.get(field), counts)] as const);
  commit.fields(key, new Map(slots));
}

/** Encoded zeros are no bytes. */
function writeVectors(
  commit: ShardCommit,
  key: string,
  { added, stored }: { added: ReadonlyMap<string, CountVector>; stored: Fields },
): void {
  const changed = [...added].filter(([, counts]) => !isZero(counts));
  const fields = changed.map(([field, counts]) => {
    const sum = decodeCounts(stored.get(field));
    addCounts(sum, counts);
    return [field, encodeCounts(sum)] as const;
  });
  commit.fields(key, new Map(fields));
}
