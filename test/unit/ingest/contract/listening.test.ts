// Since when somebody has been listening, at the edges of the longest gap.
import { describe, expect, test } from "vitest";
import {
  LISTENING_BEAT_MS,
  LISTENING_GAP_MS_MAX,
  LISTENING_KEY,
  heardFromMs,
  readListening,
} from "../../../../ingest/contract/listening.ts";
import { LAYOUT_KEY } from "../../../../ingest/contract/stream-names.ts";
import { keySlot } from "../../../../runtime/key-slot.ts";

const SINCE_MS = 1_000_000;
const LAST_MS = 5_000_000;

describe("heardFromMs", () => {
  const heardAt = (nowMs: number): number | undefined =>
    heardFromMs({ kind: "listening", sinceMs: SINCE_MS, lastMs: LAST_MS }, nowMs);

  test.each([
    ["the moment of the last beat", LAST_MS, SINCE_MS],
    ["the longest gap after it", LAST_MS + LISTENING_GAP_MS_MAX, SINCE_MS],
    ["1 ms later than that", LAST_MS + LISTENING_GAP_MS_MAX + 1, undefined],
    ["a day after it", LAST_MS + 86_400_000, undefined],
    ["a little before it, as another machine's clock may be", LAST_MS - LISTENING_GAP_MS_MAX, SINCE_MS],
    ["longer before it than any gap", LAST_MS - LISTENING_GAP_MS_MAX - 1, undefined],
  ])("at %s", (_, nowMs, expected) => {
    expect(heardAt(nowMs)).toBe(expected);
  });

  test("nobody ever listened", () => {
    expect(heardFromMs({ kind: "never" }, LAST_MS)).toBeUndefined();
  });

  test("beats that can't be read prove nothing", () => {
    expect(
      heardFromMs({ kind: "listening", sinceMs: SINCE_MS, lastMs: Number.NaN }, LAST_MS),
    ).toBeUndefined();
  });
});

describe("readListening", () => {
  const read = (held: Record<string, string>) =>
    readListening({ hgetall: (key) => Promise.resolve(key === LISTENING_KEY ? held : {}) });

  test("beats", async () => {
    expect(await read({ since: "1000", last: "2000" })).toEqual({
      kind: "listening",
      sinceMs: 1_000,
      lastMs: 2_000,
    });
  });

  test.each([{}, { since: "1000" }, { last: "2000" }])("none, or half of one: %j", async (held) => {
    expect(await read(held)).toEqual({ kind: "never" });
  });

  test("Redis away is an error, not a silence", async () => {
    const away = { hgetall: () => Promise.reject(new Error("Connection is closed.")) };
    await expect(readListening(away)).rejects.toThrow("Connection is closed.");
  });
});

test("a beat may be missing, and two in a row, without a gap", () => {
  expect(3 * LISTENING_BEAT_MS).toBeLessThan(LISTENING_GAP_MS_MAX);
});

test("beats are with the rest of the control plane on a Redis Cluster", () => {
  expect(keySlot(LISTENING_KEY)).toBe(keySlot(LAYOUT_KEY));
});
