// The OTA server must be able to do what the policy asks for: not every make can pause, or roll back, and some can pause
// a channel only while a rollout is under way there.
import { PASS } from "./guard.ts";
import type { GuardCheck } from "./guard.ts";

export const capability: GuardCheck = ({ policy: { action }, capabilities, channel }) => {
  if (action === "page") return PASS;
  const isPausable = channel.kind !== "known" || channel.pausable !== false;
  if (capabilities[action] && (action !== "pause" || isPausable)) return PASS;
  const what = action === "pause" ? "pause a rollout" : "roll a channel back";
  const where = capabilities[action] ? " on this channel as it is now" : "";
  return {
    kind: "refuse",
    guard: "capability",
    reason: "action_not_supported",
    sentence: `This OTA server can't ${what}${where}: choose another action in the policy, and act by hand now.`,
  };
};
