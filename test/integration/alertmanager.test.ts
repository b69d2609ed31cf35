// The committed alertmanager.yml in a real Alertmanager: who gets what, in how many notifications, with which words, what
// silences what and what does not, and that nobody silences the dead-man's switch.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ALERTS as RULE_ALERTS } from "../../alerting/catalogue.ts";
import type { CatalogueEntry } from "../../alerting/catalogue.ts";
import type { Suppressor } from "../../alerting/alert.ts";
import { ALERTS as AGENT_ALERTS, PAGE_SEVERITIES } from "../../agent/paging/page.ts";
import { startAlertmanager } from "../support/alertmanager.ts";
import type { Notification, PostedAlert, TestAlertmanager } from "../support/alertmanager.ts";
import {
  ALERTMANAGER_FILE,
  alertmanagerFiles,
  localAlertmanager,
  readAlertmanagerFile,
} from "../support/alertmanager-file.ts";
import { startSmtpSink } from "../support/smtp-sink.ts";
import type { SmtpSink } from "../support/smtp-sink.ts";
import { waitUntil } from "../support/wait-until.ts";

const FILE = path.resolve(import.meta.dirname, "../..", ALERTMANAGER_FILE);
const ON_RELEASE = { app: "com.acme.till", channel: "production", version: "1.5.0" };
const WORDS = {
  summary: "com.acme.till/production 1.5.0: a release fails",
  description: "289 of 4,510 failed.",
};

function amtool(...args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync("amtool", args, { encoding: "utf8" });
  return { status, output: `${stdout}${stderr}` };
}

const running: { stop(): Promise<void> }[] = [];
afterAll(async () => {
  for (const each of running) await each.stop();
});

async function start(choose: Readonly<Partial<Record<"critical" | "warning", string>>> = {}, smtp?: string) {
  const alertmanager = await startAlertmanager({
    configured: (url) => ({
      config: localAlertmanager({ url, choose, ...(smtp === undefined ? {} : { smtp }) }),
      files: alertmanagerFiles(url),
    }),
  });
  running.push(alertmanager);
  return alertmanager;
}

function alertOf(
  alertname: string,
  severity: string,
  more: Readonly<Record<string, string>> = {},
): PostedAlert {
  return {
    labels: { service: "lastgood", alertname, severity, ...more },
    annotations: {
      ...WORDS,
      runbook_url: `docs/runbooks/${alertname}.md`,
      dashboard_url: "http://127.0.0.1:3000/d/x",
    },
    generatorURL: "http://127.0.0.1:8082/#/com.acme.till/production",
  };
}

describe("the file", () => {
  test("is taken by amtool, with its templates", () => {
    const { status, output } = amtool("check-config", FILE);
    expect([status, output]).toEqual([0, expect.stringContaining("SUCCESS")]);
    expect(output).toContain("1 templates");
  });

  test("names only files for secrets", () => {
    const text = JSON.stringify(readAlertmanagerFile());
    const secrets = text.match(/"[a-z_]*(?:key|password|token|credentials|api_url|routing)[a-z_]*":/g) ?? [];
    expect(secrets.length).toBeGreaterThanOrEqual(4);
    expect(secrets.filter((name) => !name.endsWith('_file":'))).toEqual([]);
  });
});

