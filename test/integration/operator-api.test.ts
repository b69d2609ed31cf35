// The agent's HTTP side on a running agent: who gets in, what each route shows, and what it says to
// requests that are wrong.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { METRICS } from "../../ingest/contract/metric-names.ts";
import { createLogger } from "../../runtime/logger.ts";
import { AGENT_TEST_SHARDS, agentSettings, createTestFleet, startOtaServer } from "../support/agent.ts";
import type { TestFleet, TestOtaServer } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const TOKEN = "token-of-ana";
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let server: TestRedis;
let ota: TestOtaServer;
let agent: RunningAgent;
let fleet: TestFleet;

beforeAll(async () => {
  server = await startTestRedis();
  ota = await startOtaServer();
  for (const text of ["1.3.0", "1.4.0"]) ota.publish({ ...TILL, version: version(text) });
  agent = await startAgent({
    settings: agentSettings(
      [{ name: TILL.app, otaUrl: ota.url }],
      [
        { name: "ana", role: "viewer", token: TOKEN },
        { name: "bo", role: "admin", token: "token-of-bo" },
      ],
    ),
    redisUrl: server.url,
    version: "1.2.3",
    logger: createLogger({ name: "test", level: "silent" }),
  });
  fleet = await createTestFleet(server.url);
  const told = { app: TILL.app, version: "1.4.0" };
  // First, so that what runs now is the same whether or not a second ends in between.
  await fleet.report({ ...told, version: "1.3.0", devices: [1, 40], events: ["active"] });
  await fleet.report({ ...told, devices: [1, 10], events: ["installed", "install_failed"] });
  await fleet.report({ ...told, devices: [11, 40], events: ["confirmed"] });
  await waitUntil(
    () => read<{ decisions: { outcome: unknown }[] }>("/v1/decisions"),
    ({ decisions }) => decisions[0]?.outcome !== undefined && decisions[0].outcome !== null,
  );
});

afterAll(async () => {
  fleet.close();
  await agent.stop(5_000);
  await ota.close();
  await server.stop();
});

function ask(
  path: string,
  headers: Record<string, string> = { Authorization: `Bearer ${TOKEN}` },
  method = "GET",
) {
  return fetch(`${agent.url}${path}`, { headers, method });
}

