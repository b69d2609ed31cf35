// Time slots: every minute belongs to the slot that begins at or before it.
import { expect, it } from "vitest";
import { SLOT_MINUTES, slotOf } from "../../../../agent/health/health-window.ts";

it("begins every five minutes", () => {
  expect(SLOT_MINUTES).toBe(5);
  expect([0, 1, 4, 5, 9, 10].map(slotOf)).toEqual([0, 0, 0, 5, 5, 10]);
});
