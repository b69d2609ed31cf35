// What the agent finds about a real Redis: nothing to say of the private one; and hashes that leave the compact
// form too early, where Redis tells, or nothing where it refuses to.
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkRedis } from "../../agent/preflight.ts";
import { systemClock } from "../../runtime/clock.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis(server.options);
});
afterAll(async () => {
  await redis.quit();
  await server.stop();
});

async function details(): Promise<string[]> {
  const findings = await checkRedis({ redis, replicaAcks: 0, clock: systemClock });
  return findings.map(({ level, detail }) => `${level}: ${detail}`);
}

it("the private Redis is fit", async () => {
  expect(await details()).toEqual([]);
});

it("of one that keeps only small hashes in few bytes it says what to set", async () => {
  await redis.config("SET", "hash-max-listpack-entries", 128, "hash-max-listpack-value", 64);
  const warning =
    "warn: Redis would keep devices in several times the memory (hash-max-listpack-entries is 128, " +
    "hash-max-listpack-value 64): set them to 2048 and 512.";
  expect(await details()).toEqual([warning]);
});

it("and says nothing where Redis does not tell its settings", async () => {
  await redis.acl("SETUSER", "default", "-config");
  await expect(redis.config("GET", "hash-max-listpack-entries")).rejects.toThrow("NOPERM");
  expect(await details()).toEqual([]);
});
