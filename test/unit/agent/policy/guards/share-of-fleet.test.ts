// A failure that is confined to a few kinds of device is told, and does not move the channel: from the share that the
// policy names on it does.
import { expect, it } from "vitest";
import { shareOfFleet } from "../../../../../agent/policy/guards/share-of-fleet.ts";
import type { GuardAnswer } from "../../../../../agent/policy/guards/guard.ts";
import { failingVerdict, sampleGuards, samplePolicy, sampleSituation } from "../../../../support/verdicts.ts";

function answerFor(share: number, least: number): GuardAnswer {
  return shareOfFleet(
    sampleSituation({
      policy: samplePolicy({ guards: sampleGuards({ shareOfFleetLeast: least }) }),
      verdict: failingVerdict({ shareOfFleet: share }),
    }),
  );
}

it("passes at exactly the share, and always where the policy names none", () => {
  expect(answerFor(0.1, 0.1)).toEqual({ kind: "pass" });
  expect(answerFor(1, 1)).toEqual({ kind: "pass" });
  expect(answerFor(0.000_01, 0)).toEqual({ kind: "pass" });
});

it("refuses just below it, and says what to do instead", () => {
  expect(answerFor(0.099_9, 0.1)).toEqual({
    kind: "refuse",
    guard: "share_of_fleet",
    reason: "share_too_small",
    sentence:
      "20 of 100 devices failed to install or boot 1.4.0. That is 10% of the devices on 1.4.0; the policy acts from 10% on. " +
      "Take the release away from these kinds of device by hand.",
  });
});
