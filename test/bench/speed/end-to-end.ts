// From HTTP to folded counts: a fleet that sends batches at a given rate, ingest, Redis and an agent, all on this machine.
// Enters: for how long. First rates are tried from low to high, for a short time each; then the highest that was kept up with
// is held for the whole time. Leaves: reports a second that were folded, and how far the folding was behind.
import { setTimeout as sleep } from "node:timers/promises";
import { waitingEntries } from "./entry-payload.ts";
import type { Progress } from "../progress.ts";
import { quantile, tableOf, whole } from "./figures.ts";
import { configText, makeFolder, startAgent, startBenchRedis, startIngest } from "./stack.ts";
import type { BenchFolder, BenchProcess, BenchRedis } from "./stack.ts";
import { runLoad } from "./wrk.ts";

export const RATES_TRIED = [10_000, 20_000, 35_000, 50_000, 65_000, 80_000];
const REPORTS_PER_REQUEST = 500;
const CONNECTIONS = 8;
const DEVICES = 100_000;
/** Behind by more than this, a rate is not kept up with. */
export const LAG_MS_MAX = 1_000;
const LAG_SAMPLE_MS = 100;
const CATCH_UP_MS_MAX = 120_000;

export interface EndToEndResult {
  readonly wantedPerSecond: number;
  readonly seconds: number;
  /** Reports that were acknowledged. */
  readonly acknowledged: number;
  /** From the first request to the last report folded. */
  readonly foldedPerSecond: number;
  readonly lagP50Ms: number;
  readonly lagMostMs: number;
  /** CPU time for 1,000 reports, in milliseconds. */
  readonly cpuMs: { readonly ingest: number; readonly agent: number; readonly redis: number };
  readonly failed: number;
}

export interface PipelineStack {
  readonly folder: BenchFolder;
  readonly redis: BenchRedis;
  readonly ingest: BenchProcess;
  readonly agent: BenchProcess;
  stop(): Promise<void>;
}

export async function startPipeline(config = configText()): Promise<PipelineStack> {
  const folder = makeFolder();
  const redis = await startBenchRedis();
  const file = folder.write("lastgood.yaml", config);
  const ingest = await startIngest(file, redis.url);
  const agent = await startAgent(file, redis.url);
  return {
    folder,
    redis,
    ingest,
    agent,
    async stop() {
      await ingest.stop();
      await agent.stop();
      await redis.stop();
      folder.remove();
    },
  };
}

export async function benchEndToEnd(seconds: number, progress: Progress): Promise<EndToEndResult[]> {
  const stack = await startPipeline();
  const trialSeconds = Math.max(2, Math.round(seconds / 10));
  try {
    const tried: EndToEndResult[] = [];
    for (const rate of RATES_TRIED) {
      progress.say(() => `end to end: ${whole(rate)} reports/s for ${trialSeconds} s`);
      tried.push(await holdRate(stack, { rate, seconds: trialSeconds }));
      if (!isKeptUpWith(tried.at(-1)!)) break;
    }
    const best = tried.findLast(isKeptUpWith) ?? tried[0]!;
    progress.say(() => `end to end: ${whole(best.wantedPerSecond)} reports/s for ${seconds} s`);
    return [...tried, await holdRate(stack, { rate: best.wantedPerSecond, seconds })];
  } finally {
    await stack.stop();
  }
}

/** The client has to keep up as well: a rate that was never sent shows nothing. */
function isKeptUpWith({
  wantedPerSecond,
  acknowledged,
  seconds,
  lagMostMs,
  failed,
}: EndToEndResult): boolean {
  return lagMostMs < LAG_MS_MAX && acknowledged >= 0.9 * wantedPerSecond * seconds && failed === 0;
}

export async function holdRate(
  stack: PipelineStack,
  { rate, seconds }: { rate: number; seconds: number },
): Promise<EndToEndResult> {
  const cpu = async () => ({
    ingest: stack.ingest.cpuSeconds(),
    agent: stack.agent.cpuSeconds(),
    redis: await stack.redis.cpuSeconds(),
  });
  const before = await cpu();
  const startedAtMs = performance.now();
  const lag = watchLag(stack);
  const load = await runLoad(stack.folder, {
    url: `${stack.ingest.urls["http"]}/v1/reports`,
    seconds,
    connections: CONNECTIONS,
    reportsPerRequest: REPORTS_PER_REQUEST,
    devices: DEVICES,
    requestsPerSecond: rate / REPORTS_PER_REQUEST,
  });
  const lagsMs = await lag.stop();
  await untilFolded(stack);
  const tookSeconds = (performance.now() - startedAtMs) / 1_000;
  const after = await cpu();
  const acknowledged = (load.requests - load.failed) * REPORTS_PER_REQUEST;
  const perThousand = (name: "ingest" | "agent" | "redis"): number =>
    ((after[name] - before[name]) * 1_000) / (acknowledged / 1_000);
  return {
    wantedPerSecond: rate,
    seconds,
    acknowledged,
    foldedPerSecond: acknowledged / tookSeconds,
    lagP50Ms: quantile(lagsMs, 0.5),
    lagMostMs: lagsMs.at(-1)!,
    cpuMs: { ingest: perThousand("ingest"), agent: perThousand("agent"), redis: perThousand("redis") },
    failed: load.failed,
  };
}

/** How old the oldest entry is that waits in any stream, looked at again and again; by the ids, which are Redis's time. */
function watchLag({ redis }: PipelineStack): { stop(): Promise<number[]> } {
  const lagsMs: number[] = [];
  const over = new AbortController();
  const watching = (async () => {
    while (!over.signal.aborted) {
      lagsMs.push(await lagMs(redis));
      await sleep(LAG_SAMPLE_MS);
    }
  })();
  return {
    async stop() {
      over.abort();
      await watching;
      return lagsMs.toSorted((one, other) => one - other);
    },
  };
}

const OLDEST_OF_ALL = `
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most = 0
for _, key in ipairs(KEYS) do
  local first = redis.call("XRANGE", key, "-", "+", "COUNT", 1)[1]
  if first then most = math.max(most, now - tonumber(string.match(first[1], "^%d+"))) end
end
return most
`;

async function lagMs({ redis, streams }: BenchRedis): Promise<number> {
  return Number(await redis.eval(OLDEST_OF_ALL, streams.length, ...streams));
}

export async function untilFolded({ redis }: PipelineStack): Promise<void> {
  const deadline = performance.now() + CATCH_UP_MS_MAX;
  while ((await waitingEntries(redis.redis)) > 0) {
    if (performance.now() > deadline)
      throw new Error(`the agent did not catch up within ${CATCH_UP_MS_MAX / 1_000} s`);
    await sleep(20);
  }
}

export function renderEndToEnd(results: readonly EndToEndResult[]): string {
  const header = [
    "HTTP to folded counts",
    "for s",
    "acknowledged/s",
    "folded/s",
    "lag p50 ms",
    "lag most ms",
  ];
  const rows = results.map((result) => [
    `${whole(result.wantedPerSecond)} reports/s wanted`,
    String(result.seconds),
    whole(result.acknowledged / result.seconds),
    whole(result.foldedPerSecond),
    whole(result.lagP50Ms),
    whole(result.lagMostMs),
    result.cpuMs.ingest.toFixed(1),
    result.cpuMs.agent.toFixed(1),
    result.cpuMs.redis.toFixed(1),
    String(result.failed),
  ]);
  const cpu = ["ingest CPU ms/1,000", "agent CPU ms/1,000", "Redis CPU ms/1,000"];
  return tableOf([[...header, ...cpu, "failed"], ...rows]);
}
