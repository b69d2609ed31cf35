// When it is not the release: a backend that is down, a network, a bad hour. Whatever hits every version alike must
// not roll one of them back; a person must look. Enters: the histories of the release and its baselines. Leaves: whether
// a broken limit, or a sudden change, is explained by the environment. Pure.
import { addSlotCounts } from "../health/release-history.ts";
import type { ReleaseHistory, SlotCounts } from "../health/release-history.ts";
import { usageSince } from "./hour-usage.ts";
import { harmEvidenceLog10 } from "./limit.ts";
import { baselineCounts, candidateCounts, usageCountsOf } from "./signals.ts";
import type { JudgedSignal, UsageSignal } from "./signals.ts";
import { addRatioCell, ratioHarmLog10, zeroRatioSums } from "./statistics/ratio-test.ts";

/** Failures that a baseline exactly at the limit would be expected to have by now, for its silence to mean anything. */
export const BASELINE_FAILURES_LEAST = 3;
const EQUAL = { ratio: 1, points: 0 } as const;

export interface BrokenLimit {
  readonly signal: JudgedSignal;
  readonly limit: number;
  /** log10 of the evidence at which it is broken. */
  readonly thresholdLog10: number;
  /** The strata that it is broken in. */
  readonly isMeant: (stratum: string) => boolean;
  /** log10 of the evidence that the release is worse at all than its baseline, from which on it is at fault. */
  readonly atFaultLog10: number;
}

/**
 * Whether the baseline does no better than the release that broke a limit, in the same hours and on the same kinds of
 * device. A baseline too small to tell explains nothing, nor does one explain
 * what happened in other hours or on other kinds of device: if that alone breaks the limit, the limit speaks.
 */
export function isExplainedByBaseline(
  history: ReleaseHistory,
  baselines: readonly ReleaseHistory[],
  { signal, limit, thresholdLog10, isMeant, atFaultLog10 }: BrokenLimit,
): boolean {
  const beside = new Map<string, SlotCounts>();
  for (const [cell, counts] of baselines.flatMap((baseline) => [...countsByCell(baseline, isMeant)])) {
    const known = beside.get(cell);
    beside.set(cell, known === undefined ? counts : addSlotCounts(known, counts));
  }
  const sums = zeroRatioSums("evidence", EQUAL);
  const alone = { trials: 0, failures: 0 };
  for (const [cell, counts] of countsByCell(history, isMeant)) {
    const accused = candidateCounts(signal, counts);
    const other = beside.get(cell);
    const excusing = other === undefined ? NO_COUNTS : baselineCounts(signal, other);
    addRatioCell(sums, {
      failures: accused.failures,
      exposure: accused.exposure,
      baselineFailures: excusing.failures,
      baselineExposure: excusing.exposure,
    });
    if (excusing.exposure > 0) continue;
    alone.trials += accused.exposure;
    alone.failures += accused.failures;
  }
  if (sums.baselineExposure * limit < BASELINE_FAILURES_LEAST) return false;
  if (harmEvidenceLog10({ ...alone, limit }) >= thresholdLog10) return false;
  return ratioHarmLog10(sums) < atFaultLog10;
}

const NO_COUNTS = { exposure: 0, failures: 0 };

/** By hour and kind of device: another kind that always fails excuses nobody. */
function countsByCell(
  { days }: ReleaseHistory,
  isMeant: (stratum: string) => boolean,
): Map<string, SlotCounts> {
  const cells = new Map<string, SlotCounts>();
  for (const { hourMinute, windows } of days.flatMap(({ hours }) => hours))
    for (const window of windows) {
      if (!isMeant(window.stratum)) continue;
      const cell = `${hourMinute} ${window.stratum}`;
      const known = cells.get(cell);
      cells.set(cell, known === undefined ? window : addSlotCounts(known, window));
    }
  return cells;
}

/** Hours whose rate is held against those before. */
export const SURGE_HOURS = 2;
/** Hours before, that tell what is usual: the same time yesterday is among them. */
export const SURGE_BEFORE_HOURS = 24;
/** How many times as often as usual the baseline has to fail. */
export const SURGE_RATIO = 3;
/** log10 of the evidence of that: 1,000 to 1. */
export const SURGE_LOG10 = 3;

