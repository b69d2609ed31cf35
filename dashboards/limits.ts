// From which values on a number is shown in another colour, where an alert of alerting/ has an opinion: the same ones, so
// that a panel turns when the alert comes. A test compares these with the committed rules. Enters and leaves: constants.

/** Below `warning` (below `critical` where no warning comes before) all is well; times in seconds, the others are ratios. */
export interface Limit {
  readonly alert: string;
  readonly warning?: number;
  readonly critical?: number;
}

export const FOLD_LAG_SECONDS = { alert: "OtaFoldLagHigh", warning: 60, critical: 300 } as const;
export const BACKLOG_RATIO = { alert: "OtaStreamBacklogHigh", warning: 0.5, critical: 0.8 } as const;
export const REDIS_PING_SECONDS = { alert: "OtaRedisSlow", warning: 0.1 } as const;
export const SPOOL_RATIO = { alert: "OtaSpoolFilling", critical: 0.8 } as const;
export const ROLLBACK_SECONDS = { alert: "OtaRollbackSlow", warning: 60 } as const;

export const LIMITS: readonly Limit[] = [
  FOLD_LAG_SECONDS,
  BACKLOG_RATIO,
  REDIS_PING_SECONDS,
  SPOOL_RATIO,
  ROLLBACK_SECONDS,
];
