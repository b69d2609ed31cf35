// What the judge is asked of a release, made of its counts and their time. Pure: evaluating and a replay ask the same.
// Enters: counts, history, baseline, rules. Leaves: a JudgeInput; and whether time alone may still change the answer.
import type { HealthWindow, ReleaseHealth } from "../health/health-window.ts";
import type { ReleaseHistory } from "../health/release-history.ts";
import { unsettledOf } from "../health/settled-counts.ts";
import type { Baseline, JudgeInput } from "./judge.ts";
import { isSettling } from "./settling.ts";

export interface JudgedCounts {
  readonly health: Pick<ReleaseHealth, "release" | "devices" | "silenceDeadlineMs">;
  readonly history: ReleaseHistory;
  readonly baseline: Baseline;
  /** Windows that may hold failures which do not accuse yet; empty where there are none. */
  readonly young: readonly HealthWindow[];
  readonly policy: Pick<JudgeInput, "rules" | "falseRollbackBudget">;
  readonly nowMs: number;
}

export function judgeInputOf({ health, history, baseline, young, policy, nowMs }: JudgedCounts): JudgeInput {
  const { release, devices, silenceDeadlineMs } = health;
  const { rules, falseRollbackBudget } = policy;
  const unsettled = unsettledOf({ devices, windows: young, nowMs });
  return {
    release,
    devices,
    history,
    baseline,
    rules,
    falseRollbackBudget,
    unsettled,
    silenceDeadlineMs,
    nowMs,
  };
}

/** False while failures wait to be counted, or devices to be heard: time alone will change the verdict. */
export function isSettled({ history, rules, unsettled, nowMs }: JudgeInput): boolean {
  const isWaiting = unsettled !== undefined && unsettled.failed + unsettled.download_failed > 0;
  return !isWaiting && !isSettling({ history, rules, nowMs });
}
