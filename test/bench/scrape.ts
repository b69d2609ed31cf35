// `npm run bench:scrape`: what a scrape of the agent's /metrics takes. Enters: flags. Fills a Redis of its own with the
// summaries of many releases, and scrapes what serves them in the agent, over HTTP (without the jobs, which would forget
// releases that nobody reports about). Leaves: a table, each time beside that of a server
// which answers the same bytes without reading or rendering anything, in the same run. Nothing here passes or fails.
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { Command } from "commander";
import express from "express";
import { Redis } from "ioredis";
import { NO_DEVICE_HOURS } from "../../agent/health/health-window.ts";
import { createQueues, openQueueConnection } from "../../agent/jobs/queues.ts";
import { createSummaryStore } from "../../agent/journal/summary-store.ts";
import type { SignalEvidence } from "../../agent/judge/verdict.ts";
import { registerScrapedMetrics } from "../../agent/metrics/scraped-metrics.ts";
import { openStores } from "../../agent/pipeline.ts";
import type { Policy } from "../../agent/policy/policy.ts";
import type { AppId, Channel, ChannelKey } from "../../ingest/contract/release-key.ts";
import { systemClock } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { createRegistry, metricsHandler } from "../../runtime/metrics.ts";
import { createRedis } from "../../runtime/redis.ts";
import { startTestRedis } from "../support/redis.ts";
import { failingVerdict, releaseOf, samplePolicy } from "../support/verdicts.ts";
import { parseWholeNumbers } from "./options.ts";
import { quantile } from "./quantile.ts";

interface Flags {
  readonly apps: number;
  readonly channels: number;
  readonly versions: number;
  readonly scrapes: number;
  readonly json?: true;
}

const SHARDS = 16;
const one = (text: string): number => parseWholeNumbers(text)[0]!;

function readFlags(): Flags {
  return new Command("bench:scrape")
    .usage("[flags]   (npm run bench:scrape -- [flags])")
    .description("Time that a scrape of the agent's /metrics takes.")
    .option("--apps <n>", "apps", one, 50)
    .option("--channels <n>", "channels of each app", one, 3)
    .option("--versions <n>", "versions of each channel", one, 8)
    .option("--scrapes <n>", "scrapes of each kind", one, 40)
    .option("--json", "print the result as JSON")
    .parse()
    .opts<Flags>();
}

const appOf = (index: number): AppId => `com.acme.app${index}` as AppId;
const channelOf = (index: number): Channel => `channel${index}` as Channel;
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

const SIGNAL: SignalEvidence = {
  signal: "update_failure",
  rule: "limit",
  unit: "devices",
  failures: 12,
  trials: 4_000,
  limit: 0.05,
  allowance: null,
  baseline: { failures: 8, trials: 4_000 },
  evidenceLog10: 0.4,
  thresholdLog10: 2.6,
  safetyLog10: 1,
  rate: { low: 0.001, high: 0.01 },
  ratio: { low: 0.5, high: 3 },
  unmeasured: null,
  segments: [],
};
const SIGNALS: readonly SignalEvidence[] = [
  SIGNAL,
  { ...SIGNAL, signal: "download_failure" },
  { ...SIGNAL, signal: "crash", rule: "worse_than_baseline", unit: "device_hours" },
];

async function fill(redisUrl: string, { apps, channels, versions }: Flags): Promise<void> {
  const redis = new Redis(redisUrl, { replyMapping: "legacy" });
  const summaries = createSummaryStore({ redis });
  for (const app of range(apps))
    for (const channel of range(channels))
      await Promise.all(
        range(versions).map((version) => {
          const release = releaseOf(`1.${version}.0`, { app: appOf(app), channel: channelOf(channel) });
          return summaries.write({
            verdict: failingVerdict({ kind: "healthy", reason: "within_limits", release, signals: SIGNALS }),
            hours: { ...NO_DEVICE_HOURS, active: 4_000, crashed: 3 },
            evaluatedAtMs: Date.now(),
            firstReportAtMs: Date.now(),
            lastReportAtMs: Date.now() - version * 60_000,
          });
        }),
      );
  redis.disconnect();
}

function watchedChannels({ apps, channels }: Flags): { readonly key: ChannelKey; readonly policy: Policy }[] {
  return range(apps).flatMap((app) =>
    range(channels).map((channel) => ({
      key: { app: appOf(app), channel: channelOf(channel) },
      policy: samplePolicy(),
    })),
  );
}

interface Measurement {
  readonly what: string;
  readonly medianMs: number;
  readonly p95Ms: number;
}

async function timeEach(what: string, url: string, scrapes: number): Promise<Measurement> {
  const times: number[] = [];
  for (let scrape = 0; scrape < scrapes; scrape += 1) {
    const startMs = performance.now();
    await (await fetch(url)).text();
    times.push(performance.now() - startMs);
  }
  return { what, medianMs: quantile(times, 0.5), p95Ms: quantile(times, 0.95) };
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
}

async function main(): Promise<void> {
  const flags = readFlags();
  const testRedis = await startTestRedis();
  await fill(testRedis.url, flags);
  const logger = createLogger({ name: "bench", level: "silent" });
  const redis = createRedis({ url: testRedis.url, role: "request", logger });
  const connection = openQueueConnection({ redisUrl: testRedis.url, logger });
  const queues = createQueues({ connection, onError: () => {} });
  const registry = createRegistry({ process: "agent", version: "0.0.0" });
  const channels = { all: watchedChannels(flags) };
  registerScrapedMetrics({ registry, ...openStores(redis, SHARDS), queues, channels, clock: systemClock });
  const serving = createServer(express().get("/metrics", metricsHandler(registry)));
  const url = await listen(serving);
  const text = await (await fetch(url)).text();
  const bare = createServer((_request, response) => void response.end(text));
  const bareUrl = await listen(bare);
  // Warm: as an agent is that has been scraped for a while.
  await timeEach("warm", url, flags.scrapes);
  const reference = await timeEach("the same bytes from a bare server", bareUrl, flags.scrapes);
  const scraped = await timeEach("a scrape", url, flags.scrapes);
  const series = text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length;
  report(flags, { series, bytes: Buffer.byteLength(text), measurements: [reference, scraped] });
  for (const server of [serving, bare]) {
    server.close();
    server.closeAllConnections();
  }
  await queues.close();
  await connection.close();
  redis.disconnect();
  await testRedis.stop();
}

interface Result {
  readonly series: number;
  readonly bytes: number;
  readonly measurements: readonly [Measurement, Measurement];
}

function report(flags: Flags, { series, bytes, measurements }: Result): void {
  const [reference] = measurements;
  const ratios = measurements.map((each) => ({ ...each, ratio: each.medianMs / reference.medianMs }));
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ ...flags, series, bytes, measurements: ratios }, null, 2)}\n`);
    return;
  }
  const releases = flags.apps * flags.channels * flags.versions;
  process.stdout.write(
    [
      `${releases} releases (${flags.apps} apps × ${flags.channels} channels × ${flags.versions} versions): ${series} series, ${bytes} bytes`,
      "",
      `${"".padEnd(36)}${"median".padStart(10)}${"p95".padStart(10)}${"ratio".padStart(8)}`,
      ...ratios.map(
        ({ what, medianMs, p95Ms, ratio }) =>
          `${what.padEnd(36)}${`${medianMs.toFixed(1)} ms`.padStart(10)}${`${p95Ms.toFixed(1)} ms`.padStart(10)}${ratio.toFixed(1).padStart(8)}`,
      ),
      "",
    ].join("\n"),
  );
}

await main();
