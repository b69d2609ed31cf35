// `ota_server: { type: mender }`: what it becomes, its edges, and what is said about mistakes.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadSettings } from "../../../../agent/config/load.ts";
import type { OtaServerSettings } from "../../../../agent/config/ota-servers.ts";
import { POLL_MS_LEAST, POLL_MS_MAX } from "../../../../agent/config/ota-servers/server-fields.ts";
import type { MenderOtaServerSettings } from "../../../../agent/config/ota-servers/mender.ts";

const folder = mkdtempSync(path.join(tmpdir(), "lg-mender-"));
afterAll(() => rmSync(folder, { recursive: true }));

function read(more: string, url = "https://hosted.mender.io/") {
  const file = path.join(folder, "lastgood.yaml");
  writeFileSync(
    file,
    `apps:
  till:
    ingest_keys: [example-ingest-key]
    ota_server: { type: mender, url: "${url}", token: "\${MENDER_TOKEN}", ${more} }
    channels: { production: { policy: p }, beta: { policy: p } }
policies: { p: { rules: [{ signal: update_failure, limit: 5% }] } }
`,
  );
  return loadSettings({ file, env: { MENDER_TOKEN: "eyJhbGciOiJSUzI1NiJ9.example" } });
}

function load(more = ""): MenderOtaServerSettings {
  const result = read(more);
  if (result.kind === "invalid") throw new Error(JSON.stringify(result.problems));
  const [app] = result.config.apps.values();
  const server: OtaServerSettings = app!.otaServer;
  if (server.type !== "mender") throw new Error(server.type);
  return server;
}

function mistakes(more: string, url?: string): string[] {
  const result = read(more, url);
  return result.kind === "invalid"
    ? result.problems.map(({ path: at, message }) => `${at.replace(/.*ota_server\.?/, "")}: ${message}`)
    : [];
}

describe("what it becomes", () => {
  test("with nothing but an address and a token", () => {
    expect(load()).toEqual({
      type: "mender",
      url: "https://hosted.mender.io",
      token: "eyJhbGciOiJSUzI1NiJ9.example",
      channels: new Map(),
      artifact: null,
      timeoutMs: 10_000,
      pollEveryMs: 10_000,
    });
  });

  test("with all that there is", () => {
    const server = load(
      `channels: { production: { group: "Stores, west" }, beta: { all_devices: true } }, artifact: "^till-(?<version>.+)$", timeout: 5m, poll_every: 1m`,
    );
    expect(server.channels).toEqual(
      new Map<string, unknown>([
        ["production", { kind: "group", group: "Stores, west" }],
        ["beta", { kind: "all_devices" }],
      ]),
    );
    expect(server.artifact?.exec("till-1.4.0")?.groups).toMatchObject({ version: "1.4.0" });
    expect([server.timeoutMs, server.pollEveryMs]).toEqual([300_000, 60_000]);
  });

  test.each([
    ["1s", POLL_MS_LEAST],
    ["1h", POLL_MS_MAX],
  ])("polled every %s at its edge", (text, ms) => {
    expect(load(`poll_every: ${text}`).pollEveryMs).toBe(ms);
  });
});

describe("what is said about mistakes", () => {
  const group = "write { group: <its name at Mender> } or { all_devices: true }";
  test.each([
    ["poll_every: 999ms", ["poll_every: must be from 1s to 1h"]],
    ["poll_every: 3601s", ["poll_every: must be from 1s to 1h"]],
    ["timeout: 99ms", ["timeout: must be from 100ms to 5m"]],
    ['artifact: "till-("', ["artifact: is not a regular expression"]],
    [
      'artifact: "^till-(.+)$"',
      ['artifact: must name the part that is the version, such as "^till-(?<version>.+)$"'],
    ],
    ["channels: { production: stores }", [`channels.production: ${group}`]],
    ["channels: { production: { all_devices: false } }", [`channels.production: ${group}`]],
    ["channels: { production: { group: a, all_devices: true } }", [`channels.production: ${group}`]],
    ['channels: { production: { group: "" } }', [`channels.production: ${group}`]],
  ])("%s", (more, told) => {
    expect(mistakes(more)).toEqual(told);
  });

  test("an address that is none, a channel that can't be one, a setting that nobody reads", () => {
    expect(mistakes("", "ftp://mender")).toEqual(["url: must be an http:// or https:// address"]);
    expect(mistakes('channels: { "my channel": { group: a } }')).toHaveLength(1);
    expect(mistakes("secret: example-secret")).toHaveLength(1);
  });
});
