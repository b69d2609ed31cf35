// Every receiver of the shipped alerting/alertmanager.yml delivers, with its secret read from a file, to a double of its
// service; and what it says has the evidence in it and does no harm when an OTA server's words are hostile.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startAlertmanager } from "../support/alertmanager.ts";
import type { TestAlertmanager } from "../support/alertmanager.ts";
import { startJsonDouble } from "../support/json-double.ts";
import type { JsonDouble, JsonRequestSeen } from "../support/json-double.ts";
import { readAlertmanagerConfig } from "../support/rewritten-alertmanager.ts";
import type { AlertmanagerConfig, AlertmanagerReceiver } from "../support/rewritten-alertmanager.ts";
import { startSmtpSink } from "../support/smtp-sink.ts";
import type { SmtpSink } from "../support/smtp-sink.ts";
import { waitUntil } from "../support/wait-until.ts";

const configFile = path.resolve(import.meta.dirname, "../../alerting/alertmanager.yml");
const HOUR_MS = 3_600_000;
const EVIDENCE = "289 of 4,510 devices failed";
const HOSTILE = `${EVIDENCE} <!channel> <b>bold</b> & {{ .Nonsense }}`;
const SERVICES = ["pagerduty", "opsgenie", "slack", "email", "webhook"];

let double: JsonDouble;
let mail: SmtpSink;
let alertmanager: TestAlertmanager;
const secrets = mkdtempSync(path.join(tmpdir(), "lg-secrets-"));

/** The file's own receivers, with other addresses and other places of secrets, and nothing else. */
function pointed(receiver: AlertmanagerReceiver): AlertmanagerReceiver {
  const where: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    pagerduty: { routing_key_file: path.join(secrets, "pagerduty_key"), url: `${double.url}/pagerduty` },
    opsgenie: { api_url: `${double.url}/opsgenie/` },
    slack: {},
    email: { require_tls: false },
    webhook: {
      url: `${double.url}/webhook`,
      http_config: { authorization: { credentials_file: path.join(secrets, "webhook_token") } },
    },
  };
  const kind: `${string}_configs` = `${receiver.name}_configs`;
  return {
    ...receiver,
    [kind]: [{ ...receiver[kind]![0]!, ...where[receiver.name] }],
  };
}

function everyService(config: AlertmanagerConfig): AlertmanagerConfig {
  const { global, receivers } = readAlertmanagerConfig(configFile);
  return {
    ...config,
    global: {
      ...global,
      smtp_smarthost: `127.0.0.1:${mail.port}`,
      smtp_auth_password_file: path.join(secrets, "smtp_password"),
      slack_api_url_file: path.join(secrets, "slack_url"),
      opsgenie_api_key_file: path.join(secrets, "opsgenie_key"),
    },
    receivers: [
      ...config.receivers.filter(({ name }) => !SERVICES.includes(name)),
      ...receivers.filter(({ name }) => SERVICES.includes(name)).map((receiver) => pointed(receiver)),
    ],
    route: {
      ...config.route,
      routes: SERVICES.map((receiver) => ({ receiver, continue: true, matchers: [] })),
    },
  };
}

beforeAll(async () => {
  double = await startJsonDouble();
  mail = await startSmtpSink();
  double.answer(({ path: at }) => ({ status: at === "/pagerduty" ? 202 : 200, body: { ok: true } }));
  const contents = {
    pagerduty_key: "pager-secret",
    opsgenie_key: "genie-secret",
    slack_url: `${double.url}/slack/hook-secret`,
    smtp_password: "mail-secret",
    webhook_token: "hook-token",
  };
  for (const [name, text] of Object.entries(contents)) writeFileSync(path.join(secrets, name), text);
  alertmanager = await startAlertmanager({ configFile, rewrite: everyService });
  await post("firing");
});

afterAll(async () => {
  await alertmanager.stop();
  await double.close();
  await mail.close();
  rmSync(secrets, { recursive: true, force: true });
});

