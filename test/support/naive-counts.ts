// The counting rules (docs/counting.md) written down once more, as plainly as can be: every report is kept,
// and every count is worked out anew when it is asked for. Only silence is remembered, because it depends on
// when somebody looked. Enters: reports, and moments at which silence is looked for. Leaves: counts.
// Shares no code with the folding that it is compared with, but the names. Without the caps on how many
// strata and reasons an app may have: which ones come too late depends on the order of reports.
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import type { CountingRules } from "../../agent/health/counting-rules.ts";
import type { OutcomeCounts } from "../../agent/health/outcomes.ts";
import { clampReportTime } from "../../ingest/contract/device-report.ts";
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import {
  ANSWER_BINS,
  GROUND_NAMES,
  OUTCOME_NAMES,
  isAnswerForGood,
  isPending,
  isRunning,
  recordOf,
  secondOf,
} from "./naive-record.ts";
import type { GroundName, NaiveRecord, OutcomeName, Told } from "./naive-record.ts";

export interface Tally {
  readonly devices: OutcomeCounts;
  readonly hours: HourTally;
}

export interface HourTally {
  /** Device-hours. */
  readonly active: number;
  readonly crashed: number;
  readonly notResponding: number;
  /** Devices. */
  readonly firstCrashed: number;
  readonly firstNotResponding: number;
}

export interface WindowTally extends Tally {
  /** Devices by time from attempt to answer. */
  readonly answered: readonly number[];
}

export interface ReleaseCounts extends Tally {
  readonly strata: Readonly<Record<string, Tally>>;
  /** Devices. */
  readonly reasons: Readonly<Record<string, number>>;
  /** By `slotMinute/slotMinutes stratum`. */
  readonly windows: Readonly<Record<string, WindowTally>>;
  /** Devices that may accuse, and why: by `day stratum`, the day in which the device was first heard of. */
  readonly contacts: Readonly<Record<string, Readonly<Record<GroundName, number>>>>;
  /** Receive times, epoch milliseconds; 0 = none. */
  readonly firstReportAtMs: number;
  readonly lastReportAtMs: number;
  readonly lastFailureAtMs: number;
}

export interface NaiveDeviceView {
  /** Epoch milliseconds, in whole seconds. */
  readonly lastSeenAtMs: number;
  /** `app|channel|version`. */
  readonly running: string | undefined;
  /** What it counts as, by release. */
  readonly releases: Readonly<Record<string, OutcomeCounts>>;
}

export interface Slot {
  readonly slotMinute: number;
  readonly slotMinutes: number;
}

/** The slot that a minute is counted in by now; undefined = its windows are no longer kept. */
export type SlotOf = (minute: number) => Slot | undefined;

/** Whether a device is meant. */
export type DeviceFilter = (app: string, device: string) => boolean;

export interface LookOptions {
  readonly only?: DeviceFilter;
  /** Until then reports could not come in: no deadline starts before. */
  readonly heardFromMs?: number;
}

export interface NaiveCounts {
  /** A report as a device sends it, and when it was received. */
  tell(report: DeviceReport, receivedAtMs: number): void;
  /** Somebody looks for silence, with everything told so far folded. */
  look(nowMs: number, options?: LookOptions): void;
  /** Devices that were not heard of for this long are forgotten; what they did stays counted. */
  leave(nowMs: number, retentionMs: number, only?: DeviceFilter): void;
  /** By `app|channel|version`. */
  counts(options?: { slotOf?: SlotOf }): Record<string, ReleaseCounts>;
  device(app: string, device: string): NaiveDeviceView | undefined;
  /** From the first hour in which a device used a release to the one in which it was heard, at most. */
  hoursSinceUseMax(): number;
}

