// The rollback job: carries one decision of the outbox (a rollback or a pause) out, and keeps at it until it has ended. The
// decision leaves the outbox only together with its outcome in the journal.
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { AbsolutionStore } from "../journal/absolution-store.ts";
import type { AlertStore } from "../journal/alert-store.ts";
import type { FreezeStore } from "../journal/freeze-store.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import { isFreezing } from "../policy/freeze.ts";
import { freezeWindow } from "../policy/guards/freeze-window.ts";
import type { DecisionOutcome, DecisionRecord, FollowUp } from "../rollback/decision-record.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import { executeDecision } from "../rollback/execute.ts";
import type { Execution } from "../rollback/execute.ts";
import type { WatchedChannel } from "./watched-channel.ts";
import { DONE_OUTCOMES } from "../rollback/outcome.ts";
import type { RollbackOutcome } from "../rollback/outcome.ts";

/**
 * How long a server is asked again that says no, or that says "done" and goes on offering the condemned
 * version, in milliseconds. A secret may just be changing, a deploy under way, a cache slow.
 */
export const REFUSED_FOR_MS_MAX = 3_600_000;

export interface CarryOutDeps {
  readonly decisions: DecisionStore;
  readonly summaries: SummaryStore;
  readonly freezes: FreezeStore;
  readonly absolutions: Pick<AbsolutionStore, "read">;
  readonly alerts: Pick<AlertStore, "isFiring">;
  /** Undefined when the configuration names the channel no longer. */
  readonly watchedOf: (decision: DecisionRecord) => Pick<WatchedChannel, "server" | "policy"> | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

export type CarryOutResult =
  | { readonly kind: "ended" }
  | { readonly kind: "try_again"; readonly tries: number; readonly retryAfterMs: number | undefined };

export async function carryOut(decisionId: string, deps: CarryOutDeps): Promise<CarryOutResult> {
  const decision = await deps.decisions.read(decisionId);
  if (decision === undefined || !(await deps.decisions.isPending(decisionId))) return { kind: "ended" };
  const tries = await deps.decisions.countTry(decisionId);
  const execution = await tryOnce(decision, deps);
  if (execution.kind === "ended" && !(await isWorthAnotherTry(decision, execution.outcome, deps))) {
    await keepOutcome(decision, execution.outcome, tries, deps);
    return { kind: "ended" };
  }
  if (execution.kind === "try_again") await deps.decisions.notRefused(decisionId);
  const detail = execution.kind === "ended" ? execution.outcome.detail : execution.detail;
  deps.logger.error({ decision_id: decision.id, tries }, `not done yet, trying again: ${detail}`);
  return {
    kind: "try_again",
    tries,
    retryAfterMs: execution.kind === "ended" ? undefined : execution.retryAfterMs,
  };
}

async function tryOnce(decision: DecisionRecord, deps: CarryOutDeps): Promise<Execution> {
  const watched = deps.watchedOf(decision);
  if (watched === undefined) {
    return {
      kind: "try_again",
      detail: `the configuration names ${decision.app}/${decision.channel} no longer`,
    };
  }
  const wasAsked = await deps.decisions.wasAsked(decision.id);
  const over = wasAsked ? undefined : await whyOver(decision, deps);
  if (over !== undefined)
    return { kind: "ended", outcome: { kind: "withdrawn", detail: over, versionSeen: null } };
  const standing = await standingInTheWay(decision, watched.policy, deps);
  if (standing !== undefined) return { kind: "try_again", detail: standing };
  return executeDecision(decision, watched.server, {
    wasAsked,
    async onAsk() {
      // Looking may have taken its time: a kill switch that was switched meanwhile must hold.
      const now = await standingInTheWay(decision, watched.policy, deps);
      if (now === undefined) await deps.decisions.noteAsked(decision.id);
      return now;
    },
  });
}

/** What somebody switched while the decision waited; a person who said yes has looked. */
async function standingInTheWay(
  decision: DecisionRecord,
  policy: WatchedChannel["policy"],
  { freezes, clock }: CarryOutDeps,
): Promise<string | undefined> {
  if (decision.mode === "manual" || decision.approval?.answer === "approved") return undefined;
  const { mode } = policy;
  if (mode === "shadow") return "the policy is in shadow mode now (set mode: automatic to let it go on)";
  if (mode === "approval")
    return "the policy asks for approval now, which this decision has not (roll back by hand)";
  const nowMs = clock();
  const freeze = (await freezes.list(nowMs)).find((each) => isFreezing(each, decision));
  if (freeze !== undefined) return `${freeze.by} froze it (${freeze.reason}): lastgood unfreeze ${freeze.id}`;
  const window = freezeWindow({ policy, nowMs });
  return window.kind === "pass" ? undefined : window.sentence;
}

/** What was decided days ago may be over by now: the release turned out well, was absolved, or the target turned bad. */
async function whyOver(
  decision: DecisionRecord,
  { summaries, absolutions, alerts }: CarryOutDeps,
): Promise<string | undefined> {
  const { mode, cause, target, at, version } = decision;
  if (mode === "manual") return undefined;
  const absolution = await absolutions.read(decision);
  if (absolution !== undefined && absolution.at >= at)
    return `${absolution.by} absolved ${version} (${absolution.reason}).`;
  const verdict = (await summaries.read(decision))?.verdict;
  if (cause === "evidence" && verdict?.kind === "healthy") return `By now: ${verdict.sentence}`;
  if (cause === "alert" && !(await alerts.isFiring(decision))) return "The alert that asked for it is over.";
  if (target === null) return undefined;
  const ofTarget = (await summaries.read({ ...decision, version: target }))?.verdict;
  return ofTarget?.kind === "failing" ? `${target} fails itself by now: ${ofTarget.sentence}` : undefined;
}

/** The bad release is still offered, and what stands in the way may pass: it has not done so for too long. */
async function isWorthAnotherTry(
  decision: DecisionRecord,
  outcome: RollbackOutcome,
  { decisions, clock }: CarryOutDeps,
): Promise<boolean> {
  const mayPass =
    outcome.kind === "refused" || (outcome.kind === "failed" && outcome.versionSeen === decision.version);
  if (!mayPass) return false;
  const nowMs = clock();
  return nowMs - (await decisions.refusedSince(decision.id, nowMs)) < REFUSED_FOR_MS_MAX;
}

async function keepOutcome(
  decision: DecisionRecord,
  outcome: RollbackOutcome,
  attempts: number,
  { decisions, summaries, clock, logger }: CarryOutDeps,
): Promise<void> {
  const nowMs = clock();
  const record: DecisionOutcome = {
    kind: outcome.kind,
    at: new Date(nowMs).toISOString(),
    detail: outcome.detail,
    version_seen: outcome.versionSeen,
    attempts,
  };
  // Another worker took this job over while this one stood still, and has told the outcome already.
  const followUp = await beginFollowUp(decision, record, summaries);
  if ((await decisions.recordOutcome(decision, record, followUp)) === "missing") return;
  if (outcome.versionSeen !== null) {
    const { releases = [] } = (await summaries.readChannel(decision)) ?? {};
    const paused = decision.action === "pause" && DONE_OUTCOMES.has(record.kind) ? true : null;
    await summaries.writeChannel(decision, {
      version: outcome.versionSeen,
      releases,
      paused,
      readAtMs: nowMs,
    });
  }
  const isGood = outcome.kind === "applied" || outcome.kind === "already_applied" || outcome.kind === "stale";
  logger[isGood ? "warn" : "error"](
    { decision_id: decision.id, outcome: outcome.kind, attempts },
    outcome.detail,
  );
}

/** A rollback that reached the channel is watched from now on. */
async function beginFollowUp(
  decision: DecisionRecord,
  { kind, at }: DecisionOutcome,
  summaries: SummaryStore,
): Promise<FollowUp | undefined> {
  if (decision.action !== "rollback" || (kind !== "applied" && kind !== "already_applied")) return undefined;
  const running = (await summaries.read(decision))?.verdict.devices.running ?? 0;
  const detail = `${running} devices ran ${decision.version} when the server had answered.`;
  return { kind: "watching", at, detail, running_at_act: running, running_now: running };
}
