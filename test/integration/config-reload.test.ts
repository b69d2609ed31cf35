// The configuration file changes under a running agent: what is right takes effect, what is broken changes nothing and is
// said in the log, in the metrics and in the journal.
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { loadFirstSettings } from "../../agent/config/last-good-file.ts";
import { loadSettings } from "../../agent/config/load.ts";
import { createConfigJournal } from "../../agent/journal/config-record.ts";
import type { RefusedConfig } from "../../agent/journal/config-record.ts";
import { createJournal } from "../../agent/journal/journal.ts";
import type { JournalEntry } from "../../agent/journal/journal-entry.ts";
import { sleep } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import type { Logger } from "../../runtime/logger.ts";
import { createRedis } from "../../runtime/redis.ts";
import { AGENT_TEST_SHARDS, OTA_SECRET, createTestFleet, startOtaServer } from "../support/agent.ts";
import type { TestFleet, TestOtaServer } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const silent = createLogger({ name: "test", level: "silent" });
const TOKEN = "token-of-ana";

let server: TestRedis;
let ota: TestOtaServer;
let folder: string;
let file: string;
let agent: RunningAgent;
let fleet: TestFleet;
let lines: { readonly level: string; readonly message: string }[];

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "lg-reload-"));
  file = path.join(folder, "lastgood.yaml");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeEach(async () => {
  server = await startTestRedis();
  ota = await startOtaServer();
  for (const text of ["1.3.0", "1.4.0"]) ota.publish({ ...TILL, version: version(text) });
  lines = [];
  write();
  agent = await start();
  fleet = await createTestFleet(server.url);
});

afterEach(async () => {
  fleet.close();
  await agent.stop(5_000);
  await ota.close();
  await server.stop();
});

/** Keeps what is said aloud. */
function listeningLogger(): Logger {
  const keep =
    (level: string) =>
    (_fields: unknown, message: string): void =>
      void lines.push({ level, message });
  return Object.assign(Object.create(silent) as Logger, {
    info: keep("info"),
    warn: keep("warn"),
    error: keep("error"),
  });
}

function start(): Promise<RunningAgent> {
  const loaded = loadSettings({ file, env: {} });
  if (loaded.kind === "invalid") throw new Error(JSON.stringify(loaded.problems));
  return startAgent({
    settings: loaded.config,
    redisUrl: server.url,
    version: "1.2.3",
    logger: listeningLogger(),
    origin: { file, env: {}, pollMs: 20, settleMs: 10 },
  });
}

interface Written {
  readonly mode?: string;
  readonly limit?: string;
  readonly role?: string;
  readonly operators?: string;
  readonly more?: string;
}

function textOf({
  mode = "shadow",
  limit = "5%",
  role = "admin",
  operators,
  more = "",
}: Written = {}): string {
  return `
shards: ${AGENT_TEST_SHARDS}
agent:
  listen: 127.0.0.1:0
  operators: ${operators ?? `[{ name: ana, role: ${role}, token: ${TOKEN} }]`}
apps:
  ${TILL.app}:
    ingest_keys: [example-ingest-key]
    ota_server: { type: http, url: "${ota.url}", secret: ${OTA_SECRET} }
    channels:
      ${TILL.channel}: { policy: standard }
policies:
  standard:
    mode: ${mode}
    rules: [{ signal: update_failure, limit: ${limit} }]
${more}`;
}

/** Leaves the SHA-256 of what was written. */
function write(written: Written | string = {}): string {
  const text = typeof written === "string" ? written : textOf(written);
  writeFileSync(file, text);
  return createHash("sha256").update(text).digest("hex");
}

async function ask<T>(route: string): Promise<T> {
  const response = await fetch(`${agent.url}${route}`, { headers: { authorization: `Bearer ${TOKEN}` } });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}

async function configEntries(): Promise<JournalEntry["body"][]> {
  const { entries } = await ask<{ entries: JournalEntry[] }>("/v1/journal?limit=1000");
  return entries.filter(({ kind }) => kind === "config").map(({ body }) => body);
}

/** Of each entry its stage and file, once the last is this one. */
async function untilEntry(stage: string, sha256: string | null): Promise<JournalEntry["body"][]> {
  return waitUntil(configEntries, (entries) => {
    const last = entries.at(-1);
    return last?.["stage"] === stage && last["sha256"] === sha256;
  });
}

