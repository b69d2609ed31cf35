// What every rule is weighed with, and what comes of it: the evidence of the fleet and of each segment, against their
// thresholds. Pure; the two forms (weigh-limit.ts, weigh-comparison.ts) share this.
import type { StratumTotals } from "./stratum-totals.ts";
import type { Comparison } from "./comparison.ts";
import type { JudgeInput } from "./judge.ts";
import type { Thresholds } from "./rule-to-judge.ts";
import { standOut } from "./segments.ts";
import type { Segment } from "./segments.ts";
import type { SegmentEvidence, SignalEvidence } from "./verdict.ts";

export interface WeighingContext {
  readonly input: JudgeInput;
  readonly comparison: Comparison;
  /** The release's own counts by stratum text. */
  readonly totals: ReadonlyMap<string, StratumTotals>;
  readonly segments: readonly Segment[];
  readonly thresholds: Thresholds;
  /** Whether hours of use can be compared with the baseline's (sample-ratio.ts). */
  readonly usage: "comparable" | "mismatched";
}

/** What a rule says. */
export interface Weighed {
  readonly evidence: SignalEvidence;
  /** Whom it accuses at the budget: the fleet, only some kinds of device, or nobody. */
  readonly accuses: "fleet" | "segments" | "nobody";
  /** Share of the release's devices that the failure concerns. */
  readonly shareOfFleet: number;
  /** All kinds of device that are over their threshold, whether or not there is room to name them. */
  readonly failing: readonly FailingSegment[];
}

export interface FailingSegment {
  readonly segment: Segment;
  readonly failures: number;
  /** log10 of its evidence, and at which it fails. */
  readonly evidenceLog10: number;
  readonly thresholdLog10: number;
}

/** Kinds of device that a verdict names at most. */
export const SEGMENTS_NAMED_MAX = 5;
/** log10 of the evidence at which devices outside the named kinds count as failing too: worth telling somebody. */
export const NOTIFY_LOG10 = 1;

/** Counts and evidence of some strata together. */
export interface PartEvidence {
  readonly failures: number;
  readonly trials: number;
  readonly evidenceLog10: number;
}

export interface FleetWeighing {
  readonly context: WeighingContext;
  /** All of a signal's evidence but its segments. */
  readonly fleet: Omit<SignalEvidence, "segments">;
  readonly weighPart: (isMeant: (stratum: string) => boolean) => PartEvidence;
}

/** Weighs the segments beside the fleet. */
export function weighSegments({ context, fleet, weighPart }: FleetWeighing): Weighed {
  const { segments, thresholds } = context;
  // What every device has in common names nobody; its place in the order stays.
  const telling = segments.filter(({ strata }) => strata.size < context.totals.size);
  const found = telling.map((segment) => ({
    segment,
    ...weighPart((stratum) => segment.strata.has(stratum)),
    thresholdLog10: thresholds.segmentLog10(segment.weight),
  }));
  const outstanding = new Set(standOut(found.map(({ evidenceLog10 }) => evidenceLog10)));
  const named = found
    .filter(
      ({ evidenceLog10, thresholdLog10 }, position) =>
        outstanding.has(position) || evidenceLog10 >= thresholdLog10,
    )
    // Those that fail come first: what is left out for want of room must never be what accuses.
    .toSorted(
      (left, right) =>
        right.evidenceLog10 - right.thresholdLog10 - (left.evidenceLog10 - left.thresholdLog10),
    );
  const fleetFails = (fleet.evidenceLog10 ?? 0) >= fleet.thresholdLog10;
  const failing = named.filter(({ evidenceLog10, thresholdLog10 }) => evidenceLog10 >= thresholdLog10);
  const evidence = {
    ...fleet,
    segments: named
      .slice(0, SEGMENTS_NAMED_MAX)
      .map(({ segment, failures, trials, evidenceLog10, thresholdLog10 }): SegmentEvidence => ({
        segment: segment.name,
        failures,
        trials,
        evidenceLog10,
        thresholdLog10,
        shareOfFleet: shareOf(context, (stratum) => segment.strata.has(stratum)),
      })),
  };
  return {
    evidence,
    accuses: fleetFails ? "fleet" : failing.length > 0 ? "segments" : "nobody",
    failing,
    shareOfFleet: concerned(
      context,
      named.map(({ segment }) => segment),
      { fleetFails, weighPart },
    ),
  };
}

/** The kinds of device that are named, unless the others fail as well. */
function concerned(
  context: WeighingContext,
  named: readonly Segment[],
  { fleetFails, weighPart }: Pick<FleetWeighing, "weighPart"> & { readonly fleetFails: boolean },
): number {
  if (named.length === 0) return 1;
  const isNamed = (stratum: string): boolean => named.some(({ strata }) => strata.has(stratum));
  if (fleetFails && weighPart((stratum) => !isNamed(stratum)).evidenceLog10 >= NOTIFY_LOG10) return 1;
  return shareOf(context, isNamed);
}

/** By devices that tried; where none said so, by hours of use. */
function shareOf({ totals }: WeighingContext, isMeant: (stratum: string) => boolean): number {
  const shareBy = (sizeOf: (totals: StratumTotals) => number): number | undefined => {
    let [all, meant] = [0, 0];
    for (const [stratum, each] of totals) {
      all += sizeOf(each);
      if (isMeant(stratum)) meant += sizeOf(each);
    }
    return all === 0 ? undefined : meant / all;
  };
  return shareBy(({ devices }) => devices.attempted) ?? shareBy(({ hours }) => hours.active) ?? 1;
}