async function read<T = Record<string, unknown>>(path: string): Promise<T> {
  const response = await ask(path);
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

async function problemOf(response: Response) {
  expect(response.headers.get("content-type")).toContain("application/problem+json");
  const { status, code } = (await response.json()) as { status: number; code: string };
  expect(response.status).toBe(status);
  return `${status} ${code}`;
}

describe("who gets in", () => {
  it.each([
    "/v1/status",
    "/v1/releases/com.acme.till/production/1.4.0",
    "/v1/devices/com.acme.till/device-1",
    "/v1/decisions",
    "/v1/decisions/rb_1",
    "/v1/journal",
    "/v1/lag",
    "/v1/dead-letters",
    "/v1/unknown",
  ])("%s needs a token, and a known one", async (path) => {
    const without = await ask(path, {});
    expect(without.headers.get("www-authenticate")).toContain("Bearer");
    expect(await problemOf(without)).toBe("401 missing_token");
    expect(await problemOf(await ask(path, { Authorization: "Basic YTpi" }))).toBe("401 missing_token");
    expect(await problemOf(await ask(path, { Authorization: `Bearer ${TOKEN}x` }))).toBe("401 unknown_token");
    expect(await problemOf(await ask(path, { Authorization: "Bearer " }))).toBe("401 missing_token");
  });

  it("every operator reads, and the scheme's case does not matter", async () => {
    expect((await ask("/v1/lag", { Authorization: "bearer token-of-bo" })).status).toBe(200);
  });

  it("the page needs no token, and holds nothing", async () => {
    const page = await ask("/", {});
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none';/);
    expect(page.headers.get("cache-control")).toBe("no-cache");
    expect(await page.text()).not.toContain(TILL.app);
    const script = await ask("/page/page.js", {});
    expect(script.headers.get("content-type")).toContain("text/javascript");
    expect(script.headers.get("x-content-type-options")).toBe("nosniff");
  });

  it("the runbooks of alerts need no token, and are shown as text", async () => {
    const runbook = await ask("/runbooks/OtaAgentDown.md", {});
    expect(runbook.status).toBe(200);
    expect(runbook.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await runbook.text()).toContain("## What to do");
    for (const elsewhere of ["/runbooks/../paging.md", "/runbooks/..%2Fpaging.md", "/runbooks/OtaNothing.md"])
      expect((await ask(elsewhere, {})).status).toBe(404);
  });

  it.each(["/healthz", "/readyz", "/metrics"])("%s is for machines: no token", async (path) => {
    expect((await ask(path, {})).status).toBe(200);
  });
});

describe("what it shows", () => {
  it("/v1/status", async () => {
    const status = await read("/v1/status");
    expect(status).toMatchObject({
      at: expect.stringMatching(ISO),
      channels: [
        {
          app: TILL.app,
          channel: TILL.channel,
          policy: TILL.app,
          mode: "automatic",
          current_version: "1.3.0",
        },
      ],
    });
    const { releases } = (status["channels"] as { releases: Record<string, unknown>[] }[])[0]!;
    expect(releases.length).toBe(2);
    const bad = releases.find((release) => release["version"] === "1.4.0");
    expect(bad).toMatchObject({
      first_seen: expect.stringMatching(ISO),
      last_report: expect.stringMatching(ISO),
      devices: {
        attempted: 40,
        announced: 40,
        update_started: 40,
        installed: 10,
        install_failed: 10,
        confirmed: 30,
        failed: 10,
        failed_announced: 10,
        recovered: 0,
        silent: 0,
        returned_late: 0,
        running: 30,
      },
      hours: { active: 30, crashed: 0, not_responding: 0, first_crashed: 0, first_not_responding: 0 },
      verdict: {
        kind: "failing",
        reason: "limit_exceeded",
        sentence: expect.stringContaining(
          "10 of 40 devices failed to install or boot 1.4.0 (25.0%, at least 7.9%)",
        ),
        signals: [
          {
            signal: "update_failure",
            rule: "limit",
            failures: 10,
            trials: 40,
            limit: 0.05,
            threshold_log10: Math.log10(200),
          },
        ],
      },
      condemned: true,
      decision_id: expect.stringMatching(/^rb_/),
    });
    const quiet = releases.find((release) => release["version"] === "1.3.0");
    expect(quiet).toMatchObject({
      devices: { active: 40, attempted: 0, announced: 0 },
      verdict: { kind: "unmeasurable", reason: "no_attempts" },
      condemned: false,
      decision_id: null,
    });
  });

  it("/v1/decisions, and one of them", async () => {
    const { decisions } = await read<{ decisions: { id: string }[] }>("/v1/decisions");
    expect(decisions.length).toBe(1);
    expect(await read(`/v1/decisions/${decisions[0]!.id}`)).toEqual(decisions[0]);
    expect(decisions[0]).toMatchObject({
      at: expect.stringMatching(ISO),
      app: TILL.app,
      channel: TILL.channel,
      version: "1.4.0",
      target: "1.3.0",
      action: "rollback",
      mode: "automatic",
      reason: "evidence_over_threshold",
      guard: null,
      sentence: expect.stringMatching(/Rolling back to 1\.3\.0\.$/),
      evidence: { signals: [{ failures: expect.any(Number), evidence_log10: expect.any(Number) }] },
      last_needed_report_at: expect.stringMatching(ISO),
      outcome: { kind: "applied", at: expect.stringMatching(ISO), detail: expect.any(String), attempts: 1 },
    });
  });

  it("/v1/journal in pages", async () => {
    const { entries } = await read<{ entries: { seq: number; kind: string }[] }>("/v1/journal");
    expect(entries.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(["verdict", "decision", "outcome"]),
    );
    expect(entries[0]).toEqual({
      seq: 1,
      at: expect.stringMatching(ISO),
      kind: "verdict",
      body: expect.any(Object),
      prev: "0".repeat(64),
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const page = await read<{ entries: { seq: number }[] }>("/v1/journal?after=1&limit=2");
    expect(page.entries.map(({ seq }) => seq)).toEqual([2, 3]);
  });

  it("/v1/lag", async () => {
    const lag = await read("/v1/lag");
    expect(lag).toEqual({
      waiting_entries: 0,
      folded_reports: 130,
      dead_letters: 0,
      shards: Array.from({ length: AGENT_TEST_SHARDS }, (_, shard) => ({
        shard,
        waiting_entries: 0,
        lag_seconds: 0,
      })),
    });
  });

  it("/healthz and /readyz", async () => {
    expect(await (await ask("/healthz")).json()).toEqual({ status: "ok", pid: process.pid });
    expect(await (await ask("/readyz")).json()).toEqual({
      status: "ready",
      checks: expect.objectContaining({ redis: "ok", stopping: "ok" }),
    });
  });
});

describe("what it says to requests that are wrong", () => {
  it.each([
    ["/v1/decisions/rb_none", "404 unknown_decision"],
    ["/v1/decisions/__proto__", "404 unknown_decision"],
    ["/v1/releases/com.acme.till/production/9.9", "404 unknown_release"],
    ["/v1/devices/com.acme.till/__proto__", "404 unknown_device"],
    ["/v1/nothing", "404 not_found"],
    ["/page/nothing.js", "404 not_found"],
    ["/page/", "404 not_found"],
    ["/v1/journal?after=-1", "400 invalid_query"],
    ["/v1/journal?after=1.5", "400 invalid_query"],
    ["/v1/journal?after=9007199254740993", "400 invalid_query"],
    ["/v1/journal?limit=many", "400 invalid_query"],
    ["/v1/journal?limit=1&limit=2", "400 invalid_query"],
    ["/v1/decisions/%E0%A4%A", "404 not_found"],
  ])("%s: %s", async (path, answer) => {
    expect(await problemOf(await ask(path))).toBe(answer);
  });

  it.each(["POST", "PUT", "DELETE"])("%s: this API only reads", async (method) => {
    const headers = { Authorization: `Bearer ${TOKEN}` };
    expect(await problemOf(await ask("/v1/status", headers, method))).toBe("405 method_not_allowed");
  });
});

describe("/metrics", () => {
  it("has every metric of the table, with its help and type, in both formats", async () => {
    const text = await (await ask("/metrics", {})).text();
    const open = await ask("/metrics", { Accept: "application/openmetrics-text; version=1.0.0" });
    const openText = await open.text();
    expect(open.headers.get("content-type")).toContain("application/openmetrics-text; version=1.0.0");
    expect(openText.endsWith("\n# EOF\n")).toBe(true);
    for (const [name, { type, help }] of Object.entries(METRICS).filter(
      ([, { process }]) => process === "agent",
    )) {
      expect(text).toContain(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`);
      const family = type === "counter" ? name.replace(/_total$/, "") : name;
      expect(openText).toContain(`# TYPE ${family} ${type}\n`);
    }
    expect(text).toMatch(/^ota_build_info\{process="agent",version="1\.2\.3",node="v\d+\.\d+\.\d+"\} 1$/m);
  });

  it("uses only the labels of the table", async () => {
    const text = await (await ask("/metrics", {})).text();
    for (const [name, { labels }] of Object.entries(METRICS).filter(
      ([, { process }]) => process === "agent",
    )) {
      const sample = new RegExp(`^${name}(?:_count)?(?:\\{(.*)\\})? `, "m").exec(text);
      if (sample === null) continue;
      const shown = Array.from((sample[1] ?? "").matchAll(/(\w+)="/g), (match) => match[1]);
      expect([name, new Set(shown)]).toEqual([name, new Set(labels)]);
    }
  });

  it("two scrapes at once show the same as one alone", async () => {
    const scrape = async () => (await (await ask("/metrics", {})).text()).match(/^ota_devices_total.*$/gm);
    const alone = await scrape();
    expect(alone!.length).toBe(32);
    expect(await Promise.all([scrape(), scrape(), scrape()])).toEqual([alone, alone, alone]);
  });
});