interface NaiveDevice {
  readonly app: string;
  readonly device: string;
  readonly told: Told[];
  /** The release about which it owes an answer for too long. */
  silentAbout: string | undefined;
  readonly returnedLateAbout: Set<string>;
  /** Each time that it was found silent: about what, and when its deadline had ended. */
  readonly silences: { readonly release: string; readonly dueMs: number }[];
  hasLeft: boolean;
}

const ONE_MINUTE_SLOTS: SlotOf = (minute) => ({ slotMinute: minute, slotMinutes: 1 });

export function createNaiveCounts({
  rules = DEFAULT_COUNTING_RULES,
}: { rules?: CountingRules } = {}): NaiveCounts {
  const present = new Map<string, NaiveDevice>();
  /** One that comes back later counts anew, as another device would. */
  const left: NaiveDevice[] = [];
  const those = (only: DeviceFilter): NaiveDevice[] =>
    [...present.values()].filter(({ app, device }) => only(app, device));

  return {
    tell(report, receivedAtMs) {
      const { app, channel, version, device: name } = report;
      const { atMs } = clampReportTime(report.at, receivedAtMs);
      const key = `${app}|${name}`;
      const device = entryOf(present, key, () => createDevice(app, name));
      takeIn(device, { report, release: `${app}|${channel}|${version}`, atMs, receivedAtMs });
    },
    look(nowMs, { only = () => true, heardFromMs = 0 } = {}) {
      for (const device of those(only)) {
        const owed = answerOwedBy(device, rules);
        if (owed === undefined) continue;
        const dueMs = Math.max(owed.sinceMs, heardFromMs) + owed.deadlineMs;
        // Silent once, whatever holds for deadlines by now.
        if (nowMs < dueMs || device.silentAbout === owed.release) continue;
        device.silentAbout = owed.release;
        device.silences.push({ release: owed.release, dueMs });
      }
    },
    leave(nowMs, retentionMs, only = () => true) {
      for (const device of those(only)) {
        if (secondOf(heardOf(device)) * 1_000 > nowMs - retentionMs) continue;
        device.hasLeft = true;
        left.push(device);
        present.delete(`${device.app}|${device.device}`);
      }
    },
    counts: ({ slotOf = ONE_MINUTE_SLOTS } = {}) =>
      countAll({ devices: [...left, ...present.values()], rules, slotOf }),
    device(app, name) {
      const device = present.get(`${app}|${name}`);
      if (device === undefined) return undefined;
      return viewOf(device, rules);
    },
    hoursSinceUseMax: () =>
      Math.max(0, ...[...left, ...present.values()].map((device) => hoursSinceUse(device, rules))),
  };
}

function createDevice(app: string, device: string): NaiveDevice {
  return {
    app,
    device,
    told: [],
    silentAbout: undefined,
    returnedLateAbout: new Set(),
    silences: [],
    hasLeft: false,
  };
}

/** A device that was silent may turn out to have come back: what was heard of it last changes, or it answers. */
function takeIn(device: NaiveDevice, one: Told): void {
  const before = device.silentAbout === undefined ? undefined : heardOf(device);
  device.told.push(one);
  const { silentAbout } = device;
  if (before === undefined || silentAbout === undefined) return;
  const isAnswered = one.release === silentAbout && isAnswerForGood(one);
  if (isSameToHear(before, heardOf(device)) && !isAnswered) return;
  device.silentAbout = undefined;
  device.returnedLateAbout.add(silentAbout);
}

/** The newest report; of several in one second one that is not pending, then of the larger release. */
function heardOf({ told }: NaiveDevice): Told {
  const [first] = told.toSorted(
    (left, right) =>
      secondOf(right) - secondOf(left) ||
      Number(isPending(left)) - Number(isPending(right)) ||
      compareTexts(right.release, left.release),
  );
  return first!;
}

function isSameToHear(left: Told, right: Told): boolean {
  return (
    left.release === right.release &&
    secondOf(left) === secondOf(right) &&
    isPending(left) === isPending(right)
  );
}

