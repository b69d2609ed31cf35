// The scope of an incident on a running agent, over HTTP and from the command line: how many devices stand where, on each
// channel and summed; which they are, for whoever may see that; and the story of one of them.
import { Command } from "commander";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import type { CliContext } from "../../agent/cli/cli-context.ts";
import { registerDevice } from "../../agent/cli/device.ts";
import { registerScope } from "../../agent/cli/scope.ts";
import type { ScopeAnswer } from "../../agent/cli/scope-page.ts";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { nameDevice } from "../../agent/health/device-table.ts";
import { examplesPerShard } from "../../agent/health/examples.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import { createJournal } from "../../agent/journal/journal.ts";
import { createDecisionStore } from "../../agent/rollback/decision-store.ts";
import type { DeviceEvent, DeviceReport } from "../../ingest/contract/device-report.ts";
import { createStreamWriter } from "../../ingest/stream-writer.ts";
import { createLogger } from "../../runtime/logger.ts";
import { AGENT_TEST_SHARDS, agentSettings } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, releaseOf, sampleDecision, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const NOW = Date.UTC(2026, 0, 31, 12);
const TRIED_AT = NOW - HOUR_MS;
const DEADLINE_MS = 20 * MINUTE_MS;
const RULES = { ...DEFAULT_COUNTING_RULES, silenceDeadlineMsOf: () => DEADLINE_MS };
const TOKENS = { viewer: "token-of-ana", operator: "token-of-bo", admin: "token-of-cy" } as const;
type Role = keyof typeof TOKENS;
const KIOSK = "com.acme.kiosk";
const BETA = { channel: "beta" as typeof TILL.channel };
const T1 = { platform: "android", model: "T1" };
const MANY = 1_100;

let server: TestRedis;
let redis: Redis;
let agent: RunningAgent;

beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
  await report(TRIED_AT - 24 * HOUR_MS, say([1, 40], "active", {}, "1.3.0"));
  await report(TRIED_AT, say([1, 20], "update_started", T1));
  await report(TRIED_AT, [...say([21, 25], "installed"), ...say([1, 2], "reverted", BETA)]);
  await report(TRIED_AT + 3 * MINUTE_MS, [
    ...say([1, 5], "install_failed", { ...T1, reason: "disk_full" }),
    ...say([6, 10], "confirmed", T1),
    ...say([6, 6], "crashed", T1),
    ...say([7, 7], "not_responding", T1),
    ...say([8, 8], "download_failed", T1),
  ]);
  await fold(TRIED_AT + 30 * MINUTE_MS);
  await report(TRIED_AT + 40 * MINUTE_MS, [
    ...say([11, 13], "confirmed", T1),
    ...say([1, 1], "confirmed", T1),
  ]);
  // More than are shown, on a version of its own.
  await report(TRIED_AT, say([10_001, 10_000 + MANY], "download_failed", {}, "2.0.0"));
  await fold(TRIED_AT + 41 * MINUTE_MS);
  agent = await startAgent({
    settings: agentSettings(
      [
        { name: TILL.app, otaUrl: "http://127.0.0.1:1", policy: { mode: "shadow" } },
        { name: KIOSK, otaUrl: "http://127.0.0.1:1", policy: { mode: "shadow" } },
      ],
      Object.entries(TOKENS).map(([role, token]) => ({ name: `the-${role}`, role: role as Role, token })),
    ),
    redisUrl: server.url,
    version: "1.2.3",
    logger: createLogger({ name: "test", level: "silent" }),
    clock: () => NOW,
  });
  const decisions = createDecisionStore({ redis, journal: createJournal({ redis }) });
  const decision = sampleDecision("1.4.0", { at: new Date(TRIED_AT + 5 * MINUTE_MS).toISOString() });
  await decisions.record(decision);
  await decisions.recordOutcome(decision, {
    kind: "applied",
    at: decision.at,
    detail: "",
    version_seen: version("1.3.0"),
    attempts: 1,
  });
});

afterAll(async () => {
  await agent.stop(5_000);
  await redis.quit();
  await server.stop();
});

function say(
  [first, last]: [number, number],
  event: DeviceEvent,
  told: Partial<DeviceReport> = {},
  text = "1.4.0",
) {
  return Array.from({ length: last - first + 1 }, (_, index): DeviceReport => ({
    ...releaseOf(text),
    device: `till-${first + index}`,
    event,
    ...told,
  }));
}

