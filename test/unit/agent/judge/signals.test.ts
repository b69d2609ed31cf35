// Which counts a signal compares: what accuses a release is only what is known, what clears it is only
// what is proven.
import { describe, expect, it } from "vitest";
import { ALL_SETTLED } from "../../../../agent/health/settled-counts.ts";
import {
  JUDGED_SIGNALS,
  baselineCounts,
  candidateCounts,
  countsOf,
  describeFailure,
} from "../../../../agent/judge/signals.ts";
import { policySchema } from "../../../../agent/policy/policy.ts";
import { outcomeCounts } from "../../../support/verdicts.ts";

// 100 tried, 90 of them said so first: 70 confirmed cleanly, 4 failed and then confirmed (recovered), 6 failed,
// 20 unresolved.
const devices = outcomeCounts({
  attempted: 100,
  confirmed: 74,
  failed: 10,
  recovered: 4,
  download_failed: 3,
  announced: 90,
  silent: 2,
});

describe("countsOf", () => {
  it("update_failure: failures are the known ones; cleared are only those that confirmed without failing", () => {
    expect(countsOf("update_failure", devices, ALL_SETTLED)).toEqual({
      trials: 100,
      failures: 10,
      notProvenGood: 30,
    });
  });

  it("download_failure: a failed download counts against, even when the device got there in the end", () => {
    expect(countsOf("download_failure", devices, ALL_SETTLED)).toEqual({
      trials: 100,
      failures: 3,
      notProvenGood: 33,
    });
  });

  it("download_failure: never more doubtful devices than there are", () => {
    const all = outcomeCounts({ attempted: 10, download_failed: 10 });
    expect(countsOf("download_failure", all, ALL_SETTLED)).toEqual({
      trials: 10,
      failures: 10,
      notProvenGood: 10,
    });
  });

  it("silence: who is silent accuses, who is not proven good may still become so", () => {
    expect(countsOf("silence", devices, ALL_SETTLED)).toEqual({
      trials: 90,
      failures: 2,
      notProvenGood: 30,
    });
  });

  it("silence: devices that did not announce owe no word, and dilute nothing", () => {
    const mostlyQuiet = outcomeCounts({ attempted: 100, announced: 10, confirmed: 50, silent: 3 });
    expect(countsOf("silence", mostlyQuiet, ALL_SETTLED)).toEqual({
      trials: 10,
      failures: 3,
      notProvenGood: 10,
    });
  });

  it("silence never waits for what is not settled: who falls silent had announced the update", () => {
    const unsettled = { failed: 10, download_failed: 3 };
    expect(countsOf("silence", devices, unsettled)).toEqual(countsOf("silence", devices, ALL_SETTLED));
  });

  it("what is not settled yet does not accuse, each signal its own, and clears nobody either", () => {
    const unsettled = { failed: 4, download_failed: 1 };
    expect(countsOf("update_failure", devices, unsettled)).toEqual({
      trials: 100,
      failures: 6,
      notProvenGood: 30,
    });
    expect(countsOf("download_failure", devices, unsettled)).toEqual({
      trials: 100,
      failures: 2,
      notProvenGood: 33,
    });
  });
});

it("the policy's signals and the judge's are the same list, and each has its words", () => {
  for (const signal of JUDGED_SIGNALS)
    expect(policySchema.safeParse({ rules: [{ signal, limit: "5%" }] }).success).toBe(true);
  expect(policySchema.safeParse({ rules: [{ signal: "crashes", limit: "5%" }] }).success).toBe(false);
  expect(new Set(JUDGED_SIGNALS.map(describeFailure)).size).toBe(JUDGED_SIGNALS.length);
});

describe("what a comparison counts", () => {
  const hours = { active: 500, crashed: 40, notResponding: 9, firstCrashed: 7, firstNotResponding: 3 };
  const answered = [10, 70, 5];
  const announcedDevices = { ...devices, failed_announced: 8, download_failed_announced: 2 };
  const side = { devices: announcedDevices, hours, answered };

  it("of attempts: devices that announced; of the baseline only those that have answered, and all when it clears", () => {
    expect(candidateCounts("update_failure", side)).toEqual({
      exposure: 90,
      failures: 8,
      safetyExposure: 90,
      safetyFailures: 30,
    });
    // 15 of 100 have not answered: 75 of those that announced have.
    expect(baselineCounts("update_failure", side)).toEqual({
      exposure: 75,
      failures: 8,
      safetyExposure: 90,
      safetyFailures: 8,
    });
    expect(candidateCounts("download_failure", side)).toMatchObject({ exposure: 90, failures: 2 });
    expect(candidateCounts("silence", side)).toMatchObject({ exposure: 90, failures: 2 });
  });

  it("of use: a device of the release once, every failed hour of the baseline", () => {
    expect(candidateCounts("crash", side)).toEqual({
      exposure: 500,
      failures: 7,
      safetyExposure: 500,
      safetyFailures: 40,
    });
    expect(baselineCounts("crash", side)).toMatchObject({ exposure: 500, failures: 40, safetyFailures: 40 });
    expect(candidateCounts("not_responding", side)).toMatchObject({ failures: 3, safetyFailures: 9 });
    expect(baselineCounts("not_responding", side)).toMatchObject({ failures: 9 });
  });

  it("the baseline is never smaller than what failed in it", () => {
    const nobodyAnswered = { ...side, answered: [0, 0, 0] };
    expect(baselineCounts("update_failure", nobodyAnswered)).toMatchObject({ exposure: 8, failures: 8 });
  });
});
