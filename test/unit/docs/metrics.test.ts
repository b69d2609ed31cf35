// docs/metrics.md lists exactly the metrics that both processes export, with type, labels and help as in
// the code: whoever writes a dashboard or an alert can rely on the page.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { METRICS } from "../../../ingest/contract/metric-names.ts";
import { createIngestMetrics } from "../../../ingest/metrics.ts";
import { createRegistry } from "../../../runtime/metrics.ts";
import type { Registry } from "../../../runtime/metrics.ts";
import { readTable } from "../../support/markdown-table.ts";

const page = readFileSync(new URL("../../../docs/metrics.md", import.meta.url), "utf8");

interface Described {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}

function describeRegistry(registry: Registry): Described[] {
  const types = ["counter", "gauge", "histogram", "summary"];
  return registry.getMetricsAsArray().map((metric) => {
    const { name, help, type, labelNames } = metric as unknown as Record<string, unknown>;
    const labels = (labelNames as string[] | undefined) ?? [];
    return { name: String(name), type: typeNameOf(metric, type, types), labels, help: String(help) };
  });
}

/** prom-client keeps the type as the class of the instrument. */
function typeNameOf(metric: object, type: unknown, types: readonly string[]): string {
  const name = typeof type === "string" ? type : metric.constructor.name.toLowerCase();
  if (!types.includes(name)) throw new Error(`not a metric type: ${name}`);
  return name;
}

const both = createRegistry({ process: "test", version: "0.0.0" });
const ofBoth = describeRegistry(both);
createIngestMetrics(both, {
  listen: { host: "127.0.0.1", port: 0 },
  operationsListen: { host: "127.0.0.1", port: 0 },
  bodyBytesMax: 1_024,
  streamEntriesMax: 7,
});
const ofIngest = describeRegistry(both).filter(({ name }) => ofBoth.every((one) => one.name !== name));
const ofAgent = Object.entries(METRICS)
  .filter(([, { process }]) => process === "agent")
  .map(([name, { type, labels, help }]): Described => ({ name, type, labels, help }));

describe.each([
  { heading: "The agent", metrics: ofAgent, least: 20 },
  { heading: "Ingest", metrics: ofIngest, least: 8 },
  { heading: "Both", metrics: ofBoth, least: 1 },
])("$heading", ({ heading, metrics, least }) => {
  test("the page lists exactly the metrics that there are, as the code describes them", () => {
    expect(metrics.length).toBeGreaterThanOrEqual(least);
    const expected = metrics.map(({ name, type, labels, help }) => [
      `\`${name}\``,
      type,
      labels.length === 0 ? "none" : labels.map((label) => `\`${label}\``).join(", "),
      help,
    ]);
    expect(readTable(page, heading)).toEqual(expected);
  });
});
