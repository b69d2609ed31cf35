// Recording rules: expressions that several alerts and dashboards share, named `level:metric:operations`. Several agents
// read the same numbers from Redis (`max by`), while every ingest counts for itself (`sum by`). Enters: the table of
// metrics. Leaves: groups of rules; a group's rules are evaluated in order.
import { AGENT_UP, metric, promql } from "./promql.ts";
import { errorRatioName, FRESH_SECONDS, LATE, SLO_WINDOWS, SLOS } from "./slo.ts";

export interface RecordingRule {
  readonly record: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface RecordingGroup {
  readonly name: string;
  /** How often; at least twice the scrape interval. */
  readonly interval: string;
  readonly rules: readonly RecordingRule[];
}

const RELEASE = "app, channel, version";
const DONE = 'outcome=~"applied|already_applied"';
/** The agent's counts of devices stand for what happens now while nothing older waits to be counted; seconds. */
export const COUNTS_FRESH_SECONDS = 300;
/** What a policy that nobody knows is taken to allow. */
export const LIMIT_UNKNOWN_RATIO = 0.2;
/** Lifted above this many standard deviations of what chance could do to a count of failures. */
const CHANCE_DEVIATIONS = 2;

const record = (name: string, expr: string, labels?: RecordingRule["labels"]): RecordingRule => ({
  record: name,
  expr: promql(expr),
  ...(labels === undefined ? {} : { labels }),
});

function pipeline(): RecordingRule[] {
  return [
    record("lastgood:ota_fold_lag_seconds:max", `max(max_over_time(${metric.ota_fold_lag_seconds}[1m]))`),
    record(
      "lastgood:ota_stream_entries_per_max:ratio",
      `
      max(max_over_time(${metric.ota_stream_entries}[1m]))
      /
      (
        min(last_over_time(${metric.ota_ingest_stream_entries_max}[1m]))
        or
        min(last_over_time(${metric.ota_ingest_stream_entries_max}[1d]))
      )`,
    ),
    // Where no agent can tell, nothing is folded: that is late.
    record(
      LATE,
      `
      (lastgood:ota_fold_lag_seconds:max > bool ${FRESH_SECONDS})
      or
      (max(${AGENT_UP}) * 0 + 1)`,
    ),
  ];
}

/** Two sources of failures: the agent's devices, each once; ingest's reports, while the agent has nothing to say. */
function failures(window: "5m" | "30m"): RecordingRule[] {
  const devices = (outcome: string): string =>
    `max by (${RELEASE}) (increase(${metric.ota_devices_total}{outcome="${outcome}",version!="other"}[${window}]))`;
  const reports = (events: string): string =>
    `sum by (${RELEASE}) (increase(${metric.ota_ingest_release_reports_total}{event=~"${events}",version!="other"}[${window}]))`;
  const fresh = "app_channel_version:ota_devices:fresh";
  const either = (outcome: string, events: string): string => `
      (${devices(outcome)} and ${fresh})
      or
      (${reports(events)} unless ${fresh})`;
  return [
    record(
      `app_channel_version:ota_update_failures:increase${window}`,
      either("failed", "install_failed|reverted"),
    ),
    record(
      `app_channel_version:ota_update_attempts:increase${window}`,
      either("attempted", "install_failed|reverted|confirmed"),
    ),
    record(
      `app_channel_version:ota_update_failures_per_attempt:ratio${window}`,
      `
      app_channel_version:ota_update_failures:increase${window}
      /
      (app_channel_version:ota_update_attempts:increase${window} > 0)`,
    ),
  ];
}

/** What live agents say; a limit of one that is gone only where there is no other, and then the strictest. */
function limit(signal: "update_failure" | "crash", known: string): RecordingRule {
  return record(
    `app_channel:ota_${signal}_limit:ratio`,
    `
      max by (app, channel) (last_over_time(${metric.ota_policy_limit_ratio}{signal="${signal}"}[1m]))
      or
      min by (app, channel) (last_over_time(${metric.ota_policy_limit_ratio}{signal="${signal}"}[1d]))
      or
      (max by (app, channel) (${known}) * 0 + ${LIMIT_UNKNOWN_RATIO})`,
  );
}

/**
 * What a live agent says of a release. What a dead one said last holds for four hours, because it may have died right after
 * it had acted; no longer, because whoever offers the release again then must be noticed.
 */
function remembered(selector: string): string {
  return `(
        max by (${RELEASE}) (last_over_time(${selector}[1m]))
        or
        (
          max by (${RELEASE}) (last_over_time(${selector}[4h]))
          unless on ()
          (max(max_over_time(${metric.ota_redis_up}[1m])) == 1)
        )
      )`;
}

function releases(): RecordingRule[] {
  const hours = (
    name: "ota_crashed_device_hours_total" | "ota_active_device_hours_total",
    window: string,
  ): string => `max by (${RELEASE}) (increase(${metric[name]}{version!="other"}[${window}]))`;
  return [
    record(
      "app_channel_version:ota_devices:fresh",
      `
      group by (${RELEASE}) (last_over_time(${metric.ota_devices_total}{outcome="failed"}[1m]))
      and on ()
      (lastgood:ota_fold_lag_seconds:max <= ${COUNTS_FRESH_SECONDS})`,
    ),
    ...failures("5m"),
    ...failures("30m"),
    record(
      "app_channel_version:ota_update_failures_beyond_chance_per_attempt:ratio30m",
      `
      (
        app_channel_version:ota_update_failures:increase30m
        - ${CHANCE_DEVIATIONS} * sqrt(app_channel_version:ota_update_failures:increase30m)
      )
      /
      (app_channel_version:ota_update_attempts:increase30m > 0)`,
    ),
    record(
      "app_channel_version:ota_crashed_device_hours:increase15m",
      hours("ota_crashed_device_hours_total", "15m"),
    ),
    record(
      "app_channel_version:ota_crashed_device_hours:increase1h",
      hours("ota_crashed_device_hours_total", "1h"),
    ),
    record(
      "app_channel_version:ota_crashed_per_active_device_hours:ratio1h",
      `
      app_channel_version:ota_crashed_device_hours:increase1h
      /
      (${hours("ota_active_device_hours_total", "1h")} > 0)`,
    ),
    limit("update_failure", "app_channel_version:ota_update_attempts:increase30m"),
    limit("crash", "app_channel_version:ota_crashed_device_hours:increase1h"),
    // Acted on: for good, or condemned and no decision about it is known to hang.
    record(
      "app_channel_version:ota_release_acted_on:last4h",
      `
      ${remembered(`${metric.ota_last_decision_timestamp_seconds}{action=~"rollback|pause",mode!="shadow",${DONE}}`)}
      or
      (
        (${remembered(metric.ota_release_condemned)} == 1)
        unless
        ${remembered(`${metric.ota_last_decision_timestamp_seconds}{mode!="shadow",outcome=~"none|failed|refused|expired|paged"}`)}
      )`,
    ),
  ];
}

function slos(): RecordingRule[] {
  return Object.values(SLOS).flatMap(({ slo, errorRatio }) =>
    SLO_WINDOWS.map((window) => record(errorRatioName(window), errorRatio(window), { slo })),
  );
}

export const RECORDING_GROUPS: readonly RecordingGroup[] = [
  { name: "lastgood-pipeline", interval: "30s", rules: pipeline() },
  { name: "lastgood-releases", interval: "30s", rules: releases() },
  { name: "lastgood-slo", interval: "30s", rules: slos() },
];
