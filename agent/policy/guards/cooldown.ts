// A channel that was just rolled back is left alone for a while: the fleet is still moving, and what it
// reports now is about the last act.
import { formatDuration } from "../../../runtime/units.ts";
import { PASS } from "./guard.ts";
import type { GuardAnswer } from "./guard.ts";
import type { Situation } from "../situation.ts";

export const cooldown = ({
  policy,
  pastRollbacks,
  nowMs,
}: Pick<Situation, "policy" | "pastRollbacks" | "nowMs">): GuardAnswer => {
  const last = pastRollbacks[0];
  if (last === undefined) return PASS;
  const leftMs = last.atMs + policy.guards.cooldownMs - nowMs;
  if (leftMs <= 0) return PASS;
  return {
    kind: "refuse",
    guard: "cooldown",
    reason: "cooling_down",
    sentence: `The channel was rolled back from ${last.from} to ${last.to} and cools down for another ${formatDuration(leftMs)}.`,
  };
};
