// The judge: every kind of verdict with its reason, the sentence for people word for word, and how the
// budget is split.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import type { OutcomeCounts } from "../../../../agent/health/outcomes.ts";
import { ALL_SETTLED } from "../../../../agent/health/settled-counts.ts";
import type { UnsettledFailures } from "../../../../agent/health/settled-counts.ts";
import { HEALTHY_LOG10, NO_BASELINE, judge } from "../../../../agent/judge/judge.ts";
import type { JudgeInput } from "../../../../agent/judge/judge.ts";
import { harmEvidenceLog10, safetyEvidenceLog10 } from "../../../../agent/judge/limit.ts";
import { FLEET_BUDGET_SHARE } from "../../../../agent/judge/rule-to-judge.ts";
import type { LimitRule, RuleToJudge } from "../../../../agent/judge/rule-to-judge.ts";
import type { Verdict } from "../../../../agent/judge/verdict.ts";
import { outcomeCounts, releaseOf } from "../../../support/verdicts.ts";

const UPDATE: LimitRule = { form: "limit", signal: "update_failure", limit: 0.05 };
const DOWNLOAD: LimitRule = { form: "limit", signal: "download_failure", limit: 0.1 };
const SILENCE: LimitRule = { form: "limit", signal: "silence", limit: 0.02 };

/** Of a release that nothing is known of, and nothing to compare it with: limits alone judge. */
const ALONE: Pick<JudgeInput, "release" | "history" | "baseline" | "nowMs"> = {
  release: releaseOf("1.4.3"),
  history: { release: releaseOf("1.4.3"), days: [] },
  baseline: NO_BASELINE,
  nowMs: Date.UTC(2026, 0, 31, 12),
};

function judged(
  counts: Partial<OutcomeCounts>,
  rules: readonly RuleToJudge[] = [UPDATE],
  falseRollbackBudget = 0.01,
  unsettled?: UnsettledFailures,
): Verdict {
  return judge({
    ...ALONE,
    devices: outcomeCounts(counts),
    rules,
    falseRollbackBudget,
    unsettled,
  });
}

function unsettled(failed: number, download_failed = 0): UnsettledFailures {
  return { failed, download_failed };
}

const CASES = {
  no_rules: () => judged({ attempted: 100, failed: 100 }, []),
  no_attempts: () => judged({ active: 50, crashed: 3 }),
  limit_exceeded: () => judged({ attempted: 100, failed: 20, confirmed: 80 }),
  within_limits: () => judged({ attempted: 100, confirmed: 100 }),
  not_enough_evidence: () => judged({ attempted: 20, confirmed: 19, failed: 1 }),
  attempts_not_announced: () => judged({ attempted: 20, failed: 20 }, [UPDATE], 0.01, unsettled(20)),
};

describe("kinds and reasons", () => {
  it.each([
    { reason: "no_rules", kind: "unmeasurable" },
    { reason: "no_attempts", kind: "unmeasurable" },
    { reason: "limit_exceeded", kind: "failing" },
    { reason: "within_limits", kind: "healthy" },
    { reason: "not_enough_evidence", kind: "inconclusive" },
    { reason: "attempts_not_announced", kind: "inconclusive" },
  ] as const)("$reason is $kind", ({ reason, kind }) => {
    expect(CASES[reason]()).toMatchObject({ kind, reason, release: releaseOf("1.4.3") });
  });

  // The others need a history: judge-reasons.test.ts has a case for every reason there is.
});

