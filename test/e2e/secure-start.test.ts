// `lastgood start` with TLS on both listeners, as users run it: what it prints, how the command line reaches it, and that no
// secret is ever written anywhere: not on the terminal, not in a log, not in Redis, through good and bad requests, a broken
// reload and a crash. Each secret is a marker that is looked for in everything.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isProcessAlive, readPidFile } from "../../runtime/pid-file.ts";
import { makeCertificate } from "../support/certificate.ts";
import { waitUntil } from "../support/wait-until.ts";

const CLI = path.resolve(import.meta.dirname, "../../dist/agent/cli/lastgood.js");
const UP_MS_MAX = 60_000;
const { cert, key } = makeCertificate("lastgood");
const SECRETS = {
  E2E_INGEST_KEY: "marker-ingest-key-4711",
  E2E_OPERATOR_TOKEN: "marker-operator-token-4712",
  E2E_OTA_SECRET: "marker-ota-secret-4713",
  E2E_DEVICE_SECRET: "marker-device-secret-that-is-long-4714",
} as const;
/** Sent, and not known: a person who pastes the wrong secret into the wrong place has shown it to nobody. */
const WRONG = "marker-wrong-credential-4715";
/** A line of the key's own text, too. */
const MARKERS = [...Object.values(SECRETS), WRONG, key.split("\n")[1]!];

const CONFIG = `
data_dir: ./data
ingest: { listen: "127.0.0.1:0", operations_listen: "127.0.0.1:0", tls: { cert_file: tls.crt, key_file: tls.key } }
agent:
  listen: "127.0.0.1:0"
  tls: { cert_file: tls.crt, key_file: tls.key, min_version: 1.3 }
  operators: [{ name: ana, role: admin, token: "\${E2E_OPERATOR_TOKEN}" }]
apps:
  com.acme.till:
    ingest_keys: ["\${E2E_INGEST_KEY}"]
    ota_server: { type: http, url: "http://127.0.0.1:9", secret: "\${E2E_OTA_SECRET}" }
    channels: { production: { policy: standard } }
    device_auth: { type: hmac, secret: "\${E2E_DEVICE_SECRET}", mode: observe }
policies:
  standard: { action: rollback, rules: [{ signal: update_failure, limit: 5% }] }
`;

let folder: string;
let child: ChildProcess;
let exited: Promise<unknown>;
let output = "";

function run(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, [CLI, ...args], {
    cwd: folder,
    env: { ...process.env, ...SECRETS, ...env },
  });
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "lg-secure-"));
  writeFileSync(path.join(folder, "lastgood.yaml"), CONFIG);
  writeFileSync(path.join(folder, "tls.crt"), cert);
  writeFileSync(path.join(folder, "tls.key"), key, { mode: 0o600 });
  child = run(["start", "--verbose"]);
  exited = once(child, "close");
  for (const stream of [child.stdout!, child.stderr!])
    stream.on("data", (data: Buffer) => (output += data.toString()));
  await waitUntil(
    () => output,
    (text) => text.includes("Ctrl-C stops"),
    UP_MS_MAX,
  );
});
afterAll(async () => {
  child.kill("SIGTERM");
  await exited;
  rmSync(folder, { recursive: true, force: true });
});

const urlOf = (pattern: RegExp): URL => new URL(pattern.exec(output)![1]!);
const reportsUrl = (): URL => urlOf(/reports go to\s+(\S+)/);
const statusUrl = (): URL => urlOf(/status, decisions\s+(\S+)/);

/** The status; 0 where nobody answered. */
function ask(
  url: URL,
  sent: { token?: string; body?: string; headers?: Record<string, string> },
): Promise<number> {
  const { token, body, headers = {} } = sent;
  return new Promise((resolve) => {
    const asked = request(
      url,
      {
        ca: cert,
        method: body === undefined ? "GET" : "POST",
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          "content-type": "application/json",
          ...headers,
        },
      },
      (response) => void response.resume().on("end", () => resolve(response.statusCode ?? 0)),
    );
    asked.on("error", () => resolve(0)).end(body);
  });
}

const REPORT = JSON.stringify({
  app: "com.acme.till",
  channel: "production",
  device: "till-1",
  version: "1.0.0",
  event: "confirmed",
});

async function cli(
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ code: number; text: string }> {
  const asked = run(args, env);
  let text = "";
  asked.stdout!.on("data", (data: Buffer) => (text += data.toString()));
  asked.stderr!.on("data", (data: Buffer) => (text += data.toString()));
  const [code] = (await once(asked, "close")) as [number];
  return { code, text };
}

