// A device while a batch is folded: its state as it was at the cursor, and as the batch has made it so far.
// At the end the two are compared, once per release, and the difference is what is counted. Pure.
import { REPORT_AGE_MS_MAX } from "../../ingest/contract/device-report.ts";
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";
import {
  applyReport,
  dayOf,
  heardIn,
  isSameRecord,
  minuteOf,
  newerHeard,
  newerRunning,
} from "./device-record.ts";
import type { IsBefore, NumberedReport } from "./device-record.ts";
import { NO_STATE, RELEASES_PER_DEVICE_MAX, tryDecodeDeviceState } from "./device-state.ts";
import type { DeviceState, Heard, ReleaseRecord, Running } from "./device-state.ts";
import { hasForgotten } from "./hour-set.ts";
import type { HourSet } from "./hour-set.ts";
import type { RecordChange } from "./release-delta.ts";
import { RETURNED_LATE, SILENT, flagOf, isResolved, isRunning } from "./outcomes.ts";

export interface OpenDevice {
  readonly bucket: number;
  readonly field: string;
  /** As it reports it; undefined where no report of it is at hand. */
  readonly id: string | undefined;
  readonly before: DeviceState;
  heard: Heard | undefined;
  running: Running | undefined;
  firstDay: number | undefined;
  readonly records: Map<number, ReleaseRecord>;
  /** Releases whose record is not what it was. */
  readonly changed: Set<number>;
  /** Hours of a release, oldest first, as they were before the batch made the record forget some of them. */
  passedHours: ReadonlyMap<number, readonly HourSet[]>;
  /** What the batch had made of records when they gave way to another release. */
  dropped: readonly DroppedRecord[];
}

export interface DroppedRecord {
  readonly release: number;
  readonly change: RecordChange;
}

/** Of nearly every device, and so one for all: a batch opens thousands. */
const NO_PASSED_HOURS: OpenDevice["passedHours"] = new Map();
const NO_DROPPED: OpenDevice["dropped"] = [];
const NO_HOURS_PASSED: RecordChange["passedHours"] = [];

/** Undefined when its state can't be read: nothing can be told of this device, and nothing is known of it. */
export function openDevice(
  bucket: number,
  field: string,
  bytes: Buffer | undefined,
  id?: string,
): OpenDevice | undefined {
  const before = bytes === undefined ? NO_STATE : tryDecodeDeviceState(bytes);
  if (before === undefined) return undefined;
  const { heard, running, firstDay } = before;
  return {
    bucket,
    field,
    id,
    before,
    heard,
    running,
    firstDay,
    records: new Map(before.records),
    changed: new Set(),
    passedHours: NO_PASSED_HOURS,
    dropped: NO_DROPPED,
  };
}

export function isChanged({ before, heard, running, firstDay, changed }: OpenDevice): boolean {
  return (
    changed.size > 0 || heard !== before.heard || running !== before.running || firstDay !== before.firstDay
  );
}

export type Room =
  | { readonly kind: "free" }
  | { readonly kind: "in_place_of"; readonly release: number }
  | { readonly kind: "full" };
const FREE: Room = { kind: "free" };
const FULL: Room = { kind: "full" };

/**
 * Where a record of one more release goes (see RELEASES_PER_DEVICE_MAX). A report whose time was clamped to
 * the past gets no record in place of another: it may be a replay about the release that gave way before,
 * and would count a second time. What the device runs, or was heard of last, never gives way.
 */
export function findRoom(
  { records, heard, running }: OpenDevice,
  report: AcceptedReport,
  receivedAtMs: number,
): Room {
  if (records.size < RELEASES_PER_DEVICE_MAX) return FREE;
  const earliestMs = receivedAtMs - REPORT_AGE_MS_MAX;
  if (report.atMs <= earliestMs) return FULL;
  let oldest: { release: number; minute: number } | undefined;
  for (const [release, { attemptMinute, answerMinute }] of records) {
    if (release === running?.release || release === heard?.release) continue;
    const minute = attemptMinute === 0 ? answerMinute : attemptMinute;
    if (oldest === undefined || minute < oldest.minute) oldest = { release, minute };
  }
  if (oldest === undefined || oldest.minute >= minuteOf(earliestMs)) return FULL;
  return { kind: "in_place_of", release: oldest.release };
}

