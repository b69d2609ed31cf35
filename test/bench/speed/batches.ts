// Batches of reports, from HTTP to acknowledged, beside redis-benchmark that adds the very same payload to a stream: what
// Redis itself could take. Enters: how long a turn is and how many there are. Leaves: reports a second of both, for several
// sizes of batch, and of each round the ratio.
import { createFieldReader } from "./entry-payload.ts";
import type { Progress } from "../progress.ts";
import { spreadOf, tableOf, whole, withSpread } from "./figures.ts";
import type { Spread } from "./figures.ts";
import type { Turns } from "./single.ts";
import { configText, makeFolder, startBenchRedis, startIngest } from "./stack.ts";
import type { BenchFolder, BenchProcess, BenchRedis } from "./stack.ts";
import { outputOf, runLoad } from "./wrk.ts";

const REPORTS_PER_REQUEST = [10, 100, 1_000];
const CONNECTIONS = 16;
/** Commands that redis-benchmark sends at once: a request of ingest is one pipeline of up to a command per shard. */
const PIPELINE = 16;
const FIRST_COMMANDS = 2_000;

export interface BatchResult {
  readonly reportsPerRequest: number;
  readonly reportsPerSecond: Spread;
  readonly redisReportsPerSecond: Spread;
  readonly ratio: Spread;
  readonly p99Ms: number;
  readonly failed: number;
}

export async function benchBatches(turns: Turns, progress: Progress): Promise<BatchResult[]> {
  const folder = makeFolder();
  const redis = await startBenchRedis();
  const ingest = await startIngest(folder.write("lastgood.yaml", configText()), redis.url);
  try {
    const results: BatchResult[] = [];
    for (const reportsPerRequest of REPORTS_PER_REQUEST)
      results.push(await benchSize(reportsPerRequest, { folder, redis, ingest, turns, progress }));
    return results;
  } finally {
    await ingest.stop();
    await redis.stop();
    folder.remove();
  }
}

interface Run {
  readonly folder: BenchFolder;
  readonly redis: BenchRedis;
  readonly ingest: BenchProcess;
  readonly turns: Turns;
  readonly progress: Progress;
}

async function benchSize(reportsPerRequest: number, run: Run): Promise<BatchResult> {
  const { folder, redis, ingest, turns, progress } = run;
  const ours: number[] = [];
  const theirs: number[] = [];
  const p99Ms: number[] = [];
  let failed = 0;
  // The first round warms up.
  for (let round = 0; round <= turns.rounds; round += 1) {
    progress.say(() => `batches of ${reportsPerRequest}: round ${round} of ${turns.rounds}`);
    const url = `${ingest.urls["http"]}/v1/reports`;
    const load = { url, seconds: turns.seconds, connections: CONNECTIONS, reportsPerRequest };
    const result = await runLoad(folder, load);
    const payload = await createFieldReader(redis.redis).middling();
    await redis.redis.flushall();
    const entriesPerSecond = await benchRedis(redis, payload.fields, turns.seconds);
    await redis.redis.flushall();
    if (round === 0) continue;
    ours.push(result.requestsPerSecond * reportsPerRequest);
    theirs.push(entriesPerSecond * payload.reports);
    p99Ms.push(result.p99Ms);
    failed += result.failed;
  }
  return {
    reportsPerRequest,
    reportsPerSecond: spreadOf(ours),
    redisReportsPerSecond: spreadOf(theirs),
    ratio: spreadOf(ours.map((perSecond, round) => perSecond / theirs[round]!)),
    p99Ms: spreadOf(p99Ms).median,
    failed,
  };
}

/** Entries a second. A first short run says how many commands fill the time. */
async function benchRedis(redis: BenchRedis, fields: readonly string[], seconds: number): Promise<number> {
  const run = async (commands: number): Promise<number> => {
    const clients = ["-p", String(redis.port), "-c", String(CONNECTIONS), "-P", String(PIPELINE)];
    const command = ["XADD", "{lg:0}:bench", "*", ...fields];
    const said = await outputOf("redis-benchmark", [...clients, "-n", String(commands), "--csv", ...command]);
    // The command comes first, with its payload and its quotes; the numbers after it are requests a second and times.
    const perSecond = /"((?:\d+\.)?\d+)"(?:,"[\d.]+"){6}\s*$/.exec(said.trimEnd())?.[1];
    if (perSecond === undefined) throw new Error(`redis-benchmark did not say what it measured:\n${said}`);
    return Number(perSecond);
  };
  const first = await run(FIRST_COMMANDS);
  return await run(Math.max(FIRST_COMMANDS, Math.round(first * seconds)));
}

export function renderBatches(results: readonly BatchResult[]): string {
  const header = ["reports a request", "ingest, reports/s", "redis-benchmark XADD, reports/s"];
  const rows = results.map((result) => [
    whole(result.reportsPerRequest),
    whole(result.reportsPerSecond.median),
    whole(result.redisReportsPerSecond.median),
    withSpread(result.ratio, 2),
    result.p99Ms.toFixed(1),
    String(result.failed),
  ]);
  return tableOf([[...header, "ratio", "p99 ms", "failed"], ...rows]);
}
