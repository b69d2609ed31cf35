// The `limit` rule, weighed: the one-sample e-process (limit.ts) on the counts of the whole fleet, and on those of each
// segment. Pure.
//
// A limit on crashes is one on a share of device-hours. An hour only counts once it is over and the reports of its
// devices had time to come in: crashes are told at once, quiet use with the next heartbeat.
import type { DeviceHours } from "../health/health-window.ts";
import type { ReleaseHistory } from "../health/release-history.ts";
import { ALL_SETTLED, SETTLE_MS, settledMinute } from "../health/settled-counts.ts";
import type { UnsettledFailures } from "../health/settled-counts.ts";
import type { JudgeInput } from "./judge.ts";
import { harmEvidenceLog10, safetyEvidenceLog10 } from "./limit.ts";
import type { LimitRule } from "./rule-to-judge.ts";
import { countsOf, isUsageSignal, usageCountsOf } from "./signals.ts";
import type { SignalCounts } from "./signals.ts";
import { rateInterval } from "./statistics/rate-interval.ts";
import { sumTotals, totalsByStratum } from "./stratum-totals.ts";
import type { StratumTotals } from "./stratum-totals.ts";
import { CONFIDENCE } from "./verdict.ts";
import type { Unmeasured } from "./verdict.ts";
import { weighSegments } from "./weighing.ts";
import type { Weighed, WeighingContext } from "./weighing.ts";

/** Share of the devices that run a release which must report their use (`active`) for its hours to be a denominator. */
export const USAGE_REPORTED_SHARE_LEAST = 0.5;

export function weighLimit(rule: LimitRule, context: WeighingContext): Weighed {
  const { signal, limit } = rule;
  const unmeasured = isUsageSignal(signal) ? unmeasuredUsage(context) : null;
  const part = partCounts(rule, context);
  const counts = unmeasured === null ? fleetCounts(rule, context) : NOTHING;
  const fleet = {
    signal,
    rule: "limit",
    unit: isUsageSignal(signal) ? "device_hours" : "devices",
    failures: counts.failures,
    trials: counts.trials,
    limit,
    allowance: null,
    baseline: null,
    evidenceLog10: harmEvidenceLog10({ ...counts, limit }),
    thresholdLog10: context.thresholds.fleetLog10,
    safetyLog10: safetyEvidenceLog10({ trials: counts.trials, failures: counts.notProvenGood, limit }),
    rate: rateInterval(counts, 1 - CONFIDENCE),
    ratio: null,
    unmeasured,
  } as const;
  return weighSegments({
    context,
    fleet,
    weighPart: (isMeant) => {
      const { trials, failures } = unmeasured === null ? part(isMeant) : NOTHING;
      return { trials, failures, evidenceLog10: harmEvidenceLog10({ trials, failures, limit }) };
    },
  });
}

const NOTHING: SignalCounts = { trials: 0, failures: 0, notProvenGood: 0 };

function unmeasuredUsage({ input: { devices }, usage }: WeighingContext): Unmeasured | null {
  if (devices.active < USAGE_REPORTED_SHARE_LEAST * devices.running) return "usage_not_reported";
  return usage === "mismatched" ? "sample_ratio_mismatch" : null;
}

/** The totals, where windows of long ago have been dropped; hours only once they are over. */
function fleetCounts(rule: LimitRule, context: WeighingContext): SignalCounts {
  const { signal } = rule;
  const { input, totals } = context;
  if (isUsageSignal(signal))
    return usageCountsOf(signal, closedHours(input, sumTotals(totals.values()).hours));
  const devices = isCountedEarlier(rule, input) ? { ...input.devices, silent: 0 } : input.devices;
  return countsOf(signal, devices, input.unsettled ?? ALL_SETTLED);
}

function partCounts(
  rule: LimitRule,
  context: WeighingContext,
): (isMeant: (stratum: string) => boolean) => SignalCounts {
  const { signal } = rule;
  const { input, totals } = context;
  const open = isUsageSignal(signal) ? totalsByStratum(openHours(input)) : new Map<string, StratumTotals>();
  const silentCounts = !isCountedEarlier(rule, input);
  return (isMeant) => {
    const chosen = sumTotals(chosenOf(totals, isMeant));
    if (isUsageSignal(signal))
      return usageCountsOf(signal, withoutHours(chosen.hours, sumTotals(chosenOf(open, isMeant)).hours));
    const devices = silentCounts ? chosen.devices : { ...chosen.devices, silent: 0 };
    return countsOf(signal, devices, youngFailures(input, isMeant));
  };
}

function* chosenOf(
  totals: ReadonlyMap<string, StratumTotals>,
  isMeant: (stratum: string) => boolean,
): Generator<StratumTotals> {
  for (const [stratum, each] of totals) if (isMeant(stratum)) yield each;
}

/** Whether devices may be counted silent that were not silent for as long as the rule asks. */
export function isCountedEarlier(
  { deadlineMs = 0 }: LimitRule,
  { silenceDeadlineMs }: Pick<JudgeInput, "silenceDeadlineMs">,
): boolean {
  return silenceDeadlineMs !== undefined && silenceDeadlineMs !== 0 && deadlineMs > silenceDeadlineMs;
}

/** First minute of the earliest hour that is not over, or whose reports may still be on their way. */
export function openSinceMinute(nowMs: number): number {
  return 60 * Math.floor((nowMs - SETTLE_MS) / 3_600_000);
}

/** Those that are not over, or whose reports may still be on their way. */
function openHours({ history, nowMs }: JudgeInput): ReleaseHistory {
  const sinceMinute = openSinceMinute(nowMs);
  const days = history.days.slice(-2).map((day) => ({
    ...day,
    hours: day.hours.filter(({ hourMinute }) => hourMinute >= sinceMinute),
  }));
  return { ...history, days: days.filter(({ hours }) => hours.length > 0) };
}

function closedHours(input: JudgeInput, all: DeviceHours): DeviceHours {
  return withoutHours(all, sumTotals(totalsByStratum(openHours(input)).values()).hours);
}

function withoutHours(all: DeviceHours, open: DeviceHours): DeviceHours {
  return {
    active: all.active - open.active,
    crashed: all.crashed - open.crashed,
    notResponding: all.notResponding - open.notResponding,
    firstCrashed: all.firstCrashed - open.firstCrashed,
    firstNotResponding: all.firstNotResponding - open.firstNotResponding,
  };
}

/** Failures of some strata that were not announced and do not accuse yet (health/settled-counts.ts). */
function youngFailures(
  { history, nowMs, unsettled }: JudgeInput,
  isMeant: (stratum: string) => boolean,
): UnsettledFailures {
  if (unsettled === undefined || unsettled.failed + unsettled.download_failed === 0) return ALL_SETTLED;
  const settled = settledMinute(nowMs);
  const young = history.days
    .slice(-2)
    .flatMap(({ hours }) => hours.flatMap(({ windows }) => windows))
    .filter(({ slotMinute, slotMinutes, stratum }) => slotMinute + slotMinutes > settled && isMeant(stratum));
  const sum = (outcome: "failed_unannounced" | "download_failed_unannounced"): number =>
    young.reduce((total, { devices }) => total + devices[outcome], 0);
  return { failed: sum("failed_unannounced"), download_failed: sum("download_failed_unannounced") };
}
