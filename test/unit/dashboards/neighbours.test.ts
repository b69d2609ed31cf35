// What dashboards/ may not import, and still has to agree with: the rules of alerting/, what Grafana is given at its start,
// the scrape interval of Prometheus, the agent's page, and verdicts and outcomes as the agent names them.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { linkTo } from "../../../agent/paging/alertmanager.ts";
import { VERDICT_KINDS } from "../../../agent/judge/verdict.ts";
import { ROLLBACK_OUTCOME_KINDS } from "../../../agent/rollback/outcome.ts";
import { FOLLOW_UP_KINDS } from "../../../agent/rollback/decision-record.ts";
import { DASHBOARDS as LINKED_DASHBOARDS } from "../../../alerting/dashboards.ts";
import { SLOS } from "../../../alerting/slo.ts";
import { DECISION_COLOURS, VERDICTS } from "../../../dashboards/colours.ts";
import { dashboards } from "../../../dashboards/generated-files.ts";
import { LIMITS } from "../../../dashboards/limits.ts";
import { DASHBOARDS, agentPage } from "../../../dashboards/links.ts";
import { SLO_BUDGETS } from "../../../dashboards/pipeline.ts";
import { NODE_METRICS, RECORDED } from "../../../dashboards/queries.ts";
import { AGENT_URL } from "../../../dashboards/variables.ts";
import { createRegistry } from "../../../runtime/metrics.ts";
import { SCRAPE_INTERVAL_SECONDS } from "../../support/grafana-queries.ts";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");
const provisioning = (file: string): unknown => parse(read(`dashboards/provisioning/${file}`));

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
}

const rules = readdirSync(path.join(ROOT, "alerting/rules")).flatMap((file) => {
  const { groups } = parse(read(`alerting/rules/${file}`)) as { groups: { rules: Rule[] }[] };
  return groups.flatMap((group) => group.rules);
});

describe("alerting", () => {
  test("the budgets are those of its rules", () => {
    const theirs = Object.values(SLOS).map(({ slo, budgetRatio }) => [slo, budgetRatio]);
    expect(SLO_BUDGETS).toEqual(Object.fromEntries(theirs));
  });

  test("what it records under the names that dashboards ask for is recorded", () => {
    const labelsOf = (name: string): string[][] =>
      rules.filter(({ record }) => record === name).map(({ labels = {} }) => Object.keys(labels));
    for (const [name, labels] of Object.entries(RECORDED))
      expect([name, new Set(labelsOf(name).map(String))]).toEqual([name, new Set([String(labels)])]);
  });

  test.each(LIMITS)("panels turn where $alert comes", ({ alert, warning, critical }) => {
    const limitOf = (severity: string): number[] =>
      rules
        .filter((rule) => rule.alert === alert && rule.labels?.["severity"] === severity)
        .map(({ expr }) => Number(/>\s*([\d.]+)\s*$/.exec(expr)?.[1]));
    expect(limitOf("warning")).toEqual(warning === undefined ? [] : [warning]);
    expect(warning ?? critical).toBeDefined();
    expect(limitOf("critical")).toEqual(critical === undefined ? [] : [critical]);
  });

  test("alerts lead to the dashboards that there are", () => {
    const uids = Object.entries(DASHBOARDS).map(([name, { uid }]) => [name, uid]);
    expect(LINKED_DASHBOARDS).toEqual(Object.fromEntries(uids));
  });
});

describe("provisioning", () => {
  const { datasources } = provisioning("datasources.yml") as {
    datasources: { uid: string; type: string; url: string; jsonData: Record<string, unknown> }[];
  };

  test("the data source that is chosen at first is there, and Alertmanager beside it", () => {
    expect(datasources.map(({ uid, type, url }) => [uid, type, url])).toEqual([
      ["prometheus", "prometheus", "${LASTGOOD_PROMETHEUS_URL}"],
      ["alertmanager", "alertmanager", "${LASTGOOD_ALERTMANAGER_URL}"],
    ]);
    for (const { templating } of Object.values(dashboards()))
      expect(templating.list?.[0]?.current?.value).toBe(datasources[0]!.uid);
  });

  test("Grafana knows how often Prometheus scrapes, or $__rate_interval would be too short", () => {
    const { global } = parse(read("alerting/prometheus.yml")) as { global: { scrape_interval: string } };
    expect(datasources[0]!.jsonData["timeInterval"]).toBe(global.scrape_interval);
    expect(global.scrape_interval).toBe(`${SCRAPE_INTERVAL_SECONDS}s`);
  });

  test("dashboards come from a folder, and nobody can change or delete them in Grafana", () => {
    expect(provisioning("dashboards.yml")).toMatchObject({
      providers: [
        {
          folder: "Lastgood",
          allowUiUpdates: false,
          disableDeletion: true,
          options: { path: "${LASTGOOD_DASHBOARDS}" },
        },
      ],
    });
  });
});

describe("the program", () => {
  test("each verdict has a colour and a number of its own", () => {
    expect(Object.keys(VERDICTS).toSorted()).toEqual(VERDICT_KINDS.toSorted());
    const values = Object.values(VERDICTS);
    expect(new Set(values.map(({ code }) => code)).size).toBe(values.length);
    expect(new Set(values.map(({ colour }) => colour)).size).toBe(values.length);
  });

  test.each([...ROLLBACK_OUTCOME_KINDS, ...FOLLOW_UP_KINDS])("%s has a colour", (kind) => {
    expect(DECISION_COLOURS).toHaveProperty([kind]);
  });

  test("links to the agent's page are those that its alerts have", () => {
    const filled = agentPage("till", "stable").replace("${agent_url}", AGENT_URL);
    expect(filled).toBe(linkTo(AGENT_URL, { app: "till", channel: "stable" }));
  });

  test("Node's metrics have these names and types", () => {
    const exported = createRegistry({ process: "agent", version: "0" }).getMetricsAsArray() as unknown as {
      name: string;
      type: string;
    }[];
    const types = Object.keys(NODE_METRICS).map((name) => [
      name,
      exported.find((metric) => metric.name === name)?.type,
    ]);
    expect(Object.fromEntries(types)).toEqual(NODE_METRICS);
  });
});
