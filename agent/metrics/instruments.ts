// The instruments of the metrics that are read from Redis with each scrape, one for each name. Enters: the registry. Leaves:
// the instruments, which refresh themselves together when the registry is collected.
import { METRICS, describeMetric } from "../../ingest/contract/metric-names.ts";
import type { MetricNameOf } from "../../ingest/contract/metric-names.ts";
import type { ReleaseSummary } from "../journal/summary-store.ts";
import { Counter, Gauge, Histogram, createTextMetric } from "../../runtime/metrics.ts";
import type { Registry, SampleBytes, TextMetric } from "../../runtime/metrics.ts";

export const ROLLBACK_SECONDS_BUCKETS = [0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 1800];

export type Instruments = ReturnType<typeof createInstruments>;

export function createInstruments(registry: Registry) {
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
  const make: Make = {
    counter: (name) => new Counter(described(name)),
    gauge: (name) => new Gauge(described(name)),
    histogram: (name, buckets) => new Histogram({ ...described(name), buckets: [...buckets] }),
  };
  const releases = ofReleases((name) => createTextMetric({ ...described(name), type: METRICS[name].type }));
  const instruments = { ...ofDecisions(make), ...ofPipeline(make) };
  return {
    ...releases,
    ...instruments,
    /** What each summary has to say, for as long as somebody holds the summary: most are the same with the next scrape. */
    written: new WeakMap<ReleaseSummary, { readonly isCondemned: boolean; readonly samples: SampleBytes }>(),
    refreshWith: (next: () => Promise<void>): void => void (refresh = next),
    resetAll(): void {
      for (const instrument of [...Object.values(releases), ...Object.values(instruments)])
        instrument.reset();
    },
    /**
     * After a reset what has no labels stands at 0, which would be a lie about what nobody could read. What is told of
     * releases and channels always has labels: of it a reset leaves nothing.
     */
    hideAll(): void {
      for (const instrument of Object.values(instruments))
        if (instrument !== instruments.redisUp) instrument.remove({});
    },
  };
}

type ReleaseMetricName = {
  [N in MetricNameOf<"agent">]: (typeof METRICS)[N]["type"] extends "counter" | "gauge" ? N : never;
}[MetricNameOf<"agent">];

interface Make {
  readonly counter: (name: MetricNameOf<"agent">) => Counter;
  readonly gauge: (name: MetricNameOf<"agent">) => Gauge;
  readonly histogram: (name: MetricNameOf<"agent">, buckets: readonly number[]) => Histogram;
}

/** What grows with every release is written as text: there may be 1,200 releases with 50 series each. */
function ofReleases(text: (name: ReleaseMetricName) => TextMetric) {
  return {
    devices: text("ota_devices_total"),
    silentDevices: text("ota_silent_devices"),
    runningDevices: text("ota_running_devices"),
    activeHours: text("ota_active_device_hours_total"),
    crashedHours: text("ota_crashed_device_hours_total"),
    notRespondingHours: text("ota_not_responding_device_hours_total"),
    releaseDevices: text("ota_release_devices"),
    failureRatio: text("ota_release_failure_ratio"),
    failureRatioLow: text("ota_release_failure_ratio_low"),
    failureRatioHigh: text("ota_release_failure_ratio_high"),
    baselineRatio: text("ota_release_baseline_failure_ratio"),
    timesBaselineLow: text("ota_release_times_baseline_low"),
    timesBaselineHigh: text("ota_release_times_baseline_high"),
    evidence: text("ota_release_evidence"),
    threshold: text("ota_release_evidence_threshold"),
    segmentRatio: text("ota_release_segment_failure_ratio"),
    segmentEvidence: text("ota_release_segment_evidence"),
    segmentThreshold: text("ota_release_segment_evidence_threshold"),
    verdict: text("ota_release_verdict"),
    verdictReason: text("ota_release_verdict_reason"),
    condemned: text("ota_release_condemned"),
    lastReport: text("ota_release_last_report_timestamp_seconds"),
    versionsFolded: text("ota_versions_folded"),
    policyLimit: text("ota_policy_limit_ratio"),
    offered: text("ota_channel_offered_info"),
    evaluated: text("ota_channel_evaluated_timestamp_seconds"),
  };
}

function ofDecisions({ counter, gauge, histogram }: Make) {
  return {
    rollbackDecisions: counter("ota_rollback_decisions_total"),
    rollbacks: counter("ota_rollbacks_total"),
    held: gauge("ota_rollbacks_held"),
    pending: gauge("ota_rollbacks_pending"),
    rollbackSeconds: histogram("ota_rollback_duration_seconds", ROLLBACK_SECONDS_BUCKETS),
    lastRollback: gauge("ota_last_rollback_timestamp_seconds"),
    lastDecision: gauge("ota_last_decision_timestamp_seconds"),
    approvalsWaiting: gauge("ota_approvals_waiting"),
    followUps: gauge("ota_rollback_follow_ups"),
    killSwitch: gauge("ota_agent_frozen"),
    channelFrozen: gauge("ota_channel_frozen"),
  };
}

function ofPipeline({ counter, gauge }: Make) {
  return {
    redisUp: gauge("ota_redis_up"),
    redisMemory: gauge("ota_redis_memory_bytes"),
    redisMemoryMax: gauge("ota_redis_memory_max_bytes"),
    redisClients: gauge("ota_redis_clients"),
    redisCommands: counter("ota_redis_commands_total"),
    redisPersistence: gauge("ota_redis_persistence_ok"),
    redisPing: gauge("ota_redis_ping_seconds"),
    listeningSince: gauge("ota_listening_since_timestamp_seconds"),
    foldLag: gauge("ota_fold_lag_seconds"),
    streamEntries: gauge("ota_stream_entries"),
    foldedReports: counter("ota_folded_reports_total"),
    deadLetters: counter("ota_dead_letters_total"),
    deadLettersKept: gauge("ota_dead_letters_kept"),
    deadLettersDropped: counter("ota_dead_letters_dropped_total"),
    jobs: gauge("bullmq_job_count"),
  };
}
