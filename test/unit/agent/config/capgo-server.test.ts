// `ota_server: { type: capgo }`: what it becomes, and what is said about mistakes in it.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadSettings } from "../../../../agent/config/load.ts";
import type { OtaServerSettings } from "../../../../agent/config/ota-servers.ts";

const folder = mkdtempSync(path.join(tmpdir(), "lg-capgo-"));
afterAll(() => rmSync(folder, { recursive: true }));

function read(fields: string) {
  const file = path.join(folder, "lastgood.yaml");
  writeFileSync(
    file,
    `apps:
  com.acme.till:
    ingest_keys: [example-ingest-key]
    ota_server: { type: capgo, ${fields} }
    channels: { production: { policy: p } }
policies: { p: { rules: [{ signal: update_failure, limit: 5% }] } }
`,
  );
  return loadSettings({ file, env: { CAPGO_KEY: "example-capgo-key" } });
}

function load(fields: string): OtaServerSettings {
  const result = read(fields);
  if (result.kind === "invalid") throw new Error(JSON.stringify(result.problems));
  const [app] = result.config.apps.values();
  return app!.otaServer;
}

function mistakes(fields: string): string[] {
  const result = read(fields);
  return result.kind === "invalid"
    ? result.problems.map(({ path: at, message }) => `${at.replace(/.*ota_server\.?/, "")}: ${message}`)
    : [];
}

describe("what it becomes", () => {
  test("with nothing but a key: Capgo's own cloud, and the names that Lastgood has", () => {
    expect(load('api_key: "${CAPGO_KEY}"')).toEqual({
      type: "capgo",
      url: "https://api.capgo.app",
      apiKey: "example-capgo-key",
      appId: null,
      channels: new Map(),
      timeoutMs: 10_000,
    });
  });

  test("with all that there is", () => {
    expect(
      load(
        `api_key: "\${CAPGO_KEY}", url: "https://capgo.acme.example/functions/v1/", app_id: com.acme.Till, channels: { production: { channel: "Production (all)" } }, timeout: 100ms`,
      ),
    ).toEqual({
      type: "capgo",
      url: "https://capgo.acme.example/functions/v1",
      apiKey: "example-capgo-key",
      appId: "com.acme.Till",
      channels: new Map([["production", "Production (all)"]]),
      timeoutMs: 100,
    });
  });

  test("a time-out at its other edge", () => {
    expect(load('api_key: "${CAPGO_KEY}", timeout: 5m').timeoutMs).toBe(300_000);
  });
});

describe("what is said about mistakes", () => {
  const key = 'api_key: "${CAPGO_KEY}"';
  test.each([
    ['url: "https://api.capgo.app"', ["api_key: this setting is missing"]],
    ["api_key: short", ["api_key: must have at least 8 characters"]],
    [`${key}, url: "ftp://capgo"`, ["url: must be an http:// or https:// address"]],
    [
      `${key}, url: "https://api.capgo.app/?a=b"`,
      ["url: must be http(s)://host[:port][/path], without user, query or fragment"],
    ],
    [`${key}, app_id: ""`, ["app_id: write the app's id at Capgo, or leave it out"]],
    [`${key}, timeout: 99ms`, ["timeout: must be from 100ms to 5m"]],
    [`${key}, timeout: 300001ms`, ["timeout: must be from 100ms to 5m"]],
    [
      `${key}, channels: { production: Production }`,
      ["channels.production: write { channel: <its name at Capgo> }"],
    ],
    [
      `${key}, channels: { production: {} }`,
      ["channels.production.channel: write { channel: <its name at Capgo> }"],
    ],
    [
      `${key}, channels: { production: { channel: "" } }`,
      ["channels.production.channel: write the channel's name at Capgo"],
    ],
  ])("%s", (fields, told) => {
    expect(mistakes(fields)).toEqual(told);
  });

  test("a channel that can't be one, and a setting that nobody reads", () => {
    expect(mistakes(`${key}, channels: { "my channel": { channel: a } }`)).toHaveLength(1);
    expect(mistakes(`${key}, secret: example-secret`)).toHaveLength(1);
  });
});
