// Gathering wake-ups of channels: how long, what is handed out once, and what a stop or a failure does.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { GATHER_MS, createGatherer } from "../../../../agent/jobs/gatherer.ts";
import type { Channel, ChannelKey } from "../../../../ingest/contract/release-key.ts";
import { TILL } from "../../../support/verdicts.ts";

const BETA: ChannelKey = { ...TILL, channel: "beta" as Channel };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function gather(onFlush?: () => Promise<void>) {
  const flushed: (readonly ChannelKey[])[] = [];
  const errors: unknown[] = [];
  const gatherer = createGatherer({
    onFlush: async (channels) => {
      flushed.push(channels);
      await onFlush?.();
    },
    onError: (error) => errors.push(error),
  });
  return { gatherer, flushed, errors };
}

it("hands out each channel once, GATHER_MS after the first of them came", async () => {
  expect(GATHER_MS).toBe(100);
  const { gatherer, flushed } = gather();
  gatherer.add([TILL]);
  await vi.advanceTimersByTimeAsync(60);
  gatherer.add([BETA, TILL, { ...TILL }]);
  await vi.advanceTimersByTimeAsync(39);
  expect(flushed).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(flushed).toEqual([[TILL, BETA]]);
});

it("a channel that changes all the time is still handed out every GATHER_MS", async () => {
  const { gatherer, flushed } = gather();
  for (let elapsedMs = 0; elapsedMs < 1_000; elapsedMs += 10) {
    gatherer.add([TILL]);
    await vi.advanceTimersByTimeAsync(10);
  }
  expect(flushed.length).toBe(10);
});

it("a time of day that is set back holds nothing up", async () => {
  const { gatherer, flushed } = gather();
  gatherer.add([TILL]);
  vi.setSystemTime(Date.now() - 3_600_000);
  await vi.advanceTimersByTimeAsync(GATHER_MS);
  expect(flushed).toEqual([[TILL]]);
});

it("stop hands out what is gathered, and nothing a second time", async () => {
  const { gatherer, flushed } = gather();
  gatherer.add([TILL]);
  await gatherer.stop();
  expect(flushed).toEqual([[TILL]]);
  await vi.advanceTimersByTimeAsync(1_000);
  await gatherer.stop();
  expect(flushed).toEqual([[TILL]]);
});

it("a hand-out that fails is told, and the next one goes on", async () => {
  const { gatherer, flushed, errors } = gather(() => Promise.reject(new Error("Redis is gone")));
  gatherer.add([TILL]);
  await vi.advanceTimersByTimeAsync(GATHER_MS);
  gatherer.add([BETA]);
  await gatherer.stop();
  expect(flushed).toEqual([[TILL], [BETA]]);
  expect(errors).toEqual([new Error("Redis is gone"), new Error("Redis is gone")]);
});
