// The shipped alerting/alertmanager.yml in a real prometheus-alertmanager, with its receivers redirected to a double: what
// is told together, what is kept quiet while something else is told and what nearly is, what is told in working hours, and
// the dead-man's switch.
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startAlertmanager } from "../support/alertmanager.ts";
import type { Notification, TestAlertmanager } from "../support/alertmanager.ts";
import { waitUntil } from "../support/wait-until.ts";

const configFile = path.resolve(import.meta.dirname, "../../alerting/alertmanager.yml");
const HOUR_MS = 3_600_000;
type Labels = Readonly<Record<string, string>>;

async function post(url: string, alerts: readonly Labels[], state: "firing" | "resolved" = "firing") {
  const nowMs = Date.now();
  const answer = await fetch(`${url}/api/v2/alerts`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(
      alerts.map((labels) => ({
        labels: { service: "lastgood", ...labels },
        annotations: { summary: "s", description: "d" },
        // An alert that is older than `group_wait` is told at once, and those that come with it in the next notification.
        startsAt: new Date(state === "firing" ? nowMs : nowMs - HOUR_MS).toISOString(),
        endsAt: new Date(state === "firing" ? nowMs + HOUR_MS : nowMs - 1).toISOString(),
      })),
    ),
  });
  expect(answer.status).toBe(200);
}

let alertmanager: TestAlertmanager;
beforeAll(async () => {
  alertmanager = await startAlertmanager({ configFile });
});
afterAll(() => alertmanager.stop());

const told = (app: string): Notification[] =>
  alertmanager.notifications().filter(({ groupLabels }) => groupLabels["app"] === app);

describe("what is told", () => {
  const failing = (app: string, version: string): Labels => ({
    alertname: "OtaReleaseFailing",
    severity: "critical",
    app,
    channel: "stable",
    version,
  });

  test("five versions of a channel are one notification, and their end is one", async () => {
    const alerts = ["1", "2", "3", "4", "5"].map((version) => failing("grouped", version));
    await post(alertmanager.url, alerts);
    const [first] = await waitUntil(
      () => told("grouped"),
      (all) => all.length > 0,
    );
    expect(first).toMatchObject({ receiver: "webhook", status: "firing" });
    expect(first!.alerts).toHaveLength(5);
    await post(alertmanager.url, alerts, "resolved");
    const all = await waitUntil(
      () => told("grouped"),
      (seen) => seen.length > 1,
    );
    expect(all[1]).toMatchObject({ status: "resolved" });
    expect(all[1]!.alerts).toHaveLength(5);
  });

  test("the dead-man's switch arrives again and again, at a receiver of its own", async () => {
    await post(alertmanager.url, [{ alertname: "OtaWatchdog", severity: "none" }]);
    const beats = await waitUntil(
      () => alertmanager.notifications().filter(({ receiver }) => receiver === "heartbeat"),
      (all) => all.length >= 3,
    );
    expect(beats.every(({ alerts }) => alerts[0]!.labels["alertname"] === "OtaWatchdog")).toBe(true);
  });

  test("info is told to nobody", async () => {
    await post(alertmanager.url, [
      { ...failing("informed", "1"), alertname: "OtaRolledBack", severity: "info" },
    ]);
    await post(alertmanager.url, [failing("after", "1")]);
    await waitUntil(
      () => told("after"),
      (all) => all.length > 0,
    );
    expect(told("informed")).toEqual([]);
  });
});

test("outside of working hours a warning waits and a critical alert does not", async () => {
  const night = await startAlertmanager({
    configFile,
    rewrite: (config) => ({
      ...config,
      // A year that it isn't.
      time_intervals: config.time_intervals.map(({ name }) => ({
        name,
        time_intervals: [{ years: ["1999"] }],
      })),
    }),
  });
  try {
    const on = { app: "night", channel: "stable" };
    await post(night.url, [{ ...on, alertname: "OtaReleaseSuspect", severity: "warning" }]);
    await post(night.url, [{ ...on, alertname: "OtaRollbackHeld", severity: "critical" }]);
    await waitUntil(
      () => night.notified(),
      (all) => all.length > 0,
    );
    // Later groups of the same second have been told by then.
    await post(night.url, [{ ...on, app: "second", alertname: "OtaRollbackHeld", severity: "critical" }]);
    await waitUntil(
      () => night.notified(),
      (all) => all.length > 1,
    );
    expect(night.notified().map(({ labels }) => labels["alertname"])).toEqual([
      "OtaRollbackHeld",
      "OtaRollbackHeld",
    ]);
  } finally {
    await night.stop();
  }
});

// ---- inhibition

