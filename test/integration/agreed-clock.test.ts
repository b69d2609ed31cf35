// Work that can't be undone waits while our clock and Redis's do not agree.
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CLOCKS_APART_MS_MAX, agreedNowMs } from "../../agent/jobs/agreed-clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";

const logger = createLogger({ name: "test", level: "silent" });
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

/** Redis tells whole seconds, and some time passes while it is asked. */
const SLACK_MS = 10_000;

it.each([
  ["the same", 0],
  ["nearly an hour ahead", CLOCKS_APART_MS_MAX - SLACK_MS],
  ["nearly an hour behind", -CLOCKS_APART_MS_MAX + SLACK_MS],
])("goes by our clock when it is %s", async (_, offMs) => {
  const nowMs = Date.now() + offMs;
  expect(await agreedNowMs({ redis, clock: () => nowMs, logger })).toBe(nowMs);
});

it.each([
  ["more than an hour ahead", CLOCKS_APART_MS_MAX + SLACK_MS],
  ["more than an hour behind", -CLOCKS_APART_MS_MAX - SLACK_MS],
  ["a year ahead", 365 * 86_400_000],
])("waits when it is %s", async (_, offMs) => {
  expect(await agreedNowMs({ redis, clock: () => Date.now() + offMs, logger })).toBeUndefined();
});
