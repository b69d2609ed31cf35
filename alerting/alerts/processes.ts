// Alerts on the processes themselves, and the dead-man's switch. An alert on `up` also speaks where there is no such
// series at all, because a target that nobody scrapes looks just like one that is fine.
import { alert } from "../alert.ts";
import type { AlertRule } from "../alert.ts";
import { AGENT_UP, INGEST_UP, metric } from "../promql.ts";

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
