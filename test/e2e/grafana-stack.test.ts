// What people look at, on a running stack: a bad release, real processes, a real Prometheus that scrapes them by the
// committed rules, and the real Alertmanager by its committed file. Every query of every panel has an answer; every alert
// that should fire arrives where people are called, and is taken back. Time runs sixty times as fast for the rules.
import { readdirSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { METRICS } from "../../ingest/contract/metric-names.ts";
import { startAlertmanager } from "../support/alertmanager.ts";
import type { TestAlertmanager } from "../support/alertmanager.ts";
import { CHANNELS, TILL_APP, startObservedStack } from "../support/observed-stack.ts";
import type { ObservedStack } from "../support/observed-stack.ts";
import {
  BAD,
  GOOD,
  OLD,
  tellOfBadRelease,
  tellOfGoodReleases,
  tellOfReturn,
} from "../support/observed-story.ts";
import type { DashboardQueries, VariableValue } from "../support/grafana-queries.ts";
import { emptyQueries } from "../support/panel-answers.ts";
import { readRepoFile, startPrometheus } from "../support/prometheus.ts";
import type { TestPrometheus } from "../support/prometheus.ts";
import { scaleRules } from "../support/scaled-rules.ts";
import { waitUntil } from "../support/wait-until.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
/** A minute of a rule is a second here. */
const FACTOR = 60;
const SCRAPE_SECONDS = 1;
const filesIn = (folder: string): string[] =>
  readdirSync(path.join(ROOT, folder)).map((name) => `${folder}/${name}`);
const RULES = filesIn("alerting/rules").filter((file) => file.endsWith(".yml"));
const DASHBOARDS = filesIn("dashboards/json");
/** What somebody has chosen who looks at the bad release; "All" where that is what a dashboard opens with. */
const ALL = { raw: ".*" } as const;
const CHOSEN: Readonly<Record<string, Readonly<Record<string, VariableValue>>>> = {
  "lastgood-fleet": { app: ALL, channel: ALL },
  "lastgood-pipeline": { app: ALL },
  "lastgood-rollbacks": { app: ALL, channel: ALL, version: ALL },
  "lastgood-release": {
    app: TILL_APP,
    channel: CHANNELS.shadow,
    version: BAD,
    baseline: [GOOD, OLD],
    signal: "crash",
  },
};

let alertmanager: TestAlertmanager;
let stack: ObservedStack;
let prometheus: TestPrometheus;

beforeAll(async () => {
  alertmanager = await startAlertmanager();
  stack = await startObservedStack({ alertmanagerUrl: alertmanager.url });
  prometheus = await startPrometheus({
    config: `
global: { scrape_interval: ${SCRAPE_SECONDS}s, evaluation_interval: 1s }
rule_files: ["rules/*.yml"]
alerting: { alertmanagers: [{ static_configs: [{ targets: ["${alertmanager.url.replace("http://", "")}"] }] }] }
scrape_configs:
  - job_name: lastgood-ingest
    static_configs: [{ targets: ["${stack.ingestTarget}"] }]
  - job_name: lastgood-agent
    static_configs: [{ targets: ["${stack.agentTarget}"] }]
`,
    files: Object.fromEntries(
      RULES.map((file) => [`rules/${path.basename(file)}`, scaleRules(readRepoFile(file), FACTOR)]),
    ),
  });
  // What happens before the first scrape is no increase.
  await waitUntil(
    () => prometheus.query("ota_rollback_duration_seconds_count"),
    (found) => found.length > 0,
  );
  await tellOfGoodReleases(stack);
  await stack.act("freezes", {
    scope: { app: TILL_APP, channel: CHANNELS.frozen },
    reason: "a freeze for the test",
    for: "1h",
  });
  for (const channel of Object.values(CHANNELS)) stack.publish(channel, BAD);
  await tellOfBadRelease(stack, { channels: Object.values(CHANNELS), waves: 15 });
  await stack.spoilAnEntry();
  await tellOfReturn(stack, CHANNELS.rolledBack);
}, 120_000);

afterAll(async () => {
  await prometheus.stop();
  await stack.stop();
  await alertmanager.stop();
});

const firing = (): string[] =>
  [
    ...new Set(
      alertmanager
        .notified()
        .filter(({ status }) => status === "firing")
        .map(({ labels }) => `${labels["alertname"]} ${labels["channel"] ?? ""}`),
    ),
  ].toSorted();

describe("while a release is bad", () => {
  test("every metric of the table is there", async () => {
    const missing = async (): Promise<string[]> => {
      // The stack has no TLS.
      const expected = Object.entries(METRICS).filter(([name]) => !name.startsWith("ota_tls_"));
      const asked = expected.map(async ([name, { type }]) => {
        const found = await prometheus.query(type === "histogram" ? `${name}_count` : name);
        return found.length === 0 ? [name] : [];
      });
      return (await Promise.all(asked)).flat();
    };
    expect(await waitUntil(missing, (names) => names.length === 0)).toEqual([]);
  });

  test.each(DASHBOARDS)("every query of %s has an answer", async (file) => {
    const dashboard = JSON.parse(readRepoFile(file)) as DashboardQueries & { uid: string };
    const asked = {
      prometheus,
      dashboard,
      variables: CHOSEN[dashboard.uid]!,
      rangeSeconds: 120,
      scrapeIntervalSeconds: SCRAPE_SECONDS,
    };
    expect(
      await waitUntil(
        () => emptyQueries(asked),
        (empty) => empty.length === 0,
      ),
    ).toEqual([]);
  });

  test("explore alerts", async () => {
    await tellOfBadRelease(stack, { channels: [CHANNELS.shadow, CHANNELS.held], waves: 20, from: 16 });
    console.log(firing());
    console.log(
      (await prometheus.alerts()).map(({ labels, state }) => `${state} ${JSON.stringify(labels)}`).join("\n"),
    );
  }, 60_000);
});
