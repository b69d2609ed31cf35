// The rollback job: carries one decision of the outbox out, and keeps at it until it has ended. The
// decision leaves the outbox only together with its outcome in the journal.
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import type { DecisionOutcome, DecisionRecord } from "../rollback/decision-record.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import { executeRollback } from "../rollback/execute.ts";
import type { Execution } from "../rollback/execute.ts";
import type { WatchedChannel } from "./evaluate-channel.ts";
import type { RollbackOutcome } from "../rollback/outcome.ts";

/**
 * How long a server is asked again that says no, or that says "done" and goes on offering the condemned
 * version, in milliseconds. A secret may just be changing, a deploy under way, a cache slow.
 */
export const REFUSED_FOR_MS_MAX = 3_600_000;

export interface ExecuteDeps {
  readonly decisions: DecisionStore;
  readonly summaries: SummaryStore;
  /** Undefined when the configuration names the channel no longer. */
  readonly watchedOf: (decision: DecisionRecord) => Pick<WatchedChannel, "server" | "policy"> | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

export type ExecuteResult =
  | { readonly kind: "ended" }
  | { readonly kind: "try_again"; readonly tries: number; readonly retryAfterMs: number | undefined };

export async function executeDecision(decisionId: string, deps: ExecuteDeps): Promise<ExecuteResult> {
  const decision = await deps.decisions.read(decisionId);
  if (decision === undefined || !(await deps.decisions.isPending(decisionId))) return { kind: "ended" };
  const tries = await deps.decisions.countTry(decisionId);
  const execution = await executeOnce(decision, deps);
  if (execution.kind === "ended" && !(await isWorthAnotherTry(decision, execution.outcome, deps))) {
    await keepOutcome(decision, execution.outcome, tries, deps);
    return { kind: "ended" };
  }
  if (execution.kind === "try_again") await deps.decisions.notRefused(decisionId);
  const detail = execution.kind === "ended" ? execution.outcome.detail : execution.detail;
  deps.logger.error({ decision_id: decision.id, tries }, `not rolled back yet, trying again: ${detail}`);
  return {
    kind: "try_again",
    tries,
    retryAfterMs: execution.kind === "ended" ? undefined : execution.retryAfterMs,
  };
}

async function executeOnce(decision: DecisionRecord, { watchedOf }: ExecuteDeps): Promise<Execution> {
  const watched = watchedOf(decision);
  if (watched === undefined) {
    return {
      kind: "try_again",
      detail: `the configuration names ${decision.app}/${decision.channel} no longer`,
    };
  }
  // Somebody switched the policy while the decision waited: from now on nothing is touched.
  if (watched.policy.mode === "shadow")
    return {
      kind: "try_again",
      detail: "the policy is in shadow mode now (set mode: automatic to let it go on)",
    };
  return executeRollback(decision, watched.server);
}

/** The bad release is still offered, and what stands in the way may pass: it has not done so for too long. */
async function isWorthAnotherTry(
  decision: DecisionRecord,
  outcome: RollbackOutcome,
  { decisions, clock }: ExecuteDeps,
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
  { decisions, summaries, clock, logger }: ExecuteDeps,
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
  if ((await decisions.recordOutcome(decision, record)) === "missing") return;
  if (outcome.versionSeen !== null)
    await summaries.writeChannel(decision, { version: outcome.versionSeen, readAtMs: nowMs });
  const isGood = outcome.kind === "applied" || outcome.kind === "already_applied" || outcome.kind === "stale";
  logger[isGood ? "warn" : "error"](
    { decision_id: decision.id, outcome: outcome.kind, attempts },
    outcome.detail,
  );
}