async function report(receivedAtMs: number, reports: readonly DeviceReport[]): Promise<void> {
  const clock = (): number => receivedAtMs;
  const writer = createStreamWriter({ redis, shards: AGENT_TEST_SHARDS, streamEntriesMax: 10_000, clock });
  expect((await writer.write(reports)).kind).toBe("written");
}

async function fold(nowMs: number): Promise<void> {
  for (let shard = 0; shard < AGENT_TEST_SHARDS; shard += 1)
    await foldShard({
      store: createShardStore({ redis, shard, examplesMax: examplesPerShard(AGENT_TEST_SHARDS) }),
      rules: RULES,
      onChange: () => {},
      isStopping: () => false,
      nowMs: () => nowMs,
      heardFromMs: () => Promise.resolve(0),
    });
}

function ask(path: string, role: Role = "operator"): Promise<Response> {
  return fetch(`${agent.url}${path}`, { headers: { authorization: `Bearer ${TOKENS[role]}` } });
}

async function scope(text: string, query = "", role?: Role): Promise<ScopeAnswer> {
  const response = await ask(`/v1/scope/${TILL.app}/${text}${query}`, role);
  expect(response.status).toBe(200);
  return (await response.json()) as ScopeAnswer;
}

function till(...numbers: number[]): string[] {
  return numbers.map((number) => `till-${number}`);
}

function digestOf(device: string): string {
  return Buffer.from(nameDevice(TILL.app, device).field, "latin1").toString("hex");
}

describe("GET /v1/scope", () => {
  const PRODUCTION = {
    attempted: 25,
    running: 9,
    confirmed: 9,
    failed: 5,
    download_failed: 1,
    crashed: 1,
    not_responding: 1,
    silent: 12,
    recovered: 1,
    returned_late: 3,
  };

  it("counts devices by channel, and summed", async () => {
    const { channels, devices, ...rest } = await scope("1.4.0");
    expect(rest).toMatchObject({ app: TILL.app, version: "1.4.0", at: new Date(NOW).toISOString() });
    expect(channels).toMatchObject([
      { channel: "beta", devices: { attempted: 2, failed: 2 }, rolled_back: false, decisions: [] },
      {
        channel: "production",
        devices: PRODUCTION,
        first_seen: new Date(TRIED_AT).toISOString(),
        last_report: new Date(TRIED_AT + 40 * MINUTE_MS).toISOString(),
        rolled_back: true,
        decisions: [{ action: "rollback", mode: "automatic", target: "1.3.0", outcome: "applied" }],
      },
    ]);
    expect(devices).toEqual({ ...PRODUCTION, attempted: 27, failed: 7 });
    const beta = await scope("1.4.0", "?channel=beta");
    expect([beta.devices["failed"], beta.channels.length]).toEqual([2, 1]);
  });

  it("by kind of device, most in trouble first, and over time", async () => {
    const { strata, step_minutes, time } = await scope("1.4.0", "?channel=production");
    expect(strata).toMatchObject([
      { stratum: T1, devices: { attempted: 20, failed: 5, silent: 7 } },
      { stratum: "unknown", devices: { attempted: 5, silent: 5 } },
    ]);
    expect(step_minutes).toBe(1);
    expect(time.map(({ start, devices }) => [start, devices])).toEqual([
      [new Date(TRIED_AT).toISOString(), expect.objectContaining({ attempted: 25, failed: 5, silent: 12 })],
    ]);
    expect(time[0]!.hours).toMatchObject({ active: 9, crashed: 1 });
  });

  it("names devices by outcome, up to 1,000 of each over all shards", async () => {
    const { examples } = await scope("1.4.0", "?channel=production");
    const named = Object.entries(examples!).map(([outcome, each]) => [
      outcome,
      { ...each, devices: each.devices.toSorted() },
    ]);
    const silent = till(14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25).map(digestOf);
    expect(Object.fromEntries(named)).toEqual({
      failed: { named_by: "id", of: 5, devices: till(1, 2, 3, 4, 5) },
      download_failed: { named_by: "id", of: 1, devices: till(8) },
      crashed: { named_by: "id", of: 1, devices: till(6) },
      not_responding: { named_by: "id", of: 1, devices: till(7) },
      recovered: { named_by: "id", of: 1, devices: till(1) },
      returned_late: { named_by: "id", of: 3, devices: till(11, 12, 13) },
      silent: { named_by: "digest", of: 12, devices: silent.toSorted() },
    });
    const many = (await scope("2.0.0")).examples!.download_failed;
    expect([many.of, many.devices.length, new Set(many.devices).size]).toEqual([MANY, 1_000, 1_000]);
    // On two channels the same device is one.
    expect((await scope("1.4.0")).examples!.failed).toMatchObject({ of: 7, devices: { length: 5 } });
  });

  it("names devices to operators and admins, and to viewers only how many there are", async () => {
    const [viewer, operator, admin] = await Promise.all(
      (["viewer", "operator", "admin"] as const).map((role) => scope("1.4.0", "", role)),
    );
    expect(admin).toEqual(operator);
    expect(viewer).toEqual({ ...operator, examples: null });
    expect(JSON.stringify(viewer)).not.toContain("till-");
    expect((await fetch(`${agent.url}/v1/scope/${TILL.app}/1.4.0`)).status).toBe(401);
  });

  it.each([
    ["com.acme.till/9.9.9", 404, "unknown_release", "No device of com.acme.till has reported about 9.9.9"],
    ["com.acme.toll/1.4.0", 404, "unknown_release", "No app com.acme.toll is configured"],
    ["com.acme.till/1.4.0%7C", 404, "unknown_release", "has reported about"],
    ["com.acme.till%7Cbeta/1.4.0", 404, "unknown_release", "is configured"],
    [
      "com.acme.till/1.4.0?channel=gamma",
      404,
      "unknown_release",
      "on the channel gamma, but on beta, production",
    ],
    ["com.acme.till/1.4.0?channel=a%7Cb", 400, "invalid_query", "`channel`"],
    ["com.acme.till/1.4.0?channel=beta&channel=production", 400, "invalid_query", "`channel`"],
    ["com.acme.till/1.4.0?hours=0", 400, "invalid_query", "`hours`"],
    ["com.acme.till/1.4.0?hours=2161", 400, "invalid_query", "`hours`"],
    ["com.acme.till", 404, "not_found", "/v1/scope/<app>/<version>"],
  ])("%s: %i %s", async (path, status, code, detail) => {
    const response = await ask(`/v1/scope/${path}`);
    expect(await response.json()).toMatchObject({ status, code, detail: expect.stringContaining(detail) });
  });
});

