// Alerts on the way of a report from the device to its count: late, waiting, lost, not judged, not proven.
import { alert } from "../alert.ts";
import type { AlertRule, Suppressor } from "../alert.ts";
import { PROCESS_START, metric } from "../promql.ts";

const AGENT_DOWN: Suppressor = { alertname: "OtaAgentDown", postedBy: "rules", equal: [] };
const REDIS_DOWN: Suppressor = { alertname: "OtaRedisDown", postedBy: "rules", equal: [] };
const INGEST_DOWN: Suppressor = { alertname: "OtaIngestDown", postedBy: "rules", equal: [] };
const STOPPED = [AGENT_DOWN, REDIS_DOWN];
/** Louder of the same name. */
const louder = (alertname: string): Suppressor => ({
  alertname,
  postedBy: "rules",
  severity: "critical",
  equal: [],
});

const FOLD_LAG = {
  name: "OtaFoldLagHigh",
  keepFiringFor: "5m",
  dashboard: "pipeline",
  summary: "Reports are counted late",
  description: `The oldest report that is not counted yet has waited for {{ $value | humanizeDuration }}; a release that turns bad is
    seen that much later. First: is every agent up and Redis fast (dashboard)? More reports than usual need another agent.`,
} as const;

const STALLED = {
  name: "OtaEvaluationStalled",
  severity: "critical",
  identifiedBy: ["app", "channel"],
  dashboard: "pipeline",
  summary: "Reports are counted but no release is judged",
  suppressedBy: STOPPED,
} as const;
const COUNTING = `
      and on ()
        max(increase(${metric.ota_folded_reports_total}[5m])) > 0`;

const BACKLOG = {
  name: "OtaStreamBacklogHigh",
  for: "5m",
  dashboard: "pipeline",
  summary: "Reports pile up and will be refused",
  description: `{{ $value | humanizePercentage }} of the reports that may wait in a shard's stream do; at 100% devices are turned
    away. First: is an agent up and folding? If it is, raise ingest.limits.stream_entries while Redis has the memory.`,
} as const;

