// A HealthWindow is the counts of one release for one time slot. A device stands in the slot of its
// earliest attempt, with everything it ever reported about the release: so a window is a cohort, whose
// failures belong to its attempts, and the counts are a function of the set of reports alone.
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { OutcomeCounts } from "./outcomes.ts";

/** Length of a time slot, in minutes. */
export const SLOT_MINUTES = 5;
/** How long windows are kept; totals are kept for as long as the release is known. */
export const WINDOW_RETENTION_DAYS = 90;

export interface HealthWindow {
  /** First minute (since the epoch) of the slot. */
  readonly slotMinute: number;
  readonly devices: OutcomeCounts;
}

/** All that is known of a release: its totals, and when it was heard of. */
export interface ReleaseHealth {
  readonly release: ReleaseKey;
  readonly devices: OutcomeCounts;
  /** When ingest took in the first, the newest, and the newest failing report; epoch milliseconds, 0 = none. */
  readonly firstReportAtMs: number;
  readonly lastReportAtMs: number;
  readonly lastFailureAtMs: number;
}

export function slotOf(minute: number): number {
  return minute - (minute % SLOT_MINUTES);
}
