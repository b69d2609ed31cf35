// Who accuses: at exactly the share that the policy asks for the accusation stands; below it, and where nobody is left
// who accuses, it does not. And what is not an accusation by devices is not asked.
import { expect, it } from "vitest";
import { knownDevices } from "../../../../../agent/policy/guards/known-devices.ts";
import type { GuardAnswer } from "../../../../../agent/policy/guards/guard.ts";
import type { AccusingRule } from "../../../../../agent/judge/verdict.ts";
import type { Cause } from "../../../../../agent/policy/decision.ts";
import { failingVerdict, sampleGuards, samplePolicy } from "../../../../support/verdicts.ts";

/** 31 January 2026. */
const DAY = 20_484;

function accusing(devices: number, known: number, fields: Partial<AccusingRule> = {}): AccusingRule {
  const knownDevices = { devices, known, releaseDay: DAY, listeningDay: DAY - 30 };
  return {
    signal: "update_failure",
    rule: "limit",
    segment: null,
    failures: devices,
    knownDevices,
    ...fields,
  };
}

function answerTo(
  rules: readonly AccusingRule[],
  { least = 0.5, cause = "evidence" }: { least?: number; cause?: Cause } = {},
): GuardAnswer {
  return knownDevices({
    policy: samplePolicy({ guards: sampleGuards({ knownDevicesLeast: least }) }),
    verdict: failingVerdict({ accusing: rules }),
    cause,
  });
}

function sentenceOf(...rules: readonly AccusingRule[]): string {
  const answer = answerTo(rules);
  if (answer.kind === "pass") throw new Error("the guard did not object");
  return answer.sentence;
}

it("passes at exactly the share, at all known, and always where the policy does not ask", () => {
  expect(answerTo([accusing(212, 106)])).toEqual({ kind: "pass" });
  expect(answerTo([accusing(1, 1)], { least: 1 })).toEqual({ kind: "pass" });
  expect(answerTo([accusing(1_000, 0)], { least: 0 })).toEqual({ kind: "pass" });
});

it("refuses just below it, with the numbers", () => {
  expect(answerTo([accusing(212, 3)])).toEqual({
    kind: "refuse",
    guard: "known_devices",
    reason: "unknown_devices",
    sentence:
      "Of 212 devices that failed to install or boot 1.4.0, 3 (1.4%) had been seen before the day on which 1.4.0 " +
      "appeared (2026-01-31, UTC); the policy asks for 50%.",
  });
  expect(answerTo([accusing(213, 106)])).toMatchObject({ kind: "refuse" });
});

it("what is too little does not look like enough", () => {
  expect(sentenceOf(accusing(10_000, 4_999))).toContain("Of 10,000 devices");
  expect(sentenceOf(accusing(10_000, 4_999))).toContain("4,999 (49.9%)");
});

it("refuses where nobody is left who accuses, and where nobody was counted", () => {
  const nobody =
    "It is not known which devices failed to install or boot 1.4.0, so none of them counts as known";
  expect(sentenceOf(accusing(0, 0))).toContain(nobody);
  const { knownDevices: _, ...uncounted } = accusing(20, 20);
  expect(sentenceOf(uncounted)).toContain(nobody);
});

it("one rule that known devices speak by is enough; else the one with the most of them is told", () => {
  const forged = accusing(1_000, 0);
  const crashed = accusing(10, 4, { signal: "crash", segment: "model=till-9" });
  expect(answerTo([forged, accusing(10, 5, { signal: "crash" })])).toEqual({ kind: "pass" });
  expect(sentenceOf(forged, crashed)).toContain(
    "Of 10 devices (model=till-9) that crashed on 1.4.0, 4 (40%)",
  );
});

it("says of slow answers that they are slow", () => {
  expect(sentenceOf(accusing(9, 1, { signal: "silence", rule: "worse_than_baseline" }))).toContain(
    "Of 9 devices that were slow to answer, or have not, after they began to take up 1.4.0, 1 (11.1%)",
  );
  expect(sentenceOf(accusing(1, 0, { signal: "silence" }))).toContain(
    "Of 1 device that fell silent while updating to 1.4.0, 0 (0%)",
  );
});

it("says so when Lastgood itself began to listen on the day of the release, or later than that", () => {
  const begun = (listeningDay: number): string =>
    sentenceOf(accusing(20, 0, { knownDevices: { devices: 20, known: 0, releaseDay: DAY, listeningDay } }));
  expect(begun(DAY)).toContain(
    "Lastgood itself began to listen on 2026-01-31, so it can have seen nobody before: act by hand if the devices are " +
      "yours. For releases that appear on a later day they will be known.",
  );
  expect(begun(DAY - 1)).not.toContain("began to listen");
});

it("neither an alert nor a release that is offered again rests on devices, nor does what no rule accuses", () => {
  const forged = [accusing(1_000, 0)];
  expect(answerTo(forged, { cause: "alert" })).toEqual({ kind: "pass" });
  expect(answerTo(forged, { cause: "offered_again" })).toEqual({ kind: "pass" });
  expect(answerTo([])).toEqual({ kind: "pass" });
});
