// What is promised of a metric: who exports it, its type, help and labels. Ratios are 0 to 1, times are seconds, evidence is
// log10. Pure.
export interface MetricDescription {
  /** Whose `/metrics` has it. */
  readonly process: "agent" | "ingest" | "both";
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
}
