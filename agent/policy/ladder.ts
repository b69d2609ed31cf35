// The first rung of the ladder: a release that looks bad, long before there is enough evidence to act, so that people may
// look. The same evidence against a larger budget: of ten releases that keep their rules, at most one is ever told of.
// Pure. (policy-anchors 5.6: notify at 10 to 1, act at 100 to 1.)
import type { Verdict } from "../judge/verdict.ts";

/** Chance that a release that keeps its rules is ever called suspect. */
export const NOTIFY_BUDGET = 0.1;

export function isSuspect({ kind, signals }: Verdict, falseRollbackBudget: number): boolean {
  if (kind === "failing") return false;
  const easierLog10 = Math.log10(NOTIFY_BUDGET / falseRollbackBudget);
  if (easierLog10 <= 0) return false;
  return signals.some(
    ({ unmeasured, evidenceLog10, thresholdLog10, segments }) =>
      unmeasured === null &&
      ((evidenceLog10 !== null && evidenceLog10 >= thresholdLog10 - easierLog10) ||
        segments.some((segment) => segment.evidenceLog10 >= segment.thresholdLog10 - easierLog10)),
  );
}
