// Failures of devices that never said that they began (`update_started` or `installed`). Such a device enters
// the counts with its answer, and failures answer first (a checksum fails in seconds, a confirmation takes
// minutes): a release with 0.5% failures would look like "20 of 20". So a failure that was not announced
// accuses only after a while, when the good answers of the same time have had the chance to come in. Decided
// device by device, so that no mixture of announcing and silent devices opens the door again. Pure.
import type { HealthWindow } from "./health-window.ts";
import type { OutcomeCounts } from "./outcomes.ts";

/** Share of the attempting devices that must have announced for a release to be called healthy. */
export const ANNOUNCED_SHARE_LEAST = 0.8;
/** How long a failure that was not announced waits before it counts, in milliseconds. */
export const SETTLE_MS = 10 * 60_000;

/** Failures that are not counted yet. */
export type UnsettledFailures = Pick<OutcomeCounts, "failed" | "download_failed">;

export const ALL_SETTLED: UnsettledFailures = { failed: 0, download_failed: 0 };

/** Where not, who never answered is not known. */
export function areAttemptsAnnounced({ attempted, announced }: OutcomeCounts): boolean {
  return announced >= ANNOUNCED_SHARE_LEAST * attempted;
}

/** Whether there is anything that could be unsettled: saves reading windows where there is not. */
export function hasUnannouncedFailures(devices: OutcomeCounts): boolean {
  return devices.failed_unannounced + devices.download_failed_unannounced > 0;
}

/** Windows that end after it (minutes since the epoch) may hold failures that have to wait. */
export function settledMinute(nowMs: number): number {
  return Math.max(1, Math.floor((nowMs - SETTLE_MS) / 60_000));
}

/** Unannounced failures that came in less than SETTLE_MS ago, by the end of their slot. */
export function unsettledFailures(windows: readonly HealthWindow[], nowMs: number): UnsettledFailures {
  const settled = settledMinute(nowMs);
  const young = windows.filter(({ slotMinute, slotMinutes }) => slotMinute + slotMinutes > settled);
  const sum = (outcome: "failed_unannounced" | "download_failed_unannounced"): number =>
    young.reduce((total, { devices }) => total + devices[outcome], 0);
  return { failed: sum("failed_unannounced"), download_failed: sum("download_failed_unannounced") };
}

export interface SettlingInput {
  readonly devices: OutcomeCounts;
  /** Unannounced failures stand in the slot in which they came in, by our clock (release-delta.ts). */
  readonly windows: readonly HealthWindow[];
  readonly nowMs: number;
}

/** Undefined where nothing has to wait and enough devices announce: then the counts may be judged as they are. */
export function unsettledOf({ devices, windows, nowMs }: SettlingInput): UnsettledFailures | undefined {
  const young = hasUnannouncedFailures(devices) ? unsettledFailures(windows, nowMs) : ALL_SETTLED;
  const isNoneYoung = young.failed + young.download_failed === 0;
  return isNoneYoung && areAttemptsAnnounced(devices) ? undefined : young;
}
