// The first rung of the ladder: the same evidence against a larger budget, at its edge.
import { expect, test } from "vitest";
import { isSuspect } from "../../../../agent/policy/ladder.ts";
import type { SegmentEvidence, SignalEvidence } from "../../../../agent/judge/verdict.ts";
import { failingVerdict } from "../../../support/verdicts.ts";

const NEEDED = 2.3;

function suspect(
  fields: Partial<SignalEvidence>,
  budget = 0.01,
  kind: "inconclusive" | "failing" = "inconclusive",
) {
  const signal = { unmeasured: null, evidenceLog10: 0, thresholdLog10: NEEDED, segments: [], ...fields };
  return isSuspect(failingVerdict({ kind, signals: [signal as unknown as SignalEvidence] }), budget);
}

test("a tenth of the evidence is enough at a budget of 1%, of the fleet or of a kind of device", () => {
  expect(suspect({ evidenceLog10: NEEDED - 1 })).toBe(true);
  expect(suspect({ evidenceLog10: NEEDED - 1.01 })).toBe(false);
  const segment = { evidenceLog10: 3, thresholdLog10: 4 } as SegmentEvidence;
  expect(suspect({ segments: [segment] })).toBe(true);
  expect(suspect({ segments: [{ ...segment, evidenceLog10: 2.9 }] })).toBe(false);
});

test("never of a rule that says nothing or weighs nothing, of a release that fails, or with a budget as large", () => {
  expect(suspect({ evidenceLog10: 9, unmeasured: "no_baseline" })).toBe(false);
  expect(suspect({ evidenceLog10: null })).toBe(false);
  expect(suspect({ evidenceLog10: 9 }, 0.01, "failing")).toBe(false);
  expect(suspect({ evidenceLog10: NEEDED }, 0.1)).toBe(false);
});
