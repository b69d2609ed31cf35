// The committed cases of alerts: alerting/tests/<Alert>.test.yml, as promtool reads them, and what in them says that a
// case does not apply. Leaves: values to hold against the catalogue.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";

export const CASES_FOLDER = path.resolve(import.meta.dirname, "../../alerting/tests");
/** Each alert has a case whose name is or begins with each of these, or says why not. */
export const CASE_KINDS = [
  "firing",
  "just-below",
  "no-traffic",
  "counter-reset",
  "missing-series",
  "recovery",
] as const;

export interface ExpectedAlert {
  readonly exp_labels: Readonly<Record<string, string>>;
  readonly exp_annotations: Readonly<Record<string, string>>;
}

export interface AlertCase {
  readonly name: string;
  readonly input_series: readonly { readonly series: string; readonly values: string }[];
  readonly alert_rule_test: readonly {
    readonly eval_time: string;
    readonly alertname: string;
    readonly exp_alerts: readonly ExpectedAlert[];
  }[];
}

export interface CaseFile {
  readonly alert: string;
  readonly text: string;
  readonly cases: readonly AlertCase[];
  /** Kind of case -> why there is none. */
  readonly notApplicable: ReadonlyMap<string, string>;
}

export function readCaseFile(alert: string, text: string): CaseFile {
  const { tests } = parse(text) as { tests: AlertCase[] };
  const reasons = Array.from(
    text.matchAll(/^# not applicable: ([a-z-]+): (.+)$/gm),
    ([, kind, why]) => [kind!, why!] as const,
  );
  return { alert, text, cases: tests, notApplicable: new Map(reasons) };
}

export function readCaseFiles(): CaseFile[] {
  return readdirSync(CASES_FOLDER)
    .filter((name) => name.endsWith(".test.yml"))
    .map((name) =>
      readCaseFile(name.replace(".test.yml", ""), readFileSync(path.join(CASES_FOLDER, name), "utf8")),
    );
}

/** What is missing or hollow in a file of cases; empty = nothing. */
export function faultsOf({ alert, cases, notApplicable }: CaseFile): string[] {
  const faults: string[] = [];
  for (const kind of CASE_KINDS) {
    const isThere = cases.some(({ name }) => name === kind);
    const why = notApplicable.get(kind);
    if (!isThere && (why === undefined || why.length < 20)) faults.push(`no case ${kind}, and no reason`);
    if (isThere && why !== undefined) faults.push(`${kind} is there and said not to apply`);
  }
  for (const { name, alert_rule_test: looks } of cases) {
    const fires = looks.some(({ exp_alerts: alerts }) => alerts.length > 0);
    const rests = looks.some(({ exp_alerts: alerts }) => alerts.length === 0);
    if (looks.some(({ alertname }) => alertname !== alert)) faults.push(`${name} looks at another alert`);
    if (name.startsWith("firing") && !fires) faults.push(`${name} expects nothing to fire`);
    if (name === "recovery" && !(fires && rests)) faults.push("recovery does not fire and then end");
    for (const { exp_alerts: alerts } of looks)
      for (const { exp_annotations: told } of alerts)
        for (const annotation of ["summary", "description", "runbook_url", "dashboard_url"])
          if (!told[annotation]) faults.push(`${name} does not look at ${annotation}`);
  }
  return faults;
}
