// The classic rule: a rate over a window, for a while, of enough devices. To the slot.
import { describe, expect, it } from "vitest";
import type { PlainRule } from "../../../../agent/judge/rule-to-judge.ts";
import { DAY_START, HOUR, createSide, judgeSides } from "../../../support/judged-release.ts";

const MINUTE = DAY_START + 12 * HOUR;
const RULE: PlainRule = {
  form: "plain",
  signal: "update_failure",
  limit: 0.05,
  windowMs: 3_600_000,
  forMs: 0,
  minDevices: 50,
};

function kindAt(minute: number, fields: Partial<PlainRule> = {}, devices = 50, failed = 3): string {
  const candidate = createSide("1.5.0");
  candidate.update({ minute: MINUTE }, devices, failed);
  return judgeSides({ candidate, rules: [{ ...RULE, ...fields }], minute }).kind;
}

describe("it speaks", () => {
  it("above the limit, not at it, and of as many devices as it asks", () => {
    expect(kindAt(MINUTE + 10)).toBe("failing");
    expect(kindAt(MINUTE + 10, {}, 60, 3)).toBe("inconclusive");
    expect(kindAt(MINUTE + 10, {}, 49, 3)).toBe("inconclusive");
  });

  it("as long as the slot is within the window", () => {
    expect(kindAt(MINUTE + 64)).toBe("failing");
    expect(kindAt(MINUTE + 65)).toBe("inconclusive");
    expect(kindAt(MINUTE)).toBe("inconclusive");
    expect(kindAt(MINUTE + 1)).toBe("failing");
  });

  it("when it has been above for as long as it asks", () => {
    expect(kindAt(MINUTE + 10, { forMs: 600_000 })).toBe("inconclusive");
    expect(kindAt(MINUTE + 11, { forMs: 600_000 })).toBe("failing");
    expect(kindAt(MINUTE + 64, { forMs: 600_000 })).toBe("failing");
  });
});

it("never calls a release healthy, spends no budget and raises nobody's bar", () => {
  const candidate = createSide("1.5.0");
  candidate.update({ minute: MINUTE }, 5_000);
  const verdict = judgeSides({ candidate, rules: [RULE], minute: MINUTE + 10 });
  expect(verdict).toMatchObject({ kind: "inconclusive", reason: "plain_limit_kept" });
  const limit = { form: "limit", signal: "update_failure", limit: 0.05 } as const;
  const both = judgeSides({ candidate, rules: [limit, RULE], minute: MINUTE + 10 });
  expect(both).toMatchObject({ kind: "healthy", reason: "within_limits" });
  expect(both.signals[0]!.thresholdLog10).toBeCloseTo(Math.log10(200), 10);
  expect(both.signals[1]).toMatchObject({ rule: "plain", evidenceLog10: null });
});

it("speaks of hours of use, too", () => {
  const candidate = createSide("1.5.0");
  candidate.useIn({ hourMinute: MINUTE }, 100, 7);
  const rule: PlainRule = { ...RULE, signal: "crash" };
  expect(judgeSides({ candidate, rules: [rule], minute: MINUTE + 30 }).reason).toBe("plain_limit_exceeded");
});
