// What a batch changes for one release: differences of every count that is kept, found by comparing what a
// device contributed before with what it contributes after. Pure.
import { answerBinOf } from "./answer-bins.ts";
import {
  ACTIVE_HOURS_INDEX,
  ANSWERS_INDEX,
  CRASHED_HOURS_INDEX,
  FIRST_CRASHED_INDEX,
  FIRST_NOT_RESPONDING_INDEX,
  NOT_RESPONDING_HOURS_INDEX,
  addCounts,
  countsAt,
  zeroCounts,
} from "./count-vector.ts";
import type { CountVector } from "./count-vector.ts";
import type { ReleaseRecord } from "./device-state.ts";
import type { Example } from "./examples.ts";
import { NO_HOURS, hoursOf } from "./hour-set.ts";
import type { HourSet } from "./hour-set.ts";
import { OUTCOMES, outcomesOf } from "./outcomes.ts";

export interface ReleaseDelta {
  readonly totals: CountVector;
  /** By stratum number; 0 = unknown. */
  readonly strata: Map<number, CountVector>;
  /** By minute, then by stratum number. */
  readonly windows: Map<number, Map<number, CountVector>>;
  /** Devices by reason number. */
  readonly reasons: Map<number, number>;
  /** Devices that came to stand in outcomes. */
  readonly examples: Example[];
  /** Devices by the day of their first contact: by stratum number, then by day (first-contacts.ts). */
  readonly contacts: Map<number, Map<number, CountVector>>;
  /** When reports were taken in, epoch milliseconds; 0 = none in this batch. */
  firstReportAtMs: number;
  lastReportAtMs: number;
  /** Or the end of a deadline that passed in silence. */
  lastFailureAtMs: number;
  /** The deadline that devices were counted silent with, in milliseconds; 0 = none was. */
  silenceDeadlineMs: number;
}

export function emptyDelta(): ReleaseDelta {
  return {
    totals: zeroCounts(),
    strata: new Map(),
    windows: new Map(),
    reasons: new Map(),
    examples: [],
    contacts: new Map(),
    firstReportAtMs: 0,
    lastReportAtMs: 0,
    lastFailureAtMs: 0,
    silenceDeadlineMs: 0,
  };
}

type Sign = 1 | -1;

const RUNNING_INDEX = OUTCOMES.indexOf("running");
const UNANNOUNCED = [OUTCOMES.indexOf("failed_unannounced"), OUTCOMES.indexOf("download_failed_unannounced")];

export interface RecordChange {
  readonly before: ReleaseRecord | undefined;
  readonly after: ReleaseRecord;
  /** Hours in between, oldest first, that `after` does not tell apart any more. */
  readonly passedHours: readonly HourSet[];
}

/** Replaces what a device with the record `before` contributed by what it contributes with `after`. */
export function replaceRecord(delta: ReleaseDelta, change: RecordChange): void {
  if (change.before !== undefined) addRecord(delta, change.before, -1);
  addRecord(delta, change.after, 1);
  replaceHours(delta, change);
  replaceFirsts(delta, change);
}

function addRecord(delta: ReleaseDelta, record: ReleaseRecord, sign: Sign): void {
  const { flags, attemptMinute, answerMinute, failureMinute, stratum, reasons } = record;
  const outcomes = outcomesOf(flags);
  addCounts(delta.totals, outcomes, sign);
  addCounts(countsAt(delta.strata, stratum), outcomes, sign);
  for (const reason of reasons) delta.reasons.set(reason, (delta.reasons.get(reason) ?? 0) + sign);
  if (attemptMinute === 0) return;
  const cohort = windowAt(delta, attemptMinute, stratum);
  addCounts(cohort, outcomes, sign);
  if (answerMinute !== 0) cohort[ANSWERS_INDEX + answerBinOf(answerMinute - attemptMinute)]! += sign;
  if (failureMinute === 0) return;
  // Failures that were not announced wait before they accuse (settled-counts.ts), from when we heard of them:
  // by the clock of a device that is behind, they would have waited long ago.
  const heardIn = windowAt(delta, failureMinute, stratum);
  for (const index of UNANNOUNCED) {
    cohort[index]! -= sign * outcomes[index]!;
    heardIn[index]! += sign * outcomes[index]!;
  }
}

