// What is committed is what the code makes: nobody has changed a generated file by hand, or forgotten to generate it.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { METRICS_PAGE, metricsPage } from "../../dashboards/metrics-page.ts";
import { generatedFiles } from "../generate/generated-files.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const read = (file: string): string =>
  existsSync(path.join(ROOT, file)) ? readFileSync(path.join(ROOT, file), "utf8") : "";
const files = Object.entries(generatedFiles(read));

test("there are dashboards, their pictures, rules, and the tables of metrics", () => {
  const paths = files.map(([file]) => file);
  for (const one of ["dashboards/json/fleet.json", "alerting/rules/alerts.yml", METRICS_PAGE])
    expect(paths).toContain(one);
  expect(files.length).toBeGreaterThanOrEqual(10);
});

test.each(files)("%s is as generated: npm run generate writes it anew", (file, text) => {
  expect(read(file) === text ? "as generated" : `${file} differs: run npm run generate`).toBe("as generated");
});

test("a table of metrics that somebody changed is seen, and what is written around it stays", () => {
  const page = read(METRICS_PAGE);
  const spoilt = page.replace("| `ota_redis_up` | gauge |", "| `ota_redis_up` | counter |");
  expect(spoilt).not.toBe(page);
  expect(metricsPage(spoilt)).toBe(page);
  expect(metricsPage(page.replace("Prometheus text", "Text"))).toContain("Text");
  expect(() => metricsPage("# Metrics")).toThrow("no place for the table of agent");
});
