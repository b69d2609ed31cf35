// The metrics that are read from Redis when somebody scrapes: they survive restarts, agree between
// agents, and cost nothing in between. Enters: the stores. Leaves: gauges and counters set anew.
import { heardFromMs, readListening } from "../../ingest/contract/listening.ts";
import type { Registry } from "../../runtime/metrics.ts";
import type { Redis } from "../../runtime/redis.ts";
import type { HealthStore } from "../health/health-store.ts";
import type { DeadLetterStore } from "../intake/dead-letters.ts";
import type { AbsolutionStore } from "../journal/absolution-store.ts";
import type { FreezeStore } from "../journal/freeze-store.ts";
import type { HoldStore } from "../journal/hold-store.ts";
import { createSummaryReader } from "../journal/summary-reader.ts";
import type { ReleaseSummary, SummaryStore } from "../journal/summary-store.ts";
import type { Queues } from "../jobs/queues.ts";
import { standingDecisions } from "../rollback/channel-history.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import { setChannels } from "./channel-metrics.ts";
import type { ChannelReading } from "./channel-metrics.ts";
import { setDecisions } from "./decision-metrics.ts";
import { createInstruments } from "./instruments.ts";
import type { Instruments } from "./instruments.ts";
import { readRedisServers, setRedisServers } from "./redis-metrics.ts";
import { setReleases } from "./release-metrics.ts";

const JOB_STATES = ["waiting", "active", "delayed", "failed"] as const;

export interface ScrapedMetricsDeps {
  readonly registry: Registry;
  /** A connection that fails fast, and stores over it: a scrape must answer while Redis is away. */
  readonly redis: Redis;
  readonly health: HealthStore;
  readonly summaries: SummaryStore;
  readonly holds: HoldStore;
  readonly decisions: DecisionStore;
  readonly absolutions: AbsolutionStore;
  readonly freezes: FreezeStore;
  readonly deadLetters: DeadLetterStore;
  readonly queues: Queues;
  /** Those that the configuration names now. */
  readonly channels: { readonly all: ChannelReading["channels"] };
  readonly clock: () => number;
}

/** Registers the metrics; each scrape reads them all anew, in one go. */
export function registerScrapedMetrics(deps: ScrapedMetricsDeps): void {
  const instruments = createInstruments(deps.registry);
  const readSummaries = createSummaryReader(deps.summaries);
  instruments.refreshWith(async () => {
    const reading = await read(deps, readSummaries).catch(() => undefined);
    instruments.resetAll();
    instruments.redisUp.set(reading === undefined ? 0 : 1);
    if (reading === undefined) return instruments.hideAll();
    setReleases(instruments, reading.summaries, reading.standing);
    setChannels(instruments, { ...reading, channels: deps.channels.all });
    setDecisions(instruments, reading);
    setFolding(instruments, reading);
    setRedisServers(instruments, reading.servers);
    for (const { queue, state, jobs } of reading.jobs) instruments.jobs.set({ queue, state }, jobs);
  });
}

type Reading = Awaited<ReturnType<typeof read>>;

async function read(deps: ScrapedMetricsDeps, readSummaries: () => Promise<ReleaseSummary[]>) {
  const { redis, summaries, holds, decisions, absolutions, freezes, deadLetters, health, queues, clock } =
    deps;
  const [
    servers,
    summaryList,
    offered,
    held,
    holdCounts,
    decisionList,
    pending,
    waiting,
    absolved,
    frozen,
    lag,
    foldTotals,
    letters,
    listening,
  ] = await Promise.all([
    // First, so that its answer waits for none of the others.
    readRedisServers(redis),
    readSummaries(),
    summaries.listChannels(),
    holds.list(),
    holds.counts(),
    decisions.list(),
    decisions.listPending(),
    decisions.listWaiting(),
    absolutions.list(),
    freezes.list(clock()),
    health.readLag(clock()),
    health.readFoldTotals(),
    deadLetters.count(),
    readListening(redis),
  ]);
  return {
    servers,
    summaries: summaryList,
    offered,
    held: [...held.values()],
    holdCounts,
    decisions: decisionList,
    standing: standingDecisions({ decisions: decisionList, absolutions: absolved }),
    pending: pending.length,
    waiting: waiting.length,
    frozen,
    lag,
    foldTotals,
    letters,
    listeningSinceMs: heardFromMs(listening, clock()),
    // After the others: the queues' own connections wait for a Redis that is away.
    jobs: await countJobs(queues),
  };
}

async function countJobs(queues: Queues): Promise<{ queue: string; state: string; jobs: number }[]> {
  const counted = await Promise.all(
    Object.entries(queues.all).map(async ([queue, handle]) => {
      const counts = await handle.getJobCounts(...JOB_STATES);
      return JOB_STATES.map((state) => ({ queue, state, jobs: counts[state] ?? 0 }));
    }),
  );
  return counted.flat();
}

function setFolding(instruments: Instruments, { lag, foldTotals, letters, listeningSinceMs }: Reading): void {
  if (listeningSinceMs === undefined) instruments.listeningSince.remove({});
  else instruments.listeningSince.set(listeningSinceMs / 1_000);
  for (const { shard, waitingEntries, lagSeconds } of lag) {
    instruments.foldLag.set({ shard: String(shard) }, lagSeconds);
    instruments.streamEntries.set({ shard: String(shard) }, waitingEntries);
  }
  instruments.foldedReports.inc(foldTotals.folded);
  instruments.deadLetters.inc(foldTotals.deadLetters);
  instruments.deadLettersKept.set(letters.kept);
  instruments.deadLettersDropped.inc(letters.dropped);
}
