// A decision in a few words, as it stands beside a release in the scope of an incident and in a device's story.
// Enters: decisions. Leaves: JSON, and a sentence for people. Pure.
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";
import type { RollbackOutcomeKind } from "../rollback/outcome.ts";

export type DecisionBrief = Pick<DecisionRecord, "id" | "at" | "action" | "mode" | "target"> & {
  /** How it ended; null = it has not. */
  readonly outcome: RollbackOutcomeKind | null;
};

/** Of a release, oldest first. */
export function briefsOf(decisions: readonly DecisionRecord[], release: ReleaseKey): DecisionBrief[] {
  const text = formatReleaseKey(release);
  return decisions
    .filter((decision) => formatReleaseKey(decision) === text)
    .toSorted((left, right) => (left.at < right.at ? -1 : 1))
    .map(({ id, at, action, mode, target, outcome }) => ({
      id,
      at,
      action,
      mode,
      target,
      outcome: outcome?.kind ?? null,
    }));
}

/** Whether the channel was taken off the release. */
export function isRolledBack(briefs: readonly DecisionBrief[]): boolean {
  return briefs.some(
    ({ action, mode, outcome }) => action === "rollback" && mode !== "shadow" && isDone(outcome),
  );
}

function isDone(outcome: DecisionBrief["outcome"]): boolean {
  return outcome === "applied" || outcome === "already_applied";
}

/** `1.4.3 on production was rolled back to 1.4.2 (rb_…)`. */
export function sayBrief(name: string, { id, action, mode, target, outcome }: DecisionBrief): string {
  const acts = {
    rollback: ["rolled back", target === null ? "" : ` to ${target}`],
    pause: ["paused", ""],
    page: ["paged about", ""],
  } as const satisfies Record<DecisionBrief["action"], readonly [string, string]>;
  const [done, where] = acts[action];
  if (mode === "shadow") return `${name} would have been ${done}${where}: shadow mode (${id})`;
  if (isDone(outcome) || outcome === "paged") return `${name} was ${done}${where} (${id})`;
  return `${name} was to be ${done}${where}: ${outcome ?? "not carried out yet"} (${id})`;
}
