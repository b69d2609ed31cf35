// What the work costs as it grows: CPU time of ingest, agent and Redis together, from HTTP to folded counts, for ten times
// the reports, ten times the devices, a hundred times the releases. CPU time rather than time, because it is what the
// program uses, whatever else the machine does. Enters: how many reports. Leaves: each cost, and how it grows with the work.
import { setTimeout as sleep } from "node:timers/promises";
import type { Progress } from "../progress.ts";
import { startPipeline, untilFolded } from "./end-to-end.ts";
import type { PipelineStack } from "./end-to-end.ts";
import { logLogSlope, tableOf, whole } from "./figures.ts";
import { runLoad } from "./wrk.ts";

const REPORTS_PER_REQUEST = 500;
const CONNECTIONS = 4;
/** How many reports a second are sent: few enough that the agent folds along. */
const REPORTS_PER_SECOND = 10_000;
const IDLE_SECONDS = 5;
/** A longer silence than this lets the agent finish what it began, in milliseconds. */
const SETTLE_MS = 3_000;

interface Work {
  readonly seconds: number;
  readonly devices: number;
  readonly releases: number;
}

export interface GrowthResult {
  readonly grows: "reports" | "devices" | "releases";
  readonly points: readonly GrowthPoint[];
  /** 1 = in proportion to the work, 0 = not at all. */
  readonly slope: number;
}

export interface GrowthPoint {
  readonly work: number;
  readonly reports: number;
  readonly cpuSeconds: number;
  /** CPU time of the agent in a second in which nothing comes, in milliseconds. */
  readonly idleMsPerSecond: number;
}

export async function benchGrowth(seconds: number, progress: Progress): Promise<GrowthResult[]> {
  const base = { seconds, devices: 10_000, releases: 10 };
  const series = [
    { grows: "reports", works: [base, { ...base, seconds: seconds * 10 }] },
    { grows: "devices", works: [base, { ...base, devices: base.devices * 10 }] },
    {
      grows: "releases",
      works: [
        { ...base, releases: 1 },
        { ...base, releases: 100 },
      ],
    },
  ] as const;
  const results: GrowthResult[] = [];
  for (const { grows, works } of series) {
    const points: GrowthPoint[] = [];
    for (const work of works) {
      progress.say(() => `cost as ${grows} grow: ${JSON.stringify(work)}`);
      points.push(
        await costOf(work, (reports) => ({ reports, devices: work.devices, releases: work.releases })[grows]),
      );
    }
    const slope = logLogSlope(points.map(({ work, cpuSeconds }) => [work, cpuSeconds]));
    results.push({ grows, points, slope });
  }
  return results;
}

async function costOf(work: Work, sizeOf: (reports: number) => number): Promise<GrowthPoint> {
  const stack = await startPipeline();
  try {
    // Before it is measured the programs have run, and have been compiled.
    await send(stack, { ...work, seconds: 2 });
    const before = await cpuSecondsOf(stack);
    const requests = await send(stack, work);
    const cpuSeconds = (await cpuSecondsOf(stack)) - before;
    const agentBefore = stack.agent.cpuSeconds();
    await sleep(IDLE_SECONDS * 1_000);
    const idleMsPerSecond = ((stack.agent.cpuSeconds() - agentBefore) * 1_000) / IDLE_SECONDS;
    const reports = requests * REPORTS_PER_REQUEST;
    return { work: sizeOf(reports), reports, cpuSeconds, idleMsPerSecond };
  } finally {
    await stack.stop();
  }
}

/** Until all is folded, and what follows from it is done. */
async function send(stack: PipelineStack, { seconds, devices, releases }: Work): Promise<number> {
  const load = await runLoad(stack.folder, {
    url: `${stack.ingest.urls["http"]}/v1/reports`,
    seconds,
    connections: CONNECTIONS,
    reportsPerRequest: REPORTS_PER_REQUEST,
    requestsPerSecond: REPORTS_PER_SECOND / REPORTS_PER_REQUEST,
    devices,
    releases,
  });
  await untilFolded(stack);
  await sleep(SETTLE_MS);
  return load.requests - load.failed;
}

async function cpuSecondsOf({ ingest, agent, redis }: PipelineStack): Promise<number> {
  return ingest.cpuSeconds() + agent.cpuSeconds() + (await redis.cpuSeconds());
}

export function renderGrowth(results: readonly GrowthResult[]): string {
  const header = [
    "what grows",
    "from",
    "to",
    "CPU s",
    "CPU s",
    "CPU µs a report",
    "CPU µs a report",
    "slope",
  ];
  const rows = results.map(({ grows, points: [few, many], slope }) => [
    grows,
    whole(few!.work),
    whole(many!.work),
    few!.cpuSeconds.toFixed(2),
    many!.cpuSeconds.toFixed(2),
    perReport(few!),
    perReport(many!),
    slope.toFixed(2),
    few!.idleMsPerSecond.toFixed(0),
    many!.idleMsPerSecond.toFixed(0),
  ]);
  const idle = ["agent idle, ms/s", "agent idle, ms/s"];
  return tableOf([[...header, ...idle], ...rows]);
}

function perReport({ cpuSeconds, reports }: GrowthPoint): string {
  return ((cpuSeconds / reports) * 1e6).toFixed(1);
}
