// What a second process gives: single reports at ingest with `ingest.processes: 1` and with 2, and HTTP to folded counts with
// `agent.processes: 1` and with 2. Enters: how long a turn is and how many there are; one and two take turns. Leaves: of all
// processes together what they did in a second, and of each round the ratio to one process.
import type { Progress } from "../progress.ts";
import { spreadOf, tableOf, whole, withSpread } from "./figures.ts";
import type { Spread } from "./figures.ts";
import type { Turns } from "./single.ts";
import { holdRate, startPipeline } from "./end-to-end.ts";
import type { PipelineStack } from "./end-to-end.ts";
import { configText, makeFolder, startBenchRedis, startIngest } from "./stack.ts";
import type { BenchProcess } from "./stack.ts";
import { runLoad } from "./wrk.ts";

const PROCESSES = [1, 2] as const;
const CONNECTIONS = 64;
/** More than an agent folds: what it can do is what is measured. */
const REPORTS_PER_SECOND = 80_000;
const WARM_UP = { rate: 10_000, seconds: 2 };

export interface ProcessesResult {
  readonly of: "ingest" | "agent";
  readonly processes: number;
  /** Requests of single reports at ingest, folded reports at the agent. */
  readonly perSecond: Spread;
  readonly ratio: Spread;
  readonly failed: number;
}

export async function benchProcesses(turns: Turns, progress: Progress): Promise<ProcessesResult[]> {
  return [...(await benchIngestProcesses(turns, progress)), ...(await benchAgentProcesses(turns, progress))];
}

async function benchIngestProcesses(turns: Turns, progress: Progress): Promise<ProcessesResult[]> {
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
  return resultsOf("ingest", perSecond, failed);
}

/** Whoever has no turn is idle: a pipeline without reports uses a few milliseconds a second. */
async function benchAgentProcesses(turns: Turns, progress: Progress): Promise<ProcessesResult[]> {
  const stacks: PipelineStack[] = [];
  const perSecond = PROCESSES.map((): number[] => []);
  const failed = PROCESSES.map(() => 0);
  try {
    for (const agentProcesses of PROCESSES) {
      stacks.push(await startPipeline(configText({ agentProcesses })));
      await holdRate(stacks.at(-1)!, WARM_UP);
    }
    for (let round = 1; round <= turns.rounds; round += 1)
      for (const [index, processes] of PROCESSES.entries()) {
        progress.say(() => `${processes} agent processes: round ${round} of ${turns.rounds}`);
        const load = { rate: REPORTS_PER_SECOND, seconds: turns.seconds };
        const result = await holdRate(stacks[index]!, load);
        perSecond[index]!.push(result.foldedPerSecond);
        failed[index]! += result.failed;
      }
  } finally {
    for (const stack of stacks) await stack.stop();
  }
  return resultsOf("agent", perSecond, failed);
}

function resultsOf(
  of: ProcessesResult["of"],
  perSecond: readonly (readonly number[])[],
  failed: readonly number[],
): ProcessesResult[] {
  return PROCESSES.map((processes, index) => ({
    of,
    processes,
    perSecond: spreadOf(perSecond[index]!),
    ratio: spreadOf(perSecond[index]!.map((each, round) => each / perSecond[0]![round]!)),
    failed: failed[index]!,
  }));
}

const MEASURED = { ingest: "requests of one report", agent: "reports, HTTP to folded" } as const;

export function renderProcesses(results: readonly ProcessesResult[]): string {
  const rows = results.map(({ of, processes, perSecond, ratio, failed }) => [
    `${of}.processes: ${processes}`,
    MEASURED[of],
    whole(perSecond.median),
    withSpread(ratio, 2),
    String(failed),
  ]);
  return tableOf([["setting", "measured", "a second", "ratio to one", "failed"], ...rows]);
}