describe("the sentence", () => {
  it("names counts, rate, limit and evidence", () => {
    const verdict = judged({ attempted: 5_310, failed: 212 }, [{ ...UPDATE, limit: 0.02 }]);
    expect(verdict.sentence).toBe(
      "212 of 5,310 devices failed to install or boot 1.4.3 (4.0%, at least 3.1%); limit 2%; evidence 10^17.2 against 10^2.3 needed.",
    );
  });

  it("shows small shares with two places", () => {
    const verdict = judged({ attempted: 100_000, failed: 456, confirmed: 99_544 }, [
      { ...UPDATE, limit: 0.0075 },
    ]);
    expect(verdict.sentence).toMatch(
      /^456 of 100,000 devices .* \(0\.46%, at least 0\.\d\d%\); limit 0\.75%; evidence 10\^-\d+\.\d against 10\^2\.3 needed\.$/,
    );
  });

  it("speaks of the rule that is furthest over its threshold", () => {
    const verdict = judged({ attempted: 100, failed: 20, download_failed: 90 }, [UPDATE, DOWNLOAD]);
    expect(verdict.sentence).toContain(
      "90 of 100 devices failed to download 1.4.3 (90.0%, at least 78.0%); limit 10%;",
    );
  });

  it("says of silence what fell silent, and while doing what", () => {
    expect(judged({ attempted: 5_310, announced: 5_310, silent: 12 }, [SILENCE]).sentence).toMatch(
      /^12 of 5,310 devices fell silent while updating to 1\.4\.3 \(0\.23%, at least 0\.\d+%\); limit 2%; evidence 10\^-\d+\.\d against 10\^2\.3 needed\.$/,
    );
  });

  it("says that nobody tried, and that nothing is asked", () => {
    expect(CASES.no_attempts().sentence).toBe("No device has tried to take 1.4.3 yet.");
    expect(CASES.no_rules().sentence).toBe("The policy names no rule to judge by.");
  });
});

describe("where attempts are not announced", () => {
  it("young failures do not accuse, settled ones do, one by one", () => {
    const withYoung = (young: number): Verdict =>
      judged({ attempted: 20, failed: 20 }, [UPDATE], 0.01, unsettled(young));
    expect(withYoung(20).signals[0]).toMatchObject({ failures: 0, trials: 20 });
    const first = Array.from({ length: 21 }, (_, settled) => settled).find(
      (settled) => withYoung(20 - settled).kind === "failing",
    )!;
    // As many of 20 as it takes where every attempt is announced.
    expect(judged({ attempted: 20, failed: first }).kind).toBe("failing");
    expect(judged({ attempted: 20, failed: first - 1 }).kind).toBe("inconclusive");
  });

  it("each signal leaves its own young failures out", () => {
    const counts = { attempted: 100, failed: 40, download_failed: 60, confirmed: 0 };
    const waiting = judged(counts, [UPDATE, DOWNLOAD], 0.01, unsettled(40, 60));
    expect(waiting.signals.map(({ failures }) => failures)).toEqual([0, 0]);
    const downloads = judged(counts, [UPDATE, DOWNLOAD], 0.01, unsettled(40, 0));
    expect(downloads.signals.map(({ failures }) => failures)).toEqual([0, 60]);
    expect(downloads.kind).toBe("failing");
  });

  it("nobody is called healthy, even with nothing left to settle: who never answered is not known", () => {
    const counts = { attempted: 1_000, confirmed: 1_000 };
    expect(judged(counts).kind).toBe("healthy");
    expect(judged(counts, [UPDATE], 0.01, ALL_SETTLED)).toMatchObject({
      kind: "inconclusive",
      reason: "attempts_not_announced",
    });
  });

  it("the sentence says how many failures wait, for how long, and what would end it", () => {
    expect(judged({ attempted: 20, failed: 20 }, [UPDATE], 0.01, unsettled(20, 3)).sentence).toMatch(
      /^0 of 20 devices .* 20 failures of the last 10 minutes do not count yet: these devices did not say when they began \(update_started\), and good answers take longer\.$/,
    );
  });
});

describe("silence", () => {
  it("alone is enough to condemn, beside update failures that nobody reported", () => {
    const dead = judged({ attempted: 100, announced: 100, confirmed: 80, silent: 20 }, [UPDATE, SILENCE]);
    expect(dead).toMatchObject({ kind: "failing", reason: "limit_exceeded" });
    expect(dead.sentence).toContain(
      "20 of 100 devices fell silent while updating to 1.4.3 (20.0%, at least 9.2%); limit 2%;",
    );
  });

  it("accuses of who is silent, not of who has not answered yet", () => {
    const counts = { attempted: 100, announced: 100, confirmed: 80 };
    expect(judged(counts, [SILENCE]).kind).toBe("inconclusive");
    expect(judged({ ...counts, silent: 1 }, [SILENCE]).kind).toBe("inconclusive");
    // Those who came back in the end accuse no longer, however late they were.
    expect(
      judged({ attempted: 300, announced: 300, confirmed: 300, returned_late: 20 }, [SILENCE]).kind,
    ).toBe("healthy");
  });

  it("is not healthy while devices that may still fall silent are too many", () => {
    expect(judged({ attempted: 1_000, announced: 1_000, confirmed: 980 }, [SILENCE]).kind).toBe(
      "inconclusive",
    );
    expect(judged({ attempted: 1_000, announced: 1_000, confirmed: 1_000 }, [SILENCE]).kind).toBe("healthy");
  });

  it("says nothing of devices that never announce, and does not call that no attempts", () => {
    expect(judged({ attempted: 1_000, confirmed: 1_000 }, [SILENCE])).toMatchObject({
      kind: "inconclusive",
      reason: "not_enough_evidence",
    });
  });
});

