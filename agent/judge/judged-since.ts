// A release that a person has absolved is judged by what happens from then on. Pure. Enters: its counts and history.
// Leaves: those of what began since.
import type { OutcomeCounts } from "../health/outcomes.ts";
import type { ReleaseHistory } from "../health/release-history.ts";
import { sumTotals, totalsByStratum } from "./stratum-totals.ts";

export interface Judgeable {
  readonly devices: OutcomeCounts;
  readonly history: ReleaseHistory;
}

/** `sinceMinute` = minutes since the epoch, 0 = all of it. Devices stand in the slot in which they began. */
export function judgedSince({ devices, history }: Judgeable, sinceMinute: number): Judgeable {
  if (sinceMinute === 0) return { devices, history };
  const days = history.days.flatMap(({ dayMinute, hours }) => {
    const kept = hours.flatMap(({ hourMinute, windows }) => {
      const since = windows.filter(({ slotMinute }) => slotMinute >= sinceMinute);
      return since.length === 0 ? [] : [{ hourMinute, windows: since }];
    });
    return kept.length === 0 ? [] : [{ dayMinute, hours: kept }];
  });
  const judged = { ...history, days };
  const { running, active } = devices;
  return {
    devices: { ...sumTotals(totalsByStratum(judged).values()).devices, running, active },
    history: judged,
  };
}
