// One automatic hop, then people: when the version that a rollback went to turns bad as well, the
// versions are probably not what is wrong, and hopping on would only spread the harm.
import { PASS } from "./guard.ts";
import type { GuardCheck } from "./guard.ts";

export const oneHop: GuardCheck = ({ pastRollbacks, verdict }) => {
  const hop = pastRollbacks.find(
    // A person who chose the version has looked.
    (past) => past.by === "lastgood" && [past.to, past.as].includes(verdict.release.version),
  );
  if (hop === undefined) return PASS;
  return {
    kind: "refuse",
    guard: "one_hop",
    reason: "rolled_back_to_before",
    sentence: `${verdict.release.version} is itself what the channel was rolled back to (from ${hop.from}); a second automatic hop is not taken: a person must look.`,
  };
};