/** The release that it runs, as far as it has left traces of running; none when it has left. */
function runningOf({ told, hasLeft }: NaiveDevice): string | undefined {
  if (hasLeft) return undefined;
  const [newest] = told
    .filter(isRunning)
    .toSorted((left, right) => secondOf(right) - secondOf(left) || compareTexts(right.release, left.release));
  return newest?.release;
}

function answerOwedBy(
  device: NaiveDevice,
  rules: CountingRules,
): { release: string; sinceMs: number; deadlineMs: number } | undefined {
  const heard = heardOf(device);
  const { release, report } = heard;
  if (!isPending(heard)) return undefined;
  if (device.told.some((one) => one.release === release && isAnswerForGood(one))) return undefined;
  const receivedMinutes = device.told
    .filter((one) => isSameToHear(one, heard))
    .map(({ receivedAtMs }) => Math.floor(receivedAtMs / 60_000));
  const deadlineMs = rules.silenceDeadlineMsOf({ app: report.app, channel: report.channel });
  return { release, sinceMs: (Math.min(...receivedMinutes) + 1) * 60_000, deadlineMs };
}

function compareTexts(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function viewOf(device: NaiveDevice, rules: CountingRules): NaiveDeviceView {
  const releases = new Set(device.told.map(({ release }) => release));
  const running = runningOf(device);
  return {
    lastSeenAtMs: secondOf(heardOf(device)) * 1_000,
    running,
    releases: Object.fromEntries(
      [...releases].map((release) => {
        const adder = createAdder();
        addToTotals(adder, recordAbout(device, release, rules)!, running === release);
        return [release, adder.devices];
      }),
    ),
  };
}

/** Undefined when it said nothing about the release. */
function recordAbout(device: NaiveDevice, release: string, rules: CountingRules): NaiveRecord | undefined {
  const told = device.told.filter((one) => one.release === release);
  if (told.length === 0) return undefined;
  return recordOf({
    told,
    fields: rules.strataOf(device.app),
    isSilent: device.silentAbout === release,
    hasReturnedLate: device.returnedLateAbout.has(release),
  });
}

function hoursSinceUse(device: NaiveDevice, rules: CountingRules): number {
  const releases = [...new Set(device.told.map(({ release }) => release))];
  const hours = releases.flatMap((release) => recordAbout(device, release, rules)!.activeHours);
  const heardHour = Math.floor(secondOf(heardOf(device)) / 3_600);
  return heardHour - Math.min(heardHour, ...hours);
}

interface Counting {
  readonly devices: readonly NaiveDevice[];
  readonly rules: CountingRules;
  readonly slotOf: SlotOf;
}

function countAll(counting: Counting): Record<string, ReleaseCounts> {
  const releases = new Set(counting.devices.flatMap(({ told }) => told.map(({ release }) => release)));
  return Object.fromEntries([...releases].map((release) => [release, countRelease(release, counting)]));
}

interface Adder {
  readonly devices: Record<OutcomeName, number>;
  readonly hours: Record<keyof HourTally, number>;
  readonly answered: number[];
}

function createAdder(): Adder {
  const devices = Object.fromEntries(OUTCOME_NAMES.map((name) => [name, 0])) as Record<OutcomeName, number>;
  const hours = { active: 0, crashed: 0, notResponding: 0, firstCrashed: 0, firstNotResponding: 0 };
  return { devices, hours, answered: ANSWER_BINS.map(() => 0) };
}

function createGrounds(): Record<GroundName, number> {
  return Object.fromEntries(GROUND_NAMES.map((name) => [name, 0])) as Record<GroundName, number>;
}

/** By our clock, and whatever it was that the device said. */
function firstDayOf({ told }: NaiveDevice): number {
  return Math.min(...told.map(({ receivedAtMs }) => Math.floor(receivedAtMs / 86_400_000)));
}

function countRelease(release: string, { devices, rules, slotOf }: Counting): ReleaseCounts {
  const total = createAdder();
  const strata = new Map<string, Adder>();
  const windows = new Map<string, Adder>();
  const contacts = new Map<string, Record<GroundName, number>>();
  const reasons = new Map<string, number>();
  const failuresAtMs: number[] = [];
  for (const device of devices) {
    const record = recordAbout(device, release, rules);
    if (record === undefined) continue;
    for (const adder of [total, entryOf(strata, record.stratum, createAdder)])
      addToTotals(adder, record, runningOf(device) === release);
    addToWindows(record, (minute) => {
      const slot = slotOf(minute);
      if (slot === undefined) return createAdder();
      return entryOf(windows, `${slot.slotMinute}/${slot.slotMinutes} ${record.stratum}`, createAdder);
    });
    for (const ground of record.grounds)
      entryOf(contacts, `${firstDayOf(device)} ${record.stratum}`, createGrounds)[ground] += 1;
    for (const reason of record.reasons) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    failuresAtMs.push(...record.failuresAtMs);
  }
  const silentFromMs = devices
    .flatMap(({ silences }) => silences)
    .filter((silence) => silence.release === release)
    .map(({ dueMs }) => dueMs);
  failuresAtMs.push(...silentFromMs);
  const receivedAtMs = devices
    .flatMap(({ told }) => told)
    .filter((one) => one.release === release)
    .map((one) => one.receivedAtMs);
  return {
    ...toTally(total),
    strata: Object.fromEntries([...strata].map(([stratum, adder]) => [stratum, toTally(adder)])),
    reasons: Object.fromEntries(reasons),
    windows: Object.fromEntries(windows),
    contacts: Object.fromEntries(contacts),
    // Not `Math.min(...)`: a function takes fewer arguments than a fleet sends reports.
    firstReportAtMs: receivedAtMs.reduce((least, atMs) => Math.min(least, atMs)),
    lastReportAtMs: receivedAtMs.reduce((greatest, atMs) => Math.max(greatest, atMs)),
    lastFailureAtMs: failuresAtMs.reduce((greatest, atMs) => Math.max(greatest, atMs), 0),
  };
}

function toTally({ devices, hours }: Adder): Tally {
  return { devices, hours };
}

function addToTotals({ devices, hours }: Adder, record: NaiveRecord, isRunningIt: boolean): void {
  for (const outcome of [...record.outcomes, ...record.unannounced]) devices[outcome] += 1;
  if (isRunningIt) devices.running += 1;
  for (const [what, happened] of hoursToCount(record)) hours[what] += happened.length;
}

/** A device crashes for the first time in the first of the hours in which it crashed. */
function hoursToCount({
  activeHours,
  crashedHours,
  notRespondingHours,
}: NaiveRecord): [keyof HourTally, readonly number[]][] {
  const firstOf = (hours: readonly number[]): readonly number[] =>
    hours.length === 0 ? [] : [Math.min(...hours)];
  return [
    ["active", activeHours],
    ["crashed", crashedHours],
    ["notResponding", notRespondingHours],
    ["firstCrashed", firstOf(crashedHours)],
    ["firstNotResponding", firstOf(notRespondingHours)],
  ];
}

function addToWindows(record: NaiveRecord, windowAt: (minute: number) => Adder): void {
  const { attemptMinute, failureMinute, answerBin } = record;
  if (attemptMinute !== undefined) {
    const { devices, answered } = windowAt(attemptMinute);
    for (const outcome of record.outcomes) devices[outcome] += 1;
    if (answerBin !== undefined) answered[answerBin]! += 1;
  }
  for (const outcome of record.unannounced) windowAt(failureMinute!).devices[outcome] += 1;
  for (const [what, happened] of hoursToCount(record))
    for (const hour of happened) windowAt(hour * 60).hours[what] += 1;
}

function entryOf<T>(map: Map<string, T>, key: string, create: () => T): T {
  if (!map.has(key)) map.set(key, create());
  return map.get(key)!;
}