describe("with TLS on both listeners", () => {
  test("the addresses that are printed say https, and answer so", async () => {
    expect(reportsUrl().protocol).toBe("https:");
    expect(statusUrl().protocol).toBe("https:");
    expect(output).not.toContain("PLAIN HTTP");
    expect(await ask(reportsUrl(), { token: SECRETS.E2E_INGEST_KEY, body: REPORT })).toBe(202);
    expect(await ask(statusUrl(), { token: SECRETS.E2E_OPERATOR_TOKEN })).toBe(200);
  });

  test("the command line reaches the agent with the authority's file, and says what to do without it", async () => {
    const args = ["status", "--agent", statusUrl().origin];
    const token = { LASTGOOD_TOKEN: SECRETS.E2E_OPERATOR_TOKEN };
    const withFile = await cli(args, { ...token, NODE_EXTRA_CA_CERTS: path.join(folder, "tls.crt") });
    expect(withFile.text).toContain("com.acme.till");
    expect(withFile.code).toBe(0);
    const without = await cli(args, token);
    expect(without.code).toBe(1);
    expect(without.text).toContain("NODE_EXTRA_CA_CERTS");
    expect(without.text).not.toContain(SECRETS.E2E_OPERATOR_TOKEN);
  });
});

function filesUnder(at: string): string[] {
  return readdirSync(at, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

test("no secret is written anywhere, whatever goes wrong; and each line of a log is one record", async () => {
  const wrong: readonly Parameters<typeof ask>[1][] = [
    { token: WRONG, body: REPORT },
    { headers: { authorization: `Basic ${WRONG}` }, body: REPORT },
    { token: SECRETS.E2E_INGEST_KEY, body: "{" },
    { token: SECRETS.E2E_INGEST_KEY, body: `{"app":"com.acme.till","channel":"production","${WRONG}":1}` },
    { token: SECRETS.E2E_INGEST_KEY, body: REPORT, headers: { "content-encoding": "gzip" } },
    { token: SECRETS.E2E_INGEST_KEY, body: REPORT, headers: { "lastgood-device-signature": WRONG } },
  ];
  for (const each of wrong) expect(await ask(reportsUrl(), each)).toBeGreaterThan(0);
  for (const token of [WRONG, SECRETS.E2E_INGEST_KEY]) expect(await ask(statusUrl(), { token })).toBe(401);
  const session = new URL("/v1/session", statusUrl());
  expect(await ask(session, { body: JSON.stringify({ token: WRONG }) })).toBe(401);
  expect(await ask(session, { body: JSON.stringify({ token: SECRETS.E2E_OPERATOR_TOKEN }) })).toBe(204);
  const injected = new URL(`/v1/releases/a%0Ab/%22%0D%0A/1?x=%0A{}`, statusUrl());
  expect(await ask(injected, { token: SECRETS.E2E_OPERATOR_TOKEN })).toBeGreaterThanOrEqual(400);

  // A broken file while the agent runs, with the secret itself where it does not belong.
  writeFileSync(path.join(folder, "lastgood.yaml"), `${CONFIG}shards: \${E2E_OTA_SECRET}\n`);
  await waitUntil(
    () => output,
    (text) => /config/i.test(text) && text.includes("shards"),
    UP_MS_MAX,
  );
  writeFileSync(path.join(folder, "lastgood.yaml"), CONFIG);

  const pidFile = path.join(folder, "data", "run", "ingest.pid");
  const pid = readPidFile(pidFile)!;
  process.kill(pid, "SIGABRT");
  await waitUntil(
    () => readPidFile(pidFile),
    (next) => next !== undefined && next !== pid && isProcessAlive(next),
    UP_MS_MAX,
  );
  child.kill("SIGTERM");
  await exited;

  const logs = filesUnder(path.join(folder, "data", "log"));
  expect(logs.length).toBeGreaterThanOrEqual(2);
  const lines = logs.flatMap((log) => readFileSync(log, "utf8").trimEnd().split("\n"));
  expect(lines.filter((line) => line.startsWith("{") && !line.endsWith("}"))).toEqual([]);
  const written = filesUnder(path.join(folder, "data"));
  // The append-only file has every write to Redis since the start.
  expect(written.some((file) => file.includes("appendonly"))).toBe(true);
  const texts = [
    { name: "the terminal", text: output },
    ...written.map((file) => ({ name: file, text: readFileSync(file, "latin1") })),
  ];
  expect(texts.some(({ text }) => text.includes("com.acme.till"))).toBe(true);
  const found = texts.flatMap(({ name, text }) =>
    MARKERS.filter((marker) => text.includes(marker)).map((marker) => `${marker} in ${name}`),
  );
  // The copy of the file that the agent keeps has the names of variables, as the file has.
  expect(found).toEqual([]);
});
