// The tables of docs/metrics.md, from the one table of metric names. Enters: the page as it is. Leaves: the page with its
// tables made anew; what people have written around them stays. Pure.
import { METRICS } from "../ingest/contract/metric-names.ts";
import type { MetricDescription } from "../ingest/contract/metric-names.ts";

export const METRICS_PAGE = "docs/metrics.md";
const PROCESSES = ["agent", "ingest", "both"] as const satisfies readonly MetricDescription["process"][];

/** Throws where the page has no place for a table. */
export function metricsPage(current: string): string {
  return PROCESSES.reduce((page, process) => {
    const [begin, end] = [`<!-- generated: ${process} -->`, `<!-- end: ${process} -->`];
    const from = page.indexOf(begin);
    const to = page.indexOf(end);
    if (from === -1 || to < from)
      throw new Error(`${METRICS_PAGE} has no place for the table of ${process}: ${begin} … ${end}`);
    return `${page.slice(0, from + begin.length)}\n${tableOf(process)}\n${page.slice(to)}`;
  }, current);
}

function tableOf(process: MetricDescription["process"]): string {
  const described: [string, MetricDescription][] = Object.entries(METRICS);
  const rows = described
    .filter(([, metric]) => metric.process === process)
    .map(([name, { type, labels, help }]) => `| \`${name}\` | ${type} | ${listOf(labels)} | ${help} |`);
  return ["| metric | type | labels | meaning |", "|---|---|---|---|", ...rows].join("\n");
}

function listOf(labels: readonly string[]): string {
  return labels.length === 0 ? "none" : labels.map((label) => `\`${label}\``).join(", ");
}
