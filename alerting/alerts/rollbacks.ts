// Alerts on what is done about bad releases: rollbacks that hang, fail or are slow, people who are waited for, and pages
// of the agent that reach nobody. Several agents read one Redis, hence `max`. What counts the rollbacks of all channels is
// silenced by no page of the agent on one of them: somebody may be told twice of one rollback, and is told of each.
import { alert } from "../alert.ts";
import type { AlertRule, Suppressor } from "../alert.ts";
import { metric } from "../promql.ts";

const byAgent = (alertname: string): Suppressor => ({
  alertname,
  postedBy: "agent",
  severity: "critical",
  equal: [],
});

export const ROLLBACK_ALERTS: readonly AlertRule[] = [
  alert({
    name: "OtaRollbackStuck",
    severity: "critical",
    for: "5m",
    expr: `max(max_over_time(${metric.ota_rollbacks_pending}[1m])) > 0`,
    dashboard: "rollbacks",
    summary: "A rollback was decided and is not done",
    description: `{{ $value | humanize }} decided rollbacks have no answer of the OTA server for over 5 minutes; devices still
      get the condemned release. First: lastgood explain names them; put the channel back at the OTA server by hand.`,
  }),
  alert({
    name: "OtaRollbacksFailing",
    severity: "critical",
    for: "1m",
    // Made from the decisions that Redis keeps: it steps down by one when an old one is dropped, which increase() would
    // take for a reset and count all the others again. And over all agents: a new one begins at what Redis has.
    expr: `
      max by (outcome) (last_over_time(${metric.ota_rollbacks_total}{outcome=~"failed|refused"}[1m]))
      -
      min by (outcome) (min_over_time(${metric.ota_rollbacks_total}{outcome=~"failed|refused"}[30m]))
      > 0`,
    identifiedBy: ["outcome"],
    dashboard: "rollbacks",
    summary: "A rollback was tried and did not happen",
    description: `{{ $value | humanize }} rollbacks ended as {{ $labels.outcome }} in 30 minutes: the OTA server refused, or said
      done and offers something else. First: lastgood explain names them; put the channel back at the OTA server by hand.`,
  }),
  alert({
    name: "OtaRollbackSlow",
    severity: "warning",
    for: "1m",
    expr: `
      histogram_quantile(0.95, max by (le) (increase(${metric.ota_rollback_duration_seconds}_bucket[1h]))) > 60`,
    dashboard: "rollbacks",
    summary: "Rollbacks take over a minute",
    description: `19 of 20 rollbacks of the last hour took up to {{ $value | humanizeDuration }} from the evidence to the OTA
      server's answer. First: compare fold lag and the OTA server's answer times on the dashboard.`,
    suppressedBy: [{ alertname: "OtaFoldLagHigh", postedBy: "rules", equal: [] }],
  }),
  alert({
    name: "OtaApprovalUnanswered",
    severity: "critical",
    for: "15m",
    expr: `max(max_over_time(${metric.ota_approvals_waiting}[1m])) > 0`,
    dashboard: "rollbacks",
    summary: "A rollback waits for a person and nobody answers",
    description: `{{ $value | humanize }} decisions have waited for a yes for over 15 minutes, and devices still get the failing
      release. First: lastgood explain shows the evidence; then lastgood approve or lastgood reject.`,
  }),
  alert({
    name: "OtaKillSwitchLeftOn",
    severity: "warning",
    for: "24h",
    expr: `max(max_over_time(${metric.ota_agent_frozen}[5m])) == 1`,
    dashboard: "fleet",
    summary: "Everything automatic has been switched off for a day",
    description: `The kill switch has been on for over 24 hours: no bad release is rolled
      back. First: lastgood freeze says who set it and why; lastgood unfreeze lifts it.`,
    suppressedBy: [byAgent("OtaKillSwitchOn")],
  }),
  alert({
    name: "OtaPagesNotDelivered",
    severity: "critical",
    for: "5m",
    expr: `
      sum(increase(${metric.ota_page_posts_total}{result!="taken"}[5m]))
      /
      sum(increase(${metric.ota_page_posts_total}[5m]))
      > 0.5`,
    keepFiringFor: "5m",
    dashboard: "pipeline",
    summary: "The agent's pages do not reach Alertmanager",
    description: `{{ $value | humanizePercentage }} of the agent's posts of pages failed in 5 minutes, so nobody is called for
      what only it knows. First: lastgood status shows what stands; compare alertmanager.url and its credentials with
      Alertmanager's.`,
  }),
];
