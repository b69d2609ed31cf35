// `when: { share_of_fleet: 10% }`: a failure that is confined to a few kinds of device is told, and does not move the
// whole channel.
import { PASS } from "./guard.ts";
import type { GuardCheck } from "./guard.ts";

export const shareOfFleet: GuardCheck = ({ policy, verdict }) => {
  const { shareOfFleetLeast } = policy.guards;
  if (verdict.shareOfFleet >= shareOfFleetLeast) return PASS;
  return {
    kind: "refuse",
    guard: "share_of_fleet",
    reason: "share_too_small",
    sentence: `${verdict.sentence} That is ${percent(verdict.shareOfFleet)} of the devices on ${verdict.release.version}; the policy acts from ${percent(shareOfFleetLeast)} on. Take the release away from these kinds of device by hand.`,
  };
};

function percent(ratio: number): string {
  return `${Number((ratio * 100).toFixed(1))}%`;
}
