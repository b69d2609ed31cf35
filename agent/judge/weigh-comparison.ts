// The `worse_than_baseline` rule, weighed: the ratio test on shares of devices and rates per device-hour, and for
// silence the log-rank test on how fast devices answer. Pure.
import { returnAgeMs } from "./rule-to-judge.ts";
import type { ComparisonRule } from "./rule-to-judge.ts";
import { isUsageSignal } from "./signals.ts";
import { outOf, returnHarmLog10, sumReturnStrata, sumReturns } from "./slower-return.ts";
import { logRankSafetyLog10 } from "./statistics/log-rank.ts";
import { rateInterval } from "./statistics/rate-interval.ts";
import { ratioHarmLog10, ratioInterval, ratioSafetyLog10 } from "./statistics/ratio-test.ts";
import type { RatioSums } from "./statistics/ratio-test.ts";
import { CONFIDENCE } from "./verdict.ts";
import type { Interval, Unmeasured } from "./verdict.ts";
import { weighSegments } from "./weighing.ts";
import type { FleetWeighing, Weighed, WeighingContext } from "./weighing.ts";
import { openSinceMinute } from "./weigh-limit.ts";
import { sumComparison, sumStrata } from "./worse-than-baseline.ts";
import type { OpenHours } from "./worse-than-baseline.ts";

export function weighComparison(rule: ComparisonRule, context: WeighingContext): Weighed {
  if (isUsageSignal(rule.signal) && context.usage === "mismatched")
    return unmeasured(rule, context, "sample_ratio_mismatch");
  return rule.signal === "silence" ? weighReturns(rule, context) : weighRates(rule, context);
}

function weighRates(rule: ComparisonRule, context: WeighingContext): Weighed {
  const { allowance } = rule;
  const sums = sumComparison(
    context.comparison,
    rule,
    isUsageSignal(rule.signal) ? openHoursOf(context) : undefined,
  );
  const { failures, exposure, baselineFailures, baselineExposure } = sums.harm;
  if (exposure === 0) return unmeasured(rule, context, "no_baseline");
  return weighSegments({
    context,
    fleet: {
      ...emptyEvidence(rule, context),
      failures,
      trials: exposure,
      baseline: { failures: baselineFailures, trials: baselineExposure },
      evidenceLog10: ratioHarmLog10(sums.harm),
      safetyLog10: ratioSafetyLog10(sums.safety),
      rate: rateInterval(
        { trials: exposure, failures, notProvenGood: Math.max(failures, sums.safety.failures) },
        1 - CONFIDENCE,
      ),
      ratio: allowance.points > 0 ? null : toInterval(sums.harm),
    },
    weighPart: (isMeant) => {
      const part = sumStrata(sums, rule, isMeant);
      return { failures: part.failures, trials: part.exposure, evidenceLog10: ratioHarmLog10(part) };
    },
  });
}

/** Devices that took the release up, or as many as used it in the hours just before, where they don't say so. */
function openHoursOf({ input: { history, nowMs }, totals }: WeighingContext): OpenHours {
  const sinceMinute = openSinceMinute(nowMs);
  const leastExposure = new Map([...totals].map(([stratum, { devices }]) => [stratum, devices.confirmed]));
  for (const { hours } of history.days.slice(-2))
    for (const { hourMinute, windows } of hours) {
      if (hourMinute >= sinceMinute || hourMinute < sinceMinute - 3 * 60) continue;
      for (const { stratum, hours: used } of windows)
        leastExposure.set(stratum, Math.max(leastExposure.get(stratum) ?? 0, used.active));
    }
  return { sinceMinute, leastExposure };
}

function toInterval(harm: RatioSums): Interval {
  const { low, high } = ratioInterval(harm, 1 - CONFIDENCE);
  return { low, high: Number.isFinite(high) ? high : null };
}

function weighReturns(rule: ComparisonRule, context: WeighingContext): Weighed {
  const question = {
    slower: rule.allowance.ratio,
    ageMinutesMax: Math.floor(returnAgeMs(rule) / 60_000),
  };
  const sums = sumReturns(context.comparison, question, Math.floor(context.input.nowMs / 60_000));
  const { candidate, baseline } = sums;
  if (candidate.trials === 0 || baseline.trials === 0) return unmeasured(rule, context, "no_baseline");
  return weighSegments({
    context,
    fleet: {
      ...emptyEvidence(rule, context),
      ...candidate,
      baseline,
      evidenceLog10: returnHarmLog10(sums.fleet, sums.out.values()),
      safetyLog10: logRankSafetyLog10(sums.fleet),
    },
    weighPart: (isMeant) => ({
      ...sumSilent(context, isMeant),
      evidenceLog10: returnHarmLog10(sumReturnStrata(sums, question, isMeant), outOf(sums, isMeant)),
    }),
  });
}

/** Devices of some strata that were not heard of yet, of those that tried. */
function sumSilent(
  { totals }: WeighingContext,
  isMeant: (stratum: string) => boolean,
): { failures: number; trials: number } {
  let [failures, trials] = [0, 0];
  for (const [stratum, { devices }] of totals) {
    if (!isMeant(stratum)) continue;
    trials += devices.attempted;
    failures += Math.max(0, devices.attempted - devices.confirmed - devices.failed + devices.recovered);
  }
  return { failures, trials };
}

function emptyEvidence(
  { signal, allowance }: ComparisonRule,
  { thresholds }: WeighingContext,
): FleetWeighing["fleet"] {
  return {
    signal,
    rule: "worse_than_baseline",
    unit: isUsageSignal(signal) ? "device_hours" : "devices",
    failures: 0,
    trials: 0,
    limit: null,
    allowance,
    baseline: null,
    evidenceLog10: 0,
    thresholdLog10: thresholds.fleetLog10,
    safetyLog10: 0,
    rate: null,
    ratio: null,
    unmeasured: null,
  };
}

function unmeasured(rule: ComparisonRule, context: WeighingContext, why: Unmeasured): Weighed {
  return {
    evidence: { ...emptyEvidence(rule, context), unmeasured: why, segments: [] },
    accuses: "nobody",
    shareOfFleet: 1,
    failing: [],
  };
}
