// `npm run bench:memory`: how many bytes of Redis memory a device costs. Enters: flags. Starts a redis-server of
// its own, folds the reports of a simulated fleet, and prints `used_memory` before and after, per device.
import process from "node:process";
import { Command, Option } from "commander";
import { Redis } from "ioredis";
import { rollUpShard } from "../../agent/jobs/roll-up.ts";
import { startTestRedis } from "../support/redis.ts";
import { PROFILES } from "./fleet-profiles.ts";
import type { Profile } from "./fleet-profiles.ts";
import { measureMemory, takeApart } from "./memory-use.ts";
import type { MemoryLook, MemoryUse, ServerOptions } from "./memory-use.ts";
import { parseWholeNumbers } from "./options.ts";
import { createProgress } from "./progress.ts";
import type { Progress } from "./progress.ts";
import { createFleet, foldAll, openShards, writeReports } from "./report-feed.ts";

/** Longer than the deadline: every device's time to answer is over at the end. */
const AFTERWARDS_MS = 7 * 3_600_000;
const REPORTS_PER_ENTRY = 1_000;

interface Measurement {
  readonly profile: string;
  readonly devices: number;
  readonly reports: number;
  readonly seconds: number;
  readonly before: MemoryLook;
  readonly after: MemoryLook;
  readonly use: MemoryUse;
  readonly bytesPerDevice: number;
}

interface Flags {
  readonly devices: readonly number[];
  readonly profile: readonly string[];
  readonly json?: true;
}

function readFlags(): Flags {
  const names = PROFILES.map(({ name }) => name);
  return new Command("bench:memory")
    .usage("[flags]   (npm run bench:memory -- [flags])")
    .description("Bytes of Redis memory per device, for fleets of several sizes and lives.")
    .option("--devices <list>", "sizes of the fleet", parseWholeNumbers, [100_000, 1_000_000])
    .addOption(new Option("--profile <name...>", "lives of the devices").choices(names).default(["rollout"]))
    .option("--json", "print the result as JSON on stdout, progress on stderr")
    .addHelpText("after", `\n${PROFILES.map(({ name, describes }) => `  ${name}: ${describes}`).join("\n")}`)
    .parse()
    .opts<Flags>();
}

async function measure(profile: Profile, devices: number, progress: Progress): Promise<Measurement> {
  const server = await startTestRedis();
  try {
    const { options } = server;
    const before = await measureMemory(options);
    const startedAtMs = performance.now();
    const reports = await live(profile, devices, { options, progress });
    const seconds = (performance.now() - startedAtMs) / 1_000;
    const after = await measureMemory(options);
    const use = await takeApart(options, before.usedBytes);
    const bytesPerDevice = (after.usedBytes - before.usedBytes) / devices;
    return { profile: profile.name, devices, reports, seconds, before, after, use, bytesPerDevice };
  } finally {
    await server.stop();
  }
}

/** The fleet lives its life, hour by hour; the agent folds, looks for silence and rolls up. Leaves: reports folded. */
async function live(
  profile: Profile,
  devices: number,
  { options, progress }: { options: ServerOptions; progress: Progress },
): Promise<number> {
  const redis = new Redis(options);
  const shards = openShards(redis);
  const fleet = createFleet(devices);
  const settle = async (nowMs: number): Promise<number> => {
    const folded = await foldAll(shards, nowMs);
    const options = { redis, nowMs, which: "fine" as const, isStopping: () => false };
    await Promise.all(shards.map(({ shard }) => rollUpShard({ ...options, shard })));
    return folded;
  };
  let reports = 0;
  let nowMs = 0;
  for (const { endMs, said } of profile.hours(devices)) {
    nowMs = endMs;
    await writeReports(redis, { fleet, said, reportsPerEntry: REPORTS_PER_ENTRY });
    reports += await settle(nowMs);
    progress.say(() => `${profile.name}, ${devices} devices: ${toDate(nowMs)}, ${reports} reports folded`);
  }
  await settle(nowMs + AFTERWARDS_MS);
  await redis.quit();
  progress.end();
  return reports;
}

function toDate(ms: number): string {
  return new Date(ms).toISOString().slice(0, 13);
}

function perDevice({ devices }: Measurement, bytes: number): string {
  return (bytes / devices).toFixed(1);
}

function render(measurements: readonly Measurement[]): string {
  const rows = measurements.map((each) => [
    each.profile,
    each.devices.toLocaleString("en"),
    each.before.usedBytes.toLocaleString("en"),
    each.after.usedBytes.toLocaleString("en"),
    `**${each.bytesPerDevice.toFixed(1)}**`,
    ...Object.values(each.use.kinds).map(({ bytes }) => perDevice(each, bytes)),
    perDevice(each, each.use.restBytes),
  ]);
  const kinds = Object.keys(measurements[0]?.use.kinds ?? {});
  const header = ["profile", "devices", "before", "after", "bytes per device", ...kinds, "rest"];
  const lines = [header, header.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  const notes = measurements.flatMap(notesOf);
  return `${lines.join("\n")}\n\n${notes.join("\n")}\n`;
}

function notesOf({ profile, devices, reports, seconds, after, use }: Measurement): string[] {
  const { keys, compactKeys } = use.kinds.devices;
  return [
    `${profile}, ${devices} devices: ${reports} reports in ${seconds.toFixed(0)} s; ` +
      `device buckets: ${keys}, ${compactKeys} of them compact; ` +
      `used_memory at rest to ${after.noiseBytes} bytes; resident ${(after.residentBytes / 2 ** 20).toFixed(0)} MiB`,
  ];
}

async function main(): Promise<void> {
  const flags = readFlags();
  const progress = createProgress();
  const measurements: Measurement[] = [];
  for (const name of flags.profile)
    for (const devices of flags.devices)
      measurements.push(
        await measure(
          PROFILES.find((each) => each.name === name)!,
          devices,
          progress,
        ),
      );
  process.stdout.write(
    flags.json === true ? `${JSON.stringify(measurements, null, 2)}\n` : render(measurements),
  );
}

await main();
// Connections that were closed hold timers for two more seconds.
process.exit();
