// What an alert is, and the one way of making one: its links to the runbook and the dashboard follow from its name and
// labels, so no alert can be without them. Enters: what its author has to decide. Leaves: a rule of Prometheus. Pure.
import { DASHBOARDS } from "./dashboards.ts";
import type { DashboardName } from "./dashboards.ts";
import { promql } from "./promql.ts";

/** Critical pages, warning opens a ticket, info only inhibits and informs, none is the dead-man's switch. */
export const SEVERITIES = ["critical", "warning", "info", "none"] as const;
export type Severity = (typeof SEVERITIES)[number];

export const TEAM = "lastgood";
export const SERVICE = "lastgood";

/** Labels that say which of several alerts of a name it is; they come from the expression. */
export type IdentifyingLabel =
  | "app"
  | "channel"
  | "version"
  | "queue"
  | "server"
  | "instance"
  | "listener"
  | "outcome"
  | "slo";
/** Labels of dashboards' variables. */
const DASHBOARD_VARIABLES: readonly IdentifyingLabel[] = ["app", "channel", "version"];

/** While that alert fires, this one tells nothing new. */
export interface Suppressor {
  readonly alertname: string;
  /** `agent`: posted by the agent itself (docs/paging.md); it has no label `job`. */
  readonly postedBy: "rules" | "agent";
  /** Only those of that severity: what nobody is called for must not silence what somebody is. */
  readonly severity?: Severity;
  /** Labels that both must share; each of them has them all. */
  readonly equal: readonly IdentifyingLabel[];
}

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  /** A duration of Prometheus, or why it has none. */
  readonly for: string | { readonly none: string };
  readonly keepFiringFor?: string;
  readonly labels: Readonly<Record<string, string>> & { readonly severity: Severity };
  readonly annotations: {
    readonly summary: string;
    readonly description: string;
    readonly runbook_url: string;
    readonly dashboard_url: string;
  };
  readonly identifiedBy: readonly IdentifyingLabel[];
  readonly suppressedBy: readonly Suppressor[];
}

export interface AlertDraft {
  readonly name: `Ota${string}`;
  readonly severity: Severity;
  readonly expr: string;
  readonly for: AlertRule["for"];
  readonly keepFiringFor?: string;
  readonly identifiedBy?: readonly IdentifyingLabel[];
  /** Labels with a fixed value that tell rules of one name apart. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly dashboard: DashboardName;
  /** One line: what is wrong. */
  readonly summary: string;
  /** What was seen, then what to do first. */
  readonly description: string;
  readonly suppressedBy?: readonly Suppressor[];
}

export function alert(draft: AlertDraft): AlertRule {
  const { name, severity, identifiedBy = [], suppressedBy = [], keepFiringFor } = draft;
  return {
    alert: name,
    expr: promql(draft.expr),
    for: draft.for,
    ...(keepFiringFor === undefined ? {} : { keepFiringFor }),
    labels: { severity, team: TEAM, service: SERVICE, ...draft.labels },
    annotations: {
      summary: draft.summary,
      description: draft.description.replaceAll(/\s+/g, " ").trim(),
      runbook_url: runbookUrl(name),
      dashboard_url: dashboardUrl(draft.dashboard, identifiedBy),
    },
    identifiedBy,
    suppressedBy,
  };
}

/**
 * Where things are is known to prometheus.yml alone: as external labels, which it keeps off the alerts. A Prometheus of
 * others (Kubernetes) may have none: then these are paths, which name the page and the dashboard without leading somewhere
 * wrong, and the templates make no links of them.
 */
const RUNBOOKS = "{{ with $externalLabels.runbooks_url }}{{ . }}{{ else }}docs/runbooks{{ end }}";
const GRAFANA = "{{ with $externalLabels.grafana_url }}{{ . }}{{ end }}";

function runbookUrl(name: string): string {
  return `${RUNBOOKS}/${name}.md`;
}

function dashboardUrl(dashboard: DashboardName, identifiedBy: readonly IdentifyingLabel[]): string {
  const variables = DASHBOARD_VARIABLES.filter((label) => identifiedBy.includes(label));
  const query = variables.map((label) => `var-${label}={{ $labels.${label} | urlquery }}`).join("&");
  return `${GRAFANA}/d/${DASHBOARDS[dashboard]}${query === "" ? "" : `?${query}`}`;
}
