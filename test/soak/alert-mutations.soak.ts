// Every alert, made wrong on purpose, one thing at a time (each comparison turned round, each threshold moved, each waiting
// time taken away or made longer): its committed cases must notice. Otherwise they would prove nothing.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { ALERT_RULES, ALERTS } from "../../alerting/catalogue.ts";
import { alertingFiles } from "../../alerting/generated-files.ts";
import { CASES_FOLDER } from "../support/alert-cases.ts";
import { mutationsOf } from "../support/alert-mutations.ts";
import type { YamlRule } from "../support/alert-mutations.ts";
import { promtool } from "../support/promtool.ts";

const MUTATIONS_MS_MAX = 600_000;
const RULES_FOLDER = path.resolve(import.meta.dirname, "../../alerting/rules");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "lg-mutations-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface RulesFile {
  readonly groups: { readonly name: string; readonly rules: YamlRule[] }[];
}
const files = Object.keys(alertingFiles()).map((file) => path.basename(file));
const texts = new Map(files.map((file) => [file, readFileSync(path.join(RULES_FOLDER, file), "utf8")]));

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