/** The record goes; its counts stay, with what the batch has changed of them. */
export function dropRecord(device: OpenDevice, release: number): void {
  device.dropped = [...device.dropped, { release, change: changeOf(device, release)! }];
  device.records.delete(release);
  device.passedHours = new Map([...device.passedHours].filter(([of]) => of !== release));
  device.changed.add(release);
}

/** What the batch has made of the record of a release; undefined when it has given way to another. */
export function changeOf(
  { before, records, passedHours, dropped }: OpenDevice,
  release: number,
): RecordChange | undefined {
  const after = records.get(release);
  if (after === undefined) return undefined;
  // One that gave way and came back begins anew: nothing of what it was is taken off.
  const isNew = dropped.some((gone) => gone.release === release);
  return {
    before: isNew ? undefined : before.records.get(release),
    after,
    passedHours: passedHours.get(release) ?? NO_HOURS_PASSED,
  };
}

export interface Orders {
  readonly releases: IsBefore;
  readonly reasons: IsBefore;
}

/** Leaves: the record before and after. */
export function tellDevice(
  device: OpenDevice,
  numbered: NumberedReport,
  orders: Orders,
): { before: ReleaseRecord | undefined; after: ReleaseRecord } {
  const { release, report, receivedAtMs } = numbered;
  const before = device.records.get(release);
  const after = applyReport(before, numbered, orders.reasons);
  keepRecord(device, release, after);
  if (before !== undefined && hasForgotten(before.hours, after.hours))
    device.passedHours = new Map([
      ...device.passedHours,
      [release, [...(device.passedHours.get(release) ?? []), before.hours]],
    ]);
  const heardNow = heardIn(numbered);
  const heardBefore = device.heard;
  device.firstDay = earlierDay(device, dayOf(receivedAtMs));
  device.heard = newerHeard(heardBefore, heardNow, orders.releases);
  if (isRunning(flagOf(report.event)))
    device.running = newerRunning(device.running, heardNow, orders.releases);
  endSilence(device, heardBefore);
  return { before, after };
}

/** By our clock alone: a device may say of any time that it was then. Who came before days were kept came before all. */
function earlierDay({ heard, firstDay }: OpenDevice, day: number): number | undefined {
  if (heard === undefined) return day;
  return firstDay === undefined ? undefined : Math.min(firstDay, day);
}

function keepRecord(device: OpenDevice, release: number, record: ReleaseRecord): void {
  const before = device.records.get(release);
  if (before !== undefined && isSameRecord(before, record)) return;
  device.records.set(release, record);
  device.changed.add(release);
}

/** A device that was counted as silent and is heard of again is silent no more, and has returned late. */
function endSilence(device: OpenDevice, heardBefore: Heard | undefined): void {
  if (heardBefore === undefined) return;
  const { release } = heardBefore;
  const record = device.records.get(release);
  if (record === undefined || (record.flags & SILENT) === 0) return;
  if (isSameWord(heardBefore, device.heard!) && !isResolved(record.flags)) return;
  keepRecord(device, release, { ...record, flags: (record.flags & ~SILENT) | RETURNED_LATE });
}

/** Not when it came in: the same word sent again is no new one. */
function isSameWord(left: Heard, right: Heard): boolean {
  return (
    left.atSecond === right.atSecond && left.release === right.release && left.isPending === right.isPending
  );
}

/** Marks the device silent about the release that it left an answer owing for. */
export function silence(device: OpenDevice): void {
  const { release } = device.heard!;
  const record = device.records.get(release)!;
  keepRecord(device, release, { ...record, flags: record.flags | SILENT });
}

/** What a device owes a word about, and since when (epoch milliseconds, by our clock). */
export interface Owing {
  readonly release: number;
  readonly sinceMs: number;
}

/** Undefined when the device owes nothing, or counts as silent already. */
export function owingOf({ heard, records }: Pick<DeviceState, "heard" | "records">): Owing | undefined {
  if (heard === undefined || !heard.isPending) return undefined;
  const flags = records.get(heard.release)?.flags;
  if (flags === undefined || isResolved(flags) || (flags & SILENT) !== 0) return undefined;
  // The end of the minute: the whole deadline has passed then, and not a second less.
  return { release: heard.release, sinceMs: (heard.receivedMinute + 1) * 60_000 };
}
