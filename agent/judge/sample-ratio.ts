// Whether hours of use can be compared at all: a release that reports its use less often than its baseline (a changed
// heartbeat, reports that get lost on the way) has fewer hours for the same crashes, and would look worse than it is.
// Enters: hours of both sides, and how many devices there were to use them. Leaves: a mismatch, or none.
//
// Form: the ratio test with the sides exchanged: the baseline's devices report use more than USAGE_RATIO_MOST times as
// often as the release's. Devices do differ (those that update first are not those that update last), so equal use
// is not expected; a smaller part than that is a change of telemetry, not of habits. Flagged at 1,000 to 1.
import type { ReleaseHistory } from "../health/release-history.ts";
import { usageByDay, usageSince } from "./hour-usage.ts";
import type { HourUsage } from "./hour-usage.ts";
import { addRatioCell, ratioHarmLog10, zeroRatioSums } from "./statistics/ratio-test.ts";

/** How much less a device of the release may report its use than one of the baseline. */
export const USAGE_RATIO_MOST = 2;
/** log10 of the evidence of a mismatch at which hours are not compared any more. */
export const MISMATCH_LOG10 = 3;
/** Hours that are looked at: the newest that are over. */
export const MISMATCH_HOURS = 24;

export interface UsageInput {
  readonly candidate: { readonly history: ReleaseHistory; readonly running: number };
  readonly baseline: { readonly histories: readonly ReleaseHistory[]; readonly running: number };
  readonly nowMinute: number;
}

/** log10 of the evidence that the release's devices report their use too seldom to be compared. */
export function usageMismatchLog10({ candidate, baseline, nowMinute }: UsageInput): number {
  const end = nowMinute - (nowMinute % 60);
  const since = end - MISMATCH_HOURS * 60;
  const own = usageSince(candidate.history, since);
  const other = activeByHour(baseline.histories.flatMap((history) => usageSince(history, since)));
  const activeIn = activeByHour(own);
  const all = usageByDay(candidate.history).reduce((sum, { confirmed }) => sum + confirmed, 0);
  let takenBefore = all - own.reduce((sum, { confirmed }) => sum + confirmed, 0);
  const confirmedIn = new Map(own.map(({ hourMinute, confirmed }) => [hourMinute, confirmed]));
  const sums = zeroRatioSums("evidence", { ratio: USAGE_RATIO_MOST, points: 0 });
  for (let hourMinute = since; hourMinute < end; hourMinute += 60) {
    // Whoever took the release up later still ran the baseline; whoever has left it since is not missed.
    addRatioCell(sums, {
      failures: other.get(hourMinute) ?? 0,
      exposure: baseline.running + all - takenBefore,
      baselineFailures: activeIn.get(hourMinute) ?? 0,
      baselineExposure: Math.min(takenBefore, candidate.running),
    });
    takenBefore += confirmedIn.get(hourMinute) ?? 0;
  }
  return ratioHarmLog10(sums);
}

function activeByHour(usage: readonly HourUsage[]): ReadonlyMap<number, number> {
  const active = new Map<number, number>();
  for (const { hourMinute, hours } of usage)
    active.set(hourMinute, (active.get(hourMinute) ?? 0) + hours.active);
  return active;
}
