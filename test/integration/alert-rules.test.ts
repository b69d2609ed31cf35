// The generated rules in the real promtool: they load, every committed case of every alert holds, and each alert that is
// made wrong on purpose is noticed by its own cases.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { ALERT_RULES, ALERTS } from "../../alerting/catalogue.ts";
import { alertingFiles } from "../../alerting/generated-files.ts";
import { CASES_FOLDER, readCaseFiles } from "../support/alert-cases.ts";
import { mutationsOf } from "../support/alert-mutations.ts";
import type { YamlRule } from "../support/alert-mutations.ts";
import { promtool } from "../support/promtool.ts";

const CASES_MS_MAX = 240_000;
const MUTATIONS_MS_MAX = 240_000;
const RULES_FOLDER = path.resolve(import.meta.dirname, "../../alerting/rules");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "lg-rules-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface RulesFile {
  readonly groups: { readonly name: string; readonly rules: YamlRule[] }[];
}
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

/** What an alert needs: itself with one of its rules changed, what is recorded for it, and its cases beside them. */
function withChanged(alert: string, nth: number, changed: YamlRule): string {
  const place = mkdtempSync(path.join(folder, "changed-"));
  mkdirSync(path.join(place, "rules"));
  mkdirSync(path.join(place, "tests"));
  for (const [file, text] of texts) {
    const rules = parse(text) as RulesFile;
    for (const { rules: list } of rules.groups) {
      const places = list.flatMap((rule, index) => (rule.alert === alert ? [index] : []));
      if (places[nth] !== undefined) list[places[nth]] = changed;
      const needed = list.filter((rule) => rule.alert === alert || isRecordedFor(rule, alert));
      list.splice(0, list.length, ...needed);
    }
    writeFileSync(path.join(place, "rules", file), stringify(rules));
  }
  cpSync(path.join(CASES_FOLDER, `${alert}.test.yml`), path.join(place, "tests", `${alert}.test.yml`));
  return path.join(place, "tests", `${alert}.test.yml`);
}

/** All that is recorded, but for other objectives: evaluating those takes most of the time. */
function isRecordedFor({ record, labels }: YamlRule, alert: string): boolean {
  const slo = labels?.["slo"];
  return record !== undefined && (slo === undefined || rulesNamed(alert)[0]!.expr.includes(`"${slo}"`));
}

function rulesNamed(alert: string): YamlRule[] {
  return [...texts.values()].flatMap((text) =>
    (parse(text) as RulesFile).groups.flatMap(({ rules }) => rules.filter((rule) => rule.alert === alert)),
  );
}

describe("an alert that is made wrong is noticed by its cases", () => {
  test.for(ALERTS.map(({ name }) => name))("%s", { timeout: MUTATIONS_MS_MAX }, async (alert) => {
    const rules = rulesNamed(alert);
    expect(rules.length).toBe(ALERT_RULES.filter((rule) => rule.alert === alert).length);
    // The copy as such changes nothing: what is noticed below is the mutation.
    const same = await promtool("test", "rules", withChanged(alert, 0, rules[0]!));
    expect(same).toMatchObject({ isContent: true });
    const survivors: string[] = [];
    for (const [nth, rule] of rules.entries())
      for (const { what, rule: changed } of mutationsOf(rule)) {
        const { isContent } = await promtool("test", "rules", withChanged(alert, nth, changed));
        if (isContent) survivors.push(`rule ${nth}: ${what}`);
      }
    expect(survivors).toEqual([]);
  });
});
