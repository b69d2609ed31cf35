// Rollbacks that went through are watched until devices have left the condemned version, or for twice the time that
// they get: what did not help pages, and may still turn out well. Part of the sweep. Enters: the stores. Leaves: a
// follow-up with its journal entry whenever it changes.
import type { Logger } from "../../runtime/logger.ts";
import type { HealthStore } from "../health/health-store.ts";
import type { AbsolutionStore } from "../journal/absolution-store.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import type { DecisionRecord, FollowUp } from "../rollback/decision-record.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import { UNDER_WAY_MS, judgeFollowUp } from "../rollback/follow-up.ts";
import type { WatchedChannel } from "./watched-channel.ts";

export interface FollowUpDeps {
  readonly decisions: DecisionStore;
  readonly summaries: SummaryStore;
  readonly absolutions: Pick<AbsolutionStore, "read">;
  readonly health: Pick<HealthStore, "readWindows">;
  readonly watchedOf: (decision: DecisionRecord) => Pick<WatchedChannel, "policy"> | undefined;
  readonly logger: Logger;
  readonly nowMs: number;
}

export async function followUpRollbacks(deps: FollowUpDeps): Promise<void> {
  for (const decision of await deps.decisions.listFollowed()) await followUp(decision, deps);
}

async function followUp(decision: DecisionRecord, deps: FollowUpDeps): Promise<void> {
  const { decisions, summaries, logger, nowMs } = deps;
  const { outcome, follow_up: before } = decision;
  const watched = deps.watchedOf(decision);
  if (outcome === null || before === null || watched === undefined) return decisions.letGo(decision.id);
  // Somebody offers it on purpose: then devices may well run it.
  const absolution = await deps.absolutions.read(decision);
  const seen = await summaries.readChannel(decision);
  const isOffered = seen?.version === decision.version && seen.readAtMs > Date.parse(outcome.at);
  if (isOffered || (absolution !== undefined && absolution.at >= decision.at))
    return decisions.letGo(decision.id);
  const actedAtMs = Date.parse(outcome.at);
  const { followUpMs } = watched.policy;
  const devices = (await summaries.read(decision))?.verdict.devices;
  const runningNow = devices?.running ?? 0;
  const takenUpSince = await countTakenUp(decision, actedAtMs + UNDER_WAY_MS, deps);
  const { kind, detail } = judgeFollowUp({
    version: decision.version,
    target: decision.target ?? "",
    runningAtAct: before.running_at_act,
    runningNow,
    takenUpSince,
    attemptedAtAct: (devices?.attempted ?? 0) - takenUpSince,
    actedAtMs,
    followUpMs,
    nowMs,
  });
  const isLast = kind === "effective" || nowMs - actedAtMs >= 2 * followUpMs;
  const now: FollowUp = { ...before, detail, running_now: runningNow };
  if (kind === before.kind) {
    if (isLast) await decisions.letGo(decision.id);
    if (detail !== before.detail) await decisions.noteFollowUp(decision, now);
    return;
  }
  const at = new Date(nowMs).toISOString();
  const told = await decisions.recordFollowUp(decision, { ...now, kind, at }, isLast ? "let_go" : "watch_on");
  if (told === "appended")
    logger[kind === "not_effective" ? "error" : "info"](
      { decision_id: decision.id, follow_up: kind },
      detail,
    );
}

async function countTakenUp(
  decision: DecisionRecord,
  sinceMs: number,
  { health, nowMs }: FollowUpDeps,
): Promise<number> {
  if (nowMs < sinceMs) return 0;
  const sinceMinute = Math.ceil(sinceMs / 60_000);
  const windows = await health.readWindows(decision, {
    sinceMinute,
    strata: "summed",
  });
  return windows
    .filter(({ slotMinute }) => slotMinute >= sinceMinute)
    .reduce((sum, { devices }) => sum + devices.attempted, 0);
}
