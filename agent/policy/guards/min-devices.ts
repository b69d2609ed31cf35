// Too few devices have tried the release for an automatic act, however strong the evidence looks.
import { PASS } from "./guard.ts";
import type { GuardCheck } from "./guard.ts";

export const minDevices: GuardCheck = ({ policy, verdict }) => {
  const { attempted, active } = verdict.devices;
  // Where devices report their use alone, hardly anybody is known to have tried.
  const devices = Math.max(attempted, active);
  if (devices >= policy.guards.minDevices) return PASS;
  return {
    kind: "refuse",
    guard: "min_devices",
    reason: "too_few_devices",
    sentence: `Only ${devices} ${devices === 1 ? "device has" : "devices have"} tried ${verdict.release.version}; the policy wants at least ${policy.guards.minDevices} before it acts.`,
  };
};
