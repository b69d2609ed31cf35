// What the demo expects and whether it came so; pure. Enters: the rates, and what was seen. Leaves: the
// expectation in words, and the list of things that went wrong (empty: the demo's exit code is 0).
import type { BookDifference } from "./books.ts";

export type Expectation = "rollback" | "no_rollback" | "either";

/** A rate this many times the limit is far enough above it for a rollback to be expected. */
export const CLEARLY_BAD_TIMES = 1.4;
/**
 * Evidence that the whole fleet holds against the release on average, in nats, for a rollback to be
 * expected: ln(100/1%) is 9.2, the grid costs ln 8 = 2.1, and the rest is room for an unlucky seed.
 */
const EVIDENCE_NATS_MIN = 20;

export function expectedOutcome({
  badRatio,
  limit,
  devices,
}: {
  badRatio: number;
  limit: number;
  devices: number;
}): Expectation {
  if (badRatio <= limit) return "no_rollback";
  const isClearlyBad = badRatio >= CLEARLY_BAD_TIMES * limit - Number.EPSILON;
  return isClearlyBad && devices * divergence(badRatio, limit) >= EVIDENCE_NATS_MIN ? "rollback" : "either";
}

/** Kullback-Leibler divergence of two yes-or-no rates, in nats: evidence per device, on average. */
function divergence(truth: number, limit: number): number {
  const failed = truth === 0 ? 0 : truth * Math.log(truth / limit);
  const worked = truth === 1 ? 0 : (1 - truth) * Math.log((1 - truth) / (1 - limit));
  return failed + worked;
}

export interface Seen {
  readonly expectation: Expectation;
  readonly isGoodRolledBack: boolean;
  readonly isBadRolledBack: boolean;
  readonly differences: readonly BookDifference[];
  /** Reports that ingest refused for good. */
  readonly refusedReports: number;
  readonly lastRefusal: string | undefined;
  /** Whether the agent was to be killed, and whether it came back as another process. */
  readonly kill: "not_asked" | "restarted" | "not_restarted";
}

/** What went wrong, in sentences; empty when everything came as expected. */
export function findFaults(seen: Seen): string[] {
  const faults: string[] = [];
  if (seen.isGoodRolledBack) faults.push("The good release was rolled back.");
  if (seen.expectation === "rollback" && !seen.isBadRolledBack)
    faults.push("The bad release was not rolled back.");
  if (seen.expectation === "no_rollback" && seen.isBadRolledBack)
    faults.push("A release within its limit was rolled back.");
  if (seen.differences.length > 0)
    faults.push(
      `The books differ in ${seen.differences.length} places: the agent's counts are not the fleet's.`,
    );
  if (seen.refusedReports > 0)
    faults.push(`Ingest refused ${seen.refusedReports} reports; the last answer: ${seen.lastRefusal ?? "?"}`);
  if (seen.kill === "not_restarted") faults.push("The agent was killed and did not come back.");
  return faults;
}
