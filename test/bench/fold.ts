// `npm run bench:fold`: how long the agent takes to fold reports. Enters: flags. Starts a redis-server of its own,
// makes a fleet known, fills the streams, and folds them; beside it stands the time that reading and parsing
// the same entries takes, below which no fold can be. Leaves: a table. Nothing here passes or fails.
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import process from "node:process";
import { Command } from "commander";
import { Redis } from "ioredis";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { startTestRedis } from "../support/redis.ts";
import type { Said } from "./fleet-profiles.ts";
import { scramble } from "./fleet-profiles.ts";
import type { ServerOptions } from "./memory-use.ts";
import { parseWholeNumbers } from "./options.ts";
import { createProgress } from "./progress.ts";
import type { Progress } from "./progress.ts";
import { SHARDS, createFleet, foldAll, openShards, writeReports } from "./report-feed.ts";
import type { Fleet } from "./report-feed.ts";

const START_MS = Date.UTC(2026, 0, 31, 12);
const HOUR_MS = 3_600_000;
/** The reports were sent within it. */
const SENT_WITHIN_MS = HOUR_MS;
/** As many as a gateway sends for its devices; it is read back in the same form. */
const REPORTS_PER_ENTRY = 100;
/** Reports written and folded in one go while the fleet is made known. */
const KNOWN_AT_ONCE = 200_000;
const ENTRIES_PER_READ = 50;

interface Times {
  readonly seconds: number;
  readonly reportsPerSecond: number;
  /** Of all threads; says more than `seconds` on a machine that does other things as well. */
  readonly processCpuSeconds: number;
  readonly redisCpuSeconds: number;
}

interface Measurement {
  readonly devices: number;
  readonly reports: number;
  readonly fold: Times;
  /** Reading and parsing the same entries, and nothing else. */
  readonly read: Times;
  readonly ratio: number;
}

interface Flags {
  readonly reports: number;
  readonly devices: readonly number[];
  readonly profileTo?: string;
  readonly json?: true;
}

function readFlags(): Flags {
  return new Command("bench:fold")
    .usage("[flags]   (npm run bench:fold -- [flags])")
    .description("Time that folding reports takes, with the streams filled before.")
    .option("--reports <n>", "reports to fold", (text) => parseWholeNumbers(text)[0]!, 1_000_000)
    .option("--devices <list>", "devices known before", parseWholeNumbers, [100_000, 1_000_000])
    .option("--profile-to <file>", "write a CPU profile of the folding (.cpuprofile)")
    .option("--json", "print the result as JSON on stdout, progress on stderr")
    .parse()
    .opts<Flags>();
}

/** Every device has been on 1.0.0 for weeks. */
function* knownBefore(devices: number, first: number, last: number): Generator<Said> {
  for (let device = first; device < Math.min(last, devices); device += 1) {
    const atMs = START_MS - 20 * 24 * HOUR_MS + (device % 1_440) * 60_000;
    yield { device, version: "1.0.0", event: "confirmed", atMs, sentAtMs: atMs };
  }
}

/** Out of 20 reports: a rollout of 1.1.0 among devices in use. */
const EVENTS = [
  ["1.1.0", "update_started", 4],
  ["1.1.0", "installed", 3],
  ["1.1.0", "confirmed", 3],
  ["1.1.0", "active", 3],
  ["1.0.0", "active", 5],
  ["1.0.0", "crashed", 1],
  ["1.1.0", "install_failed", 1],
] as const;
const EVENT_OF_20 = EVENTS.flatMap((each) => Array.from({ length: each[2] }, () => each));

/** Devices by chance, so that hardly two reports of a batch are of the same one. */
function* newReports(devices: number, reports: number): Generator<Said> {
  for (let index = 0; index < reports; index += 1) {
    const chance = scramble(index);
    const [version, event] = EVENT_OF_20[chance % 20]!;
    const sentAtMs = START_MS + Math.floor((index / reports) * SENT_WITHIN_MS);
    yield {
      device: scramble(index * 2 + 1) % devices,
      version,
      event,
      atMs: sentAtMs - (chance % 60_000),
      sentAtMs,
    };
  }
}