export const PIPELINE_ALERTS: readonly AlertRule[] = [
  alert({
    ...FOLD_LAG,
    severity: "warning",
    for: "5m",
    expr: "lastgood:ota_fold_lag_seconds:max > 60",
    suppressedBy: [louder(FOLD_LAG.name), ...STOPPED],
  }),
  alert({
    ...FOLD_LAG,
    severity: "critical",
    for: "2m",
    expr: "lastgood:ota_fold_lag_seconds:max > 300",
    suppressedBy: STOPPED,
  }),
  alert({
    ...BACKLOG,
    severity: "warning",
    expr: "lastgood:ota_stream_entries_per_max:ratio > 0.5",
    suppressedBy: [louder(BACKLOG.name), ...STOPPED],
  }),
  alert({
    ...BACKLOG,
    severity: "critical",
    expr: "lastgood:ota_stream_entries_per_max:ratio > 0.8",
    suppressedBy: STOPPED,
  }),
  alert({
    ...STALLED,
    for: "5m",
    expr: `
      time() - max by (app, channel) (max_over_time(${metric.ota_channel_evaluated_timestamp_seconds}[5m])) > 900

      and on (app, channel)
        sum by (app, channel) (increase(${metric.ota_ingest_release_reports_total}[5m])) > 0
      ${COUNTING}`,
    description: `{{ $labels.app }}/{{ $labels.channel }} was last judged {{ $value | humanizeDuration }} ago although its devices
      report. First: look at the agent's log and the queue evaluate on the dashboard; start the agent anew.`,
  }),
  // A channel that was never judged has no time of it to compare.
  alert({
    ...STALLED,
    for: "15m",
    labels: { judged: "never" },
    expr: `
      sum by (app, channel) (increase(${metric.ota_ingest_release_reports_total}[5m])) > 0

      unless on (app, channel)
        max by (app, channel) (max_over_time(${metric.ota_channel_evaluated_timestamp_seconds}[5m]))
      ${COUNTING}`,
    description: `No release of {{ $labels.app }}/{{ $labels.channel }} was ever judged, although about {{ $value | humanize }} reports came
      in 5 minutes, and did so for 15. First: is the channel in the agent's configuration, as it is in ingest's? Then the
      agent's log and the queue evaluate on the dashboard.`,
  }),
  alert({
    name: "OtaJobsFailed",
    severity: "warning",
    for: "1m",
    expr: `max by (queue) (delta(${metric.bullmq_job_count}{state="failed"}[15m])) > 0`,
    keepFiringFor: "10m",
    identifiedBy: ["queue"],
    dashboard: "pipeline",
    summary: "Jobs of the agent fail",
    description: `About {{ $value | humanize }} jobs of the queue {{ $labels.queue }} failed for good in 15 minutes. First: the agent's
      log has the error of each, with its decision or channel.`,
    suppressedBy: [REDIS_DOWN],
  }),
  alert({
    name: "OtaJobsStuck",
    severity: "warning",
    for: "5m",
    expr: `max by (queue) (min_over_time(${metric.bullmq_job_count}{state="waiting"}[10m])) > 0`,
    identifiedBy: ["queue"],
    dashboard: "pipeline",
    summary: "Jobs wait and no agent takes them",
    description: `{{ $value | humanize }} jobs or more have waited in the queue {{ $labels.queue }} all the time for 15 minutes. First:
      is an agent up and not blocked (its log, CPU)? Start it anew, or add one.`,
    suppressedBy: STOPPED,
  }),
  alert({
    name: "OtaDeadLettersDropped",
    severity: "critical",
    for: "1m",
    expr: `max(increase(${metric.ota_dead_letters_dropped_total}[30m])) > 0`,
    dashboard: "pipeline",
    summary: "Reports that could not be counted are lost",
    description: `About {{ $value | humanize }} dead letters gave way to newer ones in 30 minutes and are lost. First:
      lastgood dead-letters says why they can't be counted; mend that and re-drive what is left.`,
  }),
  alert({
    name: "OtaDeadLettersWaiting",
    severity: "warning",
    for: "15m",
    expr: `max(max_over_time(${metric.ota_dead_letters_kept}[1m])) > 0`,
    dashboard: "pipeline",
    summary: "Reports could not be counted and wait for a person",
    description: `{{ $value | humanize }} dead letters have waited for over 15 minutes. First: lastgood dead-letters says why each can't
      be counted; re-drive or discard them.`,
    suppressedBy: [{ alertname: "OtaDeadLettersDropped", postedBy: "rules", equal: [] }],
  }),
  alert({
    name: "OtaPollStalled",
    severity: "critical",
    for: "5m",
    expr: `time() - max by (app) (max_over_time(${metric.ota_poll_complete_timestamp_seconds}[1h])) > 600`,
    identifiedBy: ["app"],
    dashboard: "pipeline",
    summary: "An OTA server that has to be asked is not read",
    description: `What the devices of {{ $labels.app }} told their OTA server was last read {{ $value | humanizeDuration }} ago; until it
      is, a bad release is not seen. First: check the address and credentials of the app's ota_server; the agent's log has its
      answer.`,
    suppressedBy: [{ alertname: "OtaDevicesUnheard", postedBy: "agent", equal: ["app"] }, ...STOPPED],
  }),
  alert({
    name: "OtaNotListening",
    severity: "warning",
    for: "10m",
    expr: `
      max(max_over_time(${metric.ota_redis_up}[1m])) == 1
      unless on ()
      max(max_over_time(${metric.ota_listening_since_timestamp_seconds}[5m]))`,
    dashboard: "pipeline",
    summary: "No device is counted silent, because nobody listens",
    description: `For over 10 minutes ingest has not listened without turning reports away, so
      silence proves nothing and rules for it rest. First: is ingest up, and does it refuse reports (dashboard)?`,
    suppressedBy: [INGEST_DOWN, REDIS_DOWN, { alertname: "OtaReportsRefused", postedBy: "rules", equal: [] }],
  }),
  alert({
    name: "OtaDevicesNotProven",
    severity: "warning",
    for: "5m",
    expr: `
      sum by (app) (increase(${metric.ota_ingest_device_auth_total}{result=~"missing|invalid|mismatch"}[15m]))
      /
      sum by (app) (increase(${metric.ota_ingest_device_auth_total}[15m]))
      > 0.1

      and on (app)
        sum by (app) (increase(${metric.ota_ingest_device_auth_total}{result=~"missing|invalid|mismatch"}[15m])) >= 20`,
    identifiedBy: ["app"],
    dashboard: "pipeline",
    summary: "Many reports come without proof of their device",
    description: `{{ $value | humanizePercentage }} of the reports of {{ $labels.app }} in 15 minutes had no proof of their device or a
      wrong one: forged, or devices lost their tokens. First: compare ota_ingest_device_auth_total by result; if forged,
      change the ingest key.`,
    suppressedBy: [{ alertname: "OtaForgedReports", postedBy: "agent", equal: ["app"] }],
  }),
  alert({
    name: "OtaSpooling",
    severity: "warning",
    for: "3m",
    expr: `max by (instance) (min_over_time(${metric.ota_ingest_spooling}[1m])) == 1`,
    identifiedBy: ["instance"],
    dashboard: "pipeline",
    summary: "Redis takes no reports: they wait on ingest's disk",
    description: `{{ $labels.instance }} has kept reports on its disk for over 3 minutes, because Redis takes none from it; nothing of them is
      counted meanwhile. First: redis-cli ping from there at redis.url; is Redis up, out of memory, or not reached?`,
    suppressedBy: [REDIS_DOWN, { ...louder("OtaSpoolFilling"), equal: ["instance"] }],
  }),
  // Not silenced by OtaRedisDown: that reports will be lost is more than that they are late. A spool that is off has room
  // for 0 bytes.
  alert({
    name: "OtaSpoolFilling",
    severity: "critical",
    for: "1m",
    expr: `
      max by (instance) (max_over_time(${metric.ota_ingest_spool_bytes}[1m]))
      /
      (max by (instance) (last_over_time(${metric.ota_ingest_spool_bytes_max}[1m])) > 0)
      > 0.8`,
    identifiedBy: ["instance"],
    dashboard: "pipeline",
    summary: "The spool is nearly full: devices will be turned away",
    description: `{{ $value | humanizePercentage }} of the room on disk of {{ $labels.instance }} for reports that wait for Redis is taken; at 100%
      devices are turned away. First: bring Redis back; until then raise ingest.spool.max_bytes if the disk has room.`,
  }),
  // The count stands as long as the process, so for six hours after it last grew. What is found at a start was there before
  // anybody could see it grow: for six hours after the start, too.
  alert({
    name: "OtaSpoolDamaged",
    severity: "warning",
    for: "1m",
    expr: `
      max by (instance) (max_over_time(${metric.ota_ingest_spool_damaged_records_total}[1m])) > 0
      and on (instance) (
        max by (instance) (increase(${metric.ota_ingest_spool_damaged_records_total}[6h])) > 0
        or
        max by (instance) (time() - last_over_time(${PROCESS_START}[1m])) < 21600
      )`,
    identifiedBy: ["instance"],
    dashboard: "pipeline",
    summary: "Reports on ingest's disk could not be read back",
    description: `{{ $value | humanize }} records of the spool of {{ $labels.instance }} are damaged since its start, and the reports in
      them are lost. First: look at that machine's disk; ingest's log names the files.`,
  }),
];
