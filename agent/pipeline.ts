// The pipeline: every stage a job that wakes the next. Read it top to bottom and you have read the
// architecture. Enters: the stores over Redis, the queues, the channels to watch. Leaves: a handler per job.
//
//   A DeviceReport becomes a ReportEntry in a Redis stream; entries fold into HealthWindows; windows are
//   weighed into Evidence; a judge gives a Verdict; the policy turns Verdicts into a RollbackDecision; the
//   executor answers with a RollbackOutcome; the journal keeps all of it.
import { describeMetric } from "../ingest/contract/metric-names.ts";
import { heardFromMs, readListening } from "../ingest/contract/listening.ts";
import type { ChannelKey } from "../ingest/contract/release-key.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import { Counter, Histogram } from "../runtime/metrics.ts";
import type { Registry } from "../runtime/metrics.ts";
import { watchReplication } from "../runtime/redis-servers.ts";
import type { Redis } from "../runtime/redis.ts";
import type { Settings } from "./config/schema.ts";
import type { CountingRules } from "./health/counting-rules.ts";
import { examplesPerShard } from "./health/examples.ts";
import { createHealthStore } from "./health/health-store.ts";
import type { HealthStore } from "./health/health-store.ts";
import { createShardStore } from "./health/shard-store.ts";
import type { ShardStore } from "./health/shard-store.ts";
import { createDeadLetterStore } from "./intake/dead-letters.ts";
import type { DeadLetterStore } from "./intake/dead-letters.ts";
import { agreedNowMs } from "./jobs/agreed-clock.ts";
import { expireApprovals } from "./jobs/approvals.ts";
import { carryOut } from "./jobs/carry-out.ts";
import { createChannelRefresh } from "./jobs/channel-view.ts";
import { evaluateChannel } from "./jobs/evaluate-channel.ts";
import { followUpRollbacks } from "./jobs/follow-up.ts";
import type { WatchedChannel } from "./jobs/watched-channel.ts";
import { foldShard } from "./jobs/fold-shard.ts";
import { createOtherWarning } from "./jobs/other-warning.ts";
import type { Gatherer } from "./jobs/gatherer.ts";
import type { Outlets } from "./jobs/outlets.ts";
import type { Polling } from "./jobs/poll.ts";
import type { Queues } from "./jobs/queues.ts";
import { dropUnseenDevices } from "./jobs/retention.ts";
import { rollUpShard } from "./jobs/roll-up.ts";
import { sweep } from "./jobs/sweep.ts";
import type { WakeUps } from "./jobs/wake-ups.ts";
import type { Handlers } from "./jobs/workers.ts";
import { createAbsolutionStore } from "./journal/absolution-store.ts";
import type { AbsolutionStore } from "./journal/absolution-store.ts";
import { createAlertStore } from "./journal/alert-store.ts";
import type { AlertStore } from "./journal/alert-store.ts";
import { JOURNAL } from "./journal/control-keys.ts";
import { createFreezeStore } from "./journal/freeze-store.ts";
import type { FreezeStore } from "./journal/freeze-store.ts";
import { createHoldStore } from "./journal/hold-store.ts";
import type { HoldStore } from "./journal/hold-store.ts";
import { createJournal } from "./journal/journal.ts";
import type { Journal } from "./journal/journal.ts";
import { createSummaryStore } from "./journal/summary-store.ts";
import type { SummaryStore } from "./journal/summary-store.ts";
import { createDecisionStore } from "./rollback/decision-store.ts";
import type { DecisionStore } from "./rollback/decision-store.ts";
import type { WatchedChannels } from "./watched-channels.ts";

/** What the pipeline stands on: Redis, and the stores over it. */
export interface Stores {
  readonly redis: Redis;
  readonly shards: readonly ShardStore[];
  readonly health: HealthStore;
  readonly journal: Journal;
  readonly summaries: SummaryStore;
  readonly holds: HoldStore;
  readonly decisions: DecisionStore;
  readonly freezes: FreezeStore;
  readonly absolutions: AbsolutionStore;
  readonly alerts: AlertStore;
  readonly deadLetters: DeadLetterStore;
}

export function openStores(redis: Redis, shards: number): Stores {
  const journal = createJournal({ redis });
  return {
    redis,
    shards: Array.from({ length: shards }, (_, shard) =>
      createShardStore({ redis, shard, examplesMax: examplesPerShard(shards) }),
    ),
    health: createHealthStore({ redis, shards }),
    journal,
    summaries: createSummaryStore({ redis }),
    holds: createHoldStore({ redis, journal }),
    decisions: createDecisionStore({ redis, journal }),
    freezes: createFreezeStore({ redis, journal }),
    absolutions: createAbsolutionStore({ redis, journal }),
    alerts: createAlertStore({ redis, journal }),
    deadLetters: createDeadLetterStore({ redis, shards }),
  };
}

