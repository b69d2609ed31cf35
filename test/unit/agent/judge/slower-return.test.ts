// How fast devices come back, by cohort and age: only spans that are over count, to the minute, and none beyond the
// deadline; bricked devices are found long before it.
import { describe, expect, it } from "vitest";
import { compareHistories } from "../../../../agent/judge/comparison.ts";
import { sumReturns } from "../../../../agent/judge/slower-return.ts";
import { logRankHarmLog10 } from "../../../../agent/judge/statistics/log-rank.ts";
import { isSettling } from "../../../../agent/judge/settling.ts";
import type { RuleToJudge } from "../../../../agent/judge/rule-to-judge.ts";
import { DAY_START, HOUR, createSide, judgeSides } from "../../../support/judged-release.ts";

const MINUTE = DAY_START + 12 * HOUR;
/** When every device of the slot has begun. */
const SLOT_END = MINUTE + 5;
const RULE: RuleToJudge = {
  form: "worse_than_baseline",
  signal: "silence",
  allowance: { ratio: 1.5, points: 0 },
  deadlineMs: 6 * 3_600_000,
};

function bricked(devices: number) {
  const candidate = createSide("1.5.0");
  candidate.begin({ minute: MINUTE }, devices);
  const baseline = createSide("1.4.0");
  baseline.update({ minute: MINUTE }, 300);
  baseline.begin({ minute: MINUTE }, 3);
  return { candidate, baseline };
}

function evidenceAt(minute: number, ageMinutesMax = 360): number {
  const { candidate, baseline } = bricked(30);
  const comparison = compareHistories(candidate.history(), [baseline.history()]);
  return logRankHarmLog10(sumReturns(comparison, { slower: 1.5, ageMinutesMax }, minute).fleet);
}

describe("spans of age", () => {
  it("count once they are over for every device of the slot, and a minute for reports on their way", () => {
    // The baseline answers 2 minutes after its attempt: in the span from 2 to 3 minutes.
    expect(evidenceAt(SLOT_END + 3)).toBe(0);
    expect(evidenceAt(SLOT_END + 4)).toBeGreaterThan(3);
  });

  it("do not count beyond the deadline", () => {
    expect(evidenceAt(SLOT_END + 4, 2)).toBe(0);
    expect(evidenceAt(SLOT_END + 4, 3)).toBeGreaterThan(3);
  });

  it("say the same days later", () => {
    expect(evidenceAt(SLOT_END + 3 * 24 * HOUR)).toBe(evidenceAt(SLOT_END + 4));
  });
});

describe("the rule", () => {
  it("finds a ring that does not come back in minutes, where the baseline does", () => {
    const { candidate, baseline } = bricked(30);
    const at = (minute: number) => judgeSides({ candidate, baselines: [baseline], rules: [RULE], minute });
    // The baseline takes 2 to 3 minutes: up to 4.5 is allowed, and the span after that ends at 5.
    expect(at(SLOT_END + 5).kind).not.toBe("failing");
    expect(at(SLOT_END + 6)).toMatchObject({ kind: "failing", reason: "worse_than_baseline" });
    expect(at(SLOT_END + 6).sentence).toMatch(
      /^30 of 30 devices that began to take 1\.5\.0 have not answered yet; the baseline of the same age 3 of 303 \(0\.99%\); 1\.5x as slow is allowed; evidence 10\^\d+\.\d against 10\^2\.3 needed\.$/,
    );
  });

  it("is judged again while devices owe an answer, and no longer than to the deadline", () => {
    const { candidate } = bricked(3);
    const settles = (minute: number): boolean =>
      isSettling({ history: candidate.history(), rules: [RULE], nowMs: minute * 60_000 });
    expect(settles(SLOT_END)).toBe(true);
    expect(settles(MINUTE + 7 * HOUR - 1)).toBe(true);
    expect(settles(MINUTE + 7 * HOUR)).toBe(false);
    const answered = createSide("1.5.0");
    answered.update({ minute: MINUTE }, 10);
    expect(isSettling({ history: answered.history(), rules: [RULE], nowMs: SLOT_END * 60_000 })).toBe(false);
  });
});

describe("what else time alone changes", () => {
  it("an hour with a crash, until it is over and its reports are in", () => {
    const side = createSide("1.5.0");
    side.useIn({ hourMinute: MINUTE }, 10, 1);
    const rule: RuleToJudge = { form: "limit", signal: "crash", limit: 0.02 };
    const settles = (minute: number): boolean =>
      isSettling({ history: side.history(), rules: [rule], nowMs: minute * 60_000 });
    expect(settles(MINUTE + HOUR + 9)).toBe(true);
    expect(settles(MINUTE + HOUR + 10)).toBe(false);
  });

  it("a plain rule, for its window and as long as it asks; a limit on updates never", () => {
    const side = createSide("1.5.0");
    side.update({ minute: MINUTE }, 10);
    const rule: RuleToJudge = {
      form: "plain",
      signal: "update_failure",
      limit: 0.05,
      windowMs: 3_600_000,
      forMs: 600_000,
      minDevices: 5,
    };
    const settles = (minute: number, ...rules: RuleToJudge[]): boolean =>
      isSettling({ history: side.history(), rules, nowMs: minute * 60_000 });
    expect(settles(MINUTE + HOUR + 70 - 1, rule)).toBe(true);
    expect(settles(MINUTE + HOUR + 70, rule)).toBe(false);
    expect(settles(MINUTE, { form: "limit", signal: "update_failure", limit: 0.05 })).toBe(false);
  });
});