/** Hours that slid out of what is told apart stay counted, and in the stratum that they were counted in. */
function replaceHours(delta: ReleaseDelta, { before, after, passedHours }: RecordChange): void {
  const { stratum } = after;
  let known = before?.hours ?? NO_HOURS;
  if (before !== undefined && before.stratum !== stratum) {
    const kept = hoursInBoth(known, after.hours);
    addHours(delta, kept, { stratum: before.stratum, sign: -1 });
    addHours(delta, kept, { stratum, sign: 1 });
  }
  if (known === after.hours) return;
  for (const hours of [...passedHours, after.hours]) {
    addHours(delta, withoutHours(hours, known), { stratum, sign: 1 });
    known = hours;
  }
}

/** The hours of `before` that `now` still tells apart; `now` is never older. */
function hoursInBoth(before: HourSet, now: HourSet): HourSet {
  const by = BigInt(now.newest - before.newest);
  return {
    newest: now.newest,
    active: now.active & (before.active << by),
    crashed: now.crashed & (before.crashed << by),
    notResponding: now.notResponding & (before.notResponding << by),
  };
}

/** The hours of `now` that are not in `before`; `now` is never older. */
function withoutHours(now: HourSet, before: HourSet): HourSet {
  if (before.newest === 0) return now;
  const by = BigInt(now.newest - before.newest);
  return {
    newest: now.newest,
    active: now.active & ~(before.active << by),
    crashed: now.crashed & ~(before.crashed << by),
    notResponding: now.notResponding & ~(before.notResponding << by),
  };
}

function addHours(
  delta: ReleaseDelta,
  { newest, active, crashed, notResponding }: HourSet,
  { stratum, sign }: { stratum: number; sign: Sign },
): void {
  for (const hour of hoursOf(newest, active))
    addHour(delta, { hour, stratum, sign, index: ACTIVE_HOURS_INDEX });
  for (const hour of hoursOf(newest, crashed))
    addHour(delta, { hour, stratum, sign, index: CRASHED_HOURS_INDEX });
  for (const hour of hoursOf(newest, notResponding))
    addHour(delta, { hour, stratum, sign, index: NOT_RESPONDING_HOURS_INDEX });
}

const FIRSTS = [
  ["firstCrashHour", FIRST_CRASHED_INDEX],
  ["firstNotRespondingHour", FIRST_NOT_RESPONDING_INDEX],
] as const;

/** A first hour is known for good: it moves along with the stratum, also when it is told apart no more. */
function replaceFirsts(delta: ReleaseDelta, { before, after }: RecordChange): void {
  for (const [first, index] of FIRSTS) {
    const hourBefore = before?.[first] ?? 0;
    const hour = after[first];
    if (hourBefore === hour && before?.stratum === after.stratum) continue;
    if (hourBefore !== 0) addHour(delta, { hour: hourBefore, stratum: before!.stratum, sign: -1, index });
    if (hour !== 0) addHour(delta, { hour, stratum: after.stratum, sign: 1, index });
  }
}

function addHour(
  delta: ReleaseDelta,
  { hour, stratum, index, sign }: { hour: number; stratum: number; index: number; sign: Sign },
): void {
  delta.totals[index]! += sign;
  countsAt(delta.strata, stratum)[index]! += sign;
  windowAt(delta, hour * 60, stratum)[index]! += sign;
}

/** A device begins or ceases to run the release. */
export function addRunning(delta: ReleaseDelta, stratum: number, sign: Sign): void {
  delta.totals[RUNNING_INDEX]! += sign;
  countsAt(delta.strata, stratum)[RUNNING_INDEX]! += sign;
}

function windowAt(delta: ReleaseDelta, minute: number, stratum: number): CountVector {
  let slot = delta.windows.get(minute);
  if (slot === undefined) delta.windows.set(minute, (slot = new Map()));
  return countsAt(slot, stratum);
}
