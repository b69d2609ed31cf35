// One report a request, from HTTP to acknowledged, beside servers that keep nothing. Enters: how long a turn is and how
// many there are. In every round each server has its turn, so that what else the machine does hits all of them alike.
// Leaves: requests a second of each, and of each round the ratio to bare node:http.
import type { Progress } from "../progress.ts";
import { spreadOf, tableOf, whole, withSpread } from "./figures.ts";
import type { Spread } from "./figures.ts";
import { configText, makeFolder, startBenchRedis, startIngest, startProcess } from "./stack.ts";
import type { BenchFolder, BenchProcess, BenchRedis } from "./stack.ts";
import { runLoad } from "./wrk.ts";

const CONNECTIONS = 64;

export interface SingleResult {
  readonly server: "bare node:http" | "Express" | "ingest";
  readonly requestsPerSecond: Spread;
  readonly ratio: Spread;
  /** CPU time of the server's process for a request: what else runs here does not count in it. */
  readonly cpuUs: Spread;
  readonly p99Ms: number;
  readonly failed: number;
}

interface Contender {
  readonly server: SingleResult["server"];
  readonly process: BenchProcess;
  readonly perSecond: number[];
  readonly cpuUs: number[];
  readonly p99Ms: number[];
  failed: number;
}

export interface Turns {
  readonly seconds: number;
  readonly rounds: number;
}

export async function benchSingle(turns: Turns, progress: Progress): Promise<SingleResult[]> {
  const folder = makeFolder();
  const redis = await startBenchRedis();
  const contenders: Contender[] = [];
  try {
    const config = folder.write("lastgood.yaml", configText());
    const add = (server: SingleResult["server"], process: BenchProcess): void =>
      void contenders.push({ server, process, perSecond: [], cpuUs: [], p99Ms: [], failed: 0 });
    add("bare node:http", await startProcess("test/bench/speed/references.js", ["bare"]));
    add("Express", await startProcess("test/bench/speed/references.js", ["express"]));
    add("ingest", await startIngest(config, redis.url));
    for (let round = 0; round <= turns.rounds; round += 1) {
      progress.say(() => `single reports: round ${round} of ${turns.rounds}`);
      // The first round warms up.
      for (const one of contenders) await takeTurn(one, { folder, redis, turns, isCounted: round > 0 });
    }
    return contenders.map((one) => resultOf(one, contenders[0]!));
  } finally {
    for (const one of contenders) await one.process.stop();
    await redis.stop();
    folder.remove();
  }
}

async function takeTurn(
  one: Contender,
  run: { folder: BenchFolder; redis: BenchRedis; turns: Turns; isCounted: boolean },
): Promise<void> {
  const cpuBefore = one.process.cpuSeconds();
  const result = await runLoad(run.folder, {
    url: `${one.process.urls["http"]}/v1/reports`,
    seconds: run.turns.seconds,
    connections: CONNECTIONS,
    reportsPerRequest: 1,
  });
  const cpuSeconds = one.process.cpuSeconds() - cpuBefore;
  // Nobody folds here: what waits would fill the memory.
  await run.redis.redis.flushall();
  if (!run.isCounted) return;
  one.perSecond.push(result.requestsPerSecond);
  one.cpuUs.push((cpuSeconds / result.requests) * 1e6);
  one.p99Ms.push(result.p99Ms);
  one.failed += result.failed;
}

function resultOf(one: Contender, reference: Contender): SingleResult {
  return {
    server: one.server,
    requestsPerSecond: spreadOf(one.perSecond),
    ratio: spreadOf(one.perSecond.map((perSecond, round) => perSecond / reference.perSecond[round]!)),
    cpuUs: spreadOf(one.cpuUs),
    p99Ms: spreadOf(one.p99Ms).median,
    failed: one.failed,
  };
}

export function renderSingle(results: readonly SingleResult[]): string {
  const header = [
    "one report a request",
    "requests/s",
    "ratio to bare node:http",
    "CPU µs a request",
    "p99 ms",
    "failed",
  ];
  const rows = results.map(({ server, requestsPerSecond, ratio, cpuUs, p99Ms, failed }) => [
    server,
    whole(requestsPerSecond.median),
    withSpread(ratio, 2),
    withSpread(cpuUs, 0),
    p99Ms.toFixed(1),
    String(failed),
  ]);
  return tableOf([header, ...rows]);
}
