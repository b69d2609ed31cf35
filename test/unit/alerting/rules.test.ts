// The rules that alerts and recording rules obey, each with a sample that it must catch; and the generated files, which
// must be the committed ones.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { SEVERITIES } from "../../../alerting/alert.ts";
import type { AlertRule } from "../../../alerting/alert.ts";
import { ALERT_RULES, ALERTS } from "../../../alerting/catalogue.ts";
import { alertingFiles } from "../../../alerting/generated-files.ts";
import { RECORDING_GROUPS } from "../../../alerting/recording-rules.ts";
import { BURN_RATES, SLO_WINDOWS, SLOS } from "../../../alerting/slo.ts";
import { ALERTS as AGENT_PAGES } from "../../../agent/paging/page.ts";
import { UNAVAILABLE_CODES } from "../../../ingest/problems.ts";
import { faultsOf, readCaseFile, readCaseFiles } from "../../support/alert-cases.ts";
import { faultsOfPromql } from "../../support/promql-lint.ts";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const recordingRules = RECORDING_GROUPS.flatMap(({ rules }) => rules);
const recorded = new Set(recordingRules.map(({ record }) => record));
const titled = ALERT_RULES.map((rule, index) => ({
  title: `${rule.alert} (${Object.values(rule.labels).join(", ")}, ${index})`,
  rule,
}));

