// The rollback job: carries one decision of the outbox out, and keeps at it until it has ended. The
// decision leaves the outbox only together with its outcome in the journal.
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import type { DecisionOutcome, DecisionRecord } from "../rollback/decision-record.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import { executeRollback } from "../rollback/execute.ts";
import type { OtaServer } from "../rollback/ota-server.ts";
import type { RollbackOutcome } from "../rollback/outcome.ts";

/** First and longest pause between two tries, in milliseconds. */
export const RETRY_MS_MIN = 500;
export const RETRY_MS_MAX = 15_000;

export interface ExecuteDeps {
  readonly decisions: DecisionStore;
  readonly summaries: SummaryStore;
  readonly serverOf: (decision: DecisionRecord) => OtaServer | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

export type ExecuteResult =
  | { readonly kind: "ended" }
  | { readonly kind: "try_again"; readonly afterMs: number };

/** `tries` counts the tries before this one. */
export async function executeDecision(
  decisionId: string,
  tries: number,
  deps: ExecuteDeps,
): Promise<ExecuteResult> {
  const decision = await deps.decisions.read(decisionId);
  if (decision === undefined || !(await deps.decisions.isPending(decisionId))) return { kind: "ended" };
  const server = deps.serverOf(decision);
  const execution =
    server === undefined
      ? {
          kind: "try_again" as const,
          detail: `the configuration names no OTA server for ${decision.app}/${decision.channel}`,
        }
      : await executeRollback(decision, server);
  if (execution.kind === "try_again") return waitForServer(decision, tries, execution, deps);
  await keepOutcome(decision, execution.outcome, tries + 1, deps);
  return { kind: "ended" };
}

function waitForServer(
  decision: DecisionRecord,
  tries: number,
  { detail, retryAfterMs }: { readonly detail: string; readonly retryAfterMs?: number },
  { logger }: ExecuteDeps,
): ExecuteResult {
  const afterMs = Math.min(
    RETRY_MS_MAX,
    Math.max(RETRY_MS_MIN * 2 ** Math.min(tries, 10), retryAfterMs ?? 0),
  );
  logger.error(
    { decision_id: decision.id, tries: tries + 1, retry_after_ms: afterMs },
    `the OTA server cannot be told to roll back: ${detail}`,
  );
  return { kind: "try_again", afterMs };
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
