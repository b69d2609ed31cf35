// The metrics that are read from Redis when somebody scrapes: they survive restarts, agree between
// agents, and cost nothing in between. Enters: the stores. Leaves: gauges and counters set anew.
import { heardFromMs, readListening } from "../../ingest/contract/listening.ts";
import type { HashReader } from "../../ingest/contract/listening.ts";
import { describeMetric } from "../../ingest/contract/metric-names.ts";
import type { MetricNameOf } from "../../ingest/contract/metric-names.ts";
import { formatChannelKey, formatReleaseKey } from "../../ingest/contract/release-key.ts";
import { Counter, Gauge, Histogram } from "../../runtime/metrics.ts";
import type { Registry } from "../../runtime/metrics.ts";
import type { HealthStore } from "../health/health-store.ts";
import { OUTCOMES } from "../health/outcomes.ts";
import type { Outcome } from "../health/outcomes.ts";
import type { DeadLetterStore } from "../intake/dead-letters.ts";
import type { HoldStore } from "../journal/hold-store.ts";
import type { AbsolutionStore } from "../journal/absolution-store.ts";
import type { FreezeStore } from "../journal/freeze-store.ts";
import type { ReleaseSummary, SummaryStore } from "../journal/summary-store.ts";
import type { Queues } from "../jobs/queues.ts";
import { standingDecisions } from "../rollback/channel-history.ts";
import { FOLLOW_UP_KINDS } from "../rollback/decision-record.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";
import type { DecisionStore } from "../rollback/decision-store.ts";
import { ROLLBACK_OUTCOME_KINDS } from "../rollback/outcome.ts";
import { VERDICT_KINDS } from "../judge/verdict.ts";
import type { SignalEvidence } from "../judge/verdict.ts";

/** Versions of a channel with series of their own; older ones stand together in version="other". */
export const VERSIONS_PER_CHANNEL_SHOWN = 8;
/** Outcomes that devices leave again: no counter may hold them, it must never go down. */
const PASSING_OUTCOMES: readonly Outcome[] = [
  "failed_unannounced",
  "download_failed_unannounced",
  "silent",
  "running",
];
const LASTING_OUTCOMES = OUTCOMES.filter((outcome) => !PASSING_OUTCOMES.includes(outcome));
const JOB_STATES = ["waiting", "active", "delayed", "failed"] as const;
export const ROLLBACK_SECONDS_BUCKETS = [0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 1800];

export interface ScrapedMetricsDeps {
  readonly registry: Registry;
  /** A connection that fails fast, and stores over it: a scrape must answer while Redis is away. */
  readonly redis: HashReader;
  readonly health: HealthStore;
  readonly summaries: SummaryStore;
  readonly holds: HoldStore;
  readonly decisions: DecisionStore;
  readonly absolutions: AbsolutionStore;
  readonly freezes: FreezeStore;
  readonly deadLetters: DeadLetterStore;
  readonly queues: Queues;
  readonly clock: () => number;
}

/** Registers the metrics; each scrape reads them all anew, in one go. */
export function registerScrapedMetrics(deps: ScrapedMetricsDeps): void {
  const instruments = createInstruments(deps.registry);
  instruments.refreshWith(async () => {
    const reading = await read(deps).catch(() => undefined);
    instruments.resetAll();
    instruments.redisUp.set(reading === undefined ? 0 : 1);
    if (reading === undefined) return instruments.hideAll();
    setReleases(instruments, reading.summaries, reading.standing);
    setDecisions(instruments, reading);
    setFolding(instruments, reading);
    for (const { queue, state, jobs } of reading.jobs) instruments.jobs.set({ queue, state }, jobs);
  });
}

type Reading = Awaited<ReturnType<typeof read>>;

