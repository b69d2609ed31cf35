// The OTA server must be able to do what the policy asks for: not every make can pause, or roll back.
import { PASS } from "./guard.ts";
import type { GuardCheck } from "./guard.ts";

export const capability: GuardCheck = ({ policy: { action }, capabilities }) => {
  if (action === "page" || capabilities[action]) return PASS;
  return {
    kind: "refuse",
    guard: "capability",
    reason: "action_not_supported",
    sentence: `This OTA server can't ${action === "pause" ? "pause a rollout" : "roll a channel back"}: choose another action in the policy, and act by hand now.`,
  };
};
