// The daily summary on its way: the calendar's queue, a running agent, a webhook. Once for each time, however many
// agents and tries; a webhook that is away gets it later, for an hour.
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { createQueues, openQueueConnection } from "../../agent/jobs/queues.ts";
import type { Queues } from "../../agent/jobs/queues.ts";
import { TRY_FOR_MS, sendDueSummaries } from "../../agent/jobs/send-summary.ts";
import { DAILY_SUMMARIES } from "../../agent/journal/control-keys.ts";
import { KEPT_MS, createDailySummaryStore } from "../../agent/paging/daily-summary-store.ts";
import { createLogger } from "../../runtime/logger.ts";
import { agentSettings } from "../support/agent.ts";
import { startJsonDouble } from "../support/json-double.ts";
import type { JsonDouble } from "../support/json-double.ts";
import { freePort, startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { waitUntil } from "../support/wait-until.ts";

const logger = createLogger({ name: "test", level: "silent" });
const MINUTE = "2026-01-31T08:00";
const MINUTE_MS = Date.parse(`${MINUTE}:00Z`);

let server: TestRedis;
let redis: Redis;
let webhook: JsonDouble;

beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
});
beforeEach(async () => {
  await redis.flushall();
  webhook = await startJsonDouble();
});
afterEach(() => webhook.close());
afterAll(async () => {
  await redis.quit();
  await server.stop();
});

describe("two running agents", () => {
  let agents: RunningAgent[];
  let queues: Queues;
  let close: () => Promise<void>;

  beforeEach(async () => {
    const settings = {
      ...agentSettings([{ name: "till", otaUrl: "http://127.0.0.1:9" }]),
      externalUrl: "https://lastgood.example",
      summary: { webhook: `${webhook.url}/hook?key=1`, at: "0 8 * * *", timezone: "Europe/Berlin" },
    };
    agents = await Promise.all(
      [1, 2].map(() => startAgent({ settings, redisUrl: server.url, version: "1.2.3", logger })),
    );
    const connection = openQueueConnection({ redisUrl: server.url, logger });
    queues = createQueues({ connection, onError: () => {} });
    close = async () => {
      await queues.close();
      await connection.close();
    };
  });
  afterEach(async () => {
    await close();
    await Promise.all(agents.map((agent) => agent.stop(5_000)));
  });

  it("send one, with text and numbers, whoever asks for it and when", async () => {
    const [today, tomorrow] = [0, 1].map((days) =>
      new Date(Date.now() + days * 86_400_000).toISOString().slice(0, MINUTE.length),
    ) as [string, string];
    await Promise.all([queues.summary(today), queues.summary(today)]);
    await waitUntil(
      () => webhook.requests.length,
      (count) => count > 0,
    );
    // An agent whose clock is slow asks when it has long been done.
    await queues.summary(today);
    await queues.summary(tomorrow);
    await waitUntil(
      () => webhook.requests.length,
      (count) => count > 1,
    );
    expect(await redis.hgetall(DAILY_SUMMARIES)).toMatchObject({
      [today]: "sent",
      [tomorrow]: "sent",
    });
    expect(webhook.requests.map(({ path }) => path)).toEqual(["/hook?key=1", "/hook?key=1"]);
    const { text, summary } = webhook.requests[0]!.body as { text: string; summary: { pipeline: object } };
    expect(text).toMatch(/^Lastgood, 24 hours to .* UTC\nReleases watched: 0\n/);
    expect(text).toContain("https://lastgood.example/");
    expect(summary.pipeline).toMatchObject({ waiting_entries: 0, dead_letters_kept: 0 });
  });
});

describe("a webhook in trouble", () => {
  const store = () => createDailySummaryStore({ redis });
  const send = (nowMs: number, url = webhook.url) =>
    sendDueSummaries({
      store: store(),
      webhook: url,
      readInput: () =>
        Promise.resolve({
          nowMs,
          releases: [],
          decisions: [],
          pending: new Set<string>(),
          holds: new Map(),
          lag: [],
          deadLetters: { kept: 0, dropped: 0 },
          externalUrl: undefined,
        }),
      nowMs,
      logger,
    });
  const state = () => redis.hget(DAILY_SUMMARIES, MINUTE);
  beforeEach(() => store().ask(MINUTE, MINUTE_MS));

  it("is away: later", async () => {
    await send(MINUTE_MS, `http://127.0.0.1:${await freePort()}`);
    expect(await state()).toBe("due");
    await send(MINUTE_MS + 10_000);
    await send(MINUTE_MS + 20_000);
    expect([await state(), webhook.requests.length]).toEqual(["sent", 1]);
  });

  it.each([
    [TRY_FOR_MS - 1, "due"],
    [TRY_FOR_MS, "given_up"],
  ])("still says no after %i ms: %s", async (ms, expected) => {
    webhook.answer(() => ({ status: 503 }));
    await send(MINUTE_MS + ms);
    expect(await state()).toBe(expected);
  });

  it("one that a process began and never ended is not sent twice", async () => {
    await store().begin(MINUTE, MINUTE_MS);
    await send(MINUTE_MS + 120_000);
    expect(webhook.requests.length).toBe(0);
  });

  it.each([
    [KEPT_MS, 1],
    [KEPT_MS + 1, 0],
  ])("is remembered for %i ms: %i", async (ms, fields) => {
    await send(MINUTE_MS);
    await store().ask("2026-02-28T08:00", MINUTE_MS + ms);
    const names = await redis.hkeys(DAILY_SUMMARIES);
    expect(names.filter((name) => name === MINUTE).length).toBe(fields);
  });
});
