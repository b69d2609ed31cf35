// However sure the evidence looks: only so many automatic rollbacks of one channel in a day, and of all channels
// together in an hour. Many at once are more likely one cause that no rollback mends.
import { PASS } from "./guard.ts";
import type { GuardCheck } from "./guard.ts";

const DAY_MS = 24 * 3_600_000;
const HOUR_MS = 3_600_000;

export const rollbackBudget: GuardCheck = ({ policy, pastRollbacks, overallRollbacksMs, nowMs }) => {
  const { perChannelPerDay, overallPerHour } = policy.guards.maxRollbacks;
  const ofChannel = pastRollbacks.filter(({ by, atMs }) => by === "lastgood" && atMs > nowMs - DAY_MS).length;
  if (perChannelPerDay !== undefined && ofChannel >= perChannelPerDay)
    return {
      kind: "refuse",
      guard: "rollback_budget",
      reason: "channel_rollbacks_used_up",
      sentence: `The channel was rolled back ${times(ofChannel)} within a day; the policy allows ${perChannelPerDay}. A person must look.`,
    };
  const overall = overallRollbacksMs.filter((atMs) => atMs > nowMs - HOUR_MS).length;
  if (overallPerHour !== undefined && overall >= overallPerHour)
    return {
      kind: "refuse",
      guard: "rollback_budget",
      reason: "overall_rollbacks_used_up",
      sentence: `Channels were rolled back ${times(overall)} within an hour; the policy allows ${overallPerHour}. A person must look.`,
    };
  return PASS;
};

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}