async function measure(
  devices: number,
  { reports, profileTo }: Flags,
  progress: Progress,
): Promise<Measurement> {
  const server = await startTestRedis();
  const redis = new Redis(server.options);
  try {
    const fleet = createFleet(devices);
    await makeKnown(redis, fleet, progress);
    progress.say(() => `${devices} devices: writing ${reports} reports`);
    const said = newReports(devices, reports);
    await writeReports(redis, { fleet, said, reportsPerEntry: REPORTS_PER_ENTRY });
    const read = await timed(server.options, reports, () => readAndParse(redis));
    // Stores of their own, as an agent that has just started.
    const shards = openShards(redis);
    const nowMs = START_MS + SENT_WITHIN_MS;
    const work = (): Promise<number> => foldAll(shards, nowMs);
    const fold = await timed(server.options, reports, () =>
      profileTo === undefined ? work() : profiled(profileTo, work),
    );
    progress.end();
    return { devices, reports, fold, read, ratio: fold.seconds / read.seconds };
  } finally {
    await redis.quit();
    await server.stop();
  }
}

async function makeKnown(redis: Redis, fleet: Fleet, progress: Progress): Promise<void> {
  const shards = openShards(redis);
  for (let first = 0; first < fleet.devices; first += KNOWN_AT_ONCE) {
    const said = knownBefore(fleet.devices, first, first + KNOWN_AT_ONCE);
    await writeReports(redis, { fleet, said, reportsPerEntry: REPORTS_PER_ENTRY });
    await foldAll(shards, START_MS - HOUR_MS);
    progress.say(() => `${fleet.devices} devices: ${first + KNOWN_AT_ONCE} are known`);
  }
}

async function readAndParse(redis: Redis): Promise<number> {
  let reports = 0;
  for (let shard = 0; shard < SHARDS; shard += 1)
    for (let after = "-"; ;) {
      const rows = await redis.xrange(reportStream(shard), after, "+", "COUNT", ENTRIES_PER_READ);
      for (const [, fields] of rows) reports += (JSON.parse(fields[5]!) as unknown[]).length;
      if (rows.length < ENTRIES_PER_READ) break;
      after = `(${rows.at(-1)![0]}`;
    }
  return reports;
}

async function timed(options: ServerOptions, expected: number, work: () => Promise<number>): Promise<Times> {
  const observer = new Redis(options);
  const redisBefore = await redisCpuSeconds(observer);
  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  const reports = await work();
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const redisSeconds = (await redisCpuSeconds(observer)) - redisBefore;
  await observer.quit();
  if (reports !== expected) throw new Error(`${reports} reports, and there should be ${expected}`);
  return {
    seconds,
    reportsPerSecond: reports / seconds,
    processCpuSeconds: (user + system) / 1e6,
    redisCpuSeconds: redisSeconds,
  };
}

async function redisCpuSeconds(redis: Redis): Promise<number> {
  const info = await redis.info("cpu");
  const seconds = (name: string): number => Number(new RegExp(`^${name}:(.+)$`, "m").exec(info)?.[1]);
  return seconds("used_cpu_user") + seconds("used_cpu_sys");
}

async function profiled<T>(file: string, work: () => Promise<T>): Promise<T> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.start");
  const result = await work();
  const { profile } = await session.post("Profiler.stop");
  session.disconnect();
  writeFileSync(file, JSON.stringify(profile));
  return result;
}

function render(measurements: readonly Measurement[]): string {
  const header = [
    "devices known",
    "reports/s",
    "seconds per 1M reports",
    "CPU seconds of the agent",
    "CPU seconds of Redis",
    "reading and parsing alone",
    "ratio",
  ];
  const rows = measurements.map(({ devices, reports, fold, read, ratio }) => {
    const perMillion = (seconds: number): string => ((seconds / reports) * 1e6).toFixed(1);
    return [
      devices.toLocaleString("en"),
      Math.round(fold.reportsPerSecond).toLocaleString("en"),
      perMillion(fold.seconds),
      perMillion(fold.processCpuSeconds),
      perMillion(fold.redisCpuSeconds),
      perMillion(read.seconds),
      ratio.toFixed(1),
    ];
  });
  return `${[header, header.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")}\n`;
}

async function main(): Promise<void> {
  const flags = readFlags();
  const progress = createProgress();
  const measurements: Measurement[] = [];
  for (const devices of flags.devices) measurements.push(await measure(devices, flags, progress));
  process.stdout.write(
    flags.json === true ? `${JSON.stringify(measurements, null, 2)}\n` : render(measurements),
  );
}

await main();
// Connections that were closed hold timers for two more seconds.
process.exit();
