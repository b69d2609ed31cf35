// Where a device lives: the same place for ever, because stored tables depend on it.
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  DEVICE_DIGEST_BYTES,
  deviceDigest,
  firstUint32,
  shardOfDevice,
} from "../../../../ingest/contract/shard.ts";
import { SHARDS_MAX, deadLetterStream, reportStream } from "../../../../ingest/contract/stream-names.ts";

describe("deviceDigest", () => {
  test("is the head of SHA-256 over app, a zero byte and the device", () => {
    const expected = createHash("sha256").update("com.acme.till\0Gerät-1").digest().subarray(0, 12);
    expect(deviceDigest("com.acme.till", "Gerät-1")).toBe(expected.toString("latin1"));
    expect(expected).toHaveLength(DEVICE_DIGEST_BYTES);
  });

  test("app and device do not run into each other", () => {
    expect(deviceDigest("ab", "c")).not.toEqual(deviceDigest("a", "bc"));
  });

  test("its first four bytes are a number, big-endian", () => {
    expect(firstUint32("\u0000\u0001\u0002\u00ffmore")).toBe(0x0102ff);
    expect(firstUint32("\u00ff\u00ff\u00ff\u00ff")).toBe(2 ** 32 - 1);
  });
});

describe("shardOfDevice", () => {
  test.each([1, 2, 16, SHARDS_MAX])("spreads devices evenly over %i shards", (shards) => {
    const devices = 200 * shards;
    const counts = Array.from({ length: shards }, () => 0);
    for (let index = 0; index < devices; index += 1)
      counts[shardOfDevice(deviceDigest("app", `device-${index}`), shards)]! += 1;
    // 200 expected in each; six standard deviations of a Poisson count either way.
    expect(Math.min(...counts)).toBeGreaterThan(115);
    expect(Math.max(...counts)).toBeLessThan(285);
  });
});

test("everything of a shard carries its hash tag, so that it lives on one Redis Cluster node", () => {
  expect(reportStream(3)).toBe("{lg:3}:reports");
  expect(deadLetterStream(3)).toBe("{lg:3}:dead");
});