describe("routes", () => {
  const alerts = [
    ...RULE_ALERTS.flatMap(({ name, severities }) => severities.map((severity) => [name, severity] as const)),
    ...Object.keys(AGENT_ALERTS).flatMap((name) =>
      PAGE_SEVERITIES.map((severity) => [name, severity] as const),
    ),
  ];
  const receivers = { critical: "webhook", warning: "webhook", info: "nobody", none: "heartbeat" };

  test.each(alerts)("%s, %s, reaches who it is for", (name, severity) => {
    const labels = [`alertname=${name}`, `severity=${severity}`, "service=lastgood", "app=a", "channel=c"];
    const args = ["config", "routes", "test", `--config.file=${FILE}`, "--tree"];
    const { status, output } = amtool(...args, `--verify.receivers=${receivers[severity]}`, ...labels);
    expect([status, output]).toEqual([0, expect.any(String)]);
    // By the route of its severity, and not because nothing else was for it.
    expect(output).toContain(`{severity="${severity}"}`);
  });

  test("an alert of nobody's reaches the default receiver, which is somebody", () => {
    const { status } = amtool(
      "config",
      "routes",
      "test",
      `--config.file=${FILE}`,
      "--verify.receivers=webhook",
      "a=b",
    );
    expect(status).toBe(0);
    const file = readAlertmanagerFile();
    const configs = file.receivers.find(({ name }) => name === file.route.receiver);
    expect(configs?.["webhook_configs"]).toHaveLength(1);
  });

  test("amtool says no where a receiver is not the right one", () => {
    const args = ["config", "routes", "test", `--config.file=${FILE}`, "--verify.receivers=nobody"];
    expect(amtool(...args, "severity=critical").status).not.toBe(0);
  });

  test("tickets wait for working hours, pages do not", () => {
    const { routes = [] } = readAlertmanagerFile().route;
    const withHours = routes.filter(({ active_time_intervals }) => active_time_intervals !== undefined);
    expect(withHours.map(({ matchers }) => matchers)).toEqual([['severity="warning"']]);
  });
});

/** What the receiver of that path has been sent. */
const sentTo = (alertmanager: TestAlertmanager, at: string): Notification[] =>
  alertmanager.notifications().filter((each) => each.path === at);

describe("notifications", () => {
  let alertmanager: TestAlertmanager;
  beforeAll(async () => {
    alertmanager = await start();
  });

  test("five versions of a channel are one, another channel is another", async () => {
    const versions = ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"];
    const many = versions.map((version) =>
      alertOf("OtaReleaseFailing", "critical", { ...ON_RELEASE, version }),
    );
    const other = alertOf("OtaReleaseFailing", "critical", { ...ON_RELEASE, channel: "beta" });
    await alertmanager.post([...many, other]);
    const sent = await waitUntil(
      () => sentTo(alertmanager, "/webhook"),
      (found) => found.length >= 2,
    );
    expect(sent.map(({ alerts }) => alerts.length).toSorted()).toEqual([1, 5]);
  });

  test("what is over is told", async () => {
    const over = alertOf("OtaIngestDown", "critical");
    await alertmanager.post([over]);
    const about = (): Notification[] =>
      sentTo(alertmanager, "/webhook").filter(
        ({ groupLabels }) => groupLabels["alertname"] === "OtaIngestDown",
      );
    await waitUntil(about, (found) => found.length > 0);
    await alertmanager.post([{ ...over, endsAt: new Date().toISOString() }]);
    expect((await waitUntil(about, (found) => found.length > 1)).map(({ status }) => status)).toEqual([
      "firing",
      "resolved",
    ]);
  });

  test("the dead-man's switch is heard again and again", async () => {
    await alertmanager.post([alertOf("OtaWatchdog", "none")]);
    const beats = await waitUntil(
      () => sentTo(alertmanager, "/heartbeat"),
      (found) => found.length >= 3,
    );
    expect(new Set(beats.flatMap(({ alerts }) => alerts.map(({ labels }) => labels["alertname"])))).toEqual(
      new Set(["OtaWatchdog"]),
    );
  });

  test("info calls nobody", async () => {
    const before = alertmanager.notifications().length;
    await alertmanager.post([alertOf("OtaRolledBack", "info", { ...ON_RELEASE, version: "9.9.9" })]);
    await alertmanager.post([alertOf("OtaRedisSlow", "warning", { server: "later" })]);
    await waitUntil(
      () =>
        sentTo(alertmanager, "/webhook").filter(
          ({ groupLabels }) => groupLabels["alertname"] === "OtaRedisSlow",
        ),
      (found) => found.length > 0,
    );
    const since = alertmanager.notifications().slice(before);
    expect(
      since.flatMap(({ alerts }) => alerts).filter(({ labels }) => labels["severity"] === "info"),
    ).toEqual([]);
  });
});