describe("GET /v1/devices/<device>", () => {
  it("looks through all apps", async () => {
    await report(NOW, [
      { ...releaseOf("7.0"), app: KIOSK as typeof TILL.app, device: "till-1", event: "active" },
    ]);
    const found = await waitUntil(
      async () => (await (await ask("/v1/devices/till-1")).json()) as { apps: { app: string }[] },
      ({ apps }) => apps.length === 2,
    );
    expect(found).toMatchObject({
      device: "till-1",
      apps: [
        { app: TILL.app, running: { version: "1.4.0" } },
        { app: KIOSK, running: { version: "7.0" } },
      ],
    });
    const one = await (await ask(`/v1/devices/${TILL.app}/till-1`)).json();
    expect(found.apps[0]).toEqual(one);
  });

  it("takes the digest of one that is silent", async () => {
    const found = (await (await ask(`/v1/devices/${digestOf("till-14")}?named_by=digest`)).json()) as {
      apps: Record<string, unknown>[];
    };
    expect(found.apps).toMatchObject([
      { app: TILL.app, releases: [{ version: "1.4.0" }, { version: "1.3.0" }] },
    ]);
    expect(JSON.stringify(found)).not.toContain("till-14");
  });

  it.each([
    ["till-9999", 404, "unknown_device"],
    [`${"0".repeat(16)}?named_by=digest`, 404, "unknown_device"],
    ["till-1?named_by=digest", 400, "invalid_query"],
    ["till-1?named_by=name", 400, "invalid_query"],
    ["till-1?named_by=id&named_by=id", 400, "invalid_query"],
  ])("%s: %i %s", async (path, status, code) => {
    expect(await (await ask(`/v1/devices/${path}`)).json()).toMatchObject({ status, code });
  });
});