async function post(state: "firing" | "resolved"): Promise<void> {
  const nowMs = Date.now();
  const alert = {
    labels: {
      alertname: "OtaReleaseFailing",
      severity: "critical",
      service: "lastgood",
      app: "com.acme.till",
      channel: "stable",
      version: "1.4.0",
    },
    annotations: {
      summary: "a release fails",
      description: HOSTILE,
      runbook_url: "https://runbooks.example/OtaReleaseFailing.md",
      // As it is where Prometheus does not know Grafana's address: a path, and no link.
      dashboard_url: "/d/lastgood-release?var-app=com.acme.till",
    },
    startsAt: new Date(nowMs - HOUR_MS).toISOString(),
    endsAt: new Date(state === "firing" ? nowMs + HOUR_MS : nowMs - 1).toISOString(),
    generatorURL: "https://lastgood.example/#/com.acme.till/stable",
  };
  await fetch(`${alertmanager.url}/api/v2/alerts`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify([alert]),
  });
}

async function sent(to: string): Promise<JsonRequestSeen & { readonly text: string }> {
  const [first] = await waitUntil(
    () => double.requests.filter(({ path: at }) => at.startsWith(`/${to}`)),
    (all) => all.length > 0,
  );
  return { ...first!, text: JSON.stringify(first!.body) };
}

test("PagerDuty: the key of the file, the evidence, severity and link", async () => {
  const { body, text } = await sent("pagerduty");
  expect(body).toMatchObject({
    routing_key: "pager-secret",
    event_action: "trigger",
    payload: {
      summary: "[FIRING 1] OtaReleaseFailing com.acme.till/stable: a release fails",
      severity: "critical",
    },
    client_url: "https://lastgood.example/#/com.acme.till/stable",
  });
  expect(text).toContain(EVIDENCE);
});

test("Opsgenie: the key of the file, the evidence, and the priority", async () => {
  const { body, authorization, text } = await sent("opsgenie");
  expect(authorization).toBe("GenieKey genie-secret");
  expect(body).toMatchObject({ priority: "P1" });
  expect(text).toContain(EVIDENCE);
});

test("Slack: the address of the file, the evidence, and nobody called by a server's words", async () => {
  const { path: at, body } = await sent("slack");
  expect(at).toBe("/slack/hook-secret");
  const [attachment] = (body as { attachments: readonly { text: string; color: string }[] }).attachments;
  expect(attachment).toMatchObject({ color: "danger" });
  expect(attachment!.text).toContain(EVIDENCE);
  expect(attachment!.text).toContain("&lt;!channel&gt;");
  expect(attachment!.text).not.toContain("<!");
  // What looks like a template is text.
  expect(attachment!.text).toContain("{{ .Nonsense }}");
});

test("a webhook: the token of the file, and the alert as it is", async () => {
  const { authorization, body } = await sent("webhook");
  expect(authorization).toBe("Bearer hook-token");
  expect(body).toMatchObject({ receiver: "webhook", alerts: [{ annotations: { description: HOSTILE } }] });
});

test("e-mail: the password of the file, plain and HTML, and no markup of a server's in it", async () => {
  const [first] = await waitUntil(
    () => mail.mails,
    (all) => all.length > 0,
  );
  expect(first).toMatchObject({ username: "lastgood@example.org", password: "mail-secret" });
  const text = first!.text.replaceAll("=\r\n", "");
  expect(text).toContain("Subject: [FIRING 1] OtaReleaseFailing");
  const [plain, html] = text.split("text/html");
  expect(plain).toContain(EVIDENCE);
  expect(html).toContain(EVIDENCE);
  expect(html).toContain("&lt;b&gt;bold&lt;/b&gt;");
  expect(html).not.toContain("<b>");
  expect(html).toContain('href=3D"https://runbooks.example/OtaReleaseFailing.md"');
  expect(html).toContain("Dashboard: /d/lastgood-release");
  expect(html).not.toContain('href=3D"/');
});

test("all are told when it is over", async () => {
  await Promise.all(SERVICES.filter((name) => name !== "email").map((name) => sent(name)));
  await post("resolved");
  const resolved = (to: string, mark: string): boolean =>
    double.requests.some(
      ({ path: at, body }) => at.startsWith(`/${to}`) && `${at}${JSON.stringify(body)}`.includes(mark),
    );
  const told = await waitUntil(
    () => [
      resolved("pagerduty", '"event_action":"resolve"'),
      resolved("opsgenie", "/close"),
      resolved("slack", "[RESOLVED 1]"),
      resolved("webhook", '"status":"resolved"'),
      mail.mails.some(({ text }) => text.includes("[RESOLVED 1]")),
    ],
    (all) => all.every(Boolean),
  );
  expect(told).toEqual(SERVICES.map(() => true));
});
