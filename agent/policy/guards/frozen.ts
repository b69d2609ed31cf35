// A channel that was frozen is left alone until it is lifted, or its time is over.
import { isFreezing } from "../freeze.ts";
import { PASS } from "./guard.ts";
import type { GuardAnswer } from "./guard.ts";
import type { Situation } from "../situation.ts";

export const frozen = ({ freezes, channelKey }: Pick<Situation, "freezes" | "channelKey">): GuardAnswer => {
  const freeze = freezes.find((each) => each.scope !== "all" && isFreezing(each, channelKey));
  if (freeze === undefined) return PASS;
  const until = freeze.until === null ? "until it is lifted" : `until ${freeze.until}`;
  return {
    kind: "refuse",
    guard: "freeze",
    reason: "frozen",
    sentence: `${freeze.by} froze the channel ${until} (${freeze.reason}); lift it with: lastgood unfreeze ${freeze.id}`,
  };
};
