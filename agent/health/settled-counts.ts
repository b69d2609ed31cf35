// Fleets that report how an update ended, but not that it began: there the first answers decide what the
// rate looks like, and failures answer first (a checksum fails in seconds, a confirmation takes minutes). A
// release with 0.5% failures would look like "20 of 20". Such failures count only after a while, when the
// good answers of the same time have had the chance to come in. Pure.
import { SLOT_MINUTES } from "./health-window.ts";
import type { HealthWindow } from "./health-window.ts";
import type { OutcomeCounts } from "./outcomes.ts";

/** Share of the devices with an outcome that must have said that they began (`update_started` or `installed`). */
export const ANNOUNCED_SHARE_LEAST = 0.8;
/** How long a failure waits before it counts, where too few devices announce; in milliseconds. */
export const SETTLE_MS = 10 * 60_000;

/** Failures that are not counted yet. */
export type UnsettledFailures = Pick<OutcomeCounts, "failed" | "download_failed">;

export const ALL_SETTLED: UnsettledFailures = { failed: 0, download_failed: 0 };

export function areAttemptsAnnounced({ attempted, announced }: OutcomeCounts): boolean {
  return announced >= ANNOUNCED_SHARE_LEAST * attempted;
}

/** Failures of attempts that are younger than SETTLE_MS, by the end of their slot. */
export function unsettledFailures(windows: readonly HealthWindow[], nowMs: number): UnsettledFailures {
  const settledMinute = Math.floor((nowMs - SETTLE_MS) / 60_000);
  const young = windows.filter(({ slotMinute }) => slotMinute + SLOT_MINUTES > settledMinute);
  const sum = (outcome: keyof UnsettledFailures): number =>
    young.reduce((total, { devices }) => total + devices[outcome], 0);
  return { failed: sum("failed"), download_failed: sum("download_failed") };
}
