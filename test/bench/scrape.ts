// `npm run bench:scrape`: what a scrape of the agent's /metrics takes. Enters: flags. Fills a Redis of its own with the
// summaries of many releases, and scrapes what serves them in the agent, over HTTP (without the jobs, which would forget
// releases that nobody reports about). Leaves: a table, each time beside that of a server which answers the same bytes without
// reading or rendering anything, in the same run. Every page is checked: a time of one that lacks series, or that has not what
// Redis has, is not printed. But for that nothing here passes or fails.
import { once } from "node:events";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { Command } from "commander";
import express from "express";
import { NO_DEVICE_HOURS } from "../../agent/health/health-window.ts";
import { createQueues, openQueueConnection } from "../../agent/jobs/queues.ts";
import type { ReleaseSummary, SummaryStore } from "../../agent/journal/summary-store.ts";
import type { SignalEvidence } from "../../agent/judge/verdict.ts";
import { LASTING_OUTCOMES, VERSIONS_PER_CHANNEL_SHOWN } from "../../agent/metrics/release-metrics.ts";
import { registerScrapedMetrics } from "../../agent/metrics/scraped-metrics.ts";
import { openStores } from "../../agent/pipeline.ts";
import type { Policy } from "../../agent/policy/policy.ts";
import type { AppId, Channel, ChannelKey } from "../../ingest/contract/release-key.ts";
import { systemClock } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { createRegistry, metricsHandler } from "../../runtime/metrics.ts";
import { createRedis } from "../../runtime/redis.ts";
import { startTestRedis } from "../support/redis.ts";
import { failingVerdict, outcomeCounts, releaseOf, samplePolicy } from "../support/verdicts.ts";
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

function summariesOf({ apps, channels, versions }: Flags): ReleaseSummary[] {
  const nowMs = Date.now();
  return range(apps).flatMap((app) =>
    range(channels).flatMap((channel) =>
      range(versions).map((version) => {
        const release = releaseOf(`1.${version}.0`, { app: appOf(app), channel: channelOf(channel) });
        return {
          verdict: failingVerdict({ kind: "healthy", reason: "within_limits", release, signals: SIGNALS }),
          hours: { ...NO_DEVICE_HOURS, active: 4_000, crashed: 3 },
          evaluatedAtMs: nowMs,
          firstReportAtMs: nowMs,
          lastReportAtMs: nowMs - version * 60_000,
        };
      }),
    ),
  );
}

