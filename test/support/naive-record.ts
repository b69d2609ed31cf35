// What one device counts for about one release, worked out anew from everything that it said about it.
// Enters: those reports, as they were told and received. Leaves: a record, which naive-counts.ts adds up.
// Shares no code with the folding that it is compared with, but the names.
import type { GroundCounts } from "../../agent/health/first-contacts.ts";
import type { OutcomeCounts } from "../../agent/health/outcomes.ts";
import type { DeviceReport } from "../../ingest/contract/device-report.ts";

/** One report as it was told and received. */
export interface Told {
  readonly report: DeviceReport;
  /** `app|channel|version`. */
  readonly release: string;
  /** The device's time, clamped; epoch milliseconds. */
  readonly atMs: number;
  readonly receivedAtMs: number;
}

/** In minutes: lower bounds of the bins in which the time from attempt to answer is counted. */
export const ANSWER_BINS = [
  0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1_440, 2_880, 4_320, 7_200,
];
export const OUTCOME_NAMES = [
  "update_started",
  "download_failed",
  "installed",
  "install_failed",
  "confirmed",
  "reverted",
  "crashed",
  "not_responding",
  "active",
  "attempted",
  "failed",
  "recovered",
  "announced",
  "failed_unannounced",
  "download_failed_unannounced",
  "silent",
  "returned_late",
  "running",
  "failed_announced",
  "download_failed_announced",
] as const satisfies readonly (keyof OutcomeCounts)[];
export type OutcomeName = (typeof OUTCOME_NAMES)[number];

export const GROUND_NAMES = [
  "failed",
  "download_failed",
  "crashed",
  "not_responding",
  "silent",
  "unanswered",
  "late",
] as const satisfies readonly (keyof GroundCounts)[];
export type GroundName = (typeof GROUND_NAMES)[number];

const LATE_MINUTES = 5;
const REASONS_PER_DEVICE_MAX = 8;
const CLAMPED_PAST_MS = 7 * 24 * 3_600_000;
const CLAMPED_FUTURE_MS = 5 * 60_000;

const ATTEMPT = ["update_started", "download_failed", "installed", "install_failed", "confirmed", "reverted"];
const ANNOUNCED = ["update_started", "installed"];
const FAILED = ["install_failed", "reverted"];
const RUNNING = ["confirmed", "active", "crashed", "not_responding"];
const FAILURE_EVENTS = ["install_failed", "reverted", "download_failed"];

export const isPending = ({ report }: Told): boolean => ANNOUNCED.includes(report.event);
export const isRunning = ({ report }: Told): boolean => RUNNING.includes(report.event);
/** Whether it ends the silence about its release. */
export const isAnswerForGood = ({ report }: Told): boolean =>
  FAILED.includes(report.event) || RUNNING.includes(report.event);

/** Its time is not the device's own, but an edge of what ingest lets through. */
export function isClamped({ atMs, receivedAtMs }: Told): boolean {
  return atMs <= receivedAtMs - CLAMPED_PAST_MS || atMs >= receivedAtMs + CLAMPED_FUTURE_MS;
}

/** The second in which the device was heard. */
export function secondOf(told: Told): number {
  return Math.max(1, Math.floor(momentOf(told) / 1_000));
}

/** Of a device whose clock tells nothing the only moment known is that of receipt. */
function momentOf(told: Told): number {
  return isClamped(told) ? told.receivedAtMs : told.atMs;
}

export interface NaiveRecord {
  readonly stratum: string;
  /** Those that stand in the window of the attempt, but `running`, which stands in none. */
  readonly outcomes: readonly OutcomeName[];
  /** Those that stand in the window in which the first failure was received. */
  readonly unannounced: readonly OutcomeName[];
  readonly attemptMinute: number | undefined;
  readonly failureMinute: number | undefined;
  /** Index into ANSWER_BINS. */
  readonly answerBin: number | undefined;
  /** Hours since the epoch. */
  readonly activeHours: readonly number[];
  readonly crashedHours: readonly number[];
  readonly notRespondingHours: readonly number[];
  readonly reasons: readonly string[];
  /** When each kind of failure was first received. */
  readonly failuresAtMs: readonly number[];
  /** Why it may accuse. */
  readonly grounds: readonly GroundName[];
}

/** All of `told` are reports of one device about one release; at least one. */
export function recordOf({
  told,
  fields,
  isSilent,
  hasReturnedLate,
}: {
  told: readonly Told[];
  /** Fields by which the app's counts are split. */
  fields: readonly string[];
  isSilent: boolean;
  hasReturnedLate: boolean;
}): NaiveRecord {
  const failures = told.filter(({ report }) => FAILURE_EVENTS.includes(report.event));
  return {
    stratum: stratumOf(told, fields),
    outcomes: outcomesOf({ told, isSilent, hasReturnedLate }),
    unannounced: unannouncedOf(told),
    attemptMinute: attemptMinuteOf(told),
    failureMinute: least(failures.map(({ receivedAtMs }) => Math.floor(receivedAtMs / 60_000))),
    answerBin: answerBinOf(told),
    activeHours: hoursOf(told.filter(isRunning)),
    crashedHours: hoursOf(told.filter(({ report }) => report.event === "crashed")),
    notRespondingHours: hoursOf(told.filter(({ report }) => report.event === "not_responding")),
    reasons: valuesOf(failures.map(({ report }) => inUtf8(report.reason))).slice(0, REASONS_PER_DEVICE_MAX),
    failuresAtMs: FAILURE_EVENTS.flatMap((event) => {
      const first = least(
        failures.filter(({ report }) => report.event === event).map(({ receivedAtMs }) => receivedAtMs),
      );
      return first === undefined ? [] : [first];
    }),
    grounds: groundsOf(told, isSilent),
  };
}

