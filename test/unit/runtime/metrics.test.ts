// The two text formats of /metrics, from one registry.
import express from "express";
import supertest from "supertest";
import { describe, expect, it } from "vitest";
import {
  Counter,
  Gauge,
  Histogram,
  createRegistry,
  createTextMetric,
  encode,
  mergeReadings,
  metricsHandler,
  readFamilies,
  readWhole,
  toOpenMetrics,
  withTexts,
} from "../../../runtime/metrics.ts";
import type { Registry, TextMetric } from "../../../runtime/metrics.ts";

it("a registry that is read whole is read in one moment, and shows with others what it showed then", async () => {
  const registry = createRegistry({ process: "test", version: "1.2.3" });
  let reading = 0;
  let asked = 0;
  const collect = (): void => void (asked += 1);
  const text: TextMetric = createTextMetric({
    registers: [registry],
    name: "ota_text",
    help: "Of our own kind.",
    type: "gauge",
    labelNames: ["of"],
    collect: () => {
      collect();
      text.add('of="us"', reading);
      return Promise.resolve();
    },
  });
  const gauge = new Gauge({ name: "ota_gauge", help: "-", registers: [registry], collect });
  gauge.set(1);
  const read = readWhole(registry);
  expect(asked).toBe(2);
  const { metrics, texts } = await read;
  reading = 9;
  const merged = withTexts(mergeReadings([metrics, metrics]), texts);
  const page = encode(
    (await readFamilies(merged)).flatMap(({ head, samples }) => [head, ...samples]),
  ).toString();
  expect(page).toContain('ota_text{of="us"} 0');
  expect(page).toContain("ota_gauge 2");
  expect(asked).toBe(2);
});

function sampleRegistry() {
  const registry = createRegistry({ process: "test", version: "1.2.3" });
  new Counter({
    name: "ota_reports_total",
    help: "Reports.",
    labelNames: ["result"],
    registers: [registry],
  }).inc({ result: 'quote " backslash \\ line\nend' }, 3);
  new Gauge({ name: "ota_rooms_total", help: "A gauge that ends in _total.", registers: [registry] }).set(7);
  new Histogram({ name: "ota_seconds", help: "Seconds.", buckets: [1, 2], registers: [registry] }).observe(
    1.5,
  );
  return registry;
}

const openMetricsOf = async (registry: Registry): Promise<string> =>
  encode(toOpenMetrics(await readFamilies(registry))).toString();

describe("OpenMetrics", () => {
  it("names a counter's family without _total, keeps its samples, and ends with # EOF", async () => {
    const lines = (await openMetricsOf(sampleRegistry())).split("\n");
    expect(lines).toContain("# HELP ota_reports Reports.");
    expect(lines).toContain("# TYPE ota_reports counter");
    expect(lines).toContain('ota_reports_total{result="quote \\" backslash \\\\ line\\nend"} 3');
    expect(lines).not.toContain("# TYPE ota_reports_total counter");
    expect(lines.slice(-2)).toEqual(["# EOF", ""]);
    expect(lines.slice(0, -1)).not.toContain("");
  });

  it("leaves everything but counters as it is", async () => {
    const text = await openMetricsOf(sampleRegistry());
    expect(text).toContain("# TYPE ota_rooms_total gauge\nota_rooms_total 7\n");
    expect(text).toContain("# TYPE ota_seconds histogram\n");
    expect(text).toContain('ota_seconds_bucket{le="+Inf"} 1\n');
  });

  it("of nothing is only the end", () => {
    expect(encode(toOpenMetrics([])).toString()).toBe("# EOF\n");
  });

  it("does not touch the registry: the next plain scrape is plain", async () => {
    const registry = sampleRegistry();
    const plain = await registry.metrics();
    await openMetricsOf(registry);
    expect(await registry.metrics()).toBe(plain);
    expect(plain).toContain("# TYPE ota_reports_total counter\n");
  });
});

describe("GET /metrics", () => {
  const app = express().use(metricsHandler(sampleRegistry()));

  it("is Prometheus text, unless OpenMetrics is asked for", async () => {
    const plain = await supertest(app).get("/");
    expect(plain.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(plain.text).not.toContain("# EOF");
    // What Prometheus sends.
    const accept =
      "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
    const open = await supertest(app).get("/").set("Accept", accept).buffer(true);
    expect(open.headers["content-type"]).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
  });

  it("is byte for byte what prom-client prints, and its length is said", async () => {
    const registry = sampleRegistry();
    new Gauge({ name: "ota_wide", help: "Grüße, 東京.", registers: [registry] }).set(1);
    const response = await supertest(express().use(metricsHandler(registry))).get("/");
    expect(response.text).toBe(await registry.metrics());
    expect(response.headers["content-length"]).toBe(String(Buffer.byteLength(response.text)));
    const head = await supertest(express().use(metricsHandler(registry))).head("/");
    expect(head.headers["content-length"]).toBe(response.headers["content-length"]);
  });

  it("says what runs", async () => {
    const { text } = await supertest(app).get("/");
    expect(text).toContain(`ota_build_info{process="test",version="1.2.3",node="${process.version}"} 1`);
  });
});
