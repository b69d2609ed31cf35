// BullMQ's queues in a real Chromium, under the content policy of a running agent: an admin who has signed in sees them,
// nothing is asked of anybody else, and nothing of it can be changed.
import { afterAll, beforeAll, expect, test } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { createLogger } from "../../runtime/logger.ts";
import { agentSettings } from "../support/agent.ts";
import { startChromium } from "../support/chromium.ts";
import type { TestBrowser } from "../support/chromium.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL } from "../support/verdicts.ts";

let server: TestRedis;
let agent: RunningAgent;
let browser: TestBrowser;

beforeAll(async () => {
  server = await startTestRedis();
  agent = await startAgent({
    settings: agentSettings(
      [{ name: TILL.app, otaUrl: "http://127.0.0.1:9" }],
      [{ name: "ana", role: "admin", token: "token-of-ana" }],
    ),
    redisUrl: server.url,
    version: "1.2.3",
    logger: createLogger({ name: "test", level: "silent" }),
  });
  browser = await startChromium();
});

afterAll(async () => {
  await browser.close();
  await agent.stop(5_000);
  await server.stop();
});

test("an admin who has signed in sees every queue, and nothing comes from elsewhere", async () => {
  const { page, complaints } = await browser.open(`${agent.url}/healthz`);
  const signedIn = await page.evaluate<number>(
    `fetch("/v1/session", { method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ token: "token-of-ana" }) }).then((response) => response.status)`,
  );
  expect(signedIn).toBe(204);
  // A browser asks for an icon of what has none.
  const before = complaints.length;
  const asked: string[] = [];
  page.on("request", (request) => void asked.push(request.url()));
  await page.goto(`${agent.url}/queues`);
  for (const queue of ["fold", "evaluate", "rollback", "poll", "upkeep"])
    await page.getByText(queue, { exact: true }).first().waitFor();
  expect(asked.length).toBeGreaterThan(5);
  expect(asked.filter((url) => !url.startsWith(`${agent.url}/queues`) && !url.startsWith("data:"))).toEqual(
    [],
  );
  await page.goto(`${agent.url}/queues/queue/fold`);
  await page.getByText("fold", { exact: true }).first().waitFor();
  const changed = await page.evaluate<number>(
    `fetch("/queues/api/queues/fold/pause", { method: "PUT", headers: { "content-type": "application/json" } }).then((response) => response.status)`,
  );
  expect(changed).toBe(405);
  expect(complaints.slice(before).filter((text) => !text.includes("status of 405"))).toEqual([]);
});
