// Both processes export exactly the metrics of the one table, with its help and labels, and docs/metrics.md (whose tables
// are generated from it) asks in its queries for no other: whoever writes a dashboard or an alert can rely on the page.
import { readFileSync } from "node:fs";
import { parser } from "@prometheus-io/lezer-promql";
import { describe, expect, test } from "vitest";
import { createInstruments } from "../../../agent/metrics/instruments.ts";
import { METRICS } from "../../../ingest/contract/metric-names.ts";
import { createIngestMetrics } from "../../../ingest/metrics.ts";
import { createReleaseTally } from "../../../ingest/release-tally.ts";
import { createRegistry } from "../../../runtime/metrics.ts";
import type { Registry } from "../../../runtime/metrics.ts";

const page = readFileSync(new URL("../../../docs/metrics.md", import.meta.url), "utf8");

interface Described {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}

function describeRegistry(registry: Registry): Described[] {
  return registry.getMetricsAsArray().map((metric) => {
    const { name, help, type, labelNames } = metric as unknown as Record<string, unknown>;
    const labels = (labelNames as string[] | undefined) ?? [];
    return { name: String(name), type: String(type), labels, help: String(help) };
  });
}

function described(of: "agent" | "ingest" | "both"): Described[] {
  return Object.entries(METRICS)
    .filter(([, { process }]) => process === of)
    .map(([name, { type, labels, help }]) => ({ name, type, labels, help }));
}

const byName = (left: Described, right: Described): number => (left.name < right.name ? -1 : 1);

describe("what is registered", () => {
  const registry = createRegistry({ process: "test", version: "0.0.0" });

  test("of both processes", () => {
    expect(describeRegistry(registry)).toEqual(described("both"));
  });

  test("of ingest: every metric of the table, and no other", () => {
    createIngestMetrics(registry, {
      listen: { host: "127.0.0.1", port: 0 },
      operationsListen: { host: "127.0.0.1", port: 0 },
      bodyBytesMax: 1_024,
      streamEntriesMax: 7,
    });
    createReleaseTally({ registry, clock: () => 0 });
    const both = described("both").map(({ name }) => name);
    const ofIngest = describeRegistry(registry).filter(({ name }) => !both.includes(name));
    expect(ofIngest.toSorted(byName)).toEqual(described("ingest").toSorted(byName));
  });

  test("of the agent, what is read with each scrape is of the table", () => {
    const scraped = createRegistry({ process: "test", version: "0.0.0" });
    createInstruments(scraped);
    const table = described("agent");
    const both = described("both").map(({ name }) => name);
    const registered = describeRegistry(scraped).filter(({ name }) => !both.includes(name));
    expect(registered.length).toBeGreaterThan(40);
    for (const one of registered) expect(table).toContainEqual(one);
  });
});

describe("the queries of docs/metrics.md", () => {
  const queries = Array.from(page.matchAll(/```promql\n([\s\S]*?)```/g), ([, text]) => text!)
    // A line that begins without a space is a query of its own.
    .flatMap((text) => text.split(/\n(?=\S)/))
    .filter((text) => text.trim() !== "");
  const SUFFIX = /_(?:bucket|count|sum)$/;

  function complaints(query: string): string[] {
    const found: string[] = [];
    parser.parse(query).iterate({
      enter({ type, from, to }) {
        const text = query.slice(from, to);
        if (type.isError) found.push(`no PromQL: ${query}`);
        if (type.name === "Identifier" && !(text.replace(SUFFIX, "") in METRICS))
          found.push(`no metric: ${text}`);
      },
    });
    return found;
  }

  test("are PromQL, and name metrics that there are", () => {
    expect(queries.length).toBeGreaterThan(12);
    expect(queries.flatMap(complaints)).toEqual([]);
  });

  test.each([
    ["max(ota_nothing) > 0", "no metric: ota_nothing"],
    ["max(ota_redis_up", "no PromQL"],
  ])("%s would be found", (query, complaint) => {
    expect(complaints(query).join()).toContain(complaint);
  });
});
