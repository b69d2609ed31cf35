// The time for work that throws things away: rolling windows up and forgetting devices can't be undone, so
// a clock that is wrong must not start it. Enters: our clock and Redis's. Leaves: a time that both agree on.
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { primariesOf } from "../../runtime/redis-servers.ts";
import type { Redis } from "../../runtime/redis.ts";

/** How far the two clocks may be apart, in milliseconds. */
export const CLOCKS_APART_MS_MAX = 3_600_000;

/** Undefined, and a warning, when the clocks do not agree. */
export async function agreedNowMs({
  redis,
  clock,
  logger,
}: {
  redis: Redis;
  clock: Clock;
  logger: Logger;
}): Promise<number | undefined> {
  const [seconds] = await primariesOf(redis)[0]!.time();
  const nowMs = clock();
  const apartMs = Math.abs(nowMs - Number(seconds) * 1_000);
  if (apartMs <= CLOCKS_APART_MS_MAX) return nowMs;
  logger.warn(
    { apart_ms: apartMs },
    "our clock and Redis's are too far apart: windows are not rolled up and no device is forgotten until they agree",
  );
  return undefined;
}