/**
 * Whether the versions that have been there all along suddenly fail far more often per hour of use: than in the day
 * before, and than in the same hours of yesterday, since some fail every night.
 */
export function isSurging(
  baselines: readonly ReleaseHistory[],
  { signal, nowMs }: { readonly signal: UsageSignal; readonly nowMs: number },
): boolean {
  const thisHour = 60 * Math.floor(nowMs / 3_600_000);
  const recentSince = thisHour - (SURGE_HOURS - 1) * 60;
  const usualSince = recentSince - SURGE_BEFORE_HOURS * 60;
  const recent = { exposure: 0, failures: 0 };
  const usual = { exposure: 0, failures: 0 };
  const yesterday = { exposure: 0, failures: 0 };
  for (const { hourMinute, hours } of baselines.flatMap((history) => usageSince(history, usualSince))) {
    if (hourMinute > thisHour) continue;
    const { trials, notProvenGood } = usageCountsOf(signal, hours);
    const sides =
      hourMinute >= recentSince
        ? [recent]
        : hourMinute < usualSince + SURGE_HOURS * 60
          ? [usual, yesterday]
          : [usual];
    for (const side of sides) {
      side.exposure += trials;
      side.failures += notProvenGood;
    }
  }
  return surges(recent, usual) && (yesterday.exposure === 0 || surges(recent, yesterday));
}

interface Rate {
  readonly exposure: number;
  readonly failures: number;
}

function surges(recent: Rate, before: Rate): boolean {
  const sums = zeroRatioSums("evidence", { ratio: SURGE_RATIO, points: 0 });
  addRatioCell(sums, { ...recent, baselineExposure: before.exposure, baselineFailures: before.failures });
  return ratioHarmLog10(sums) >= SURGE_LOG10;
}

/** How much less a device of the baseline has to be used than a day ago to count as cut off, whoever is silent. */
export const QUIET_RATIO = 2;
/** How much less at least, for those who went quiet to excuse as many of the release's. */
export const QUIET_RATIO_LEAST = 1.1;

export interface QuietInput {
  readonly histories: readonly ReleaseHistory[];
  /** Devices that run the baseline now. */
  readonly running: number;
  /** Devices of the release that began and were not heard of again: whatever happened to them, they say nothing of the others. */
  readonly pending: number;
  /** Devices that took the release up since a day ago, and ran the baseline then. */
  readonly left: number;
  /** Of the release's devices that began, the share that is silent beyond what the limit allows, a ratio. */
  readonly silentShare: number;
  readonly nowMs: number;
}

/**
 * Whether devices that have nothing to do with the release went quiet as well: the hours that are over since the
 * deadline began, held against the same hours a day ago, per device. Then a network is down, and silence accuses nobody.
 */
export function isCutOff(
  { histories, running, pending, left, silentShare, nowMs }: QuietInput,
  deadlineMs: number,
): boolean {
  const end = 60 * Math.floor(nowMs / 3_600_000);
  const hours = Math.max(1, Math.min(SURGE_BEFORE_HOURS, Math.floor(deadlineMs / 3_600_000)));
  const activeBetween = (from: number, to: number): number =>
    histories
      .flatMap((history) => usageSince(history, from))
      .reduce((sum, usage) => sum + (usage.hourMinute < to ? usage.hours.active : 0), 0);
  const dayMinutes = 24 * 60;
  const before = {
    failures: activeBetween(end - hours * 60 - dayMinutes, end - dayMinutes),
    exposure: hours * (running + left),
  };
  const now = {
    baselineFailures: activeBetween(end - hours * 60, end),
    baselineExposure: hours * Math.max(0, running - pending),
  };
  if (now.baselineExposure === 0 || before.exposure === 0) return false;
  const quieter = (ratio: number): boolean => {
    const sums = zeroRatioSums("evidence", { ratio, points: 0 });
    addRatioCell(sums, { ...before, ...now });
    return ratioHarmLog10(sums) >= SURGE_LOG10;
  };
  if (quieter(QUIET_RATIO)) return true;
  // A part of the network: as many of the release's devices are silent as of the others.
  const usedBefore = before.failures / before.exposure;
  const usedNow = now.baselineFailures / now.baselineExposure;
  return quieter(QUIET_RATIO_LEAST) && silentShare <= 1 - usedNow / usedBefore;
}
