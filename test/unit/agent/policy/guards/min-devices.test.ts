// Enough devices must have tried the release: exactly the configured number is enough.
import { expect, it } from "vitest";
import { minDevices } from "../../../../../agent/policy/guards/min-devices.ts";
import type { GuardAnswer } from "../../../../../agent/policy/guards/guard.ts";
import {
  failingVerdict,
  outcomeCounts,
  sampleGuards,
  samplePolicy,
  sampleSituation,
} from "../../../../support/verdicts.ts";

function answerFor(attempted: number, minDevicesWanted: number): GuardAnswer {
  return minDevices(
    sampleSituation({
      policy: samplePolicy({ guards: sampleGuards({ minDevices: minDevicesWanted }) }),
      verdict: failingVerdict({ devices: outcomeCounts({ attempted, failed: attempted }) }),
    }),
  );
}

it("passes at exactly the number", () => {
  expect(answerFor(5, 5)).toEqual({ kind: "pass" });
  expect(answerFor(1, 1)).toEqual({ kind: "pass" });
});

it("refuses one below it, and says how many are wanted", () => {
  expect(answerFor(4, 5)).toEqual({
    kind: "refuse",
    guard: "min_devices",
    reason: "too_few_devices",
    sentence: "Only 4 devices have tried 1.4.0; the policy wants at least 5 before it acts.",
  });
});

it("counts devices that tried or report their use, whichever are more; not those that only crash", () => {
  const answer = (counts: Parameters<typeof outcomeCounts>[0]) =>
    minDevices(sampleSituation({ verdict: failingVerdict({ devices: outcomeCounts(counts) }) }));
  expect(answer({ attempted: 4, active: 4, crashed: 900 })).toMatchObject({ reason: "too_few_devices" });
  expect(answer({ attempted: 1, active: 900 })).toEqual({ kind: "pass" });
});

it("where nobody says that it tried, devices that report their use count", () => {
  const withUse = (active: number): GuardAnswer =>
    minDevices(sampleSituation({ verdict: failingVerdict({ devices: outcomeCounts({ active }) }) }));
  expect(withUse(5)).toEqual({ kind: "pass" });
  expect(withUse(4)).toMatchObject({ reason: "too_few_devices" });
});
