// What metrics say of decisions: how many, how they ended, how fast, whether they helped, and each channel's newest. Enters:
// the decisions, holds and freezes that Redis has. Leaves: gauges, counters and a histogram, set.
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import type { Hold } from "../journal/hold-store.ts";
import { DECISION_REASONS, POLICY_ACTIONS, REASON_OF_CAUSE } from "../policy/decision.ts";
import type { DecisionReason } from "../policy/decision.ts";
import type { Freeze } from "../policy/freeze.ts";
import { FOLLOW_UP_KINDS } from "../rollback/decision-record.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";
import { ROLLBACK_OUTCOME_KINDS } from "../rollback/outcome.ts";
import type { Instruments } from "./instruments.ts";

const ACTIONS = [...POLICY_ACTIONS, "shadow_rollback"] as const;
/** Reasons to act; every other one holds back. */
const ACTING: ReadonlySet<DecisionReason> = new Set([...Object.values(REASON_OF_CAUSE), "operator_asked"]);

export interface DecisionReading {
  /** Newest first. */
  readonly decisions: readonly DecisionRecord[];
  readonly held: readonly Pick<Hold, "reason">[];
  /** Times that a guard began to hold a rollback back, by its reason. */
  readonly holdCounts: ReadonlyMap<string, number>;
  readonly pending: number;
  readonly waiting: number;
  readonly frozen: readonly Pick<Freeze, "scope">[];
}

export function setDecisions(
  instruments: Instruments,
  { decisions, held, holdCounts, ...reading }: DecisionReading,
): void {
  setZeros(instruments);
  for (const kind of FOLLOW_UP_KINDS)
    instruments.followUps.set({ kind }, decisions.filter(({ follow_up }) => follow_up?.kind === kind).length);
  instruments.pending.set(reading.pending);
  instruments.approvalsWaiting.set(reading.waiting);
  const isKillSwitch = reading.frozen.some(({ scope }) => scope === "all");
  instruments.killSwitch.set(isKillSwitch ? 1 : 0);
  for (const { scope } of reading.frozen)
    if (scope !== "all") instruments.channelFrozen.set({ app: scope.app, channel: scope.channel }, 1);
  setNewest(instruments, decisions);
  for (const { reason } of held) instruments.held.inc({ reason });
  for (const [reason, count] of holdCounts)
    instruments.rollbackDecisions.inc({ action: "hold", reason }, count);
  // Oldest first, so that a channel's newest rollback is the one that stays.
  for (const {
    mode,
    cause,
    action,
    reason,
    outcome,
    app,
    channel,
    last_needed_report_at,
  } of decisions.toReversed()) {
    instruments.rollbackDecisions.inc({ action: mode === "shadow" ? "shadow_rollback" : action, reason });
    if (outcome === null) continue;
    instruments.rollbacks.inc({ outcome: outcome.kind });
    if (action !== "rollback" || (outcome.kind !== "applied" && outcome.kind !== "already_applied")) continue;
    const answeredAtMs = Date.parse(outcome.at);
    // What waited for a person, or needed no report, tells nothing of how fast Lastgood is.
    if (mode === "automatic" && cause === "evidence")
      instruments.rollbackSeconds.observe((answeredAtMs - Date.parse(last_needed_report_at)) / 1_000);
    instruments.lastRollback.set({ app, channel }, answeredAtMs / 1_000);
  }
}

/** Whatever may be counted is there at zero: a rate that begins with the first decision would miss it. */
function setZeros({ rollbackDecisions, rollbacks, rollbackSeconds }: Instruments): void {
  rollbackSeconds.zero({});
  for (const outcome of ROLLBACK_OUTCOME_KINDS) rollbacks.inc({ outcome }, 0);
  for (const reason of DECISION_REASONS)
    for (const action of ACTING.has(reason) ? ACTIONS : ["hold"])
      rollbackDecisions.inc({ action, reason }, 0);
}

/** What has no end yet, and what goes nowhere: an empty label would be none. */
const NONE = "none";

/** One series for each channel: what was done there last. */
function setNewest(instruments: Instruments, newestFirst: readonly DecisionRecord[]): void {
  const seen = new Set<string>();
  for (const decision of newestFirst) {
    const channelKey = formatChannelKey(decision);
    if (seen.has(channelKey)) continue;
    seen.add(channelKey);
    const { app, channel, version, target, action, mode, reason, outcome, at } = decision;
    const labels = { app, channel, version, action, mode, reason };
    instruments.lastDecision.set(
      { ...labels, target_version: target ?? NONE, outcome: outcome?.kind ?? NONE },
      Date.parse(at) / 1_000,
    );
  }
}