describe("silence that was counted by another deadline", () => {
  const HOUR_MS = 3_600_000;
  const counts = { attempted: 100, announced: 100, confirmed: 50, silent: 50 };
  const held = (silenceDeadlineMs: number, ...rules: readonly RuleToJudge[]): Verdict =>
    judge({
      ...ALONE,
      devices: outcomeCounts(counts),
      rules,
      falseRollbackBudget: 0.01,
      silenceDeadlineMs,
    });
  const rule = (deadlineMs: number): RuleToJudge => ({ ...SILENCE, deadlineMs });

  it("accuses nobody by a longer one, from the first millisecond", () => {
    expect(held(6 * HOUR_MS, rule(6 * HOUR_MS))).toMatchObject({
      kind: "failing",
      signals: [{ failures: 50 }],
    });
    expect(held(6 * HOUR_MS, rule(5 * HOUR_MS)).kind).toBe("failing");
    expect(held(6 * HOUR_MS, rule(6 * HOUR_MS + 1))).toMatchObject({
      kind: "inconclusive",
      reason: "not_enough_evidence",
      signals: [{ failures: 0, trials: 100 }],
    });
  });

  it("stays in the counts of the verdict, and the sentence says why it does not count", () => {
    const verdict = held(6 * HOUR_MS, rule(24 * HOUR_MS));
    expect(verdict.devices).toEqual(outcomeCounts(counts));
    expect(verdict.sentence).toMatch(
      /^0 of 100 devices fell silent .* needed\. 50 silent devices do not count: devices of this release were counted by a shorter deadline than the rule has now\.$/,
    );
    expect(held(24 * HOUR_MS, rule(24 * HOUR_MS)).sentence).not.toContain("do not count");
  });

  it("changes nothing for other signals, and proves nobody good", () => {
    const both = held(6 * HOUR_MS, UPDATE, rule(24 * HOUR_MS));
    expect(both.signals[0]).toEqual(held(6 * HOUR_MS, UPDATE, rule(6 * HOUR_MS)).signals[0]);
    expect(both.signals[1]!.safetyLog10).toBe(held(6 * HOUR_MS, rule(6 * HOUR_MS)).signals[0]!.safetyLog10);
    expect(both.kind).toBe("inconclusive");
  });

  it("of nobody is no deadline", () => {
    const none = { attempted: 1_000, announced: 1_000, confirmed: 1_000 };
    const input = { ...ALONE, devices: outcomeCounts(none), falseRollbackBudget: 0.01 };
    expect(judge({ ...input, rules: [rule(HOUR_MS)], silenceDeadlineMs: 0 })).toEqual(
      judge({ ...input, rules: [rule(HOUR_MS)] }),
    );
  });
});

