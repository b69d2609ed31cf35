// Every alert there is. Leaves: the rules, in groups as Prometheus evaluates them, and ALERTS: by name, what routing,
// inhibition, runbooks and tests need to know of each. It follows from the rules, so it can't disagree with them.
import type { AlertRule, IdentifyingLabel, Severity, Suppressor } from "./alert.ts";
import { PIPELINE_ALERTS } from "./alerts/pipeline.ts";
import { PROCESS_ALERTS } from "./alerts/processes.ts";
import { REDIS_ALERTS } from "./alerts/redis.ts";
import { RELEASE_ALERTS } from "./alerts/releases.ts";
import { ROLLBACK_ALERTS } from "./alerts/rollbacks.ts";
import { SLO_ALERTS } from "./alerts/slos.ts";

export interface AlertGroup {
  readonly name: string;
  readonly rules: readonly AlertRule[];
}

export const ALERT_GROUPS: readonly AlertGroup[] = [
  { name: "lastgood-alerts-releases", rules: RELEASE_ALERTS },
  { name: "lastgood-alerts-rollbacks", rules: ROLLBACK_ALERTS },
  { name: "lastgood-alerts-processes", rules: PROCESS_ALERTS },
  { name: "lastgood-alerts-pipeline", rules: PIPELINE_ALERTS },
  { name: "lastgood-alerts-redis", rules: REDIS_ALERTS },
  { name: "lastgood-alerts-slo", rules: SLO_ALERTS },
];

export interface CatalogueEntry {
  readonly name: string;
  /** Loudest first. */
  readonly severities: readonly Severity[];
  /** Labels of the expression by which several alerts of the name differ. */
  readonly identifiedBy: readonly IdentifyingLabel[];
  /** By severity, because what silences a ticket may not silence a page. */
  readonly suppressedBy: Readonly<Partial<Record<Severity, readonly Suppressor[]>>>;
  readonly summary: string;
}

const LOUDNESS: readonly Severity[] = ["critical", "warning", "info", "none"];

function entryOf(name: string, rules: readonly AlertRule[]): CatalogueEntry {
  const severities = LOUDNESS.filter((severity) => rules.some(({ labels }) => labels.severity === severity));
  const [first] = rules;
  const suppressedBy = Object.fromEntries(
    severities.map((severity) => [
      severity,
      rules.find(({ labels }) => labels.severity === severity)!.suppressedBy,
    ]),
  );
  return {
    name,
    severities,
    identifiedBy: first!.identifiedBy,
    suppressedBy,
    summary: first!.annotations.summary,
  };
}

export const ALERT_RULES: readonly AlertRule[] = ALERT_GROUPS.flatMap(({ rules }) => rules);

/** In the order of their names. */
export const ALERTS: readonly CatalogueEntry[] = [...new Set(ALERT_RULES.map(({ alert }) => alert))]
  .toSorted()
  .map((name) =>
    entryOf(
      name,
      ALERT_RULES.filter(({ alert }) => alert === name),
    ),
  );