describe("what is silenced", () => {
  let alertmanager: TestAlertmanager;
  beforeAll(async () => {
    alertmanager = await start();
  });

  /** Other values for every label that two alerts can share, so that no case silences another. */
  let round = 0;
  const labelsOf = (names: readonly string[]): Record<string, string> => {
    round += 1;
    return Object.fromEntries(names.map((name) => [name, `${name}-${round}`]));
  };
  const isSilenced = async (labels: Readonly<Record<string, string>>): Promise<boolean> => {
    const found = await waitUntil(
      async () =>
        (await alertmanager.list()).filter((each) =>
          Object.entries(labels).every(([name, value]) => each.labels[name] === value),
        ),
      (alerts) => alerts.length === 1 && alerts[0]!.status.state !== "unprocessed",
    );
    return found[0]!.status.inhibitedBy.length > 0;
  };
  const end = (alerts: readonly PostedAlert[]): Promise<void> =>
    alertmanager.post(alerts.map((each) => ({ ...each, endsAt: new Date().toISOString() })));

  const cases = RULE_ALERTS.flatMap((entry) =>
    Object.entries(entry.suppressedBy).flatMap(([severity, suppressors]) =>
      (suppressors ?? []).map((suppressor) => ({ entry, severity, suppressor })),
    ),
  );

  function pairOf({ entry, severity, suppressor }: (typeof cases)[number]): [PostedAlert, PostedAlert] {
    const shared = labelsOf(suppressor.equal);
    const own = labelsOf(entry.identifiedBy.filter((label) => !suppressor.equal.includes(label)));
    return [
      alertOf(suppressor.alertname, severityOf(suppressor), shared),
      alertOf(entry.name, severity, { ...shared, ...own }),
    ];
  }

  test.each(cases.map((each) => [each.entry.name, each.severity, each.suppressor.alertname, each] as const))(
    "%s, %s, while %s stands, and not once it is over",
    async (_name, _severity, _by, each) => {
      const [source, target] = pairOf(each);
      await alertmanager.post([source, target]);
      await waitUntil(() => isSilenced(target.labels), Boolean);
      await end([source]);
      await waitUntil(
        () => isSilenced(target.labels),
        (silenced) => !silenced,
      );
      await end([target]);
    },
  );

  const withEqual = cases.filter(({ suppressor }) => suppressor.equal.length > 0);
  test.each(
    withEqual.map((each) => [each.entry.name, each.severity, each.suppressor.alertname, each] as const),
  )(
    "%s, %s, is not silenced by %s about something else, or about nothing in particular",
    async (_name, _severity, _by, each) => {
      const [source, target] = pairOf(each);
      const [different] = pairOf(each);
      const { service = "", alertname = "", severity = "" } = source.labels;
      // Labels that are missing on both sides count as equal: neither may have lost them.
      const bare = { ...source, labels: { service, alertname, severity } };
      await alertmanager.post([different, bare, target]);
      expect(await isSilenced(target.labels)).toBe(false);
      await end([different, bare, target]);
    },
  );

  test("nothing silences the dead-man's switch, and no outage the backstop", async () => {
    const outages = [
      "OtaAgentDown",
      "OtaIngestDown",
      "OtaRedisDown",
      "OtaPagesNotDelivered",
      "OtaEvaluationStalled",
    ];
    const backstop = alertOf(
      "OtaReleaseFailingNotRolledBack",
      "critical",
      labelsOf(["app", "channel", "version"]),
    );
    const watchdog = alertOf("OtaWatchdog", "none");
    await alertmanager.post([...outages.map((name) => alertOf(name, "critical")), backstop, watchdog]);
    expect([await isSilenced(backstop.labels), await isSilenced(watchdog.labels)]).toEqual([false, false]);
  });

  test("an alert of your own on a release is calmed by its rollback, on another release it is not", async () => {
    const done = alertOf("OtaRolledBack", "info", ON_RELEASE);
    const mine = (version: string): PostedAlert => ({
      labels: { service: "shop", alertname: "CheckoutFails", severity: "critical", ...ON_RELEASE, version },
    });
    await alertmanager.post([
      done,
      mine("1.5.0"),
      mine("1.4.0"),
      { labels: { alertname: "Else", severity: "critical" } },
    ]);
    await waitUntil(() => isSilenced(mine("1.5.0").labels), Boolean);
    expect(await isSilenced(mine("1.4.0").labels)).toBe(false);
    expect(await isSilenced({ alertname: "Else" })).toBe(false);
  });
});

