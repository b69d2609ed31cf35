// The clock that stands still for a turn of the event loop.
import { expect, test } from "vitest";
import { createTurnClock } from "../../../ingest/turn-clock.ts";

test("it stands still until the turn is over, and then goes on", async () => {
  let nowMs = 1_000;
  const clock = createTurnClock(() => nowMs);
  expect(clock()).toBe(1_000);
  nowMs = 1_005;
  await Promise.resolve();
  expect(clock()).toBe(1_000);
  await new Promise((resolve) => void setImmediate(resolve));
  expect(clock()).toBe(1_005);
});
