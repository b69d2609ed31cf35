// From reports to the OTA server and back, with two whole agents at the same time on one Redis, the real
// HTTP adapter and the simulated OTA server. Each scenario is an app with an OTA server of its own; they
// all run at once.
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { checkChain } from "../../agent/journal/journal-entry.ts";
import type { JournalEntry } from "../../agent/journal/journal-entry.ts";
import { createJournal } from "../../agent/journal/journal.ts";
import type { AppId, Channel, ChannelKey } from "../../ingest/contract/release-key.ts";
import type { DeviceEvent } from "../../ingest/contract/device-report.ts";
import { sleep } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { agentSettings, createTestFleet, startOtaServer } from "../support/agent.ts";
import type { TestApp, TestFleet, TestOtaServer } from "../support/agent.ts";
import { freePort, startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { samplePolicy, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const COOLDOWN_MS = 3_000;
const shortly = { ...samplePolicy().guards, cooldownMs: COOLDOWN_MS };

/** App -> what is special about it. */
const SCENARIOS = {
  bad: {},
  good: {},
  "lost-answer": {},
  errors: {},
  moved: {},
  "wrong-version": {},
  down: {},
  minimum: { minimumVersion: "1.3.5" },
  cooling: { policy: { guards: shortly } },
  shadow: { policy: { mode: "shadow" } },
  again: { policy: { guards: shortly } },
  "one-hop": { policy: { guards: { ...shortly, cooldownMs: 0 } } },
} as const satisfies Record<string, Omit<TestApp, "name" | "otaUrl">>;
type Scenario = keyof typeof SCENARIOS;
const NAMES = Object.keys(SCENARIOS) as Scenario[];

let server: TestRedis;
let redis: Redis;
let agents: RunningAgent[] = [];
let fleet: TestFleet;
let downPort: number;
const otas = new Map<Scenario, TestOtaServer>();

beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
  downPort = await freePort();
  for (const name of NAMES) {
    if (name === "down") continue;
    const ota = await startOtaServer(name === "moved" ? { before: publishBeforeRollback } : {});
    publishAll(ota, name);
    otas.set(name, ota);
  }
  const settings = agentSettings(
    NAMES.map((name) => ({
      name,
      otaUrl: otas.get(name)?.url ?? `http://127.0.0.1:${downPort}`,
      ...SCENARIOS[name],
    })),
  );
  const logger = createLogger({ name: "test", level: "silent" });
  agents = await Promise.all(
    [1, 2].map(() => startAgent({ settings, redisUrl: server.url, version: "0.0.0", logger })),
  );
  fleet = await createTestFleet(server.url);
});

afterAll(async () => {
  fleet.close();
  await Promise.all(agents.map((agent) => agent.stop(5_000)));
  await Promise.all([...otas.values()].map((ota) => ota.close()));
  await redis.quit();
  await server.stop();
});

/** Somebody publishes 1.4.1 in the moment in which the rollback arrives. */
function publishBeforeRollback(ota: Pick<TestOtaServer, "publish">) {
  return (request: { method: string }, _response: unknown, next: () => void): void => {
    if (request.method === "POST") ota.publish({ ...keyOf("moved"), version: version("1.4.1") });
    next();
  };
}

function keyOf(app: string): ChannelKey {
  return { app: app as AppId, channel: "production" as Channel };
}

function publishAll(ota: Pick<TestOtaServer, "publish">, app: string): void {
  const start = Date.now() - 3 * 86_400_000;
  ["1.2.0", "1.3.0", "1.4.0"].forEach((text, index) =>
    ota.publish({ ...keyOf(app), version: version(text), releasedAtMs: start + index * 86_400_000 }),
  );
}

async function reportBad(app: Scenario, text = "1.4.0", [first, last]: [number, number] = [1, 100]) {
  const bad = Math.floor(first + (last - first) / 5);
  const events: DeviceEvent[] = ["update_started", "installed"];
  await fleet.report({ app, version: text, devices: [first, bad], events: [...events, "reverted"] });
  await fleet.report({ app, version: text, devices: [bad + 1, last], events: [...events, "confirmed"] });
}

