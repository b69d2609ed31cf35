// Scrapes one after another, while what Redis has of releases changes in between: each page is what an agent that was only
// just started would say, though most of it is kept from the one before.
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NO_DEVICE_HOURS } from "../../agent/health/health-window.ts";
import { createQueues, openQueueConnection } from "../../agent/jobs/queues.ts";
import type { QueueConnection, Queues } from "../../agent/jobs/queues.ts";
import { createSummaryReader } from "../../agent/journal/summary-reader.ts";
import type { ReleaseSummary } from "../../agent/journal/summary-store.ts";
import { registerScrapedMetrics } from "../../agent/metrics/scraped-metrics.ts";
import { openStores } from "../../agent/pipeline.ts";
import { systemClock } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { createRegistry } from "../../runtime/metrics.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { createRedis } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { promtoolOn } from "../support/promtool.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { failingVerdict, outcomeCounts, releaseOf } from "../support/verdicts.ts";

let server: TestRedis;
let redis: Redis;
let connection: QueueConnection;
let queues: Queues;
let stores: ReturnType<typeof openStores>;
/** Scraped again and again. */
let registry: Registry;

function startRegistry(): Registry {
  const started = createRegistry({ process: "test", version: "0.0.0" });
  registerScrapedMetrics({ registry: started, ...stores, queues, channels: { all: [] }, clock: systemClock });
  return started;
}

beforeAll(async () => {
  server = await startTestRedis();
  const logger = createLogger({ name: "test", level: "silent" });
  redis = createRedis({ url: server.url, role: "request", logger });
  await once(redis, "ready");
  connection = openQueueConnection({ redisUrl: server.url, logger });
  queues = createQueues({ connection, onError: () => {} });
  stores = openStores(redis, 1);
  registry = startRegistry();
});

afterAll(async () => {
  await queues.close();
  await connection.close();
  redis.disconnect();
  await server.stop();
});

function summaryOf(version: string, attempted: number, reason = "limit_exceeded"): ReleaseSummary {
  const release = {
    ...releaseOf("1.0.0"),
    version: version as ReleaseSummary["verdict"]["release"]["version"],
  };
  return {
    verdict: failingVerdict({
      release,
      devices: outcomeCounts({ attempted }),
      reason: reason as ReleaseSummary["verdict"]["reason"],
    }),
    hours: { ...NO_DEVICE_HOURS, active: attempted },
    evaluatedAtMs: attempted,
    firstReportAtMs: 1,
    lastReportAtMs: 1_700_000_000_000,
  };
}

const ofReleases = (page: string): string[] =>
  page
    .split("\n")
    .filter((line) => /^(?:# (?:HELP|TYPE) )?ota_(?:release|devices|active|versions|channel)_/.test(line));

/** The samples of one metric, after it was seen that the page is as that of an agent which was only just started. */
async function scrape(name: string): Promise<string[]> {
  const page = await registry.metrics();
  expect(ofReleases(page)).toEqual(ofReleases(await startRegistry().metrics()));
  return page
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`))
    .map((line) => line.slice(name.length))
    .toSorted();
}

const ofTill = (version: string): string => `{app="com.acme.till",channel="production",version="${version}"}`;

describe("scrapes one after another", () => {
  it("follow a summary that changed, one that came, and one that was forgotten", async () => {
    await stores.summaries.write(summaryOf("1.0.0", 10));
    await stores.summaries.write(summaryOf("2.0.0", 20));
    const both = [`${ofTill("1.0.0")} 10`, `${ofTill("2.0.0")} 20`];
    expect(await scrape("ota_release_devices")).toEqual(both);
    expect(await scrape("ota_release_devices")).toEqual(both);

    await stores.summaries.write(summaryOf("2.0.0", 21));
    await stores.summaries.write(summaryOf("3.0.0", 30));
    expect(await scrape("ota_release_devices")).toEqual([
      `${ofTill("1.0.0")} 10`,
      `${ofTill("2.0.0")} 21`,
      `${ofTill("3.0.0")} 30`,
    ]);

    await stores.summaries.remove(releaseOf("1.0.0"));
    expect(await scrape("ota_release_devices")).toEqual([`${ofTill("2.0.0")} 21`, `${ofTill("3.0.0")} 30`]);
  });

  it("escape what is hostile, in what is kept as well", async () => {
    const hostile = 'a"} 1\nforged_total{x="\\';
    const summary = summaryOf(hostile, 40, hostile);
    await stores.summaries.write(summary);
    const escaped = String.raw`a\"} 1\nforged_total{x=\"\\`;
    // New, and kept.
    for (let times = 0; times < 2; times += 1) {
      expect(await scrape("ota_release_devices")).toContain(`${ofTill(escaped)} 40`);
      const page = await registry.metrics();
      expect(page).toContain(`reason="${escaped}"} 1\n`);
      expect(page).not.toMatch(/^forged_total/m);
      expect((await promtoolOn(page, "check", "metrics")).output).not.toMatch(/error|unexpected/i);
    }
    await stores.summaries.remove(summary.verdict.release);
    expect(await registry.metrics()).not.toContain("forged_total");
  });

  it("fold a version that newer ones push out, and show it again when they are gone", async () => {
    const newer = Array.from({ length: 8 }, (_, index) => ({
      ...summaryOf(`4.${index}.0`, 1),
      lastReportAtMs: 1_700_000_001_000,
    }));
    const before = await scrape("ota_release_devices");
    for (const summary of newer) await stores.summaries.write(summary);
    expect(await scrape("ota_active_device_hours_total")).toContain(`${ofTill("other")} 51`);
    for (const { verdict } of newer) await stores.summaries.remove(verdict.release);
    expect(await scrape("ota_release_devices")).toEqual(before);
    expect(await scrape("ota_active_device_hours_total")).not.toContain(`${ofTill("other")} 51`);
  });
});

it("a summary is parsed anew when its text in Redis is another, and only then", async () => {
  const read = createSummaryReader(stores.summaries);
  const byVersion = async () =>
    new Map((await read()).map((each) => [each.verdict.release.version as string, each]));
  await stores.summaries.write(summaryOf("2.0.0", 21));
  await stores.summaries.write(summaryOf("3.0.0", 30));
  const first = await byVersion();
  await stores.summaries.write(summaryOf("2.0.0", 22));
  const second = await byVersion();
  expect(second.get("3.0.0")).toBe(first.get("3.0.0"));
  expect(second.get("2.0.0")?.verdict.devices.attempted).toBe(22);
  expect(first.get("2.0.0")?.verdict.devices.attempted).toBe(21);
  await stores.summaries.remove(releaseOf("3.0.0"));
  await byVersion();
  // It came back as it was: what was forgotten is not remembered.
  await stores.summaries.write(summaryOf("3.0.0", 30));
  const last = await byVersion();
  expect(last.get("3.0.0")).toEqual(first.get("3.0.0"));
  expect(last.get("3.0.0")).not.toBe(first.get("3.0.0"));
});
