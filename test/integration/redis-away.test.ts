// What an agent says and does while its Redis is gone: it answers people and Prometheus, and it stops.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { createLogger } from "../../runtime/logger.ts";
import { agentSettings } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL } from "../support/verdicts.ts";

const ANSWER_MS_MAX = 6_000;
const STOP_MS = 10_000;

let server: TestRedis;
let agent: RunningAgent;

beforeAll(async () => {
  server = await startTestRedis();
  agent = await startAgent({
    settings: agentSettings([{ name: TILL.app, otaUrl: "http://127.0.0.1:1" }]),
    redisUrl: server.url,
    version: "1.2.3",
    logger: createLogger({ name: "test", level: "silent" }),
  });
  await server.kill();
});

afterAll(async () => {
  await server.stop();
});

function ask(path: string): Promise<Response> {
  return fetch(`${agent.url}${path}`, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
}

describe("an agent whose Redis is gone", () => {
  it("answers a scrape, and says that Redis is down", async () => {
    const response = await ask("/metrics");
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(text).toMatch(/^ota_redis_up 0$/m);
    expect(text).not.toMatch(/^ota_devices_total\{/m);
    // A 0 would be a lie: nobody could count.
    for (const name of ["ota_rollbacks_pending", "ota_folded_reports_total", "ota_rollback_duration_seconds"])
      expect(text).not.toMatch(new RegExp(`^${name}`, "m"));
  });

  it("is not ready, but alive", async () => {
    expect((await ask("/readyz")).status).toBe(503);
    expect((await ask("/healthz")).status).toBe(200);
  });

  it.each(["/v1/status", "/v1/releases/a/b/1", "/v1/devices/a/1", "/v1/decisions", "/v1/journal", "/v1/lag"])(
    "tells %s when to ask again",
    async (path) => {
      const response = await ask(path);
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toBe("2");
      expect(await response.json()).toMatchObject({ code: "redis_unavailable" });
    },
  );

  it("stops within its deadline", async () => {
    const startedAtMs = performance.now();
    await agent.stop(STOP_MS);
    expect(performance.now() - startedAtMs).toBeLessThan(STOP_MS + 1_000);
  });
});