describe("the command line", () => {
  async function cli(role: Role, ...args: string[]): Promise<{ out: string; err: string; code: number }> {
    const seen = { out: "", err: "", code: 0 };
    const context: CliContext = {
      env: { LASTGOOD_AGENT_URL: agent.url, LASTGOOD_TOKEN: TOKENS[role] },
      workingDir: "/nonexistent",
      out: (text) => void (seen.out += text),
      err: (text) => void (seen.err += text),
      setExitCode: (code) => void (seen.code = code),
    };
    const program = new Command("lastgood").exitOverride().configureOutput({ writeErr: context.err });
    for (const register of [registerScope, registerDevice]) register(program, context);
    await program.parseAsync(args, { from: "user" });
    return seen;
  }

  it("scope shows a page that fits the terminal, with ids for who may see them", async () => {
    const { out, err, code } = await cli("operator", "scope", TILL.app, "1.4.0");
    expect({ err, code }).toEqual({ err: "", code: 0 });
    expect(out).toMatch(/^ {2}ever tried it +27$/m);
    expect(out).toMatch(/^ {2}android \/ T1 +20 +9 +5 \(25\.0%\) +1 +7 +4$/m);
    expect(out).toContain("production: rollback to 1.3.0: applied");
    expect(out).toMatch(/^ {2}download_failed +till-8$/m);
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    const viewers = (await cli("viewer", "scope", TILL.app, "1.4.0")).out;
    expect(viewers).toContain("shown to the roles operator and admin");
    expect(viewers).not.toContain("till-");
  });

  it("scope --json is the agent's answer, of one channel and so many hours", async () => {
    const args = ["--channel", "beta", "--hours", "2", "--json"];
    const { out } = await cli("admin", "scope", TILL.app, "1.4.0", ...args);
    expect(JSON.parse(out)).toEqual(await scope("1.4.0", "?channel=beta&hours=2", "admin"));
  });

  it("scope --ids prints ids and nothing else, for a pipe", async () => {
    const failed = await cli(
      "operator",
      "scope",
      TILL.app,
      "1.4.0",
      "--channel",
      "production",
      "--ids",
      "failed",
    );
    expect(failed.out.split("\n").toSorted()).toEqual(["", ...till(1, 2, 3, 4, 5)]);
    expect(failed).toMatchObject({ err: "", code: 0 });
    const many = await cli("operator", "scope", TILL.app, "2.0.0", "--ids", "download_failed");
    expect(many.out.trimEnd().split("\n").length).toBe(1_000);
    expect(many.err).toBe("lastgood: these are 1,000 of 1,100 devices, those that came first\n");
  });

  it("scope says what is wrong: not your role, no such release, no such outcome", async () => {
    const viewer = await cli("viewer", "scope", TILL.app, "1.4.0", "--ids", "failed");
    expect(viewer).toMatchObject({ out: "", code: 1 });
    expect(viewer.err).toContain("your role may not see ids of devices");
    const unknown = await cli("operator", "scope", "com.acme.toll", "1.4.0", "--ids", "failed");
    expect(unknown).toMatchObject({ out: "", code: 1 });
    expect(unknown.err).toContain("No app com.acme.toll is configured");
    await expect(cli("operator", "scope", TILL.app, "1.4.0", "--ids", "happy")).rejects.toThrow(
      /Allowed choices/,
    );
  });

  it("device tells a story in order of time, in whichever app, by id or by digest", async () => {
    const { out } = await cli("viewer", "device", "till-8");
    expect(out.split("\n\n")[1]!.split("\n")).toEqual([
      "  2026-01-30 11:00     1.3.0 on production: in use for the first time",
      "  2026-01-30 11h       last use of 1.3.0 on production",
      "  2026-01-31 11:00     began to update to 1.4.0 on production",
      "  2026-01-31 11:03     1.4.0 on production: download failed; confirmed",
      "  2026-01-31 11:03:00  newest word that it runs 1.4.0 on production",
      "  2026-01-31 11:03:00  last heard of",
      "  2026-01-31 11:05:00  1.4.0 on production was rolled back to 1.3.0",
      expect.stringMatching(/^ +\(rb_\w+\)$/),
    ]);
    expect(out).toContain("  runs       1.4.0 on production, which was rolled back\n");
    const silent = (await cli("viewer", "device", "--digest", digestOf("till-14"))).out;
    expect(silent).toContain("silent since: it never told how 1.4.0 on production went");
    const one = await cli("viewer", "device", TILL.app, "till-8", "--json");
    expect(JSON.parse(one.out)).toMatchObject({ app: TILL.app, running: { version: "1.4.0" } });
  });

  it("device says what is wrong", async () => {
    const missing = await cli("viewer", "device", "till-9999");
    expect(missing).toMatchObject({ out: "", code: 1 });
    expect(missing.err).toContain("No configured app knows it");
    const both = await cli("viewer", "device", TILL.app, digestOf("till-14"), "--digest");
    expect(both).toMatchObject({ out: "", code: 1 });
    expect(both.err).toContain("a digest says the app as well");
  });
});
