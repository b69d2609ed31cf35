// Burn-rate alerts: the pipeline spends what it may fail in 30 days too fast. Two pairs of windows page, two open a
// ticket. They have no `for`: the short window is what makes them end, the long one what keeps noise out.
import { alert } from "../alert.ts";
import type { AlertDraft, AlertRule, Severity, Suppressor } from "../alert.ts";
import { BURN_RATES, burns, SLOS } from "../slo.ts";
import type { Slo } from "../slo.ts";

interface Burning extends Pick<AlertDraft, "name" | "summary" | "description"> {
  readonly suppressedBy: (severity: Severity) => readonly Suppressor[];
}

function burnAlerts(slo: Slo, { suppressedBy, ...draft }: Burning): AlertRule[] {
  return BURN_RATES.map((rate) => {
    const isLouder: Suppressor[] =
      rate.severity === "critical"
        ? []
        : [{ alertname: draft.name, postedBy: "rules", severity: "critical", equal: ["slo"] }];
    return alert({
      ...draft,
      // Templates see the labels of the expression, not those of the rule.
      description: draft.description.replace("LONG", rate.long).replace("SHORT", rate.short),
      severity: rate.severity,
      for: { none: "the short window is its `for`" },
      expr: burns(slo, rate),
      labels: { long_window: rate.long, short_window: rate.short },
      identifiedBy: ["slo"],
      dashboard: "pipeline",
      suppressedBy: [...isLouder, ...suppressedBy(rate.severity)],
    });
  });
}

const down = (alertname: string): Suppressor => ({ alertname, postedBy: "rules", equal: [] });
/** What only opens a ticket must not silence what somebody is woken for. */
const asLoud = (alertname: string, severity: Severity): Suppressor =>
  severity === "critical" ? { ...down(alertname), severity } : down(alertname);

export const SLO_ALERTS: readonly AlertRule[] = [
  ...burnAlerts(SLOS.accepted, {
    name: "OtaReportsRefused",
    summary: "Good reports are turned away",
    description: `{{ $value | humanizePercentage }} of good reports were refused in LONG (and it goes on:
      SHORT); of 30 days 0.1% may be. First: ota_ingest_reports_total by result says backlog_full (is the agent
      folding?) or redis_unavailable (look at Redis).`,
    suppressedBy: () => [down("OtaRedisDown")],
  }),
  ...burnAlerts(SLOS.freshness, {
    name: "OtaFreshnessBudgetBurn",
    summary: "Reports are counted late too often",
    description: `In {{ $value | humanizePercentage }} of LONG (and it goes on: SHORT) reports
      waited over 60 s to be counted; of 30 days that may be 0.5%. First: fold lag, agents and Redis on the dashboard.`,
    suppressedBy: (severity) => [
      down("OtaAgentDown"),
      down("OtaRedisDown"),
      asLoud("OtaFoldLagHigh", severity),
    ],
  }),
  ...burnAlerts(SLOS.latency, {
    name: "OtaIngestSlow",
    summary: "Ingest answers devices slowly",
    description: `{{ $value | humanizePercentage }} of requests took over 250 ms in LONG (and it goes on:
      SHORT); of 30 days 1% may. First: Redis's answer times and ingest's CPU on the dashboard; add an ingest.`,
    suppressedBy: (severity) =>
      // Slow answers of Redis are a ticket.
      severity === "critical" ? [down("OtaRedisDown")] : [down("OtaRedisDown"), down("OtaRedisSlow")],
  }),
];
