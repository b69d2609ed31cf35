// Decisions that wait for a person: what makes them end without one. Enters: verdicts, the channel as it was seen last,
// the time. Leaves: outcomes `withdrawn` and `expired`; a decision that has ended can't be approved any more.
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import type { Verdict } from "../judge/verdict.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { ApprovalAnswer, DecisionRecord } from "../rollback/decision-record.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";

export interface ApprovalDeps {
  readonly decisions: DecisionStore;
  readonly summaries: SummaryStore;
  readonly clock: Clock;
}

/** `judged` by release key text. */
export async function withdrawApprovals(
  key: ChannelKey,
  judged: ReadonlyMap<string, { readonly verdict: Verdict }>,
  deps: ApprovalDeps,
): Promise<void> {
  const waiting = (await deps.decisions.listWaiting()).filter(
    ({ app, channel }) => app === key.app && channel === key.channel,
  );
  if (waiting.length === 0) return;
  const seen = await deps.summaries.readChannel(key);
  for (const decision of waiting) {
    const verdict = judged.get(formatReleaseKey(decision))?.verdict;
    const isOver = verdict?.kind === "healthy" || verdict?.reason === "environment";
    const hasMovedOn =
      seen !== undefined && seen.readAtMs > Date.parse(decision.at) && seen.version !== decision.version;
    if (hasMovedOn)
      await close(decision, "withdrawn", `The channel offers ${seen.version ?? "nothing"} now.`, deps);
    else if (isOver && verdict !== undefined) await close(decision, "withdrawn", verdict.sentence, deps);
  }
}

export async function expireApprovals(deps: ApprovalDeps): Promise<void> {
  const nowMs = deps.clock();
  for (const decision of await deps.decisions.listWaiting()) {
    const expiresAt = decision.approval!.expires_at;
    if (Date.parse(expiresAt) > nowMs) continue;
    await close(decision, "expired", `Nobody answered until ${expiresAt}; nothing was done.`, deps);
  }
}

async function close(
  decision: DecisionRecord,
  answer: Extract<ApprovalAnswer, "expired" | "withdrawn">,
  detail: string,
  { decisions, clock }: ApprovalDeps,
): Promise<void> {
  const at = new Date(clock()).toISOString();
  const outcome = { kind: answer, at, detail, version_seen: null, attempts: 0 };
  await decisions.closeApproval(decision, {
    approval: { ...decision.approval!, answer, answered_at: at },
    outcome,
    draft: { kind: "outcome", at, body: { decision_id: decision.id, ...outcome } },
  });
}
