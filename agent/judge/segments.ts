// Segments: kinds of device by one of their values (`model=till-9`), each judged on its own, because one bad model of
// many drowns in the fleet. Enters: strata and when they first appeared. Leaves: segments with their share of the
// budget, and which of them stand out. Pure.
import { STRATUM_FIELDS, STRATUM_OTHER, STRATUM_UNKNOWN, parseStratum } from "../health/stratum.ts";

export interface Segment {
  /** `<field>=<value>`. */
  readonly name: string;
  /** Texts of the strata in it. */
  readonly strata: ReadonlySet<string>;
  /** Its share of the budget of segments; those of all segments there will ever be add up to 1. */
  readonly weight: number;
}

/**
 * Segments get their weight in the order of their first appearance, w_j = 1 / (j (j + 1)): nobody knows how many there
 * will be, and which ones come first does not depend on how they fare.
 */
export function segmentsOf(sinceMinutes: ReadonlyMap<string, number>): Segment[] {
  const found = new Map<string, { strata: Set<string>; sinceMinute: number }>();
  for (const [stratum, sinceMinute] of sinceMinutes)
    for (const name of segmentNames(stratum)) {
      const known = found.get(name);
      if (known === undefined) {
        found.set(name, { strata: new Set([stratum]), sinceMinute });
        continue;
      }
      known.strata.add(stratum);
      known.sinceMinute = Math.min(known.sinceMinute, sinceMinute);
    }
  const inOrder = [...found].toSorted(
    ([left, { sinceMinute: leftSince }], [right, { sinceMinute: rightSince }]) =>
      leftSince - rightSince || (left < right ? -1 : 1),
  );
  return inOrder.map(([name, { strata }], index) => ({
    name,
    strata,
    weight: 1 / ((index + 1) * (index + 2)),
  }));
}

/** None for devices that told nothing of themselves, or are counted together because there are too many kinds. */
function segmentNames(stratum: string): string[] {
  if (stratum === STRATUM_UNKNOWN || stratum === STRATUM_OTHER || !stratum.startsWith("[")) return [];
  return parseStratum(stratum).flatMap((value, index) =>
    value === "" ? [] : [`${STRATUM_FIELDS[index]!}=${value}`],
  );
}

export function isInSegment(stratum: string, name: string): boolean {
  return segmentNames(stratum).includes(name);
}

/** Share of wrongly named segments that is allowed among those that are named. */
export const SEGMENT_FALSE_DISCOVERY = 0.05;

/**
 * Which of the hypotheses stand out: e-BH, the k strongest with E_(k) >= K / (alpha k). The share of wrong ones among
 * them is at most alpha on average, whatever they have to do with each other (Wang & Ramdas 2022). Enters: log10 of
 * e-values. Leaves: their positions, strongest first.
 */
export function standOut(evidenceLog10: readonly number[], alpha = SEGMENT_FALSE_DISCOVERY): number[] {
  const strongestFirst = evidenceLog10
    .map((evidence, position) => ({ evidence, position }))
    .toSorted((left, right) => right.evidence - left.evidence || left.position - right.position);
  let most = 0;
  for (const [index, { evidence }] of strongestFirst.entries())
    if (evidence >= Math.log10(evidenceLog10.length / (alpha * (index + 1)))) most = index + 1;
  return strongestFirst.slice(0, most).map(({ position }) => position);
}
