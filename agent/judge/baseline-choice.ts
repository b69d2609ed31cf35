// Which versions a release is compared with: the channel's other live versions that came before it and are not
// condemned. Pure: evaluating asks it of what is now, a replay of what was then. Enters: live versions. Leaves: some.
import { compareVersions } from "../../ingest/contract/release-key.ts";
import type { Version } from "../../ingest/contract/release-key.ts";

/** Versions that a release is compared with at most: those that came just before. More would hardly add a device. */
export const BASELINE_VERSIONS_MAX = 8;
/** What the baseline did before the release appeared tells what is usual, in minutes. */
export const BASELINE_BEFORE_MINUTES = 24 * 60;

export interface Seen {
  readonly version: Version;
  /** When it was first reported about. */
  readonly sinceMs: number;
}

/**
 * A fix must not make the release before it look bad: only what came before is a measure. Those that came last are
 * chosen, whoever was reported about last: a set that changes from look to look would not keep the budget.
 */
export function chooseBaseline<Live extends Seen>(
  live: readonly Live[],
  release: Seen,
  condemned: ReadonlySet<string>,
): Live[] {
  return live
    .filter((each) => !condemned.has(each.version) && cameBefore(each, release))
    .toSorted((left, right) => (cameBefore(left, right) ? 1 : -1))
    .slice(0, BASELINE_VERSIONS_MAX);
}

/** By number where both have one that begins like `1.2` or `v7`; a hash or a name has no order but when it was first seen. */
export function cameBefore(left: Seen, right: Seen): boolean {
  const isNumbered = ({ version }: Seen): boolean => /^v?\d+([.+_-]|$)/i.test(version);
  if (isNumbered(left) && isNumbered(right)) return compareVersions(left.version, right.version) < 0;
  return left.sinceMs < right.sinceMs;
}
