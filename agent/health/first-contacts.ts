// First contacts: the devices that may accuse a release, by the day in which Lastgood first heard of them at all. From
// these it is told how many of them were known before the release appeared (guards.known_devices, ADR 0018). Days go
// by the clock of ingest, never by a device's. Pure. Enters: records before and after. Leaves: differences of counts.
import { countsAt } from "./count-vector.ts";
import type { CountVector } from "./count-vector.ts";
import type { ReleaseRecord } from "./device-state.ts";
import { OUTCOMES, SILENT, outcomesOf } from "./outcomes.ts";

/**
 * Why a device may accuse. `unanswered` = it has begun and not answered yet, `late` = it answered LATE_ANSWER_MINUTES
 * or more after it began. The order is stored: append only.
 */
export const GROUNDS = [
  "failed",
  "download_failed",
  "crashed",
  "not_responding",
  "silent",
  "unanswered",
  "late",
] as const;
export type Ground = (typeof GROUNDS)[number];
/** Devices by ground. */
export type GroundCounts = Readonly<Record<Ground, number>>;

export const LATE_ANSWER_MINUTES = 5;

/** Stands for devices that were known before days were kept. */
const DAY_UNKNOWN = 0;

export interface Contact {
  /** Undefined where the device has none. */
  readonly record: ReleaseRecord | undefined;
  readonly firstDay: number | undefined;
}

/** Whether what a device counts with the record `after` is other than what it counted with `before`. */
export function isContactMoved(
  before: ReleaseRecord | undefined,
  after: ReleaseRecord,
  isSameDay: boolean,
): boolean {
  const [was, is] = [groundsOf(before), groundsOf(after)];
  return isSameDay && before?.stratum === after.stratum ? was !== is : was + is !== 0;
}

/** By stratum, then by day. */
export function addContact(
  contacts: Map<number, Map<number, CountVector>>,
  { record, firstDay = DAY_UNKNOWN }: Contact,
  sign: 1 | -1,
): void {
  const grounds = groundsOf(record);
  if (grounds === 0) return;
  const { stratum } = record!;
  let days = contacts.get(stratum);
  if (days === undefined) contacts.set(stratum, (days = new Map()));
  const counts = countsAt(days, firstDay);
  for (let index = 0; index < GROUNDS.length; index += 1)
    if ((grounds & (1 << index)) !== 0) counts[index]! += sign;
}

const FAILED_INDEX = OUTCOMES.indexOf("failed");
const DOWNLOAD_FAILED_INDEX = OUTCOMES.indexOf("download_failed");
const CRASHED_INDEX = OUTCOMES.indexOf("crashed");
const NOT_RESPONDING_INDEX = OUTCOMES.indexOf("not_responding");

/** Bit i = GROUNDS[i]. */
function groundsOf(record: ReleaseRecord | undefined): number {
  if (record === undefined) return 0;
  const { flags, attemptMinute, answerMinute } = record;
  const outcomes = outcomesOf(flags);
  const hasBegun = attemptMinute !== 0;
  const isLate = hasBegun && answerMinute !== 0 && answerMinute - attemptMinute >= LATE_ANSWER_MINUTES;
  return (
    outcomes[FAILED_INDEX]! |
    (outcomes[DOWNLOAD_FAILED_INDEX]! << 1) |
    (outcomes[CRASHED_INDEX]! << 2) |
    (outcomes[NOT_RESPONDING_INDEX]! << 3) |
    ((flags & SILENT) === 0 ? 0 : 1 << 4) |
    (hasBegun && answerMinute === 0 ? 1 << 5 : 0) |
    (isLate ? 1 << 6 : 0)
  );
}

export function toGroundCounts(counts: readonly number[]): GroundCounts {
  return Object.fromEntries(GROUNDS.map((ground, index) => [ground, counts[index] ?? 0])) as Record<
    Ground,
    number
  >;
}