/** Of an alert that the agent posts or the rules have. */
function severityOf({ alertname, postedBy, severity }: Suppressor): string {
  if (severity !== undefined) return severity;
  if (postedBy === "agent") return "critical";
  return (RULE_ALERTS as readonly CatalogueEntry[]).find(({ name }) => name === alertname)!.severities[0]!;
}

describe("receivers, each with its secret from a file", () => {
  let smtp: SmtpSink;
  beforeAll(async () => {
    smtp = await startSmtpSink();
  });
  afterAll(() => smtp.close());

  /** Words that each of them would take for something else. */
  const HOSTILE = {
    summary: "<!channel> & <b>bold</b>",
    description: 'said "<script>alert(1)</script> <!here>"',
  };
  const hostile = (): PostedAlert => {
    const made = alertOf("OtaRollbackFailed", "critical", { ...ON_RELEASE, version: "<!channel>" });
    return { ...made, annotations: { ...made.annotations, ...HOSTILE } };
  };
  const firstTo = async (receiver: string, at: RegExp): Promise<{ path: string; body: string }> => {
    const alertmanager = await start({ critical: receiver }, smtp.address);
    await alertmanager.post([hostile()]);
    const sent = await waitUntil(
      () => alertmanager.notifications().filter((each) => at.test(each.path)),
      (found) => found.length > 0,
    );
    return { path: sent[0]!.path, body: JSON.stringify(sent[0]) };
  };

  test("PagerDuty", async () => {
    const { body } = await firstTo("pagerduty", /^\/pagerduty/);
    const event = JSON.parse(body) as Record<string, unknown>;
    expect(event).toMatchObject({ routing_key: "a-pagerduty-routing-key", event_action: "trigger" });
    expect(event["payload"]).toMatchObject({
      severity: "critical",
      summary: expect.stringContaining("[critical] com.acme.till/production <!channel>: OtaRollbackFailed"),
      class: "OtaRollbackFailed",
      group: "com.acme.till/production",
    });
    expect(body).toContain("What to do: docs/runbooks/OtaRollbackFailed.md");
  });

  test("Opsgenie", async () => {
    const { body } = await firstTo("opsgenie", /^\/opsgenie\/v2\/alerts/);
    expect(JSON.parse(body)).toMatchObject({
      priority: "P1",
      message: expect.stringContaining("OtaRollbackFailed"),
    });
  });

  test("Slack, where nobody's words call a channel", async () => {
    const { body } = await firstTo("slack", /^\/slack/);
    expect(body).toContain("&lt;!channel&gt; &amp; &lt;b&gt;bold&lt;/b&gt;");
    expect(body).not.toMatch(/<!(?:channel|here)>/);
    expect(body).toContain("<docs/runbooks/OtaRollbackFailed.md|What to do>");
  });

  test("e-mail, as text and as HTML, where nobody's words are markup", async () => {
    const alertmanager = await start({ critical: "email" }, smtp.address);
    await alertmanager.post([hostile()]);
    const [mail] = await waitUntil(
      () => smtp.mails,
      (mails) => mails.length > 0,
    );
    expect(mail).toContain("To: on-call@example.org");
    expect(mail).toMatch(/^Subject: .*OtaRollbackFailed/m);
    const html = mail!.slice(mail!.indexOf("text/html"));
    expect(html).toContain("&lt;script&gt;");
    expect(html).not.toContain("<script>");
  });
});
