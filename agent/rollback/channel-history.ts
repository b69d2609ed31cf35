// What was decided on a channel before, as the policy's Situation wants it. Pure. Enters: all decisions, and which
// releases people have absolved. Leaves: condemned versions, past rollbacks.
import { formatReleaseKey, isOnChannel } from "../../ingest/contract/release-key.ts";
import type { ChannelKey, ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Absolution } from "../policy/absolution.ts";
import { isWeaker } from "../policy/decision.ts";
import type { PolicyAction } from "../policy/decision.ts";
import type { PastRollback, Situation } from "../policy/situation.ts";
import type { DecisionRecord } from "./decision-record.ts";
import { DONE_OUTCOMES, UNDONE_OUTCOMES } from "./outcome.ts";

export type ChannelHistory = Pick<
  Situation,
  "condemned" | "rolledBack" | "rejected" | "pastRollbacks" | "overallRollbacksMs"
>;

export interface ChannelRecords {
  /** Newest first. */
  readonly decisions: readonly DecisionRecord[];
  /** By release key text. */
  readonly absolutions: ReadonlyMap<string, Absolution>;
}

export function channelHistory(
  { decisions, absolutions }: ChannelRecords,
  key: ChannelKey,
  action: PolicyAction,
): ChannelHistory {
  const real = decisions.filter(({ mode }) => mode !== "shadow");
  const own = real.filter((decision) => isOnChannel(decision, key));
  const standing = standingDecisions({ decisions: own, absolutions });
  const versions = (some: readonly DecisionRecord[]): Set<string> =>
    new Set(some.map(({ version }) => version));
  const rejected = standing.filter(({ outcome }) => outcome?.kind === "rejected");
  return {
    condemned: new Set([...versions(standing.filter(isBlame)), ...leftByPeople(own, absolutions)]),
    rolledBack: versions(
      standing.filter(
        ({ outcome, action: done }) =>
          !isWeaker(done, action) &&
          !(outcome !== null && (UNDONE_OUTCOMES.has(outcome.kind) || outcome.kind === "rejected")),
      ),
    ),
    rejected: versions(rejected),
    pastRollbacks: own.flatMap(toPastRollback),
    overallRollbacksMs: real
      .filter(({ mode }) => mode !== "manual")
      .flatMap(toPastRollback)
      .map(({ atMs }) => atMs),
  };
}

/** Those that condemn their release now: decided by Lastgood for real, and not absolved since. */
export function standingDecisions({ decisions, absolutions }: ChannelRecords): DecisionRecord[] {
  return decisions.filter(
    (decision) =>
      decision.mode !== "shadow" && decision.mode !== "manual" && !isAbsolved(decision, absolutions),
  );
}

/** A round that was withdrawn turned out well; an alert that only paged says nothing for good. */
function isBlame({ outcome, cause, action }: DecisionRecord): boolean {
  return outcome?.kind !== "withdrawn" && !(cause === "alert" && action === "page");
}

/** Versions that a person rolled back from, and nobody has put back or absolved since: no place to go to by itself. */
function leftByPeople(own: readonly DecisionRecord[], absolutions: ChannelRecords["absolutions"]): string[] {
  const byPeople = own.filter(
    ({ mode, action, outcome }) =>
      mode === "manual" && action === "rollback" && outcome !== null && DONE_OUTCOMES.has(outcome.kind),
  );
  return byPeople
    .filter((left) => !byPeople.some(({ target, at }) => target === left.version && at > left.at))
    .filter((left) => !isAbsolved(left, absolutions))
    .map(({ version }) => version);
}

function isAbsolved(decision: DecisionRecord, absolutions: ChannelRecords["absolutions"]): boolean {
  const absolution = absolutions.get(formatReleaseKey(decision));
  return absolution !== undefined && decision.at <= absolution.at;
}

/** What reached the server, or may still reach it. The cooldown begins when it had answered: until then nothing has changed for devices. */
function toPastRollback({
  version,
  target,
  at,
  action,
  mode,
  approval,
  outcome,
}: DecisionRecord): PastRollback[] {
  if (action !== "rollback" || target === null) return [];
  const isWaiting = outcome === null && approval !== null && approval.answer === null;
  const isActed =
    !isWaiting &&
    (outcome === null ||
      outcome.kind === "applied" ||
      outcome.kind === "already_applied" ||
      outcome.kind === "failed");
  if (!isActed) return [];
  return [
    {
      from: version,
      to: target,
      as: outcome !== null && DONE_OUTCOMES.has(outcome.kind) ? (outcome.version_seen ?? target) : target,
      atMs: Date.parse(outcome?.at ?? at),
      by: mode === "manual" ? "operator" : "lastgood",
    },
  ];
}

/** Decisions of Lastgood about this release that have ended: each further one needs an id of its own. */
export function roundsOf(decisions: readonly DecisionRecord[], release: ReleaseKey): number {
  return decisions.filter(
    ({ mode, outcome, ...each }) =>
      mode !== "manual" &&
      mode !== "shadow" &&
      outcome !== null &&
      formatReleaseKey(each) === formatReleaseKey(release),
  ).length;
}
