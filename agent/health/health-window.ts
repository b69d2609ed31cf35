// A HealthWindow is the counts of one release for one time slot and one stratum. A device stands in the
// slot of its earliest attempt, with everything it ever reported about the release: so a window is a
// cohort, whose failures belong to its attempts. Device-hours stand in the hour in which they were used.
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { GroundCounts } from "./first-contacts.ts";
import type { OutcomeCounts } from "./outcomes.ts";

/**
 * How fine windows are: 1 minute for the last 2 hours, 5 minutes for 48 hours, 1 hour for 90 days. Slots are
 * rolled up into coarser ones as they age (windows.ts), and no count is lost. All in minutes.
 */
export const FINE_SLOT_MINUTES = 1;
export const MIDDLE_SLOT_MINUTES = 5;
export const COARSE_SLOT_MINUTES = 60;
export const FINE_FOR_MINUTES = 2 * 60;
export const MIDDLE_FOR_MINUTES = 48 * 60;
/** Totals are kept for as long as the release is known. */
export const WINDOW_RETENTION_DAYS = 90;

export interface Slot {
  /** First minute (since the epoch). */
  readonly slotMinute: number;
  /** Its length. */
  readonly slotMinutes: number;
}

/** Where one resolution ends and the next begins, as minutes since the epoch; multiples of an hour. */
export interface Horizons {
  /** Slots before it are 5 minutes long. */
  readonly middle: number;
  /** Slots before it are an hour long. */
  readonly coarse: number;
  /** Slots before it are dropped. */
  readonly drop: number;
}

/** `nowMinute` = minutes since the epoch; 0 leaves everything as fine as it is. */
export function horizonsAt(nowMinute: number): Horizons {
  const hourly = (minutesAgo: number): number =>
    startOf(Math.max(0, nowMinute - minutesAgo), COARSE_SLOT_MINUTES);
  return {
    middle: hourly(FINE_FOR_MINUTES),
    coarse: hourly(MIDDLE_FOR_MINUTES),
    drop: hourly(WINDOW_RETENTION_DAYS * 24 * 60),
  };
}

/** First minute of the slot of this length that the minute is in. */
export function startOf(minute: number, slotMinutes: number): number {
  return minute - (minute % slotMinutes);
}

/** Undefined for a minute whose slot is dropped. */
export function slotOf(minute: number, { middle, coarse, drop }: Horizons): Slot | undefined {
  if (minute < drop) return undefined;
  const slotMinutes =
    minute < coarse ? COARSE_SLOT_MINUTES : minute < middle ? MIDDLE_SLOT_MINUTES : FINE_SLOT_MINUTES;
  return { slotMinute: startOf(minute, slotMinutes), slotMinutes };
}

/** By the hour in which it happened: hours of devices, each device once per hour; and devices, each in its first hour. */
export interface DeviceHours {
  readonly active: number;
  readonly crashed: number;
  readonly notResponding: number;
  /** Devices, each at most once per version, in the hour of its earliest crash of it. */
  readonly firstCrashed: number;
  /** Devices, each at most once per version, in the earliest hour in which it did not respond. */
  readonly firstNotResponding: number;
}

export const NO_DEVICE_HOURS: DeviceHours = {
  active: 0,
  crashed: 0,
  notResponding: 0,
  firstCrashed: 0,
  firstNotResponding: 0,
};

export interface HealthWindow extends Slot {
  /** Text of the stratum (stratum.ts), `unknown` or `other`. */
  readonly stratum: string;
  readonly devices: OutcomeCounts;
  readonly hours: DeviceHours;
  /** Devices by the time from attempt to answer, in the order of ANSWER_BIN_MINUTES. */
  readonly answered: readonly number[];
}

/** All that is known of a release: its totals, and when it was heard of. */
export interface ReleaseHealth {
  readonly release: ReleaseKey;
  readonly devices: OutcomeCounts;
  readonly hours: DeviceHours;
  /** When ingest took in the first and the newest report, epoch milliseconds; 0 = none. */
  readonly firstReportAtMs: number;
  readonly lastReportAtMs: number;
  /** When ingest took in the newest failing report, or the newest deadline of a silent device ended; 0 = never. */
  readonly lastFailureAtMs: number;
  /**
   * The shortest deadline that any device was counted silent with, in milliseconds; 0 = none ever was. The rule
   * may ask for a longer one by now: of nobody who was counted with this one is it known that they kept silent so long.
   */
  readonly silenceDeadlineMs: number;
}

export interface StratumHealth {
  readonly devices: OutcomeCounts;
  readonly hours: DeviceHours;
}

/** A release's totals, split up. */
export interface ReleaseDetail {
  /** By stratum text. */
  readonly strata: ReadonlyMap<string, StratumHealth>;
  /** Devices by reason of failure. */
  readonly reasons: ReadonlyMap<string, number>;
}

/**
 * Devices that may accuse a release, by stratum text and by the day (since the epoch, by our clock) in which they were
 * first heard of; day 0 = before days were kept.
 */
export type FirstContacts = ReadonlyMap<string, ReadonlyMap<number, GroundCounts>>;

/** What is known of one device. */
export interface DeviceView {
  /** By the device's clock, to the second. */
  readonly lastSeenAtMs: number;
  /** Undefined when no report has shown it, or the release has retired. */
  readonly running: ReleaseKey | undefined;
  /** The newest report that proves it, by the device's clock, epoch milliseconds; 0 = none has. */
  readonly runningToldAtMs: number;
  /** Releases it reported about, with 1 for every outcome it stands in. */
  readonly releases: ReadonlyMap<string, OutcomeCounts>;
  /** The same releases: when, on what kind of device, and why it failed. */
  readonly times: ReadonlyMap<string, DeviceTimes>;
}

/** By the device's clock (by ours where that was clamped), epoch milliseconds; 0 = never, or it was not told. */
export interface DeviceTimes {
  /** The minute of the earliest attempt, and of the earliest word of how it went. */
  readonly attemptedAtMs: number;
  readonly answeredAtMs: number;
  /** The hour of the earliest crash, of the earliest time that it did not respond, and of the newest use. */
  readonly firstCrashAtMs: number;
  readonly firstNotRespondingAtMs: number;
  readonly lastUsedAtMs: number;
  /** Hours of use that are still told apart, which are those of the last seven days. */
  readonly hours: Pick<DeviceHours, "active" | "crashed" | "notResponding">;
  /** Text of the stratum. */
  readonly stratum: string;
  /** Reasons of failure. */
  readonly reasons: readonly string[];
}

/**
 * Windows of the attempts whose outcome is due: every device in them has had the whole deadline to answer.
 * Baselines are made of these alone (design 3.3.2).
 */
export function maturedWindows(
  windows: readonly HealthWindow[],
  { nowMs, deadlineMs }: { nowMs: number; deadlineMs: number },
): HealthWindow[] {
  const dueMinute = Math.floor((nowMs - deadlineMs) / 60_000);
  return windows.filter(({ slotMinute, slotMinutes }) => slotMinute + slotMinutes <= dueMinute);
}
