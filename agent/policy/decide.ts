// Deciding. Pure. Enters: a Situation (verdict, policy, what the OTA server says, what was done before).
// Leaves: a RollbackDecision. The guards are asked in a fixed order and the first refusal is the answer.
import { REASON_OF_CAUSE } from "./decision.ts";
import type { ActDecision, PolicyAction, RollbackDecision } from "./decision.ts";
import { capability } from "./guards/capability.ts";
import { cooldown } from "./guards/cooldown.ts";
import { freezeWindow } from "./guards/freeze-window.ts";
import { frozen } from "./guards/frozen.ts";
import { chooseTarget } from "./guards/good-target.ts";
import type { TargetChoice } from "./guards/good-target.ts";
import type { GuardCheck } from "./guards/guard.ts";
import { killSwitch } from "./guards/kill-switch.ts";
import { knownDevices } from "./guards/known-devices.ts";
import { minDevices } from "./guards/min-devices.ts";
import { oneHop } from "./guards/one-hop.ts";
import { rejected } from "./guards/rejected.ts";
import { rollbackBudget } from "./guards/rollback-budget.ts";
import { shareOfFleet } from "./guards/share-of-fleet.ts";
import { stillCurrent } from "./guards/still-current.ts";
import { versionAtFault } from "./guards/version-at-fault.ts";
import type { Verdict } from "../judge/verdict.ts";
import type { Situation } from "./situation.ts";

/** Whether the accusation is worth anything: asked before a person is called, too. */
const ACCUSATION_CHECKS: readonly GuardCheck[] = [versionAtFault, minDevices, shareOfFleet, knownDevices];
/** Whether Lastgood may touch the channel now. */
const HANDS_OFF_CHECKS: readonly GuardCheck[] = [killSwitch, frozen, freezeWindow];

/** Cheapest knowledge first; `still_current` before `cooldown`, so that a channel that moved on says so. */
const CHECKS_OF: Readonly<Record<PolicyAction, readonly GuardCheck[]>> = {
  rollback: [
    ...ACCUSATION_CHECKS,
    capability,
    stillCurrent,
    oneHop,
    rejected,
    ...HANDS_OFF_CHECKS,
    rollbackBudget,
    cooldown,
  ],
  // Stopping a rollout moves no device: neither hops nor budgets are spent.
  pause: [...ACCUSATION_CHECKS, capability, stillCurrent, rejected, ...HANDS_OFF_CHECKS],
  page: ACCUSATION_CHECKS,
};

/** A release that fails, and one that would if the environment did not explain it: people must hear of both. */
export function isToDecide({ kind, reason }: Verdict): boolean {
  return kind === "failing" || reason === "environment";
}

export function decide(situation: Situation): RollbackDecision {
  const { verdict, policy, rolledBack, cause } = situation;
  const { version } = verdict.release;
  if (cause === "evidence" && !isToDecide(verdict))
    return { kind: "none", reason: "verdict_not_failing", sentence: verdict.sentence };
  if (cause !== "offered_again" && rolledBack.has(version)) {
    const sentence = `${version} is already condemned on this channel.`;
    return { kind: "none", reason: "already_condemned", sentence };
  }
  for (const check of CHECKS_OF[policy.action]) {
    const answer = check(situation);
    if (answer.kind === "refuse")
      return { kind: "hold", reason: answer.reason, guard: answer.guard, sentence: answer.sentence };
  }
  if (policy.action !== "rollback") return act(situation, policy.action);
  const choice = chooseTarget(situation);
  if (choice.kind === "refuse")
    return { kind: "hold", reason: choice.reason, guard: choice.guard, sentence: choice.sentence };
  return rollBack(situation, choice);
}

function act(situation: Situation, kind: "pause" | "page"): ActDecision {
  const done = kind === "pause" ? "Pausing the rollout." : "Calling a person: the policy only pages.";
  return { kind, ...grounds(situation), sentence: `${accusationOf(situation)} ${done}` };
}

function rollBack(situation: Situation, { version }: Extract<TargetChoice, { kind: "target" }>): ActDecision {
  return {
    kind: "rollback",
    ...grounds(situation),
    target: version,
    sentence: `${accusationOf(situation)} Rolling back to ${version}.`,
  };
}

function grounds({ policy, cause }: Situation): Pick<ActDecision, "mode" | "reason"> {
  return { mode: policy.mode, reason: REASON_OF_CAUSE[cause] };
}

function accusationOf({ verdict, causeSentence }: Situation): string {
  return causeSentence ?? verdict.sentence;
}
