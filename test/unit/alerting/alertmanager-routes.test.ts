// Where every alert goes, asked of amtool: the agent's pages, and the rules of Prometheus as they are in
// alerting/rules. An alert that reaches the receiver for what nobody thought of fails here.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { ALERTS, PAGE_SEVERITIES } from "../../../agent/paging/page.ts";
import { NOWHERE, readAlertmanagerConfig } from "../../support/rewritten-alertmanager.ts";

const ALERTING = path.resolve(import.meta.dirname, "../../../alerting");
const SHIPPED = path.join(ALERTING, "alertmanager.yml");
const ROLES = { critical: "pagerduty", warning: "slack", info: NOWHERE, none: "heartbeat" } as const;
type Severity = keyof typeof ROLES;

const folder = mkdtempSync(path.join(tmpdir(), "lg-routes-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The three marked lines, edited as docs/alertmanager.md says. */
function connected(text: string): string {
  return text
    .replace(/receiver: \w+ # \(1\)/, "receiver: pagerduty # (1)")
    .replace(/receiver: \w+ # \(2\)/, "receiver: slack # (2)")
    .replace(/receiver: \w+ # \(3\)/, "receiver: heartbeat # (3)");
}

const edited = path.join(folder, "alertmanager.yml");
writeFileSync(edited, connected(readFileSync(SHIPPED, "utf8")));

interface Routed {
  readonly alertname: string;
  readonly severity: string;
}

interface RuleFile {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert?: string;
      readonly labels?: Readonly<Record<string, string>>;
    }[];
  }[];
}

function alertsOfRules(): Routed[] {
  const rules = path.join(ALERTING, "rules");
  if (!existsSync(rules)) return [];
  const files = readdirSync(rules).filter((name) => name.endsWith(".yml"));
  const found = files.flatMap((name) =>
    (parse(readFileSync(path.join(rules, name), "utf8")) as RuleFile).groups.flatMap((group) => group.rules),
  );
  const alerts = found.flatMap(({ alert, labels }) =>
    alert === undefined ? [] : [{ alertname: alert, severity: labels?.["severity"] ?? "" }],
  );
  return [...new Map(alerts.map((one) => [`${one.alertname} ${one.severity}`, one])).values()];
}

const ALL: readonly Routed[] = [
  ...Object.keys(ALERTS).flatMap((alertname) =>
    PAGE_SEVERITIES.map((severity) => ({ alertname, severity: severity as string })),
  ),
  { alertname: "OtaWatchdog", severity: "none" },
  ...alertsOfRules(),
];

function amtool(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync("amtool", args, { encoding: "utf8" });
  return { status, output: stdout + stderr };
}

function goesTo(file: string, { alertname, severity }: Routed, receiver: string): boolean {
  const labels = [`alertname=${alertname}`, `severity=${severity}`, "service=lastgood"];
  return (
    amtool("config", "routes", "test", `--config.file=${file}`, `--verify.receivers=${receiver}`, ...labels)
      .status === 0
  );
}

describe("the file", () => {
  test("is one that amtool takes, as shipped and connected", () => {
    expect(amtool("check-config", SHIPPED)).toMatchObject({ status: 0 });
    writeFileSync(
      path.join(folder, "wrong.yml"),
      connected(readFileSync(SHIPPED, "utf8")).replace("pagerduty # (1)", "nobody"),
    );
    expect(amtool("check-config", path.join(folder, "wrong.yml")).status).not.toBe(0);
  });

  test("has three lines to edit, and each names a receiver that is there", () => {
    const text = readFileSync(SHIPPED, "utf8");
    expect(text.match(/receiver: \w+ # \(\d\)/g)).toHaveLength(3);
    const names = readAlertmanagerConfig(SHIPPED).receivers.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(Object.values(ROLES)));
  });

  test("has a default receiver, and only one receiver that tells nobody", () => {
    const { route, receivers } = readAlertmanagerConfig(SHIPPED);
    const silent = receivers.filter((receiver) => Object.keys(receiver).length === 1).map(({ name }) => name);
    expect(silent).toEqual([NOWHERE]);
    expect(route.receiver).not.toBe(NOWHERE);
  });

  test("has secrets in files only", () => {
    const keys = [...stringify(readAlertmanagerConfig(SHIPPED)).matchAll(/(\w+): /g)].map(([, key]) => key);
    expect(keys).toContain("routing_key_file");
    const secrets = ["routing_key", "service_key", "api_key", "smtp_auth_password", "auth_password"];
    expect(keys.filter((key) => [...secrets, "slack_api_url", "opsgenie_api_key"].includes(key!))).toEqual(
      [],
    );
  });
});

describe("routes", () => {
  test.each(ALL)("$alertname, $severity", (alert) => {
    const receiver = ROLES[alert.severity as Severity];
    expect(receiver).toBeDefined();
    expect(goesTo(edited, alert, receiver)).toBe(true);
  });

  test("what has a severity that nobody knows goes to the default, so this table would notice", () => {
    const unknown = { alertname: "OtaNew", severity: "page" };
    expect(goesTo(edited, unknown, "unrouted")).toBe(true);
    expect(goesTo(edited, unknown, "pagerduty")).toBe(false);
  });
});
