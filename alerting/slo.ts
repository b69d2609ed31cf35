// What the pipeline promises over 30 days, and the rules that say when it spends what it may fail too fast. Enters:
// nothing. Leaves: recording rules of the share of errors by window, and pairs of windows with their burn rate.
// Releases have no such budget: they live hours (ADR 0023). Rollbacks are too few for a burn rate: a single one that
// fails or is slow has an alert of its own.
import { metric } from "./promql.ts";
import type { Severity } from "./alert.ts";

export interface Slo {
  readonly slo: string;
  /** Share of the period that may go wrong; 0 to 1. */
  readonly budgetRatio: number;
  /** Share of errors in a window, 0 to 1; no sample where nothing was asked for. */
  readonly errorRatio: (window: string) => string;
}

/** Reports that were good, and that ingest could not keep: what devices send wrong is not ours. */
const UNAVAILABLE = "backlog_full|redis_unavailable|spool_full";
/** Reports count as late while the oldest that waits to be counted is older than that; seconds. */
export const FRESH_SECONDS = 60;
/** A bucket of http_server_request_duration_seconds; seconds. */
export const FAST_BUCKET_SECONDS = "0.25";

export const LATE = "lastgood:ota_fold_lag_seconds:late_bool";

export const SLOS = {
  accepted: {
    slo: "reports-accepted",
    budgetRatio: 0.001,
    errorRatio: (window) => `
      sum(rate(${metric.ota_ingest_reports_total}{result=~"${UNAVAILABLE}"}[${window}]))
      /
      sum(rate(${metric.ota_ingest_reports_total}{result=~"accepted|${UNAVAILABLE}"}[${window}]))`,
  },
  freshness: {
    slo: "reports-fresh",
    budgetRatio: 0.005,
    errorRatio: (window) => `
      avg_over_time(${LATE}[${window}])`,
  },
  latency: {
    slo: "ingest-fast",
    budgetRatio: 0.01,
    errorRatio: (window) => `
      1 -
      sum(rate(${metric.http_server_request_duration_seconds}_bucket{le="${FAST_BUCKET_SECONDS}"}[${window}]))
      /
      sum(rate(${metric.http_server_request_duration_seconds}_count[${window}]))`,
  },
} as const satisfies Record<string, Slo>;

export interface BurnRate {
  readonly severity: Severity;
  /** How many times as fast as the budget allows. */
  readonly times: number;
  readonly long: string;
  readonly short: string;
}

/** The table of Google's SRE workbook for 30 days: 2 %, 5 %, 10 % and 10 % of the budget spent. */
export const BURN_RATES: readonly BurnRate[] = [
  { severity: "critical", times: 14.4, long: "1h", short: "5m" },
  { severity: "critical", times: 6, long: "6h", short: "30m" },
  { severity: "warning", times: 3, long: "1d", short: "2h" },
  { severity: "warning", times: 1, long: "3d", short: "6h" },
];

export const SLO_WINDOWS = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"] as const;

/** Name of the recording rule of the share of errors; the label `slo` says of which. */
export function errorRatioName(window: string): string {
  return `slo:sli_error:ratio_rate${window}`;
}

/** Both windows: the long one has seen enough, the short one says that it still goes on. */
export function burns({ slo, budgetRatio }: Slo, { times, long, short }: BurnRate): string {
  return `
    slo:sli_error:ratio_rate${long}{slo="${slo}"} > ${times} * ${budgetRatio}
    and
    slo:sli_error:ratio_rate${short}{slo="${slo}"} > ${times} * ${budgetRatio}`;
}