export interface PipelineDeps {
  readonly stores: Stores;
  readonly queues: Queues;
  readonly channels: WatchedChannels;
  readonly timers: Timers;
  readonly wakeUps: WakeUps;
  readonly polling: Polling;
  /** How people are told. */
  readonly outlets: Outlets;
  readonly rules: CountingRules;
  /** As they were at the start. */
  readonly settings: Pick<Settings, "retention" | "replicaAcks">;
  readonly isStopping: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The pipeline: each stage is a job, and wakes the next. */
export function createPipeline(deps: PipelineDeps): Handlers {
  const { stores, queues, channels, timers, wakeUps, polling, outlets } = deps;
  const { settings, clock, logger } = deps;
  const { redis, summaries } = stores;
  const refreshChannel = createChannelRefresh({
    summaries,
    clock,
    onMoved: ({ key }) => wakeUps.gatherer.add([key]),
  });
  return {
    /** What devices told an OTA server that pushes nothing -> ReportEntries, beside those that ingest writes. */
    poll: ({ app }) => polling.poll(app),
    /** ReportEntries -> HealthWindows; and silence, which is no report at all. */
    ...createFolding({
      ...deps,
      ...stores,
      gatherer: wakeUps.gatherer,
      readHeardFrom: () => polling.readHeardFrom(),
      foldsLost: timers.foldsLost,
    }),
    /** HealthWindows -> Verdict -> RollbackDecision, kept in the outbox. */
    async evaluate(key) {
      const watched = channels.find(key);
      if (watched === undefined) return;
      const stopTimer = timers.evaluation.startTimer();
      const onDecision = (id: string): Promise<void> => queues.rollback([id]);
      await evaluateChannel(watched, {
        ...stores,
        watchReplication: () => watchReplication(redis, JOURNAL, settings.replicaAcks),
        onDecision,
        onNews: () => outlets.onNews(),
        clock,
        logger,
      });
      stopTimer();
      refreshChannel(watched);
    },
    /** RollbackDecision -> the OTA server -> RollbackOutcome; what it led to is followed up by the sweep. */
    async rollback({ decisionId }) {
      const watchedOf = (decision: ChannelKey): WatchedChannel | undefined => channels.find(decision);
      const deps = { ...stores, watchedOf, clock, logger };
      const result = await carryOut(decisionId, deps);
      if (result.kind === "try_again") wakeUps.retries.again(decisionId, result);
      else await outlets.onNews();
    },
    ...createUpkeep(deps),
    /** Whatever stands that a person should hear of -> Alertmanager; the journal -> Grafana; the day -> a chat. */
    page: () => outlets.page(),
    tell: () => outlets.tell(),
    summary: ({ minute }) => outlets.summary(minute),
  };
}

export interface FoldingDeps
  extends Pick<Stores, "redis" | "shards">, Pick<PipelineDeps, "rules" | "isStopping" | "clock" | "logger"> {
  readonly gatherer: Pick<Gatherer, "add">;
  readonly readHeardFrom: Polling["readHeardFrom"];
  readonly foldsLost: Counter;
}

/** The stage that costs the most: with `agent.processes` others do it as well (fold-process.ts). */
export function createFolding(deps: FoldingDeps): Pick<Handlers, "fold"> {
  const { redis, shards, rules, gatherer, readHeardFrom, foldsLost, isStopping, clock, logger } = deps;
  const warnOfOther = createOtherWarning(logger);
  return {
    async fold({ shard }) {
      const result = await foldShard({
        store: shards[shard]!,
        rules,
        onChange(changed, plan) {
          gatherer.add(changed);
          warnOfOther(plan);
        },
        isStopping,
        nowMs: clock,
        heardFromMs: async (nowMs) => heardFromMs(await readListening(redis), nowMs),
        readAppHeardFrom: readHeardFrom,
      });
      foldsLost.inc(result.lost);
    },
  };
}

/** The stages that follow time and no report. */
function createUpkeep({
  stores,
  queues,
  channels,
  wakeUps,
  settings: { retention },
  isStopping,
  clock,
  logger,
}: PipelineDeps): Pick<Handlers, "sweep" | "rollUp" | "retention"> {
  const { redis, shards, health, summaries, holds, decisions, freezes } = stores;
  return {
    /** What time has made due is found, and whatever a crash left lying. */
    async sweep() {
      await sweep({
        health,
        summaries,
        holds,
        decisions,
        nowMs: clock(),
        fold: (due) => queues.fold(due),
        evaluate: (changed) => queues.evaluate(changed),
        rollback: (ids) => queues.rollback(ids.filter((id) => !wakeUps.retries.isWaiting(id))),
      });
      await expireApprovals({ decisions, summaries, clock });
      await freezes.sweep(clock());
      const watchedOf = (decision: ChannelKey): WatchedChannel | undefined => channels.find(decision);
      await followUpRollbacks({ ...stores, watchedOf, logger, nowMs: clock() });
    },
    /** HealthWindows get coarser as they age. */
    async rollUp() {
      const nowMs = await agreedNowMs({ redis, clock, logger });
      if (nowMs === undefined) return;
      for (const { shard } of shards) await rollUpShard({ redis, shard, nowMs, which: "fine", isStopping });
    },
    /** What is older than its retention leaves. */
    async retention() {
      const nowMs = await agreedNowMs({ redis, clock, logger });
      if (nowMs === undefined) return;
      for (const store of shards) {
        await rollUpShard({ redis, shard: store.shard, nowMs, which: "all", isStopping });
        await dropUnseenDevices({ redis, store, nowMs, retentionMs: retention.devicesMs, isStopping });
      }
    },
  };
}

export type Timers = ReturnType<typeof createTimers>;

export function createTimers(registry: Registry) {
  return {
    evaluation: new Histogram({
      ...describeMetric("ota_evaluation_duration_seconds"),
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
      registers: [registry],
    }),
    foldsLost: countLostFolds(registry),
  };
}

export function countLostFolds(registry: Registry): Counter {
  return new Counter({ ...describeMetric("ota_folds_lost_total"), registers: [registry] });
}
