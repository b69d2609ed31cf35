// Alerts on the processes themselves, on what they prove themselves with (TLS), and the dead-man's switch. An alert on `up` also speaks where there is no such
// series at all, because a target that nobody scrapes looks just like one that is fine.
import { alert } from "../alert.ts";
import type { AlertRule } from "../alert.ts";
import { AGENT_UP, INGEST_UP, metric } from "../promql.ts";

const DAY_SECONDS = 86_400;

const oneIsDown = (up: string): string => `max by (instance) (max_over_time(${up}[1m])) == 0`;

const EXPIRY = {
  name: "OtaTlsCertificateExpiring",
  for: "5m",
  identifiedBy: ["instance", "listener"],
  dashboard: "pipeline",
  summary: "A TLS certificate is about to end",
  description: `The certificate that {{ $labels.instance }} serves on {{ $labels.listener }}
    {{ if lt $value 0.0 }}ended {{ $value | humanizeDuration | reReplaceAll "^-" "" }} ago: devices and people who connect are refused
    {{- else }}ends in {{ $value | humanizeDuration }}; then devices and people who connect are refused{{ end }}. First: renew it and put it at cert_file; it is loaded without a restart.`,
} as const;

// The newest word of the last minute: a renewed certificate ends the alert at once.
const endsWithinDays = (days: number): string => `
      min by (instance, listener) (last_over_time(${metric.ota_tls_certificate_expiry_timestamp_seconds}[1m])) - time()
      < ${days * DAY_SECONDS}`;

export const PROCESS_ALERTS: readonly AlertRule[] = [
  alert({
    name: "OtaAgentDown",
    severity: "critical",
    for: "1m",
    expr: `absent(max_over_time(${AGENT_UP}[1m]) == 1)`,
    dashboard: "pipeline",
    summary: "No agent runs: nothing is judged or rolled back",
    description: `Prometheus has reached no agent for 2 minutes, so a bad release stays out. First: start the agent; its log and /readyz say what it waits for.`,
  }),
  alert({
    name: "OtaIngestDown",
    severity: "critical",
    for: "1m",
    expr: `absent(max_over_time(${INGEST_UP}[1m]) == 1)`,
    dashboard: "pipeline",
    summary: "No ingest runs: devices can't report",
    description: `Prometheus has reached no ingest for 2 minutes: what devices have to say is lost or late, and
      failures stay unseen. First: start ingest; its log and /readyz say what it waits for.`,
  }),
  alert({
    name: "OtaAgentInstanceDown",
    severity: "warning",
    for: "5m",
    expr: oneIsDown(AGENT_UP),
    identifiedBy: ["instance"],
    dashboard: "pipeline",
    summary: "One of several agents does not answer",
    description: `Prometheus has not reached the agent {{ $labels.instance }} for over 5 minutes; the others do its work, and
      nobody does if they end too. First: start it; its log and /readyz say what it waits for.`,
    suppressedBy: [{ alertname: "OtaAgentDown", postedBy: "rules", equal: [] }],
  }),
  alert({
    name: "OtaIngestInstanceDown",
    severity: "warning",
    for: "5m",
    expr: oneIsDown(INGEST_UP),
    identifiedBy: ["instance"],
    dashboard: "pipeline",
    summary: "One of several ingests does not answer",
    description: `Prometheus has not reached the ingest {{ $labels.instance }} for over 5 minutes; the others take its devices, and
      what is in its spool waits for its start. First: start it; its log and /readyz say what it waits for.`,
    suppressedBy: [{ alertname: "OtaIngestDown", postedBy: "rules", equal: [] }],
  }),
  alert({
    name: "OtaConfigNotLoaded",
    severity: "warning",
    for: "5m",
    expr: `max by (instance) (max_over_time(${metric.ota_config_reload_success}[1m])) == 0`,
    identifiedBy: ["instance"],
    dashboard: "pipeline",
    summary: "The configuration file has mistakes and is not in force",
    description: `{{ $labels.instance }} could not load the configuration for over 5 minutes and goes on with the one before; a restart would fail. First: lastgood check-config names every mistake.`,
    suppressedBy: [{ alertname: "OtaConfigRefused", postedBy: "agent", equal: [] }],
  }),
  alert({
    ...EXPIRY,
    severity: "warning",
    expr: endsWithinDays(14),
    suppressedBy: [
      { alertname: EXPIRY.name, postedBy: "rules", severity: "critical", equal: ["instance", "listener"] },
    ],
  }),
  alert({ ...EXPIRY, severity: "critical", expr: endsWithinDays(3) }),
  alert({
    name: "OtaTlsReloadFailed",
    severity: "warning",
    for: "5m",
    expr: `max by (instance, listener) (max_over_time(${metric.ota_tls_reload_success}[1m])) == 0`,
    identifiedBy: ["instance", "listener"],
    dashboard: "pipeline",
    summary: "A renewed TLS certificate can't be loaded",
    description: `{{ $labels.instance }} could not load the certificate files of {{ $labels.listener }} for over 5 minutes and serves the
      pair before them; a restart would fail. First: the process's log says what is wrong with cert_file or key_file.`,
  }),
  alert({
    name: "OtaWatchdog",
    severity: "none",
    for: { none: "it always fires" },
    expr: "vector(1)",
    dashboard: "pipeline",
    summary: "Alerting works",
    description: `Always firing: whoever stops hearing of it must call somebody, because Prometheus or
      Alertmanager is down and no other alert will come.`,
  }),
];
