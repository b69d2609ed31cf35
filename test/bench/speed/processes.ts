// Single reports at ingest with `processes: 1` and with 2, on one Redis: what a second core gives. One client and one address
// each. Enters: how long a turn is and how many there are; one and two take turns. Leaves: requests a second of all
// processes together, and of each round the ratio to one process.
import type { Progress } from "../progress.ts";
import { spreadOf, tableOf, whole, withSpread } from "./figures.ts";
import type { Spread } from "./figures.ts";
import type { Turns } from "./single.ts";
import { configText, makeFolder, startBenchRedis, startIngest } from "./stack.ts";
import type { BenchProcess } from "./stack.ts";
import { runLoad } from "./wrk.ts";

const PROCESSES = [1, 2] as const;
const CONNECTIONS = 64;

export interface ProcessesResult {
  readonly processes: number;
  readonly requestsPerSecond: Spread;
  readonly ratio: Spread;
  readonly failed: number;
}

export async function benchProcesses(turns: Turns, progress: Progress): Promise<ProcessesResult[]> {
  const redis = await startBenchRedis();
  const folders = PROCESSES.map(() => makeFolder());
  const ingests: BenchProcess[] = [];
  const perSecond = PROCESSES.map((): number[] => []);
  const failed = PROCESSES.map(() => 0);
  try {
    for (const [index, processes] of PROCESSES.entries()) {
      const config = folders[index]!.write("lastgood.yaml", configText({ processes }));
      ingests.push(await startIngest(config, redis.url));
    }
    for (let round = 0; round <= turns.rounds; round += 1)
      for (const [index, processes] of PROCESSES.entries()) {
        progress.say(() => `${processes} ingest processes: round ${round} of ${turns.rounds}`);
        const result = await runLoad(folders[index]!, {
          url: `${ingests[index]!.urls["http"]}/v1/reports`,
          seconds: turns.seconds,
          connections: CONNECTIONS,
          reportsPerRequest: 1,
        });
        await redis.redis.flushall();
        // The first round warms up.
        if (round === 0) continue;
        perSecond[index]!.push(result.requestsPerSecond);
        failed[index]! += result.failed;
      }
  } finally {
    for (const ingest of ingests) await ingest.stop();
    await redis.stop();
    for (const folder of folders) folder.remove();
  }
  return PROCESSES.map((processes, index) => ({
    processes,
    requestsPerSecond: spreadOf(perSecond[index]!),
    ratio: spreadOf(perSecond[index]!.map((each, round) => each / perSecond[0]![round]!)),
    failed: failed[index]!,
  }));
}

export function renderProcesses(results: readonly ProcessesResult[]): string {
  const rows = results.map(({ processes, requestsPerSecond, ratio, failed }) => [
    String(processes),
    whole(requestsPerSecond.median),
    withSpread(ratio, 2),
    String(failed),
  ]);
  return tableOf([["ingest processes", "requests/s", "ratio to one", "failed"], ...rows]);
}
