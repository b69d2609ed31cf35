// When a rollback is tried again: the pauses at their edges, and one timer for each decision.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  RETRY_MS_MAX,
  RETRY_MS_MIN,
  createRetryTimers,
  pauseMs,
} from "../../../../agent/jobs/retry-timers.ts";

describe("pauses while the OTA server is away", () => {
  it("double from RETRY_MS_MIN up to RETRY_MS_MAX, and stay there for ever", () => {
    expect([RETRY_MS_MIN, RETRY_MS_MAX]).toEqual([500, 15_000]);
    expect([1, 2, 3, 4, 5, 6, 7, 1_000_000].map((tries) => pauseMs(tries, undefined))).toEqual([
      500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000,
    ]);
  });

  it("follow the server's wish when it is longer, within RETRY_MS_MAX", () => {
    expect(pauseMs(1, 3_000)).toBe(3_000);
    expect(pauseMs(1, 1)).toBe(500);
    expect(pauseMs(5, 3_000)).toBe(8_000);
    expect(pauseMs(1, 600_000)).toBe(15_000);
  });
});

describe("timers", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const FIRST = { tries: 1, retryAfterMs: undefined };

  it("wakes each decision once, when its pause is over", () => {
    const due: string[] = [];
    const timers = createRetryTimers((id) => due.push(id));
    timers.again("rb_1", FIRST);
    timers.again("rb_2", { tries: 2, retryAfterMs: undefined });
    expect([timers.isWaiting("rb_1"), timers.isWaiting("rb_2"), timers.isWaiting("rb_3")]).toEqual([
      true,
      true,
      false,
    ]);
    vi.advanceTimersByTime(499);
    expect(due).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(due).toEqual(["rb_1"]);
    expect([timers.isWaiting("rb_1"), timers.isWaiting("rb_2")]).toEqual([false, true]);
    vi.advanceTimersByTime(60_000);
    expect(due).toEqual(["rb_1", "rb_2"]);
  });

  it("a second pause of the same decision takes the place of the first", () => {
    const due: string[] = [];
    const timers = createRetryTimers((id) => due.push(id));
    timers.again("rb_1", FIRST);
    timers.again("rb_1", { tries: 3, retryAfterMs: undefined });
    vi.advanceTimersByTime(1_999);
    expect(due).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(due).toEqual(["rb_1"]);
  });

  it("a time of day that is set back holds nothing up", () => {
    const due: string[] = [];
    const timers = createRetryTimers((id) => due.push(id));
    timers.again("rb_1", FIRST);
    vi.setSystemTime(Date.now() - 3_600_000);
    vi.advanceTimersByTime(500);
    expect(due).toEqual(["rb_1"]);
  });

  it("after stop nothing fires, and a job that ends later starts no timer", () => {
    const due: string[] = [];
    const timers = createRetryTimers((id) => due.push(id));
    timers.again("rb_1", FIRST);
    timers.stop();
    timers.again("rb_2", FIRST);
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(60_000);
    expect(due).toEqual([]);
    expect(timers.isWaiting("rb_1")).toBe(false);
  });
});
