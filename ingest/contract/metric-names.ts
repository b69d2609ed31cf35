// Every metric of both processes in one table: who exports it, its type, help and labels. Instruments are made from it,
// docs/metrics.md is generated from it, and dashboards and alerts can name no metric that is not in it. Names are a
// promise to users. Pure.
import type { MetricDescription } from "./metric-description.ts";
import { METRICS_OF_PIPELINE } from "./metrics-of-pipeline.ts";
import { METRICS_OF_RELEASES } from "./metrics-of-releases.ts";

export type { MetricDescription } from "./metric-description.ts";

export const METRICS = { ...METRICS_OF_RELEASES, ...METRICS_OF_PIPELINE };

export type MetricName = keyof typeof METRICS;
export type MetricNameOf<P extends MetricDescription["process"]> = {
  [N in MetricName]: (typeof METRICS)[N]["process"] extends P ? N : never;
}[MetricName];
export type LabelOf<N extends MetricName> = (typeof METRICS)[N]["labels"][number];

/** What an instrument of that name is made of, but for its registry. */
export function describeMetric<N extends MetricName>(
  name: N,
): { readonly name: N; readonly help: string; readonly labelNames: LabelOf<N>[] } {
  const { help, labels } = METRICS[name];
  return { name, help, labelNames: [...labels] as LabelOf<N>[] };
}