async function read(deps: ScrapedMetricsDeps) {
  const { redis, summaries, holds, decisions, absolutions, freezes, deadLetters, health, queues, clock } =
    deps;
  const [
    summaryList,
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
    summaries.list(),
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
    summaries: summaryList,
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

type Instruments = ReturnType<typeof createInstruments>;

function createInstruments(registry: Registry) {
  const registers = [registry];
  let refresh: () => Promise<void> = () => Promise.resolve();
  // prom-client collects all metrics of a registry at once; the first registered one triggers the refresh,
  // and the others wait for the same promise, so that one scrape is one consistent reading.
  let reading: Promise<void> | undefined;
  const collect = async (): Promise<void> => {
    reading ??= refresh().finally(() => (reading = undefined));
    await reading;
  };
  const described = (name: MetricNameOf<"agent">) => ({ ...describeMetric(name), registers, collect });
  const counter = (name: MetricNameOf<"agent">): Counter => new Counter(described(name));
  const gauge = (name: MetricNameOf<"agent">): Gauge => new Gauge(described(name));
  const instruments = {
    devices: counter("ota_devices_total"),
    silentDevices: gauge("ota_silent_devices"),
    runningDevices: gauge("ota_running_devices"),
    activeHours: counter("ota_active_device_hours_total"),
    crashedHours: counter("ota_crashed_device_hours_total"),
    notRespondingHours: counter("ota_not_responding_device_hours_total"),
    releaseDevices: gauge("ota_release_devices"),
    failureRatio: gauge("ota_release_failure_ratio"),
    failureRatioLow: gauge("ota_release_failure_ratio_low"),
    failureRatioHigh: gauge("ota_release_failure_ratio_high"),
    baselineRatio: gauge("ota_release_baseline_failure_ratio"),
    timesBaselineLow: gauge("ota_release_times_baseline_low"),
    timesBaselineHigh: gauge("ota_release_times_baseline_high"),
    evidence: gauge("ota_release_evidence"),
    threshold: gauge("ota_release_evidence_threshold"),
    verdict: gauge("ota_release_verdict"),
    verdictReason: gauge("ota_release_verdict_reason"),
    condemned: gauge("ota_release_condemned"),
    lastReport: gauge("ota_release_last_report_timestamp_seconds"),
    versionsFolded: gauge("ota_versions_folded"),
    rollbackDecisions: counter("ota_rollback_decisions_total"),
    rollbacks: counter("ota_rollbacks_total"),
    held: gauge("ota_rollbacks_held"),
    pending: gauge("ota_rollbacks_pending"),
    rollbackSeconds: new Histogram({
      ...described("ota_rollback_duration_seconds"),
      buckets: ROLLBACK_SECONDS_BUCKETS,
    }),
    lastRollback: gauge("ota_last_rollback_timestamp_seconds"),
    redisUp: gauge("ota_redis_up"),
    listeningSince: gauge("ota_listening_since_timestamp_seconds"),
    approvalsWaiting: gauge("ota_approvals_waiting"),
    followUps: gauge("ota_rollback_follow_ups"),
    killSwitch: gauge("ota_agent_frozen"),
    channelFrozen: gauge("ota_channel_frozen"),
    foldLag: gauge("ota_fold_lag_seconds"),
    streamEntries: gauge("ota_stream_entries"),
    foldedReports: counter("ota_folded_reports_total"),
    deadLetters: counter("ota_dead_letters_total"),
    deadLettersKept: gauge("ota_dead_letters_kept"),
    deadLettersDropped: counter("ota_dead_letters_dropped_total"),
    jobs: gauge("bullmq_job_count"),
  };
  return {
    ...instruments,
    refreshWith: (next: () => Promise<void>): void => void (refresh = next),
    resetAll: (): void => Object.values(instruments).forEach((instrument) => instrument.reset()),
    /** After a reset what has no labels stands at 0, which would be a lie about what nobody could read. */
    hideAll(): void {
      for (const instrument of Object.values(instruments))
        if (instrument !== instruments.redisUp) instrument.remove({});
    },
  };
}

function setReleases(
  instruments: Instruments,
  summaries: readonly ReleaseSummary[],
  standing: readonly DecisionRecord[],
): void {
  const condemned = new Set(standing.map(formatReleaseKey));
  for (const channel of groupByChannel(summaries)) {
    const newestFirst = channel.toSorted((left, right) => right.lastReportAtMs - left.lastReportAtMs);
    for (const summary of newestFirst.slice(0, VERSIONS_PER_CHANNEL_SHOWN))
      setRelease(instruments, summary, condemned);
    const folded = newestFirst.slice(VERSIONS_PER_CHANNEL_SHOWN);
    const { app, channel: name } = newestFirst[0]!.verdict.release;
    for (const summary of folded) addCounts(instruments, summary, { app, channel: name, version: "other" });
    instruments.versionsFolded.set({ app, channel: name }, folded.length);
  }
}

function groupByChannel(summaries: readonly ReleaseSummary[]): ReleaseSummary[][] {
  const channels = new Map<string, ReleaseSummary[]>();
  for (const summary of summaries) {
    const text = formatChannelKey(summary.verdict.release);
    channels.set(text, [...(channels.get(text) ?? []), summary]);
  }
  return [...channels.values()];
}

function setRelease(instruments: Instruments, summary: ReleaseSummary, condemned: ReadonlySet<string>): void {
  const { verdict, lastReportAtMs } = summary;
  const { app, channel, version } = verdict.release;
  const labels = { app, channel, version };
  addCounts(instruments, summary, labels);
  instruments.releaseDevices.set(labels, verdict.devices.attempted);
  instruments.lastReport.set(labels, lastReportAtMs / 1_000);
  instruments.condemned.set(labels, condemned.has(formatReleaseKey(verdict.release)) ? 1 : 0);
  for (const kind of VERDICT_KINDS)
    instruments.verdict.set({ ...labels, verdict: kind }, kind === verdict.kind ? 1 : 0);
  instruments.verdictReason.set({ ...labels, reason: verdict.reason }, 1);
  for (const evidence of verdict.signals) setSignal(instruments, evidence, labels);
}

/** A rule that says nothing has no samples: a 0 would look like one that says "fine". */
function setSignal(
  instruments: Instruments,
  evidence: SignalEvidence,
  release: Record<string, string>,
): void {
  const { signal, rule, failures, trials, baseline, rate, ratio } = evidence;
  if (evidence.unmeasured !== null || trials === 0) return;
  const labels = { ...release, signal };
  const ofRule = { ...labels, rule };
  // Of silence, a comparison counts who has not answered yet, whatever the deadline says.
  if (rule !== "worse_than_baseline" || signal !== "silence")
    instruments.failureRatio.set(labels, failures / trials);
  if (rate !== null) {
    instruments.failureRatioLow.set(ofRule, rate.low);
    if (rate.high !== null) instruments.failureRatioHigh.set(ofRule, rate.high);
  }
  if (baseline !== null && baseline.trials > 0)
    instruments.baselineRatio.set(labels, baseline.failures / baseline.trials);
  if (ratio !== null) {
    instruments.timesBaselineLow.set(labels, ratio.low);
    if (ratio.high !== null) instruments.timesBaselineHigh.set(labels, ratio.high);
  }
  if (evidence.evidenceLog10 === null) return;
  instruments.evidence.set(ofRule, evidence.evidenceLog10);
  instruments.threshold.set(ofRule, evidence.thresholdLog10);
}

/** Adds, because several releases stand in version="other". */
function addCounts(
  instruments: Instruments,
  { verdict: { devices }, hours }: ReleaseSummary,
  labels: Record<string, string>,
): void {
  for (const outcome of LASTING_OUTCOMES) instruments.devices.inc({ ...labels, outcome }, devices[outcome]);
  instruments.silentDevices.inc(labels, devices.silent);
  instruments.runningDevices.inc(labels, devices.running);
  instruments.activeHours.inc(labels, hours.active);
  instruments.crashedHours.inc(labels, hours.crashed);
  instruments.notRespondingHours.inc(labels, hours.notResponding);
}

function setDecisions(instruments: Instruments, { decisions, held, holdCounts, ...reading }: Reading): void {
  for (const outcome of ROLLBACK_OUTCOME_KINDS) instruments.rollbacks.inc({ outcome }, 0);
  for (const kind of FOLLOW_UP_KINDS)
    instruments.followUps.set({ kind }, decisions.filter(({ follow_up }) => follow_up?.kind === kind).length);
  instruments.pending.set(reading.pending);
  instruments.approvalsWaiting.set(reading.waiting);
  const isKillSwitch = reading.frozen.some(({ scope }) => scope === "all");
  instruments.killSwitch.set(isKillSwitch ? 1 : 0);
  for (const { scope } of reading.frozen)
    if (scope !== "all") instruments.channelFrozen.set({ app: scope.app, channel: scope.channel }, 1);
  for (const { reason } of held) instruments.held.inc({ reason });
  for (const [reason, count] of holdCounts)
    instruments.rollbackDecisions.inc({ action: "hold", reason }, count);
  // Oldest first, so that a channel's newest rollback is the one that stays.
  for (const {
    mode,
    cause,
    action,
    reason,
    outcome,
    app,
    channel,
    last_needed_report_at,
  } of decisions.toReversed()) {
    instruments.rollbackDecisions.inc({ action: mode === "shadow" ? "shadow_rollback" : action, reason });
    if (outcome === null) continue;
    instruments.rollbacks.inc({ outcome: outcome.kind });
    if (action !== "rollback" || (outcome.kind !== "applied" && outcome.kind !== "already_applied")) continue;
    const answeredAtMs = Date.parse(outcome.at);
    // What waited for a person, or needed no report, tells nothing of how fast Lastgood is.
    if (mode === "automatic" && cause === "evidence")
      instruments.rollbackSeconds.observe((answeredAtMs - Date.parse(last_needed_report_at)) / 1_000);
    instruments.lastRollback.set({ app, channel }, answeredAtMs / 1_000);
  }
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