/** What Redis has, and what it has a part of anew with each call. */
function createFleet(store: SummaryStore, summaries: ReleaseSummary[]) {
  let next = 0;
  let attempted = 5_000;
  let newest = "";
  return {
    /** The sample that a page must have which was read after the last change. */
    newest: (): string => newest,
    async change(count: number): Promise<void> {
      attempted += 1;
      const changed = range(count).map((step) => {
        const summary = summaries[(next + step) % summaries.length]!;
        const devices = outcomeCounts({ attempted, announced: attempted, silent: attempted - 4_000 });
        return { ...summary, verdict: { ...summary.verdict, devices } };
      });
      next += count;
      await Promise.all(changed.map((summary) => store.write(summary)));
      const { app, channel, version } = changed.at(-1)!.verdict.release;
      newest = `\nota_release_devices{app="${app}",channel="${channel}",version="${version}"} ${attempted}\n`;
    },
  };
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

interface Scrapes {
  readonly what: string;
  readonly url: string;
  readonly times: number;
  /** Not timed. */
  readonly before?: () => Promise<void>;
  /** Not timed; throws when the page is wrong. */
  readonly check: (page: string) => void;
}

async function timeEach({ what, url, times, before, check }: Scrapes): Promise<Measurement> {
  const taken: number[] = [];
  for (let scrape = 0; scrape < times; scrape += 1) {
    await before?.();
    const startMs = performance.now();
    const page = await (await fetch(url)).text();
    taken.push(performance.now() - startMs);
    check(page);
  }
  return { what, medianMs: quantile(taken, 0.5), p95Ms: quantile(taken, 0.95) };
}

/** Without making a string of each: what is collected afterwards would be counted with the next scrape. */
function countLines(text: string, start: string): number {
  let lines = 0;
  for (let at = text.indexOf(`\n${start}`); at >= 0; at = text.indexOf(`\n${start}`, at + 1)) lines += 1;
  return lines;
}

/** A time of a page that lacks something would be one of another, shorter page. */
function checkPage({ apps, channels, versions }: Flags, newest: string, page: string): void {
  const shown = apps * channels * Math.min(versions, VERSIONS_PER_CHANNEL_SHOWN);
  const wrong =
    countLines(page, "ota_redis_up 1\n") !== 1 ||
    countLines(page, "ota_release_devices{") !== shown ||
    countLines(page, "ota_release_evidence{") !== shown * SIGNALS.length ||
    countLines(page, "ota_devices_total{") < shown * LASTING_OUTCOMES.length ||
    !page.includes(newest);
  if (wrong) throw new Error("The page is not what Redis has: no time is printed. Run it once more.");
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
}

async function main(): Promise<void> {
  const flags = readFlags();
  const testRedis = await startTestRedis();
  const logger = createLogger({ name: "bench", level: "silent" });
  const redis = createRedis({ url: testRedis.url, role: "request", logger });
  const connection = openQueueConnection({ redisUrl: testRedis.url, logger });
  const queues = createQueues({ connection, onError: () => {} });
  const stores = openStores(redis, SHARDS);
  // It queues nothing: before that, a page would only say that Redis is away.
  if (redis.status !== "ready") await once(redis, "ready");
  const summaries = summariesOf(flags);
  const fleet = createFleet(stores.summaries, summaries);
  await fleet.change(summaries.length);
  const registry = createRegistry({ process: "agent", version: "0.0.0" });
  const channels = { all: watchedChannels(flags) };
  registerScrapedMetrics({ registry, ...stores, queues, channels, clock: systemClock });
  const serving = createServer(express().get("/metrics", metricsHandler(registry)));
  const text = await measure(flags, { summaries: summaries.length, fleet, url: await listen(serving) });
  process.stdout.write(text);
  serving.close();
  serving.closeAllConnections();
  await queues.close();
  await connection.close();
  redis.disconnect();
  await testRedis.stop();
}

interface Measured {
  readonly summaries: number;
  readonly fleet: ReturnType<typeof createFleet>;
  readonly url: string;
}

async function measure(flags: Flags, { summaries, fleet, url }: Measured): Promise<string> {
  let page = "";
  const check = (text: string): void => {
    checkPage(flags, fleet.newest(), text);
    page = text;
  };
  const scrape = (what: string, changed: number, times = flags.scrapes): Promise<Measurement> =>
    timeEach({ what, url, times, check, ...(changed > 0 && { before: () => fleet.change(changed) }) });
  const first = await scrape("the first of the process", 0, 1);
  // As an agent is that has been scraped for a while.
  await scrape("warm", Math.ceil(summaries / 2), Math.ceil(flags.scrapes / 2));
  const bytes = Buffer.from(page);
  const bare = createServer((_request, response) => void response.end(bytes));
  const reference = await timeEach({
    what: "the same bytes from a bare server",
    url: await listen(bare),
    times: flags.scrapes,
    check: () => {},
  });
  const measurements = [
    reference,
    first,
    await scrape("nothing changed", 0),
    await scrape("5% of the releases changed", Math.ceil(summaries / 20)),
    await scrape("all releases changed", summaries),
  ] as const;
  bare.close();
  bare.closeAllConnections();
  const series = page.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length;
  return report(flags, { series, bytes: Buffer.byteLength(page), measurements });
}

interface Result {
  readonly series: number;
  readonly bytes: number;
  /** First what the others are compared with. */
  readonly measurements: readonly [Measurement, ...Measurement[]];
}

function report(flags: Flags, { series, bytes, measurements }: Result): string {
  const [reference] = measurements;
  const ratios = measurements.map((each) => ({ ...each, ratio: each.medianMs / reference.medianMs }));
  if (flags.json === true)
    return `${JSON.stringify({ ...flags, series, bytes, measurements: ratios }, null, 2)}\n`;
  const releases = flags.apps * flags.channels * flags.versions;
  return [
    `${releases} releases (${flags.apps} apps × ${flags.channels} channels × ${flags.versions} versions): ${series} series, ${bytes} bytes`,
    "",
    `${"".padEnd(36)}${"median".padStart(10)}${"p95".padStart(10)}${"ratio".padStart(8)}`,
    ...ratios.map(
      ({ what, medianMs, p95Ms, ratio }) =>
        `${what.padEnd(36)}${`${medianMs.toFixed(1)} ms`.padStart(10)}${`${p95Ms.toFixed(1)} ms`.padStart(10)}${ratio.toFixed(1).padStart(8)}`,
    ),
    "",
  ].join("\n");
}

await main();
