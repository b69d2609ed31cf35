// What people look at, on a running stack: a bad release, real processes, a real Prometheus that scrapes them by the
// committed rules, and the real Alertmanager by its committed file. Every query of every panel has an answer; every alert
// that should fire arrives where people are called, and is taken back. Time runs sixty times as fast for the rules.
import { readdirSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { METRICS } from "../../ingest/contract/metric-names.ts";
import { startAlertmanager } from "../support/alertmanager.ts";
import type { TestAlertmanager } from "../support/alertmanager.ts";
import { startChromium } from "../support/chromium.ts";
import { CHANNELS, TILL_APP, startObservedStack } from "../support/observed-stack.ts";
import type { ObservedStack } from "../support/observed-stack.ts";
import {
  BAD,
  GOOD,
  MENDED,
  OLD,
  WORSE,
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

/** The stack serves plain HTTP on loopback. That Prometheus takes these is in test/integration/dashboards.test.ts. */
const NEEDS_TLS = /: ota_tls_/;

let alertmanager: TestAlertmanager;
let stack: ObservedStack;
let prometheus: TestPrometheus;

beforeAll(async () => {
  alertmanager = await startAlertmanager({ configFile: path.join(ROOT, "alerting/alertmanager.yml") });
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

/** What came where people are called: `alert channel version`, once each. */
const told = (status: "firing" | "resolved"): string[] => {
  const alerts = alertmanager
    .notifications()
    .flatMap((each) => (each.receiver === "heartbeat" ? [] : each.alerts));
  return [...new Set(alerts.filter((each) => each.status === status).map(({ labels }) => nameOf(labels)))];
};
const nameOf = (labels: Readonly<Record<string, string>>): string =>
  [labels["alertname"], labels["channel"], labels["version"]].filter((part) => part !== undefined).join(" ");
const expectTold = async (status: "firing" | "resolved", names: readonly string[]): Promise<void> => {
  const missing = (): string[] => names.filter((name) => !told(status).includes(name));
  expect(await waitUntil(missing, (found) => found.length === 0, 120_000)).toEqual([]);
};

const BACKSTOP = "OtaReleaseFailingNotRolledBack";
const { rolledBack, approval, shadow, held, frozen } = CHANNELS;
/** Nothing was done there, and the agent has woken nobody about it. */
const UNTOUCHED = [`${BACKSTOP} ${shadow} ${BAD}`, `${BACKSTOP} ${held} ${BAD}`];
/** Of the agent itself, within seconds. */
const PAGES = [
  `OtaApprovalWaiting ${approval} ${BAD}`,
  `OtaRollbackHeld ${held} ${BAD}`,
  `OtaRollbackHeld ${frozen} ${BAD}`,
];
const OTHERS = ["OtaApprovalUnanswered", "OtaDeadLettersWaiting"];
/** Answered already: by a rollback, or by a page that woke somebody. */
const SILENCED = [rolledBack, approval, frozen].map((channel) => `${BACKSTOP} ${channel} ${BAD}`);

describe("while a release is bad", () => {
  test("every metric of the table is there", async () => {
    const missing = async (): Promise<string[]> => {
      // The stack has no TLS, and its Redis takes every report.
      const expected = Object.entries(METRICS).filter(
        ([name]) => !name.startsWith("ota_tls_") && name !== "ota_ingest_spool_oldest_timestamp_seconds",
      );
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
        async () => (await emptyQueries(asked)).filter((query) => !NEEDS_TLS.test(query)),
        (empty) => empty.length === 0,
      ),
    ).toEqual([]);
  });

  test("every alert that should fire arrives, and those that are answered do not", async () => {
    await tellOfBadRelease(stack, { channels: [shadow, held], waves: 15, from: 16 });
    await expectTold("firing", [...UNTOUCHED, ...PAGES, ...OTHERS]);
    // They stand, and are silenced.
    const standing = (await prometheus.alerts())
      .filter(({ state }) => state === "firing")
      .map(({ labels }) => labels);
    expect(standing.map(nameOf)).toContain(`OtaRollbackDone ${rolledBack} ${BAD}`);
    expect(told("firing").filter((name) => SILENCED.includes(name))).toEqual([]);
    expect(
      told("firing").filter((name) => /^Ota(RolledBack|RollbackDone|ShadowDecision)/.test(name)),
    ).toEqual([]);
  });

  test("whoever waits for the dead-man's switch hears it again and again", async () => {
    const beats = (): number =>
      alertmanager.notifications().filter(({ receiver }) => receiver === "heartbeat").length;
    const before = beats();
    expect(await waitUntil(beats, (count) => count >= before + 2)).toBeGreaterThan(before);
  });

  test("pages carry their evidence, a runbook that there is, and where to look", async () => {
    const alerts = alertmanager.notifications().flatMap((each) => each.alerts);
    const backstop = alerts.find(({ labels }) => nameOf(labels) === UNTOUCHED[0])!;
    expect(backstop.annotations["description"]).toMatch(/at least \d+(\.\d+)?%|crashes in \d+(\.\d+)?%/);
    const runbook = /docs\/runbooks\/\w+\.md$/.exec(backstop.annotations["runbook_url"]!)![0];
    expect(readRepoFile(runbook)).toContain("## What to do");
    expect(backstop.annotations["dashboard_url"]).toContain(`/d/lastgood-release?var-app=${TILL_APP}`);
  });
});

/** Of the release comparison, as somebody without Grafana looks at it: rates beside the limit, evidence, what runs where. */
const LOOKED_AT = [
  `max by (version) (ota_release_failure_ratio{app="${TILL_APP}",channel="${shadow}",signal="update_failure"}) or max(ota_policy_limit_ratio{app="${TILL_APP}",channel="${shadow}",signal="update_failure"})`,
  `max by (signal, rule) (ota_release_evidence{app="${TILL_APP}",channel="${shadow}",version="${BAD}"} / ota_release_evidence_threshold{app="${TILL_APP}",channel="${shadow}",version="${BAD}"})`,
  `max by (version) (ota_running_devices{app="${TILL_APP}",channel="${rolledBack}",version!="other"})`,
];

describe("without Grafana", () => {
  test("Prometheus's own page graphs the release comparison", async () => {
    const browser = await startChromium();
    try {
      const graphs = LOOKED_AT.map(
        (expr, index) =>
          `g${index}.expr=${encodeURIComponent(expr)}&g${index}.tab=0&g${index}.range_input=2m`,
      );
      const { page } = await browser.open(`${prometheus.url}/graph?${graphs.join("&")}`);
      const lines = page.locator(".rickshaw_graph svg path.path, .graph-chart canvas");
      const drawn = await waitUntil(
        () => lines.count(),
        (count) => count >= LOOKED_AT.length,
      );
      expect(drawn).toBeGreaterThanOrEqual(LOOKED_AT.length);
      const folder = process.env["LASTGOOD_SCREENSHOTS"];
      if (folder !== undefined) {
        await page.setViewportSize({ width: 1_440, height: 2_400 });
        await page.screenshot({ path: path.join(folder, "prometheus-release.png") });
      }
    } finally {
      await browser.close();
    }
  });
});

describe("while the agent is dead", () => {
  test("that is told, and so is a release that fails: by the raw reports alone", async () => {
    const agent = await stack.killAgent();
    try {
      stack.publish(rolledBack, WORSE);
      await expectTold("firing", ["OtaAgentDown"]);
      await tellOfBadRelease(stack, { channels: [rolledBack], waves: 20, from: 20, version: WORSE });
      await expectTold("firing", [`${BACKSTOP} ${rolledBack} ${WORSE}`]);
    } finally {
      agent.letGo();
    }
  });
});

interface Decisions {
  readonly decisions: readonly { readonly id: string; readonly channel: string; readonly mode: string }[];
}

/** None while nobody answers. */
async function decisionsOf(): Promise<Decisions> {
  const answer = await fetch(`${stack.agentUrl}/v1/decisions`).catch(() => undefined);
  return answer?.ok === true ? ((await answer.json()) as Decisions) : { decisions: [] };
}

describe("when it is mended", () => {
  test("every alert that was told is taken back", async () => {
    // The agent is started again by and by.
    const { decisions } = await waitUntil(decisionsOf, ({ decisions: found }) => found.length > 0, 60_000);
    const waiting = decisions.find(({ channel, mode }) => channel === approval && mode === "approval")!;
    await stack.act(`decisions/${waiting.id}/approve`, {});
    for (const channel of [shadow, held, frozen]) stack.publish(channel, MENDED);
    await stack.act("dead-letters/discard", { all: true });
    await expectTold("resolved", ["OtaAgentDown", ...UNTOUCHED, ...PAGES, ...OTHERS]);
  });
});