/** What a page would tell. */
async function refusedNow(): Promise<RefusedConfig | undefined> {
  const redis = createRedis({ url: server.url, role: "worker", logger: silent });
  try {
    return await createConfigJournal({ redis, journal: createJournal({ redis }) }).refused();
  } finally {
    redis.disconnect();
  }
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${agent.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (.+)$`, "m").exec(text)?.[1]);
}

async function failingRelease(): Promise<void> {
  const told = { app: TILL.app, version: "1.4.0" };
  await fleet.report({ ...told, devices: [1, 25], events: ["installed", "install_failed"] });
  await fleet.report({ ...told, devices: [26, 100], events: ["confirmed"] });
}

type Decisions = { decisions: { mode: string; version: string; outcome: { kind: string } | null }[] };
const decisions = () => ask<Decisions>("/v1/decisions");

const BROKEN = "policies: [";

describe("a file that is right", () => {
  it("shadow -> automatic: what was only written down is done, without a new report", async () => {
    await failingRelease();
    await waitUntil(decisions, ({ decisions: [first] }) => first?.mode === "shadow");
    expect(ota.readChannel(TILL)?.version).toBe("1.4.0");
    write({ mode: "automatic" });
    const { decisions: made } = await waitUntil(decisions, ({ decisions: all }) =>
      all.some(({ mode, outcome }) => mode === "automatic" && outcome?.kind === "applied"),
    );
    expect(made.map(({ mode }) => mode).toSorted()).toEqual(["automatic", "shadow"]);
    expect(ota.readChannel(TILL)?.version).toBe("1.3.0");
  });

  it("a new limit: what is known is judged anew", async () => {
    const limited = write({ limit: "50%", mode: "automatic" });
    await untilEntry("applied", limited);
    await failingRelease();
    const verdictOf = async () =>
      (await ask<{ channels: { releases: { verdict: { kind: string } }[] }[] }>("/v1/status")).channels[0]
        ?.releases[0]?.verdict.kind;
    await waitUntil(verdictOf, (kind) => kind === "healthy");
    write({ limit: "2%", mode: "automatic" });
    await waitUntil(verdictOf, (kind) => kind === "failing");
    await waitUntil(decisions, ({ decisions: [first] }) => first?.outcome?.kind === "applied");
    expect(ota.readChannel(TILL)?.version).toBe("1.3.0");
  });

  it("is in the journal once for each content, with what changed; a return to an older one again", async () => {
    const first = write();
    await untilEntry("applied", first);
    const second = write({ limit: "6%", more: "log_level: debug\nretention: { devices: 60d }" });
    await untilEntry("applied", second);
    const third = write();
    const entries = await untilEntry("applied", third);
    expect(third).toBe(first);
    expect(entries).toEqual([
      { stage: "applied", sha256: first, problems: [], applied: [], needs_restart: [] },
      {
        stage: "applied",
        sha256: second,
        problems: [],
        applied: ['policies["standard"]'],
        needs_restart: ["log_level", "retention"],
      },
      { stage: "applied", sha256: third, problems: [], applied: ['policies["standard"]'], needs_restart: [] },
    ]);
    expect(lines).toContainEqual({
      level: "warn",
      message: "not applied before Lastgood is started anew: log_level, retention",
    });
    await agent.stop(5_000);
    agent = await start();
    await waitUntil(
      () => metric("ota_config_reload_success"),
      (value) => value === 1,
    );
    await agent.reload();
    expect(await configEntries()).toHaveLength(3);
  });

  it("operators: a role that changed, and a token that left, at once", async () => {
    write({ role: "viewer" });
    await waitUntil(
      () => ask<{ role: string }>("/v1/whoami"),
      ({ role }) => role === "viewer",
    );
    write({ operators: "[{ name: bo, role: admin, token: token-of-bo }]" });
    const status = async () =>
      (await fetch(`${agent.url}/v1/whoami`, { headers: { authorization: `Bearer ${TOKEN}` } })).status;
    await waitUntil(status, (code) => code === 401);
    const bo = await fetch(`${agent.url}/v1/whoami`, { headers: { authorization: "Bearer token-of-bo" } });
    expect(await bo.json()).toMatchObject({ name: "bo", role: "admin" });
  });

  it("asked for (SIGHUP) it is read at once", async () => {
    await agent.stop(5_000);
    const loaded = loadSettings({ file, env: {} });
    if (loaded.kind === "invalid") throw new Error("the file is right");
    const origin = { file, env: {}, pollMs: 3_600_000, settleMs: 1 };
    const { config: settings } = loaded;
    agent = await startAgent({ settings, redisUrl: server.url, version: "1.2.3", logger: silent, origin });
    write({ role: "viewer" });
    await agent.reload();
    expect(await ask("/v1/whoami")).toMatchObject({ role: "viewer" });
  });
});

describe("a file that is broken", () => {
  it("changes nothing, and is said in log, metrics and journal; when it is right again, so is everything", async () => {
    await untilEntry("applied", write());
    const before = await metric("ota_config_reload_timestamp_seconds");
    expect([before > 0, await metric("ota_config_reload_success")]).toEqual([true, 1]);
    const broken = write(textOf({ mode: "automatic" }).replace("update_failure", "update_falure"));
    const entries = await untilEntry("refused", broken);
    const problem = entries.at(-1)!["problems"] as string[];
    expect(problem).toEqual([
      expect.stringMatching(/lastgood\.yaml:15:\d+: policies\.standard\.rules\[0\]\.signal: /),
    ]);
    expect(await metric("ota_config_reload_success")).toBe(0);
    expect(await metric("ota_config_reload_timestamp_seconds")).toBe(before);
    expect((await refusedNow())?.problems).toEqual(problem);
    expect(lines.filter(({ level }) => level === "error")).toEqual([
      { level: "error", message: expect.stringContaining(problem[0]!) as string },
    ]);
    await failingRelease();
    await waitUntil(decisions, ({ decisions: [first] }) => first?.mode === "shadow");

    const fixed = write({ mode: "automatic" });
    await untilEntry("applied", fixed);
    expect(await refusedNow()).toBeUndefined();
    expect(await metric("ota_config_reload_success")).toBe(1);
    expect(await metric("ota_config_reload_timestamp_seconds")).toBeGreaterThan(before);
    await waitUntil(decisions, ({ decisions: all }) => all.some(({ mode }) => mode === "automatic"));
  });

  it("is told once, however often it is looked at, and no line of it is kept", async () => {
    const broken = write(textOf().replace(TOKEN, "short"));
    await untilEntry("refused", broken);
    await agent.reload();
    await agent.reload();
    const entries = await configEntries();
    expect(entries.filter(({ stage }) => stage === "refused")).toHaveLength(1);
    expect(JSON.stringify(entries)).not.toContain("short,");
    expect(JSON.stringify(entries)).not.toContain("token: short");
  });

  it("a file that is gone is broken; one that comes back is right", async () => {
    await untilEntry("applied", write());
    renameSync(file, `${file}.away`);
    const entries = await untilEntry("refused", null);
    expect(entries.at(-1)!["problems"]).toEqual([expect.stringContaining("there is no such file")]);
    expect(await metric("ota_config_reload_success")).toBe(0);
    expect(await ask("/v1/whoami")).toMatchObject({ name: "ana" });
    const back = write({ role: "operator" });
    await untilEntry("applied", back);
    expect(await ask("/v1/whoami")).toMatchObject({ role: "operator" });
  });
});

describe("a copy of what was right last", () => {
  it("is kept for this user alone, and is what an agent starts with while the file is broken", async () => {
    await agent.stop(5_000);
    const copy = path.join(folder, "copy.yaml");
    const loaded = loadSettings({ file, env: {} });
    if (loaded.kind === "invalid") throw new Error("the file is right");
    const origin = { file, env: {}, pollMs: 20, settleMs: 10, lastGoodCopy: copy };
    const { config: settings } = loaded;
    agent = await startAgent({ settings, redisUrl: server.url, version: "1.2.3", logger: silent, origin });
    await untilEntry("applied", write({ role: "operator" }));
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    await untilEntry("refused", write(BROKEN));
    expect(readFileSync(copy, "utf8")).toBe(textOf({ role: "operator" }));
    expect(loadFirstSettings({ file, copy, env: {} })).toMatchObject({
      kind: "last_good",
      config: { dataDir: path.join(folder, "data"), agent: { operators: [{ role: "operator" }] } },
    });
    for (const other of [undefined, `${copy}.none`])
      expect(loadFirstSettings({ file, copy: other, env: {} }).kind).toBe("invalid");
    write();
    expect(loadFirstSettings({ file, copy, env: {} })).toMatchObject({
      kind: "loaded",
      config: { agent: { operators: [{ role: "admin" }] } },
    });
  });
});

describe("quick writes", () => {
  it("of two in a row, the last is in force", async () => {
    for (let round = 0; round < 5; round += 1) {
      write({ role: "viewer" });
      const last = write({ role: round % 2 === 0 ? "operator" : "admin" });
      await untilEntry("applied", last);
      expect(await ask("/v1/whoami")).toMatchObject({ role: round % 2 === 0 ? "operator" : "admin" });
    }
  });

  it("a file that is half written for a moment is not taken for a broken one", async () => {
    await untilEntry("applied", write());
    await agent.stop(5_000);
    agent = await startAgentThatWaits();
    const whole = textOf({ role: "viewer" });
    await agent.reload();
    writeFileSync(file, BROKEN);
    const reading = agent.reload();
    await sleep(40);
    writeFileSync(file, whole);
    await reading;
    await agent.reload();
    expect((await configEntries()).filter(({ stage }) => stage === "refused")).toEqual([]);
    expect(await ask("/v1/whoami")).toMatchObject({ role: "viewer" });
  });

  function startAgentThatWaits(): Promise<RunningAgent> {
    const loaded = loadSettings({ file, env: {} });
    if (loaded.kind === "invalid") throw new Error("the file is right");
    const origin = { file, env: {}, pollMs: 3_600_000, settleMs: 150 };
    return startAgent({
      settings: loaded.config,
      redisUrl: server.url,
      version: "1.2.3",
      logger: silent,
      origin,
    });
  }
});
