// A channel that was just rolled back gets no other rollback, to the millisecond.
import { expect, it } from "vitest";
import { cooldown } from "../../../../../agent/policy/guards/cooldown.ts";
import type { GuardAnswer } from "../../../../../agent/policy/guards/guard.ts";
import { pastRollback, sampleGuards, samplePolicy, sampleSituation } from "../../../../support/verdicts.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const COOLDOWN_MS = 3_600_000;

function answerAfter(agesMs: readonly number[], cooldownMs = COOLDOWN_MS): GuardAnswer {
  return cooldown(
    sampleSituation({
      nowMs: NOW_MS,
      policy: samplePolicy({ guards: sampleGuards({ cooldownMs }) }),
      pastRollbacks: agesMs.map((ageMs) => pastRollback("1.3.9", "1.3.0", NOW_MS - ageMs)),
    }),
  );
}

it("passes when nothing was ever rolled back", () => {
  expect(answerAfter([])).toEqual({ kind: "pass" });
});

it("passes from the millisecond on which the cooldown is over", () => {
  expect(answerAfter([COOLDOWN_MS])).toEqual({ kind: "pass" });
});

it("refuses one millisecond before", () => {
  expect(answerAfter([COOLDOWN_MS - 1])).toEqual({
    kind: "refuse",
    guard: "cooldown",
    reason: "cooling_down",
    sentence: "The channel was rolled back from 1.3.9 to 1.3.0 and cools down for another 1 ms.",
  });
});

it("goes by the newest rollback", () => {
  expect(answerAfter([1_000, 10 * COOLDOWN_MS])).toMatchObject({ reason: "cooling_down" });
});

it("holds when the clock was set back behind the rollback", () => {
  expect(answerAfter([-5_000])).toMatchObject({ reason: "cooling_down" });
});

it("a cooldown of nothing never holds", () => {
  expect(answerAfter([0], 0)).toEqual({ kind: "pass" });
});
