// One registry per process (never prom-client's global one) and the handler that serves it. prom-client
// is imported only here and in each room's own `metrics` file, so that the move to its successor
// (`@prometheus-io/client`, which needs Node 22) stays small.
import type { RequestHandler } from "express";
import { AggregatorRegistry, Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { Metric, MetricObjectWithValues, MetricValue } from "prom-client";
import { TextMetric, encode } from "./text-metric.ts";
import type { Chunk, Family } from "./text-metric.ts";

import { listenerMetrics } from "./listener-metrics.ts";

export { Counter, Gauge, Histogram, Registry };
export { SampleBytes, createTextMetric, encode, formatLabels } from "./text-metric.ts";
export type { AddSample, TextMetric } from "./text-metric.ts";

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
    aggregator: "first",
    registers: [registry],
  });
  listenerMetrics(registry);
  info.set({ process: options.process, version: options.version, node: process.version }, 1);
  return registry;
}

/** What a registry holds, in a form that can be sent to another process. */
export type MetricsReading = readonly MetricObjectWithValues<MetricValue<string>>[];

/** Without metrics of our own kind: those are about what all processes share, and only the first one has them. */
export function readMetrics(registry: Registry): Promise<MetricsReading> {
  return Promise.all(
    metricsOf(registry)
      .filter((metric) => !isTextMetric(metric))
      .map((metric) => metric.get()),
  );
}

/** A metric of our own kind as it was read. */
class ReadText {
  readonly name: string;
  readonly family: () => Promise<Family>;

  constructor({ name }: TextMetric, family: Family) {
    this.name = name;
    this.family = () => Promise.resolve(family);
  }
}

/** All of a registry, read in the same moment: what metrics share (a look into Redis, say) is then read once. */
export async function readWhole(
  registry: Registry,
): Promise<{ readonly metrics: MetricsReading; readonly texts: readonly ReadText[] }> {
  const ours = metricsOf(registry).map((metric): unknown => metric);
  const texts = ours.filter((metric) => metric instanceof TextMetric);
  const [metrics, read] = await Promise.all([
    readMetrics(registry),
    Promise.all(texts.map(async (metric) => new ReadText(metric, await metric.family()))),
  ]);
  return { metrics, texts: read };
}

/** Puts them beside what was merged. */
export function withTexts(merged: Registry, texts: readonly ReadText[]): Registry {
  // Registries keep both kinds, whatever prom-client's types say.
  for (const text of texts) merged.registerMetric(text as unknown as Metric);
  return merged;
}

/** They are whole metrics, which prom-client's types do not say. */
function metricsOf(registry: Registry): readonly Metric[] {
  return registry.getMetricsAsArray() as unknown as readonly Metric[];
}

/** Registries keep both kinds, whatever prom-client's types say. */
function isTextMetric(metric: unknown): boolean {
  return metric instanceof TextMetric;
}

/** One exposition of several processes: each metric says by its `aggregator` how (a sum, unless it says otherwise). */
export function mergeReadings(readings: readonly MetricsReading[]): Registry {
  return AggregatorRegistry.aggregate([...readings]);
}

/** Metrics of this process, or what several say together when they are asked. */
export type MetricsSource = Registry | (() => Promise<Registry>);

const OPEN_METRICS = "application/openmetrics-text";

/** `GET /metrics`: Prometheus text, or OpenMetrics 1.0 where the scraper asks for it. */
export function metricsHandler(source: MetricsSource): RequestHandler {
  return async (request, response) => {
    const isOpen = request.get("accept")?.includes(OPEN_METRICS) === true;
    const families = await readFamilies(typeof source === "function" ? await source() : source);
    const body = encode(isOpen ? toOpenMetrics(families) : toPrometheusText(families));
    response.setHeader(
      "Content-Type",
      isOpen ? `${OPEN_METRICS}; version=1.0.0; charset=utf-8` : "text/plain; version=0.0.4; charset=utf-8",
    );
    response.setHeader("Content-Length", body.byteLength);
    // Not Express's `send`: it would hash 7 MB for an ETag that no scraper asks about. Nor compressed, though Prometheus
    // takes gzip: of 7 MB that takes as long as everything else, and most scrape over loopback.
    response.end(body);
  };
}

export function readFamilies(registry: Registry): Promise<Family[]> {
  return Promise.all(
    registry.getMetricsAsArray().map(async (metric): Promise<Family> => {
      // Registries keep both kinds, whatever prom-client's types say.
      const either: unknown = metric;
      if (either instanceof TextMetric || either instanceof ReadText) return either.family();
      return { head: await registry.getMetricsAsString(metric), samples: [] };
    }),
  );
}

/** As prom-client's `metrics()` joins them. */
function toPrometheusText(families: readonly Family[]): Chunk[] {
  const chunks: Chunk[] = [];
  for (const [index, { head, samples }] of families.entries()) {
    chunks.push(index === 0 ? head : `\n\n${head}`);
    for (const each of samples) chunks.push(each);
  }
  chunks.push("\n");
  return chunks;
}

/**
 * The same exposition in OpenMetrics: a counter's family loses `_total` in its HELP and TYPE lines, and the
 * text ends with `# EOF` (OpenMetrics 1.0, section 3). Written here because prom-client renames counters on
 * the metric objects themselves, which breaks serving both formats from one registry.
 */
export function toOpenMetrics(families: readonly Family[]): Chunk[] {
  const chunks: Chunk[] = [];
  for (const { head, samples } of families) {
    chunks.push(head.replace(COUNTER_HEAD, "# HELP $1$2\n# TYPE $1 counter"));
    for (const each of samples) chunks.push(each);
    chunks.push("\n");
  }
  chunks.push("# EOF\n");
  return chunks;
}

const COUNTER_HEAD = /^# HELP (\S+)_total( .*)?\n# TYPE \1_total counter(?=\n|$)/;