const A1 = { app: "a", channel: "stable", version: "1" };
const AT = { app: "a", channel: "stable" };
const backstop = (labels: Labels): Labels => ({
  alertname: "OtaReleaseFailingNotRolledBack",
  severity: "critical",
  team: "lastgood",
  ...labels,
});
const named = (alertname: string, severity: string, labels: Labels = {}): Labels => ({
  alertname,
  severity,
  ...labels,
});
const OTHER_VERSION = { ...A1, version: "2" };
const OTHER_CHANNEL = { ...A1, channel: "beta" };
const OTHER_APP = { ...A1, app: "b" };
const own = (labels: Labels): Labels => ({
  alertname: "Mine",
  severity: "critical",
  service: "shop",
  ...labels,
});

interface Case {
  readonly source: Labels;
  readonly quiet: readonly Labels[];
  readonly told: readonly Labels[];
}

const releaseOf = (alertname: string, severity: string): Case => ({
  source: named(alertname, severity, A1),
  quiet: [backstop(A1)],
  told: [backstop(OTHER_VERSION), backstop(OTHER_CHANNEL), backstop(OTHER_APP), backstop(AT)],
});
/** Without a version it is about the channel: no release's alert is told in its place. */
const unversioned = (alertname: string): Case => ({
  source: named(alertname, "critical", AT),
  quiet: [],
  told: [backstop(A1), backstop(AT)],
});
const CALLING = [
  "OtaApprovalWaiting",
  "OtaKillSwitchOn",
  "OtaReleaseFailing",
  "OtaRollbackFailed",
  "OtaRollbackHeld",
  "OtaRollbackPending",
  "OtaServerRefuses",
  "OtaServerUnavailable",
];
const environment = (alertname: string, severity: string): Case => ({
  source: named(alertname, severity, AT),
  quiet: [
    backstop(A1),
    named("OtaReleaseFailing", "critical", A1),
    named("OtaReleaseSuspect", "warning", OTHER_VERSION),
  ],
  told: [
    backstop(OTHER_CHANNEL),
    backstop(OTHER_APP),
    named("OtaRollbackHeld", "critical", A1),
    backstop({}),
  ],
});
const downstream = (source: string, quiet: readonly string[]): Case => ({
  source: named(source, "critical"),
  quiet: quiet.map((name) => named(name, "critical")),
  told: [backstop(A1), named("OtaWatchdog", "none"), named("OtaRollbackHeld", "critical", OTHER_APP)],
});
const follows = (source: Labels, quiet: readonly Labels[], near: readonly Labels[] = []): Case => ({
  source,
  quiet,
  told: [backstop(OTHER_APP), ...near],
});

const CASES: readonly Case[] = [
  environment("OtaEnvironmentFailing", "critical"),
  environment("OtaEnvironmentIncident", "info"),
  { source: named("OtaEnvironmentFailing", "critical"), quiet: [], told: [backstop({}), backstop(A1)] },
  ...["OtaRolledBack", "OtaRollbackDone"].map((name) => ({
    source: named(name, "info", A1),
    quiet: [backstop(A1), named("OtaReleaseSuspect", "warning", A1), own(A1)],
    told: [backstop(OTHER_VERSION), own(OTHER_VERSION), own(OTHER_CHANNEL), own(AT), own({})],
  })),
  { source: named("OtaRolledBack", "info"), quiet: [], told: [own({}), own(A1), backstop({})] },
  releaseOf("OtaRolloutPaused", "warning"),
  ...CALLING.map((name) => releaseOf(name, "critical")),
  ...CALLING.map((name) => unversioned(name)),
  ...CALLING.map((name) => ({ source: named(name, "warning", A1), quiet: [], told: [backstop(A1)] })),
  {
    source: named("OtaRollbackHeld", "critical", A1),
    quiet: [named("OtaRollbackHeld", "warning", A1)],
    told: [named("OtaRollbackHeld", "warning", OTHER_CHANNEL), named("OtaReleaseSuspect", "warning", A1)],
  },
  {
    source: named("OtaRedisMemoryHigh", "critical", { server: "0" }),
    quiet: [named("OtaRedisMemoryHigh", "warning", { server: "0" })],
    told: [named("OtaRedisMemoryHigh", "warning", { server: "1" }), named("OtaRedisSlow", "warning")],
  },
  downstream("OtaAgentDown", [
    "OtaRedisDown",
    "OtaFoldLagHigh",
    "OtaEvaluationStalled",
    "OtaJobsStuck",
    "OtaFreshnessBudgetBurn",
    "OtaPollStalled",
  ]),
  downstream("OtaRedisDown", [
    "OtaFoldLagHigh",
    "OtaReportsRefused",
    "OtaIngestSlow",
    "OtaJobsFailed",
    "OtaRedisNotPersisting",
    "OtaNotListening",
  ]),
  downstream("OtaIngestDown", ["OtaNotListening"]),
  follows(
    named("OtaFoldLagHigh", "warning"),
    [named("OtaFreshnessBudgetBurn", "warning"), named("OtaRollbackSlow", "warning")],
    [named("OtaFreshnessBudgetBurn", "critical", { slo: "other" })],
  ),
  follows(named("OtaFoldLagHigh", "critical"), [named("OtaFreshnessBudgetBurn", "critical")]),
  follows(
    named("OtaRedisSlow", "warning"),
    [named("OtaIngestSlow", "warning")],
    [named("OtaIngestSlow", "critical", { slo: "other" })],
  ),
  follows(named("OtaDeadLettersDropped", "critical"), [named("OtaDeadLettersWaiting", "warning")]),
  // Those count the rollbacks of all channels.
  follows(named("OtaRollbackPending", "critical", A1), [], [named("OtaRollbackStuck", "critical")]),
  follows(
    named("OtaRollbackFailed", "critical", A1),
    [],
    [named("OtaRollbacksFailing", "critical", { outcome: "failed" })],
  ),
  follows(named("OtaKillSwitchOn", "critical", A1), [named("OtaKillSwitchLeftOn", "warning")]),
  follows(named("OtaConfigRefused", "warning"), [named("OtaConfigNotLoaded", "warning")]),
  ...[
    ["OtaDevicesUnheard", "OtaPollStalled"],
    ["OtaForgedReports", "OtaDevicesNotProven"],
  ].map(([source, target]) =>
    follows(
      named(source!, "critical", { app: "a" }),
      [named(target!, "critical", { app: "a" })],
      [named(target!, "critical", { app: "b" }), named(target!, "critical")],
    ),
  ),
];

