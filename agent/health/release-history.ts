// placeholder
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { HealthWindow } from "./health-window.ts";
/** Counts of one release in one hour. Immutable: replaced whole when any count changes, the same object until then. */
export interface HistoryHour {
  /** First minute since the epoch; a multiple of 60. */
  readonly hourMinute: number;
  /** By time, then by stratum text. All of one length: 5 minutes (1-minute slots are summed up), or 60 once any slot of the hour is stored as an hour. */
  readonly windows: readonly HealthWindow[];
}
export interface HistoryDay {
  /** First minute since the epoch; a multiple of 1,440. */
  readonly dayMinute: number;
  /** By time; hours without windows are left out. Immutable like its hours. */
  readonly hours: readonly HistoryHour[];
}
export interface ReleaseHistory {
  readonly release: ReleaseKey;
  /** By time; days without windows are left out. */
  readonly days: readonly HistoryDay[];
}
