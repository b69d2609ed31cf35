// Alerts on releases: the backstop, which needs no judge, and what informs and inhibits. Each is about one release.
import { alert } from "../alert.ts";
import type { AlertRule, Suppressor } from "../alert.ts";
import { metric } from "../promql.ts";

/** Failures that the backstop must have seen; below that no ratio means anything. */
export const BACKSTOP_FAILURES_MIN = 20;
/** Device-hours with a crash that it must have seen: a device counts once an hour, so that is ten devices at least. */
export const BACKSTOP_CRASHED_HOURS_MIN = 20;
/** How long a finished rollback keeps its cause quiet. */
const ROLLBACK_DONE_SECONDS = 4 * 3_600;

const RELEASE = ["app", "channel", "version"] as const;

/** What the agent already calls somebody for, where it does: while it lives, it knows more. */
const TOLD_BY_AGENT: readonly Suppressor[] = (
  [
    "OtaApprovalWaiting",
    "OtaKillSwitchOn",
    "OtaReleaseFailing",
    "OtaRollbackFailed",
    "OtaRollbackHeld",
    "OtaRollbackPending",
    "OtaServerRefuses",
    "OtaServerUnavailable",
  ] as const
).map((alertname) => ({ alertname, postedBy: "agent", severity: "critical", equal: RELEASE }));

const QUIETENED_BY: readonly Suppressor[] = [
  { alertname: "OtaRollbackDone", postedBy: "rules", equal: RELEASE },
  { alertname: "OtaRolledBack", postedBy: "agent", equal: RELEASE },
  { alertname: "OtaRolloutPaused", postedBy: "agent", equal: RELEASE },
  { alertname: "OtaEnvironmentIncident", postedBy: "rules", equal: ["app", "channel"] },
  { alertname: "OtaEnvironmentFailing", postedBy: "agent", equal: ["app", "channel"] },
  ...TOLD_BY_AGENT,
];

const BACKSTOP = {
  name: "OtaReleaseFailingNotRolledBack",
  severity: "critical",
  // A dip of the traffic below what is needed for an answer is no recovery.
  keepFiringFor: "10m",
  for: "10m",
  identifiedBy: RELEASE,
  dashboard: "release",
  suppressedBy: QUIETENED_BY,
} as const;
const otherReports = (events: string): string =>
  `sum by (app, channel) (increase(${metric.ota_ingest_release_reports_total}{version="other",event=~"${events}"}[30m]))`;
const ACTED_ON = `
    unless on (app, channel, version)
      app_channel_version:ota_release_acted_on:last4h`;

export const RELEASE_ALERTS: readonly AlertRule[] = [
  alert({
    ...BACKSTOP,
    labels: { signal: "update_failure" },
    expr: `
    app_channel_version:ota_update_failures_beyond_chance_per_attempt:ratio30m
      > on (app, channel) group_left ()
    app_channel:ota_update_failure_limit:ratio

    and on (app, channel, version) (
      app_channel_version:ota_update_failures_per_attempt:ratio5m
        > on (app, channel) group_left ()
      app_channel:ota_update_failure_limit:ratio
    )

    and on (app, channel, version)
      app_channel_version:ota_update_failures:increase30m >= ${BACKSTOP_FAILURES_MIN}
    ${ACTED_ON}`,
    summary: "A release fails and nothing was done about it",
    description: `Updates of {{ $labels.app }}/{{ $labels.channel }} to {{ $labels.version }} fail: at least
      {{ $value | humanizePercentage }} of the last 30 minutes' attempts, chance taken off, which is more than the policy
      allows. It was not rolled back. First: lastgood status; if the agent can't act, put the channel back at the OTA server
      by hand now.`,
  }),
  alert({
    ...BACKSTOP,
    labels: { signal: "crash" },
    expr: `
    app_channel_version:ota_crashed_per_active_device_hours:ratio1h
      > on (app, channel) group_left ()
    app_channel:ota_crash_limit:ratio

    and on (app, channel, version)
      app_channel_version:ota_crashed_device_hours:increase1h >= ${BACKSTOP_CRASHED_HOURS_MIN}

    and on (app, channel, version)
      app_channel_version:ota_crashed_device_hours:increase15m > 0
    ${ACTED_ON}`,
    summary: "A release crashes and nothing was done about it",
    description: `{{ $labels.app }}/{{ $labels.channel }} {{ $labels.version }} crashes in
      {{ $value | humanizePercentage }} of the hours in which devices use it, which is more than the policy allows. It was
      not rolled back. First: lastgood status; if the agent can't act, put the channel back at the OTA server by hand now.`,
  }),
  // Versions beyond those that have series of their own. Ingest's reports alone: the agent's count of `other` steps up and
  // down as versions are folded into it. Reports and not devices, and nobody knows which version: a ticket, no page.
  alert({
    name: "OtaOtherVersionsFailing",
    severity: "warning",
    for: "10m",
    expr: `
      (
        ${otherReports("install_failed|reverted")}
        - 2 * sqrt(${otherReports("install_failed|reverted")})
      )
      /
      ${otherReports("install_failed|reverted|confirmed")}
      > on (app, channel)
      app_channel:ota_update_failure_limit:ratio

      and on (app, channel)
        ${otherReports("install_failed|reverted")} >= ${BACKSTOP_FAILURES_MIN}`,
    identifiedBy: ["app", "channel"],
    dashboard: "fleet",
    summary: "Versions that have no series of their own fail",
    description: `Of the reports of {{ $labels.app }}/{{ $labels.channel }} on versions beyond those with series of their own, at least
      {{ $value | humanizePercentage }} in 30 minutes say that an update failed, chance taken off: more than the policy allows, and
      OtaReleaseFailingNotRolledBack does not see them. First: lastgood status lists the releases; lastgood health of those that
      are new.`,
    suppressedBy: [
      { alertname: "OtaEnvironmentIncident", postedBy: "rules", equal: ["app", "channel"] },
      { alertname: "OtaEnvironmentFailing", postedBy: "agent", equal: ["app", "channel"] },
    ],
  }),
  alert({
    name: "OtaRollbackDone",
    severity: "info",
    for: { none: "it must be there before what it inhibits" },
    expr: `
      time()
      -
      max by (app, channel, version) (
        max_over_time(
          ${metric.ota_last_decision_timestamp_seconds}{action="rollback",mode!="shadow",outcome=~"applied|already_applied"}[5m]
        )
      )
      < ${ROLLBACK_DONE_SECONDS}`,
    identifiedBy: RELEASE,
    dashboard: "rollbacks",
    summary: "A channel was put back on an earlier release",
    description: `{{ $labels.app }}/{{ $labels.channel }} was rolled back from {{ $labels.version }}
      {{ $value | humanizeDuration }} ago. Nothing to do: lastgood explain says why.`,
    suppressedBy: [{ alertname: "OtaRolledBack", postedBy: "agent", equal: RELEASE }],
  }),
  alert({
    name: "OtaEnvironmentIncident",
    severity: "critical",
    for: "1m",
    keepFiringFor: "10m",
    expr: `
      max by (app, channel) (max_over_time(${metric.ota_release_verdict_reason}{reason="environment"}[1m])) == 1`,
    identifiedBy: ["app", "channel"],
    dashboard: "fleet",
    summary: "Every release fails alike, so no release is at fault",
    description: `What happens on {{ $labels.app }}/{{ $labels.channel }} happens on all versions alike. First: look at the backend and the network; going back would mend
      nothing.`,
    suppressedBy: [{ alertname: "OtaEnvironmentFailing", postedBy: "agent", equal: ["app", "channel"] }],
  }),
];