interface Listed {
  readonly labels: Labels;
  readonly status: { readonly inhibitedBy: readonly string[] };
}

const isQuiet = (listed: readonly Listed[], labels: Labels): boolean => {
  const wanted = Object.entries({ service: "lastgood", ...labels, case: labels["case"] ?? "" });
  const found = listed.find(
    (one) =>
      wanted.every(([name, value]) => (one.labels[name] ?? "") === value) &&
      Object.keys(one.labels).every((name) => wanted.some(([known]) => known === name)),
  );
  if (found === undefined) throw new Error(`not listed: ${JSON.stringify(labels)}`);
  return found.status.inhibitedBy.length > 0;
};

const listOf = async ({ url }: TestAlertmanager): Promise<Listed[]> =>
  (await (await fetch(`${url}/api/v2/alerts`)).json()) as Listed[];

test("a rule that demands no labels silences what it should not, which the cases below would see", async () => {
  const careless = await startAlertmanager({
    configFile,
    rewrite: (config) => ({
      ...config,
      inhibit_rules: config.inhibit_rules.map((rule) => ({
        ...rule,
        source_matchers: (rule["source_matchers"] as string[]).filter((one) => !one.includes(".+")),
      })),
    }),
  });
  try {
    await post(careless.url, [named("OtaRollbackHeld", "critical", AT), backstop(AT)]);
    const seen = await waitUntil(
      () => listOf(careless),
      (listed) => listed.length > 1 && isQuiet(listed, backstop(AT)),
    );
    expect(isQuiet(seen, backstop(AT))).toBe(true);
  } finally {
    await careless.stop();
  }
});

describe("what is kept quiet", () => {
  const list = (): Promise<Listed[]> => listOf(alertmanager);
  const cases = CASES.map((one, index) => ({
    ...one,
    index,
    title: `${one.source["alertname"]} ${one.source["severity"]} ${Object.keys(one.source).slice(2).join()}`,
  }));

  test.each(cases)("$index $title", async ({ index, source, quiet, told: loud }) => {
    const mark = (labels: Labels): Labels => ({ ...labels, case: String(index) });
    // Posted last, so once it is quiet Alertmanager has taken all before it into account.
    const control = { app: `control-${index}`, channel: "stable", version: "1" };
    const all = [mark(source), ...quiet.map(mark), ...loud.map(mark)];
    const controls = [named("OtaRolledBack", "info", control), backstop(control)].map(mark);
    try {
      await post(alertmanager.url, [...all, ...controls]);
      const seen = await waitUntil(list, (listed) => listed.length > 0 && isQuiet(listed, controls[1]!));
      expect(quiet.filter((labels) => !isQuiet(seen, mark(labels)))).toEqual([]);
      expect(loud.filter((labels) => isQuiet(seen, mark(labels)))).toEqual([]);
    } finally {
      // The next case must not meet them.
      await post(alertmanager.url, [...all, ...controls], "resolved");
    }
  });
});