/** What is wrong with an alert, but for its PromQL. */
function faultsOfAlert(rule: AlertRule): string[] {
  const { labels, annotations, identifiedBy } = rule;
  const faults: string[] = [];
  if (!SEVERITIES.includes(labels.severity)) faults.push("no severity");
  if (labels["team"] === undefined || labels["service"] !== "lastgood") faults.push("no team or service");
  if (Object.values(labels).some((label) => label.includes("{{"))) faults.push("a value in a label");
  if (annotations.summary === "" || annotations.summary.includes("{{")) faults.push("a summary that changes");
  if (!annotations.runbook_url.endsWith(`/${rule.alert}.md`)) faults.push("no runbook");
  if (!annotations.dashboard_url.includes("/d/lastgood-")) faults.push("no dashboard");
  for (const label of identifiedBy)
    if (label !== "slo" && !annotations.description.includes(`$labels.${label} }}`))
      faults.push(`a description without ${label}`);
  for (const [, label] of annotations.description.matchAll(/\$labels\.(\w+)/g))
    if (!identifiedBy.some((known) => known === label)) faults.push(`a description with ${label!}`);
  const isConstant = /absent\(|vector\(1\)|== [01]$|unless on \(\)/.test(rule.expr);
  if (!isConstant && !/\$value \| humanize/.test(annotations.description)) faults.push("no humanised value");
  if (!/First: |Nothing to do|must call/.test(annotations.description)) faults.push("nothing to do first");
  const isUrgent = labels.severity === "critical" || labels.severity === "warning";
  if (typeof rule.for !== "string" && isUrgent && labels["long_window"] === undefined) faults.push("no for");
  return faults;
}

describe("alerts", () => {
  test.each(titled)("$title keeps the conventions", ({ rule }) => {
    expect(faultsOfAlert(rule)).toEqual([]);
  });

  test("bad samples are caught", () => {
    const good = ALERT_RULES.find(({ alert }) => alert === "OtaReleaseFailingNotRolledBack")!;
    const withText = (description: string): AlertRule => ({
      ...good,
      annotations: { ...good.annotations, description },
    });
    expect(faultsOfAlert(withText("it fails"))).toEqual([
      "a description without app",
      "a description without channel",
      "a description without version",
      "no humanised value",
      "nothing to do first",
    ]);
    expect(faultsOfAlert({ ...good, for: { none: "why" } })).toEqual(["no for"]);
    expect(faultsOfAlert({ ...good, labels: { ...good.labels, at: "{{ $value }}" } })).toEqual([
      "a value in a label",
    ]);
    expect(faultsOfAlert({ ...good, identifiedBy: ["app"] })).toEqual([
      "a description with channel",
      "a description with version",
    ]);
    const unnamed = { ...good.annotations, summary: "{{ $value }}", runbook_url: "", dashboard_url: "" };
    expect(faultsOfAlert({ ...good, annotations: unnamed })).toHaveLength(3);
  });

  test("what quietens an alert is there, and has the labels that both must share", () => {
    for (const { name, suppressedBy, identifiedBy } of ALERTS)
      for (const { alertname, postedBy, equal } of Object.values(suppressedBy).flat()) {
        const byName = ALERTS.find((one) => one.name === alertname);
        expect(postedBy === "agent" ? Object.keys(AGENT_PAGES) : ALERTS.map((one) => one.name)).toContain(
          alertname,
        );
        const labels = postedBy === "agent" ? equal : byName!.identifiedBy;
        for (const label of equal) expect([name, ...identifiedBy, ...labels]).toContain(label);
        for (const label of equal) expect(identifiedBy).toContain(label);
      }
    const backstop = ALERTS.find(({ name }) => name === "OtaReleaseFailingNotRolledBack")!;
    expect(backstop.suppressedBy.critical!.map(({ alertname }) => alertname)).toContain("OtaRollbackDone");
  });

  test("each is in a file that Prometheus loads", () => {
    const written = Object.values(alertingFiles()).join("\n");
    for (const { name } of ALERTS) expect(written).toContain(`alert: ${name}\n`);
  });

  test("no name is also a page of the agent's", () => {
    expect(ALERTS.filter(({ name }) => name in AGENT_PAGES)).toEqual([]);
    expect(ALERTS.length).toBeGreaterThanOrEqual(28);
  });
});

describe("PromQL", () => {
  test.each([
    ...titled.map(({ title, rule }) => ({ title, expr: rule.expr })),
    ...recordingRules.map(({ record, labels, expr }) => ({
      title: `${record} ${labels?.["slo"] ?? ""}`,
      expr,
    })),
  ])("$title is right", ({ expr }) => {
    expect(faultsOfPromql(expr, recorded)).toEqual([]);
  });

  test.each([
    ["max(ota_nothing) > 0", "there is no metric ota_nothing"],
    ["max(ota_fold_lag_seconds", "does not parse"],
    ['max(ota_fold_lag_seconds{app="a"})', "ota_fold_lag_seconds has no label app"],
    ["rate(ota_fold_lag_seconds[5m])", "rate of the gauge ota_fold_lag_seconds"],
    ["increase(lastgood:ota_fold_lag_seconds:max[5m])", "increase of lastgood:ota_fold_lag_seconds:max"],
    ["rate(ota_folded_reports_total[30s])", "a range of 30s"],
    ["avg(rate(ota_ingest_reports_total[5m]) / rate(ota_folded_reports_total[5m]))", "an average of ratios"],
    ["ota_rollback_duration_seconds_total", "there is no metric ota_rollback_duration_seconds_total"],
  ])("%s is not", (expr, fault) => {
    expect(faultsOfPromql(expr, recorded).join()).toContain(fault);
  });

  test("recorded names are level:metric:operations", () => {
    for (const name of recorded) expect(name).toMatch(/^[a-z_]+:[a-z_]+:[a-z0-9_]+$/);
  });
});

describe("objectives", () => {
  test("every window of a burn rate is recorded", () => {
    for (const { long, short } of BURN_RATES)
      expect(SLO_WINDOWS).toEqual(expect.arrayContaining([long, short]));
    expect(Object.keys(SLOS)).toHaveLength(3);
  });

  test("what ingest can't keep for now is what counts against it", () => {
    for (const code of UNAVAILABLE_CODES) expect(SLOS.accepted.errorRatio("5m")).toContain(code);
  });
});

describe("cases", () => {
  const files = readCaseFiles();
  test("each alert has a file of cases, and no file is left over", () => {
    expect(files.map(({ alert }) => alert).toSorted()).toEqual(ALERTS.map(({ name }) => name));
  });

  test.each(files)("$alert has all six kinds, or says why not", (file) => {
    expect(faultsOf(file)).toEqual([]);
  });

  test("a hollow file is caught", () => {
    const text = `# not applicable: recovery: short
tests:
  - name: firing
    input_series: []
    alert_rule_test: [{ eval_time: 1m, alertname: OtaX, exp_alerts: [] }]
`;
    const faults = faultsOf(readCaseFile("OtaX", text));
    expect(faults).toContain("firing expects nothing to fire");
    expect(faults).toContain("no case recovery, and no reason");
    expect(faults).toContain("no case counter-reset, and no reason");
  });
});

describe("generated files", () => {
  test.each(Object.entries(alertingFiles()))("%s is committed as it is generated", (file, text) => {
    expect(readFileSync(path.join(ROOT, file), "utf8")).toBe(text);
  });

  test("alerting/rules has nothing else", () => {
    const there = readdirSync(path.join(ROOT, "alerting/rules")).map((name) => `alerting/rules/${name}`);
    expect(there.toSorted()).toEqual(Object.keys(alertingFiles()).toSorted());
  });

  test("they are written for people", () => {
    const text = Object.values(alertingFiles()).join("\n");
    expect(text.match(/npm run generate/g)).toHaveLength(Object.keys(alertingFiles()).length);
    expect(text).not.toMatch(/expr: (?!\|\n)/);
    expect(text).not.toMatch(/\\n/);
    expect(existsSync(path.join(ROOT, "docs/adr/0023-alerts-as-code.md"))).toBe(true);
  });
});
