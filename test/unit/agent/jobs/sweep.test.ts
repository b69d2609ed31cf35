// When a rollback that a guard holds back is looked at again, also by a clock that was set back meanwhile.
import { describe, expect, test } from "vitest";
import { LOOK_AGAIN_MS_LEAST, LOOK_AGAIN_MS_MAX, isLookedAtAgain } from "../../../../agent/jobs/sweep.ts";

const NOON_MS = Date.UTC(2026, 10, 27, 12);
const HOUR_MS = 3_600_000;

describe("a rollback that is held back", () => {
  test.each([
    ["a young one", 1_000, LOOK_AGAIN_MS_LEAST],
    ["one of five minutes, after a tenth of that", 300_000, 30_000],
    ["an old one", 24 * HOUR_MS, LOOK_AGAIN_MS_MAX],
    ["one that was held in our future", -HOUR_MS, LOOK_AGAIN_MS_LEAST],
  ])("%s is looked at again in time, and not before", (_name, heldForMs, afterMs) => {
    const heldSinceMs = NOON_MS - heldForMs;
    const looked = (lookedAtMs: number) => isLookedAtAgain({ nowMs: NOON_MS, lookedAtMs, heldSinceMs });
    expect(looked(NOON_MS - afterMs)).toBe(true);
    expect(looked(NOON_MS - afterMs + 1)).toBe(false);
  });

  test("one that was looked at in our future does not wait until then", () => {
    const future = NOON_MS + HOUR_MS;
    expect(isLookedAtAgain({ nowMs: NOON_MS, lookedAtMs: future, heldSinceMs: future })).toBe(true);
  });
});
