// Deciding. Pure. Enters: a Situation (verdict, policy, what the OTA server says, what was done before).
// Leaves: a RollbackDecision. The guards are asked in a fixed order and the first refusal is the answer.
import type { RollbackDecision } from "./decision.ts";
import { cooldown } from "./guards/cooldown.ts";
import { chooseTarget } from "./guards/good-target.ts";
import type { GuardCheck } from "./guards/guard.ts";
import { minDevices } from "./guards/min-devices.ts";
import { oneHop } from "./guards/one-hop.ts";
import { shareOfFleet } from "./guards/share-of-fleet.ts";
import { stillCurrent } from "./guards/still-current.ts";
import { versionAtFault } from "./guards/version-at-fault.ts";
import type { Verdict } from "../judge/verdict.ts";
import type { Situation } from "./situation.ts";

/** Cheapest knowledge first; `still_current` before `cooldown`, so that a channel that moved on says so. */
const GUARD_CHECKS: readonly GuardCheck[] = [
  versionAtFault,
  minDevices,
  shareOfFleet,
  stillCurrent,
  oneHop,
  cooldown,
];

/** A release that fails, and one that would if the environment did not explain it: people must hear of both. */
export function isToDecide({ kind, reason }: Verdict): boolean {
  return kind === "failing" || reason === "environment";
}

export function decide(situation: Situation): RollbackDecision {
  const { verdict, policy, rolledBack } = situation;
  if (!isToDecide(verdict)) {
    return { kind: "none", reason: "verdict_not_failing", sentence: verdict.sentence };
  }
  if (rolledBack.has(verdict.release.version)) {
    return {
      kind: "none",
      reason: "already_condemned",
      sentence: `${verdict.release.version} is already condemned on this channel.`,
    };
  }
  for (const check of GUARD_CHECKS) {
    const answer = check(situation);
    if (answer.kind === "refuse")
      return { kind: "hold", reason: answer.reason, guard: answer.guard, sentence: answer.sentence };
  }
  const choice = chooseTarget(situation);
  if (choice.kind === "refuse")
    return { kind: "hold", reason: choice.reason, guard: choice.guard, sentence: choice.sentence };
  return {
    kind: "rollback",
    mode: policy.mode,
    reason: "evidence_over_threshold",
    target: choice.version,
    sentence: `${verdict.sentence} Rolling back to ${choice.version}.`,
  };
}
