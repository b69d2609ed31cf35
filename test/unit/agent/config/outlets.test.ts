// The sections for what Lastgood tells people: what they become, their edges, and what is said about mistakes.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadSettings } from "../../../../agent/config/load.ts";
import type { Settings } from "../../../../agent/config/schema.ts";
import { ALERTMANAGERS_MAX, OUTLET_LABELS_MAX } from "../../../../agent/config/outlets.ts";

const folder = mkdtempSync(path.join(tmpdir(), "lg-outlets-"));
afterAll(() => rmSync(folder, { recursive: true }));

function read(sections: string) {
  const file = path.join(folder, "lastgood.yaml");
  writeFileSync(
    file,
    `${sections}
apps:
  till:
    ingest_keys: [example-ingest-key]
    ota_server: { type: http, url: "http://127.0.0.1:9500", secret: example-ota-secret }
    channels: { production: { policy: p } }
policies: { p: { rules: [{ signal: update_failure, limit: 5% }] } }
`,
  );
  return loadSettings({ file, env: { EMPTY: "", GRAFANA_TOKEN: "token-of-grafana" } });
}

function load(sections: string): Settings {
  const result = read(sections);
  if (result.kind === "invalid") throw new Error(JSON.stringify(result.problems));
  return result.config;
}

function mistakes(sections: string): string[] {
  const result = read(sections);
  return result.kind === "invalid" ? result.problems.map(({ path, message }) => `${path}: ${message}`) : [];
}

const list = (count: number) =>
  Array.from({ length: count }, (_, index) => `"http://am-${index}:9093"`).join();
const labels = (count: number) => Array.from({ length: count }, (_, index) => `l${index}: x`).join();

describe("what they become", () => {
  test.each([
    "",
    'external_url: "${EMPTY}"',
    'alertmanager: { url: "${EMPTY}" }',
    'grafana: { url: "${EMPTY}", token: "${EMPTY}" }',
    'summary: { webhook: "${EMPTY}" }',
  ])("nothing: %s", (sections) => {
    const { externalUrl, alertmanager, grafana, summary } = load(sections);
    expect([externalUrl, alertmanager, grafana, summary]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("every default, and addresses lose their last slash", () => {
    const settings = load(`
external_url: https://lastgood.example/ota/
alertmanager: { url: "http://127.0.0.1:9093/" }
grafana: { url: "https://grafana.example/", token: "\${GRAFANA_TOKEN}" }
summary: { webhook: "https://hooks.example/1?key=2" }`);
    expect(settings).toMatchObject({
      externalUrl: "https://lastgood.example/ota",
      alertmanager: {
        urls: ["http://127.0.0.1:9093"],
        basicAuth: undefined,
        bearerTokenFile: undefined,
        timeoutMs: 5_000,
        labels: {},
      },
      grafana: { url: "https://grafana.example", token: "token-of-grafana", timeoutMs: 5_000 },
      summary: { webhook: "https://hooks.example/1?key=2", at: "0 8 * * *", timezone: "UTC" },
    });
  });

  test("everything", () => {
    const { alertmanager, summary } = load(`
alertmanager: { urls: [${list(2)}], bearer_token_file: secrets/token, timeout: 30s, labels: { cluster: eu } }
summary: { webhook: "https://hooks.example", at: "30 7 * * 1-5", timezone: Europe/Berlin }`);
    expect(alertmanager).toEqual({
      urls: ["http://am-0:9093", "http://am-1:9093"],
      basicAuth: undefined,
      bearerTokenFile: path.join(folder, "secrets/token"),
      timeoutMs: 30_000,
      labels: { cluster: "eu" },
    });
    expect(summary).toMatchObject({ at: "30 7 * * 1-5", timezone: "Europe/Berlin" });
    const withUser = load(
      'alertmanager: { url: "http://am:9093", basic_auth: { username: ana, password: pw }, timeout: 100ms }',
    );
    expect(withUser.alertmanager).toMatchObject({
      basicAuth: { username: "ana", password: "pw" },
      timeoutMs: 100,
    });
  });

  test("the edges of how many", () => {
    expect(load(`alertmanager: { urls: [${list(ALERTMANAGERS_MAX)}] }`).alertmanager!.urls.length).toBe(
      ALERTMANAGERS_MAX,
    );
    const most = load(`alertmanager: { url: "http://am", labels: { ${labels(OUTLET_LABELS_MAX)} } }`);
    expect(Object.keys(most.alertmanager!.labels).length).toBe(OUTLET_LABELS_MAX);
  });
});

test.each<[string, string]>([
  ["external_url: lastgood.example", "external_url: must be an http:// or https:// address"],
  [
    'alertmanager: { url: "http://am?x=1" }',
    "alertmanager.url: must be http(s)://host[:port][/path], without user, query or fragment",
  ],
  ["alertmanager: { url: am:9093 }", "alertmanager.url: must be an http:// or https:// address"],
  ["alertmanager: { urls: [] }", "alertmanager.urls: must list at least 1 entry"],
  [
    `alertmanager: { urls: [${list(ALERTMANAGERS_MAX + 1)}] }`,
    `alertmanager.urls: must list at most ${ALERTMANAGERS_MAX} entries`,
  ],
  [
    `alertmanager: { url: "http://a", urls: [${list(1)}] }`,
    "alertmanager.urls: alertmanager.url is set too: keep url for one server, or urls for several",
  ],
  [
    'alertmanager: { url: "http://a", basic_auth: { username: a, password: b }, bearer_token_file: c }',
    "alertmanager.bearer_token_file: alertmanager.basic_auth is set too: keep one of the two",
  ],
  ['alertmanager: { url: "http://a", timeout: 99ms }', "alertmanager.timeout: must be from 100ms to 30s"],
  ['alertmanager: { url: "http://a", timeout: 30001ms }', "alertmanager.timeout: must be from 100ms to 30s"],
  [
    'alertmanager: { url: "http://a", labels: { severity: x } }',
    "alertmanager.labels.severity: Lastgood sets this label itself: take it out",
  ],
  [
    'alertmanager: { url: "http://a", labels: { a-b: x } }',
    "alertmanager.labels.a-b: not usable as a name: use letters, digits and underscore, and do not start with a digit",
  ],
  [
    `alertmanager: { url: "http://a", labels: { ${labels(OUTLET_LABELS_MAX + 1)} } }`,
    `alertmanager.labels: name at most ${OUTLET_LABELS_MAX} labels`,
  ],
  [
    'grafana: { url: "http://g" }',
    "grafana.token: is missing: name the token of a Grafana service account that may write annotations",
  ],
  ['grafana: { url: "http://g", token: short }', "grafana.token: must have at least 8 characters"],
  [
    'summary: { webhook: "http://h", at: "0 8 * *" }',
    "summary.at: not a cron expression: write minute, hour, day of month, month, day of week, such as 0 8 * * *",
  ],
  [
    'summary: { webhook: "http://h", at: "0 25 * * *" }',
    "summary.at: not a cron expression: write minute, hour, day of month, month, day of week, such as 0 8 * * *",
  ],
  [
    'summary: { webhook: "http://h", timezone: Berlin }',
    "summary.timezone: not a time zone: write its IANA name, such as Europe/Berlin",
  ],
])("%s is refused", (sections, expected) => {
  expect(mistakes(sections)).toEqual([expected]);
});
