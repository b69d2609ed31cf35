// Metrics of both processes after devices said whatever they like: each exposition is read by promtool without a complaint
// about its form, and no device's words stand in a label as a line of their own.
import { execFileSync, spawnSync } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startLastgood } from "../support/lastgood.ts";
import type { TestLastgood } from "../support/lastgood.ts";
import { HOSTILE_TEXTS } from "../support/source-app.ts";
import { waitUntil } from "../support/wait-until.ts";

const KEY = "an-ingest-key";
let lastgood: TestLastgood;

beforeAll(async () => {
  lastgood = await startLastgood(`
apps:
  com.acme.till:
    ingest_keys: ["${KEY}"]
    ota_server: { type: http, url: "http://127.0.0.1:9", secret: example-ota-secret }
    channels: { production: { policy: standard } }
policies:
  standard: { action: rollback, rules: [{ signal: update_failure, limit: 5% }] }
`);
});
afterAll(() => lastgood.stop());

const WORDS = [
  ...HOSTILE_TEXTS,
  'a"} 1\nforged_total{x="',
  "a\\",
  "{}",
  "}{",
  "a,b=c",
  "# TYPE forged counter",
];
const FIELDS = ["app", "channel", "version", "device", "from", "reason", "model", "platform", "id", "event"];

/** What promtool says of the form; it may dislike names, which is not asked here. */
function formErrors(exposition: string): string {
  const { stderr, stdout } = spawnSync("promtool", ["check", "metrics"], {
    input: exposition,
    encoding: "utf8",
  });
  return `${stdout}${stderr}`
    .split("\n")
    .filter((line) => /error while linting|parsing error|invalid|unexpected/i.test(line))
    .join("\n");
}

const exposition = async (url: string): Promise<string> => (await fetch(`${url}/metrics`)).text();

test("promtool is there, and finds what is no exposition", () => {
  execFileSync("promtool", ["--version"]);
  expect(formErrors('a_total{x="a"b"} 1\n')).not.toBe("");
  expect(formErrors('# HELP a_total Help.\n# TYPE a_total counter\na_total{x="a"} 1\n')).toBe("");
});

test("hostile words in every field: the expositions stay whole, and none of them is a series", async () => {
  const good = { app: "com.acme.till", channel: "production", event: "install_failed" };
  const reports = WORDS.flatMap((word, index) =>
    FIELDS.map((field) => ({ ...good, device: `till-${index}`, version: "1.4.0", [field]: word })),
  );
  const versions = ["{}", "}{", "a,b=c", "#", "__proto__", "'", "$x", "1.0.0+build{x}"];
  const named = versions.map((version, index) => ({ ...good, device: `kiosk-${index}`, version }));
  const response = await fetch(`${lastgood.ingestUrl}/v1/reports`, {
    method: "POST",
    headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
    body: JSON.stringify([...reports, ...named]),
  });
  expect(response.status).toBe(202);
  const { accepted } = (await response.json()) as { accepted: number };
  expect(accepted).toBeGreaterThan(named.length);
  // Of so many versions the newest have series of their own.
  const agent = await waitUntil(
    () => exposition(lastgood.agentUrl),
    (text) => versions.some((version) => text.includes(`version="${version}"`)) && text.includes('"other"'),
  );
  const ingest = await exposition(lastgood.operationsUrl);
  for (const text of [agent, ingest]) {
    expect(formErrors(text)).toBe("");
    expect(text).not.toMatch(/^(?:# TYPE )?forged/m);
    expect(text).not.toContain("Set-Cookie");
  }
});

test.each([
  "/v1/reports?__proto__[x]=1&constructor=2",
  "/metrics",
  "/%0d%0aSet-Cookie:%20a=b",
  "/v1/reports/%00",
])("nothing of the path %s comes back as a header", async (path) => {
  const response = await fetch(`${lastgood.ingestUrl}${path}`);
  expect(response.status).toBeGreaterThanOrEqual(400);
  expect(response.status).toBeLessThan(500);
  expect(response.headers.get("set-cookie")).toBeNull();
});
