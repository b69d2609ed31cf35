// The kill switch: one command stops everything that Lastgood does by itself, on all channels, at once.
import { PASS } from "./guard.ts";
import type { GuardAnswer } from "./guard.ts";
import type { Situation } from "../situation.ts";

export const killSwitch = ({ freezes }: Pick<Situation, "freezes">): GuardAnswer => {
  const freeze = freezes.find(({ scope }) => scope === "all");
  if (freeze === undefined) return PASS;
  return {
    kind: "refuse",
    guard: "kill_switch",
    reason: "kill_switch",
    sentence: `${freeze.by} switched everything automatic off (${freeze.reason}); lift it with: lastgood unfreeze ${freeze.id}`,
  };
};
