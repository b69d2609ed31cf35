// What the channel was rolled back to is never rolled back from automatically.
import { expect, it } from "vitest";
import { oneHop } from "../../../../../agent/policy/guards/one-hop.ts";
import type { GuardAnswer } from "../../../../../agent/policy/guards/guard.ts";
import { pastRollback, sampleSituation } from "../../../../support/verdicts.ts";

function answerAfter(...hops: [from: string, to: string][]): GuardAnswer {
  return oneHop(
    sampleSituation({
      pastRollbacks: hops.map(([from, to], index) => pastRollback(from, to, 1_000 - index)),
    }),
  );
}

it("passes when the accused was never a target", () => {
  expect(answerAfter()).toEqual({ kind: "pass" });
  expect(answerAfter(["1.3.9", "1.3.0"])).toEqual({ kind: "pass" });
});

it("the version that was rolled back from is not a hop", () => {
  expect(answerAfter(["1.4.0", "1.3.0"])).toEqual({ kind: "pass" });
});

it("refuses when the accused is what the server made of the target: the same content under a new name", () => {
  const pastRollbacks = [pastRollback("1.3.9", "1.3.0", 1_000, "1.4.0")];
  expect(oneHop(sampleSituation({ pastRollbacks }))).toMatchObject({ reason: "rolled_back_to_before" });
});

it("refuses when the accused was the target, however long ago, and asks for a person", () => {
  expect(answerAfter(["1.3.9", "1.3.0"], ["1.4.1", "1.4.0"])).toEqual({
    kind: "refuse",
    guard: "one_hop",
    reason: "rolled_back_to_before",
    sentence:
      "1.4.0 is itself what the channel was rolled back to (from 1.4.1); a second automatic hop is not taken: a person must look.",
  });
});
