// Times in the calendar in which nothing is done by itself (policy `guards.freeze_windows`).
import { PASS } from "./guard.ts";
import type { GuardAnswer } from "./guard.ts";
import type { Situation } from "../situation.ts";

export const freezeWindow = ({ policy, nowMs }: Pick<Situation, "policy" | "nowMs">): GuardAnswer => {
  for (const { beginOf, forMs, cron, timezone } of policy.guards.freezeWindows) {
    const beginMs = beginOf(nowMs);
    if (beginMs === undefined) continue;
    const until = new Date(beginMs + forMs).toISOString();
    return {
      kind: "refuse",
      guard: "freeze_window",
      reason: "freeze_window",
      sentence: `A freeze window of the policy (${cron}, ${timezone}) holds everything automatic back until ${until}; roll back by hand if it can't wait.`,
    };
  }
  return PASS;
};
