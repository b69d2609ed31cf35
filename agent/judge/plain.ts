// `test: plain`, the classic alternative: the rate over a window has been above the limit for a while, with a least
// number of devices. It is what most monitoring does, and has no guarantee: looked at often enough, a release exactly
// at its limit is condemned sooner or later (docs/statistics.md has the numbers). Pure.
import type { HealthWindow } from "../health/health-window.ts";
import type { ReleaseHistory } from "../health/release-history.ts";
import { ALL_SETTLED } from "../health/settled-counts.ts";
import type { PlainRule } from "./rule-to-judge.ts";
import { countsOf, isUsageSignal, usageCountsOf } from "./signals.ts";
import type { Weighed, WeighingContext } from "./weighing.ts";

/** Windows end so far apart: the length of the slots that history is kept in. */
const STEP_MINUTES = 5;

export function weighPlain(rule: PlainRule, { input: { history, nowMs } }: WeighingContext): Weighed {
  const { signal, limit, windowMs, forMs, minDevices } = rule;
  const windows = recentWindows(history, nowMs - windowMs - forMs);
  const nowMinute = Math.floor(nowMs / 60_000);
  const ends = Array.from(
    { length: Math.floor(forMs / 60_000 / STEP_MINUTES) + 1 },
    (_, step) => nowMinute - step * STEP_MINUTES,
  );
  const rates = ends.map((end) => ratesWithin(windows, rule, { from: end - windowMs / 60_000, end }));
  const isOver = rates.every(({ failures, trials }) => trials >= minDevices && failures > limit * trials);
  return {
    evidence: {
      signal,
      rule: "plain",
      unit: isUsageSignal(signal) ? "device_hours" : "devices",
      ...rates[0]!,
      limit,
      allowance: null,
      baseline: null,
      evidenceLog10: null,
      thresholdLog10: 0,
      safetyLog10: 0,
      rate: null,
      ratio: null,
      unmeasured: null,
      segments: [],
    },
    accuses: isOver ? "fleet" : "nobody",
    shareOfFleet: 1,
    failing: [],
  };
}

function recentWindows({ days }: ReleaseHistory, sinceMs: number): HealthWindow[] {
  const since = sinceMs / 60_000;
  return days
    .filter(({ dayMinute }) => dayMinute + 24 * 60 > since)
    .flatMap(({ hours }) => hours.filter(({ hourMinute }) => hourMinute + 60 > since))
    .flatMap(({ windows }) => windows);
}

function ratesWithin(
  windows: readonly HealthWindow[],
  { signal }: PlainRule,
  { from, end }: { from: number; end: number },
): { failures: number; trials: number } {
  let [failures, trials] = [0, 0];
  for (const { slotMinute, slotMinutes, devices, hours } of windows) {
    if (slotMinute + slotMinutes <= from || slotMinute >= end) continue;
    const counts = isUsageSignal(signal)
      ? usageCountsOf(signal, hours)
      : countsOf(signal, devices, ALL_SETTLED);
    failures += counts.failures;
    trials += counts.trials;
  }
  return { failures, trials };
}
