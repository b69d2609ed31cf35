// What the demo expects of a run, and what it calls a fault: its exit code rests on both.
import { describe, expect, it } from "vitest";
import { expectedOutcome, findFaults } from "../../simulation/demo-outcome.ts";
import type { Seen } from "../../simulation/demo-outcome.ts";

describe("expectedOutcome", () => {
  const expectedAt = (badRatio: number, devices = 20_000) =>
    expectedOutcome({ badRatio, limit: 0.05, devices });

  it("expects no rollback up to the limit, a rollback from 1.4 times the limit, and leaves the rest open", () => {
    expect(expectedAt(0)).toBe("no_rollback");
    expect(expectedAt(0.05)).toBe("no_rollback");
    expect(expectedAt(0.0501)).toBe("either");
    expect(expectedAt(0.0699)).toBe("either");
    expect(expectedAt(0.07)).toBe("rollback");
    expect(expectedAt(1)).toBe("rollback");
  });

  it("leaves it open where the whole fleet is too small to prove it", () => {
    expect(expectedAt(0.08, 3_000)).toBe("rollback");
    expect(expectedAt(0.08, 500)).toBe("either");
    expect(expectedAt(0.5, 100)).toBe("rollback");
  });
});

describe("findFaults", () => {
  const fine: Seen = {
    expectation: "rollback",
    isGoodRolledBack: false,
    isBadRolledBack: true,
    differences: [],
    refusedReports: 0,
    lastRefusal: undefined,
    kill: "not_asked",
  };

  it("finds none when everything came as expected", () => {
    expect(findFaults(fine)).toEqual([]);
    expect(findFaults({ ...fine, expectation: "no_rollback", isBadRolledBack: false })).toEqual([]);
    expect(findFaults({ ...fine, expectation: "either", isBadRolledBack: false })).toEqual([]);
    expect(findFaults({ ...fine, expectation: "either", kill: "restarted" })).toEqual([]);
  });

  it.each<[string, Partial<Seen>]>([
    ["good release was rolled back", { isGoodRolledBack: true }],
    ["bad release was not rolled back", { isBadRolledBack: false }],
    ["within its limit was rolled back", { expectation: "no_rollback" }],
    ["books differ in 1 place", { differences: [{ version: "1.6.0", count: "failed", fleet: 2, agent: 1 }] }],
    ["refused 3 reports; the last answer: 401", { refusedReports: 3, lastRefusal: "401" }],
    ["did not come back", { kill: "not_restarted" }],
  ])("names it: %s", (words, seen) => {
    expect(findFaults({ ...fine, ...seen }).join("\n")).toContain(words);
  });
});