interface Decision {
  readonly id: string;
  readonly app: string;
  readonly version: string;
  readonly target: string;
  readonly mode: string;
  readonly at: string;
  readonly last_needed_report_at: string;
  readonly outcome: { kind: string; attempts: number; detail: string; version_seen: string | null } | null;
}
interface Release {
  readonly version: string;
  readonly devices: Record<string, number>;
  readonly verdict: { kind: string; sentence: string; signals: Record<string, unknown>[] };
  readonly condemned: boolean;
  readonly decision_id: string | null;
  readonly hold: { reason: string; guard: string } | null;
}
interface Status {
  readonly channels: { app: string; current_version: string | null; releases: Release[] }[];
}

async function get<T>(path: string, agent = 0): Promise<T> {
  const response = await fetch(`${agents[agent]!.url}${path}`);
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

async function decisionsOf(app: Scenario): Promise<Decision[]> {
  const { decisions } = await get<{ decisions: Decision[] }>("/v1/decisions");
  return decisions.filter((decision) => decision.app === app);
}

async function releaseOf(app: Scenario, text: string): Promise<Release | undefined> {
  const { channels } = await get<Status>("/v1/status", 1);
  return channels.find((channel) => channel.app === app)!.releases.find((one) => one.version === text);
}

/** Waits until so many decisions of the app have ended, newest first. */
function endedDecisions(app: Scenario, count = 1, timeoutMs = 20_000): Promise<Decision[]> {
  const isOver = (all: Decision[]) => all.length >= count && all.every(({ outcome }) => outcome !== null);
  return waitUntil(() => decisionsOf(app), isOver, timeoutMs);
}

function untilHeld(app: Scenario, text: string, reason: string): Promise<Release | undefined> {
  return waitUntil(
    () => releaseOf(app, text),
    (release) => release?.hold?.reason === reason,
  );
}

function untilCounted(app: Scenario, text: string, attempted: number): Promise<Release | undefined> {
  return waitUntil(
    () => releaseOf(app, text),
    (release) => release?.devices["attempted"] === attempted,
  );
}

function rollbackCalls(app: Scenario) {
  return otas
    .get(app)!
    .calls()
    .filter(({ call }) => call === "rollback");
}

function offered(app: Scenario): string | null {
  return otas.get(app)!.readChannel(keyOf(app))!.version;
}

describe.concurrent("a release", () => {
  it("that is bad is rolled back exactly once, by whichever of two agents", async () => {
    await reportBad("bad");
    const [decision] = await endedDecisions("bad");
    expect(decision).toMatchObject({
      version: "1.4.0",
      target: "1.3.0",
      mode: "automatic",
      outcome: { kind: "applied", attempts: 1, version_seen: "1.3.0" },
    });
    expect(offered("bad")).toBe("1.3.0");
    // More of the same changes nothing.
    await reportBad("bad", "1.4.0", [101, 200]);
    await untilCounted("bad", "1.4.0", 200);
    await sleep(300);
    const calls = rollbackCalls("bad");
    expect(calls).toMatchObject([{ acted: true, signature: "valid", status: 200 }]);
    expect(calls[0]!.idempotencyKey).toBe(decision!.id);
    expect((await decisionsOf("bad")).length).toBe(1);
    expect(await releaseOf("bad", "1.4.0")).toMatchObject({
      condemned: true,
      decision_id: decision!.id,
      hold: null,
      verdict: { kind: "failing" },
    });
  }, 40_000);

  it("that is good stays", async () => {
    await fleet.report({
      app: "good",
      version: "1.4.0",
      devices: [1, 4],
      events: ["installed", "reverted"],
    });
    await fleet.report({ app: "good", version: "1.4.0", devices: [5, 400], events: ["confirmed"] });
    const release = await untilCounted("good", "1.4.0", 400);
    expect(release).toMatchObject({ verdict: { kind: "healthy" }, condemned: false, hold: null });
    expect(await decisionsOf("good")).toEqual([]);
    expect(rollbackCalls("good")).toEqual([]);
    expect(offered("good")).toBe("1.4.0");
  }, 40_000);
});

describe.concurrent("the OTA server", () => {
  it("acts and its answer is lost: acted once, and the outcome says that it was done", async () => {
    otas.get("lost-answer")!.setFaults([{ kind: "lost_answer" }]);
    await reportBad("lost-answer");
    const [decision] = await endedDecisions("lost-answer");
    expect(decision!.outcome).toMatchObject({ kind: "already_applied", attempts: 2 });
    expect(rollbackCalls("lost-answer").filter(({ acted }) => acted).length).toBe(1);
    expect(offered("lost-answer")).toBe("1.3.0");
  }, 40_000);

  it("fails four times: tried until it is done", async () => {
    otas.get("errors")!.setFaults([{ kind: "error", status: 500, times: 4 }]);
    await reportBad("errors");
    const [decision] = await endedDecisions("errors");
    expect(decision!.outcome).toMatchObject({ kind: "applied", attempts: 5 });
    const calls = rollbackCalls("errors");
    expect(calls.map(({ acted }) => acted)).toEqual([false, false, false, false, true]);
    expect(new Set(calls.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
  }, 40_000);

  it("has moved on (409): stale, and nothing is done", async () => {
    await reportBad("moved");
    const [decision] = await endedDecisions("moved");
    expect(decision!.outcome).toMatchObject({ kind: "stale", version_seen: "1.4.1" });
    expect(rollbackCalls("moved")).toMatchObject([{ status: 409, acted: false }]);
    expect(offered("moved")).toBe("1.4.1");
  }, 40_000);

  it("goes to another version than it was asked for: failed, for a person to look", async () => {
    otas.get("wrong-version")!.setFaults([{ kind: "another_version", version: version("1.2.0") }]);
    await reportBad("wrong-version");
    const [decision] = await endedDecisions("wrong-version");
    expect(decision!.outcome).toMatchObject({ kind: "failed", version_seen: "1.2.0", attempts: 1 });
    expect(rollbackCalls("wrong-version").length).toBe(1);
  }, 40_000);

  it("is away at first: held back, and done soon after it is there", async () => {
    await reportBad("down");
    await untilHeld("down", "1.4.0", "ota_server_unavailable");
    const ota = await startOtaServer({ port: downPort });
    publishAll(ota, "down");
    otas.set("down", ota);
    const [decision] = await endedDecisions("down");
    expect(decision!.outcome).toMatchObject({ kind: "applied" });
    expect(offered("down")).toBe("1.3.0");
    expect((await releaseOf("down", "1.4.0"))!.hold).toBeNull();
  }, 40_000);
});

describe.concurrent("guards", () => {
  it("minimum_version: never below it", async () => {
    await reportBad("minimum");
    await untilHeld("minimum", "1.4.0", "target_below_minimum_version");
    expect(rollbackCalls("minimum")).toEqual([]);
    expect(offered("minimum")).toBe("1.4.0");
  }, 40_000);

  it("cooldown: the next bad release waits for its end, and not for longer reports", async () => {
    await reportBad("cooling");
    const [first] = await endedDecisions("cooling");
    otas.get("cooling")!.publish({ ...keyOf("cooling"), version: version("1.5.0") });
    await reportBad("cooling", "1.5.0");
    await untilHeld("cooling", "1.5.0", "cooling_down");
    const [second] = await endedDecisions("cooling", 2);
    expect(second).toMatchObject({ version: "1.5.0", target: "1.3.0", outcome: { kind: "applied" } });
    expect(Date.parse(second!.at) - Date.parse(first!.at)).toBeGreaterThanOrEqual(COOLDOWN_MS);
  }, 40_000);

  it("shadow: decides and writes it down once, and touches nothing", async () => {
    await reportBad("shadow");
    await waitUntil(
      () => decisionsOf("shadow"),
      (decisions) => decisions.length > 0,
    );
    await reportBad("shadow", "1.4.0", [101, 300]);
    await untilCounted("shadow", "1.4.0", 300);
    await sleep(300);
    expect(await decisionsOf("shadow")).toMatchObject([{ mode: "shadow", target: "1.3.0", outcome: null }]);
    expect(rollbackCalls("shadow")).toEqual([]);
    expect(offered("shadow")).toBe("1.4.0");
    expect(await releaseOf("shadow", "1.4.0")).toMatchObject({ condemned: false });
  }, 40_000);

  it("a condemned version is rolled back a second time only when it is offered again", async () => {
    await reportBad("again");
    await endedDecisions("again");
    otas.get("again")!.publish({ ...keyOf("again"), version: version("1.4.0") });
    await reportBad("again", "1.4.0", [201, 300]);
    await untilCounted("again", "1.4.0", 200);
    // The channel is looked at again while devices report, and the cooldown must be over.
    const all = await waitUntil(
      async () => {
        await reportBad("again", "1.4.0", [201, 300]);
        return decisionsOf("again");
      },
      (decisions) => decisions.length === 2 && decisions.every(({ outcome }) => outcome !== null),
      30_000,
    );
    expect(all.map(({ id }) => id)).toEqual([`${all[1]!.id}-2`, all[1]!.id]);
    expect(rollbackCalls("again").filter(({ acted }) => acted).length).toBe(2);
    expect(offered("again")).toBe("1.3.0");
  }, 40_000);

  it("one hop: what was rolled back to is not rolled back from", async () => {
    await reportBad("one-hop");
    await endedDecisions("one-hop");
    await reportBad("one-hop", "1.3.0");
    await untilHeld("one-hop", "1.3.0", "rolled_back_to_before");
    expect(offered("one-hop")).toBe("1.3.0");
    expect(rollbackCalls("one-hop").length).toBe(1);
  }, 40_000);
});

// Runs last: the scenarios above are over then.
describe("what is left behind", () => {
  it("an intact journal, with a decision and an outcome for each rollback", async () => {
    const entries: JournalEntry[] = [];
    for (;;) {
      const page = await get<{ entries: JournalEntry[] }>(`/v1/journal?after=${entries.length}&limit=7`);
      entries.push(...page.entries);
      if (page.entries.length < 7) break;
    }
    expect(checkChain(entries)).toEqual({ kind: "intact", entries: entries.length });
    expect(entries).toEqual(await createJournal({ redis }).read({ afterSeq: 0, limit: 1_000 }));
    const { decisions } = await get<{ decisions: Decision[] }>("/v1/decisions");
    const idsOf = (kind: string, field: string): string[] =>
      entries
        .filter((entry) => entry.kind === kind)
        .map(({ body }) => String(body[field]))
        .toSorted();
    expect(idsOf("decision", "id")).toEqual(decisions.map(({ id }) => id).toSorted());
    expect(idsOf("outcome", "decision_id")).toEqual(
      decisions
        .filter(({ mode }) => mode === "automatic")
        .map(({ id }) => id)
        .toSorted(),
    );
    const held = entries.filter(({ kind }) => kind === "hold").map(({ body }) => body["reason"]);
    expect(held).toEqual(
      expect.arrayContaining(["cooling_down", "ota_server_unavailable", "target_below_minimum_version"]),
    );
    expect(entries.filter(({ kind }) => kind === "verdict").length).toBeGreaterThanOrEqual(NAMES.length);
  });

  it("metrics that agree with the counts, on both agents", async () => {
    const { channels } = await get<Status>("/v1/status");
    for (const agent of [0, 1]) {
      const text = await (await fetch(`${agents[agent]!.url}/metrics`)).text();
      const samples = new Map(text.split("\n").map((line) => line.split(/ (?=[^ ]+$)/) as [string, string]));
      for (const { app, releases } of channels) {
        for (const { version: shown, devices, verdict, condemned } of releases) {
          const labels = `app="${app}",channel="production",version="${shown}"`;
          // A counter never goes down, and these do.
          const passing = ["failed_unannounced", "download_failed_unannounced", "silent", "running"];
          for (const [outcome, count] of Object.entries(devices))
            expect(samples.get(`ota_devices_total{${labels},outcome="${outcome}"}`)).toBe(
              passing.includes(outcome) ? undefined : String(count),
            );
          expect(samples.get(`ota_running_devices{${labels}}`)).toBe(String(devices["running"]));
          expect(samples.get(`ota_release_devices{${labels}}`)).toBe(String(devices["attempted"]));
          expect(samples.get(`ota_release_verdict{${labels},verdict="${verdict.kind}"}`)).toBe("1");
          expect(samples.get(`ota_release_condemned{${labels}}`)).toBe(condemned ? "1" : "0");
          expect(
            Number(samples.get(`ota_release_evidence{${labels},signal="update_failure",rule="limit"}`)),
          ).toBeCloseTo(Number(verdict.signals[0]!["evidence_log10"]), 6);
        }
      }
      expect(samples.get('ota_rollbacks_total{outcome="applied"}')).toBe("8");
      expect(samples.get('ota_rollbacks_total{outcome="already_applied"}')).toBe("1");
      expect(samples.get('ota_rollbacks_total{outcome="stale"}')).toBe("1");
      expect(samples.get('ota_rollbacks_total{outcome="failed"}')).toBe("1");
      expect(samples.get('ota_rollbacks_total{outcome="refused"}')).toBe("0");
      expect(samples.get("ota_rollbacks_pending")).toBe("0");
      expect(samples.get("ota_rollback_duration_seconds_count")).toBe("8");
      expect(samples.get('ota_stream_entries{shard="3"}')).toBe("0");
      expect(samples.get("ota_dead_letters_total")).toBe("0");
    }
  });
});