describe("the budget", () => {
  it("half is for the whole fleet, and the rules share that evenly", () => {
    expect(FLEET_BUDGET_SHARE).toBe(0.5);
    expect(judged({ attempted: 1 }).signals[0]!.thresholdLog10).toBeCloseTo(Math.log10(200), 12);
    for (const { thresholdLog10 } of judged({ attempted: 1 }, [UPDATE, DOWNLOAD]).signals)
      expect(thresholdLog10).toBeCloseTo(Math.log10(400), 12);
    expect(judged({ attempted: 1 }, [UPDATE], 0.5).signals[0]!.thresholdLog10).toBeCloseTo(Math.log10(4), 12);
  });

  it("3 of 3 failed is failing for the default budget, and 2 of 2 is not", () => {
    expect(judged({ attempted: 3, failed: 3 }).kind).toBe("failing");
    expect(judged({ attempted: 2, failed: 2 }).kind).toBe("inconclusive");
  });

  it("evidence exactly at the threshold is enough", () => {
    const evidence = harmEvidenceLog10({ trials: 3, failures: 3, limit: 0.05 });
    const budget = 10 ** -evidence / FLEET_BUDGET_SHARE;
    expect(judged({ attempted: 3, failed: 3 }, [UPDATE], budget * (1 + 1e-9)).kind).toBe("failing");
    expect(judged({ attempted: 3, failed: 3 }, [UPDATE], budget * (1 - 1e-9)).kind).toBe("inconclusive");
  });

  it("a second rule raises the bar for both", () => {
    const evidence = harmEvidenceLog10({ trials: 3, failures: 3, limit: 0.05 });
    const budget = (10 ** -evidence / FLEET_BUDGET_SHARE) * 1.5;
    expect(judged({ attempted: 3, failed: 3 }, [UPDATE], budget).kind).toBe("failing");
    expect(judged({ attempted: 3, failed: 3 }, [UPDATE, DOWNLOAD], budget).kind).toBe("inconclusive");
  });

  it("one rule over its threshold is enough, however clean the other signal is", () => {
    expect(judged({ attempted: 100, download_failed: 60, confirmed: 40 }, [UPDATE, DOWNLOAD]).kind).toBe(
      "failing",
    );
  });
});

describe("healthy", () => {
  it("needs proof with every unresolved attempt counted as failed", () => {
    expect(judged({ attempted: 1_000 }).kind).toBe("inconclusive");
    expect(judged({ attempted: 1_000, confirmed: 900 }).kind).toBe("inconclusive");
    expect(judged({ attempted: 1_000, confirmed: 990 }).kind).toBe("healthy");
  });

  it("begins exactly where the evidence reaches 20 to 1", () => {
    const isHealthy = (confirmed: number): boolean =>
      judged({ attempted: 400, confirmed }).kind === "healthy";
    const edge = Array.from({ length: 401 }, (_, confirmed) => confirmed).find(
      (confirmed) =>
        safetyEvidenceLog10({ trials: 400, failures: 400 - confirmed, limit: 0.05 }) >= HEALTHY_LOG10,
    )!;
    expect(edge).toBeGreaterThan(300);
    expect(isHealthy(edge)).toBe(true);
    expect(isHealthy(edge - 1)).toBe(false);
  });

  it("a device that failed and came back is no proof of health", () => {
    expect(judged({ attempted: 100, confirmed: 100, failed: 6, recovered: 6 }).kind).toBe("inconclusive");
  });

  it("needs every rule", () => {
    const counts = { attempted: 100, confirmed: 100, download_failed: 10 };
    expect(judged(counts).kind).toBe("healthy");
    expect(judged(counts, [UPDATE, DOWNLOAD]).kind).toBe("inconclusive");
  });
});

const fleet = fc
  .record({
    clean: fc.nat(5_000),
    recovered: fc.nat(50),
    lost: fc.nat(50),
    unresolved: fc.nat(500),
    silent: fc.nat(100),
    download: fc.nat(50),
  })
  .map(({ clean, recovered, lost, unresolved, silent, download }) => ({
    attempted: clean + recovered + lost + unresolved,
    confirmed: clean + recovered,
    failed: recovered + lost,
    recovered,
    download_failed: Math.min(download, clean + unresolved),
    silent: Math.min(silent, unresolved),
  }));

test("failing is exactly: some rule's evidence reaches its threshold; and no verdict is both failing and healthy by its numbers", () => {
  fc.assert(
    fc.property(
      fleet,
      fc.constantFrom([UPDATE], [UPDATE, DOWNLOAD], [UPDATE, DOWNLOAD, SILENCE]),
      (counts, rules) => {
        const verdict = judged(counts, rules);
        const isOver = verdict.signals.some((signal) => signal.evidenceLog10! >= signal.thresholdLog10);
        expect(verdict.kind === "failing").toBe(isOver);
        for (const { safetyLog10, evidenceLog10 } of verdict.signals)
          expect(safetyLog10 >= HEALTHY_LOG10 && evidenceLog10! >= 2).toBe(false);
        expect(judged(counts, rules)).toEqual(verdict);
      },
    ),
    { numRuns: 500 },
  );
});
