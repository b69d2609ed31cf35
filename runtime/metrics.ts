// One registry per process (never prom-client's global one) and the handler that serves it. prom-client
// is imported only here and in each room's own `metrics` file, so that the move to its successor
// (`@prometheus-io/client`, which needs Node 22) stays small.
import type { RequestHandler } from "express";
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import { TextMetric } from "./text-metric.ts";

import { listenerMetrics } from "./listener-metrics.ts";

export { Counter, Gauge, Histogram, Registry };
export { createTextMetric, formatLabels } from "./text-metric.ts";
export type { TextMetric } from "./text-metric.ts";

declare module "prom-client" {
  interface Registry {
    /** What `metrics()` renders each metric with; prom-client's own types leave it out. */
    getMetricsAsString(metric: unknown): Promise<string>;
  }
}

/** Renders metrics of our own kind beside prom-client's. */
class TextRegistry extends Registry {
  override getMetricsAsString(metric: unknown): Promise<string> {
    return metric instanceof TextMetric ? metric.exposition() : super.getMetricsAsString(metric);
  }
}

export function createRegistry(options: {
  readonly process: "ingest" | "agent" | "test";
  readonly version: string;
}): Registry {
  const registry = new TextRegistry();
  if (options.process !== "test") collectDefaultMetrics({ register: registry });
  const info = new Gauge({
    name: "ota_build_info",
    help: "Version of Lastgood and of Node; the value is always 1.",
    labelNames: ["process", "version", "node"],
    registers: [registry],
  });
  listenerMetrics(registry);
  info.set({ process: options.process, version: options.version, node: process.version }, 1);
  return registry;
}

const OPEN_METRICS = "application/openmetrics-text";

/** `GET /metrics`: Prometheus text, or OpenMetrics 1.0 where the scraper asks for it. */
export function metricsHandler(registry: Registry): RequestHandler {
  return async (request, response) => {
    const text = await registry.metrics();
    if (request.get("accept")?.includes(OPEN_METRICS) === true) {
      response.set("Content-Type", `${OPEN_METRICS}; version=1.0.0; charset=utf-8`).send(toOpenMetrics(text));
      return;
    }
    response.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8").send(text);
  };
}

/**
 * The same exposition in OpenMetrics: a counter's family loses `_total` in its HELP and TYPE lines, and the
 * text ends with `# EOF` (OpenMetrics 1.0, section 3). Written here because prom-client renames counters on
 * the metric objects themselves, which breaks serving both formats from one registry.
 */
export function toOpenMetrics(text: string): string {
  // Families stand apart by an empty line. Only their heads are looked at: there may be 100,000 samples.
  const families = text
    .split("\n\n")
    .map((family) => family.replace(COUNTER_HEAD, "# HELP $1$2\n# TYPE $1 counter"));
  const samples = families.join("\n").trimEnd();
  return samples === "" ? "# EOF\n" : `${samples}\n# EOF\n`;
}

const COUNTER_HEAD = /^# HELP (\S+)_total( .*)?\n# TYPE \1_total counter(?=\n|$)/;