function groundsOf(told: readonly Told[], isSilent: boolean): GroundName[] {
  const said = (...events: readonly string[]): boolean =>
    told.some(({ report }) => events.includes(report.event));
  const attemptMinute = attemptMinuteOf(told);
  const answerMinute = least(told.filter((one) => !isPending(one)).map(minuteOf));
  const grounds: GroundName[] = [];
  if (said(...FAILED)) grounds.push("failed");
  if (said("download_failed")) grounds.push("download_failed");
  if (said("crashed")) grounds.push("crashed");
  if (said("not_responding")) grounds.push("not_responding");
  if (isSilent) grounds.push("silent");
  if (attemptMinute === undefined) return grounds;
  if (answerMinute === undefined) grounds.push("unanswered");
  else if (answerMinute >= attemptMinute + LATE_MINUTES) grounds.push("late");
  return grounds;
}

function outcomesOf({
  told,
  isSilent,
  hasReturnedLate,
}: {
  told: readonly Told[];
  isSilent: boolean;
  hasReturnedLate: boolean;
}): OutcomeName[] {
  const said = (events: readonly string[]): boolean =>
    told.some(({ report }) => events.includes(report.event));
  const outcomes: OutcomeName[] = OUTCOME_NAMES.filter((name) => said([name]));
  if (said(ATTEMPT)) outcomes.push("attempted");
  if (said(FAILED)) outcomes.push("failed");
  if (said(FAILED) && said(["confirmed"])) outcomes.push("recovered");
  if (said(ANNOUNCED)) {
    outcomes.push("announced");
    if (said(FAILED)) outcomes.push("failed_announced");
    if (said(["download_failed"])) outcomes.push("download_failed_announced");
  }
  if (isSilent) outcomes.push("silent");
  if (hasReturnedLate) outcomes.push("returned_late");
  return outcomes;
}

function unannouncedOf(told: readonly Told[]): OutcomeName[] {
  const said = (events: readonly string[]): boolean =>
    told.some(({ report }) => events.includes(report.event));
  const outcomes: OutcomeName[] = [];
  if (said(ANNOUNCED)) return outcomes;
  if (said(FAILED)) outcomes.push("failed_unannounced");
  if (said(["download_failed"])) outcomes.push("download_failed_unannounced");
  return outcomes;
}

function attemptMinuteOf(told: readonly Told[]): number | undefined {
  return least(told.filter(({ report }) => ATTEMPT.includes(report.event)).map(minuteOf));
}

function answerBinOf(told: readonly Told[]): number | undefined {
  const attemptMinute = attemptMinuteOf(told);
  const answerMinute = least(told.filter((one) => !isPending(one)).map(minuteOf));
  if (attemptMinute === undefined || answerMinute === undefined) return undefined;
  const minutes = Math.max(0, answerMinute - attemptMinute);
  return ANSWER_BINS.findLastIndex((bound) => minutes >= bound);
}

function minuteOf(told: Told): number {
  return Math.max(1, Math.floor(momentOf(told) / 60_000));
}

function hoursOf(told: readonly Told[]): number[] {
  // Hour 0 is none: what was told of it stands in the next.
  const hours = told
    .filter((one) => !isClamped(one))
    .map(({ atMs }) => Math.max(1, Math.floor(atMs / 3_600_000)));
  return [...new Set(hours)];
}

function stratumOf(told: readonly Told[], fields: readonly string[]): string {
  const valueOf = (field: "platform" | "model" | "os_version" | "native_version"): string =>
    fields.includes(field) ? (valuesOf(told.map(({ report }) => report[field]))[0] ?? "") : "";
  const tuple = [valueOf("platform"), valueOf("model"), valueOf("os_version"), valueOf("native_version")];
  return tuple.every((value) => value === "") ? "unknown" : JSON.stringify(tuple);
}

/** Half of a surrogate pair has no UTF-8: what stands in its place is U+FFFD. */
function inUtf8(text: string | undefined): string | undefined {
  return text === undefined ? undefined : Buffer.from(text).toString();
}

/** Different ones that say something, the smallest first. */
function valuesOf(texts: readonly (string | undefined)[]): string[] {
  const said = texts.filter((text) => text !== undefined).filter((text) => text !== "");
  return [...new Set(said)].toSorted((left, right) => (left < right ? -1 : 1));
}

function least(numbers: readonly number[]): number | undefined {
  return numbers.length === 0 ? undefined : Math.min(...numbers);
}
