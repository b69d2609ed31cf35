// The generated rules in the real promtool: they load, and every committed case of every alert holds. That the cases would
// notice a rule that is wrong is shown by test/soak/alert-mutations.soak.ts.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { ALERTS } from "../../alerting/catalogue.ts";
import { alertingFiles } from "../../alerting/generated-files.ts";
import { CASES_FOLDER, readCaseFiles } from "../support/alert-cases.ts";
import { promtool } from "../support/promtool.ts";

const CASES_MS_MAX = 240_000;
const RULES_FOLDER = path.resolve(import.meta.dirname, "../../alerting/rules");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "lg-rules-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const files = Object.keys(alertingFiles()).map((file) => path.basename(file));
const texts = new Map(files.map((file) => [file, readFileSync(path.join(RULES_FOLDER, file), "utf8")]));

test("promtool checks every generated file", async () => {
  expect(files.length).toBeGreaterThanOrEqual(2);
  const answer = await promtool("check", "rules", ...files.map((file) => path.join(RULES_FOLDER, file)));
  expect(answer).toMatchObject({ isContent: true });
  const broken = path.join(folder, "broken.yml");
  writeFileSync(broken, [...texts.values()][0]!.replace("max(", "max(("));
  expect(await promtool("check", "rules", broken)).toMatchObject({ isContent: false });
});

test("Prometheus loads them all with a configuration like ours", async () => {
  const config = path.join(folder, "prometheus.yml");
  const global = { scrape_interval: "15s", evaluation_interval: "15s" };
  writeFileSync(config, stringify({ global, rule_files: [path.join(RULES_FOLDER, "*.yml")] }));
  const answer = await promtool("check", "config", config);
  expect(answer.output).toContain(`${files.length} rule files found`);
  expect(answer.isContent).toBe(true);
});

test(
  "every case of every alert holds",
  async () => {
    const cases = readCaseFiles();
    expect(cases.length).toBe(ALERTS.length);
    const paths = cases.map(({ alert }) => path.join(CASES_FOLDER, `${alert}.test.yml`));
    const answer = await promtool("test", "rules", ...paths);
    expect(answer).toMatchObject({ isContent: true });
  },
  CASES_MS_MAX,
);
