// Rollbacks that do not go through at once, with whole agents, the real HTTP adapter and simulated OTA
// servers: a channel that moves away and back, a server that refuses for a while or hangs, and a policy
// that is changed while a decision waits.
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { OUTBOX, OUTBOX_TRIES } from "../../agent/journal/control-keys.ts";
import type { Policy } from "../../agent/policy/policy.ts";
import type { AppId, Channel, ChannelKey } from "../../ingest/contract/release-key.ts";
import { createLogger } from "../../runtime/logger.ts";
import { agentSettings, createTestFleet, startOtaServer } from "../support/agent.ts";
import type { TestApp, TestFleet, TestOtaServer } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

interface Decision {
  readonly id: string;
  readonly app: string;
  readonly target: string;
  readonly last_needed_report_at: string;
  readonly outcome: { kind: string; attempts: number; at: string; version_seen: string | null } | null;
}

function keyOf(app: string): ChannelKey {
  return { app: app as AppId, channel: "production" as Channel };
}

function publish(ota: Pick<TestOtaServer, "publish">, app: string, ...texts: string[]): void {
  for (const text of texts) ota.publish({ ...keyOf(app), version: version(text) });
}

function launch(redisUrl: string, apps: readonly TestApp[]): Promise<RunningAgent> {
  const logger = createLogger({ name: "test", level: "silent" });
  return startAgent({ settings: agentSettings(apps), redisUrl, version: "0.0.0", logger });
}

async function ask<T>(agent: RunningAgent, path: string): Promise<T> {
  const response = await fetch(`${agent.url}${path}`);
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

async function decisionsOf(agent: RunningAgent, app: string): Promise<Decision[]> {
  const { decisions } = await ask<{ decisions: Decision[] }>(agent, "/v1/decisions");
  return decisions.filter((decision) => decision.app === app);
}

/** Waits until so many decisions of the app have ended, newest first. */
function endedDecisions(agent: RunningAgent, app: string, count = 1): Promise<Decision[]> {
  const isOver = (all: Decision[]) => all.length >= count && all.every(({ outcome }) => outcome !== null);
  return waitUntil(() => decisionsOf(agent, app), isOver);
}

function rollbackCalls(ota: TestOtaServer, app: string) {
  return ota.calls().filter((made) => made.call === "rollback" && made.app === app);
}

async function reportBad(fleet: TestFleet, app: string, devices: [number, number] = [1, 20]): Promise<void> {
  await fleet.report({ app, version: "1.4.0", devices, events: ["reverted"] });
}

describe("with one agent", () => {
  /** More than the jobs that were once done at a time. */
  const HANGING = Array.from({ length: 12 }, (_, index) => `hanging-${index}`);
  const HANGS_MS = 60_000;
  let server: TestRedis;
  let agent: RunningAgent;
  let fleet: TestFleet;
  let ota: TestOtaServer;
  let moving: TestOtaServer;
  let hangingReads: TestOtaServer;
  let hangingActs: TestOtaServer;

  beforeAll(async () => {
    server = await startTestRedis();
    [ota, moving, hangingReads, hangingActs] = await Promise.all([
      startOtaServer(),
      startOtaServer({ before: publishOnceBeforeRollback }),
      startOtaServer(),
      startOtaServer(),
    ]);
    for (const app of ["refused", "pauses", "quick"]) publish(ota, app, "1.3.0", "1.4.0");
    publish(moving, "moving", "1.3.0", "1.4.0");
    const hanging = (app: string, otaUrl: string): TestApp => ({ name: app, otaUrl, timeoutMs: HANGS_MS });
    for (const app of HANGING) {
      publish(hangingReads, `${app}-read`, "1.3.0", "1.4.0");
      publish(hangingActs, `${app}-act`, "1.3.0", "1.4.0");
    }
    hangingReads.setFaults([{ kind: "late", ms: HANGS_MS, times: 1_000, on: "read" }]);
    hangingActs.setFaults([{ kind: "late", ms: HANGS_MS, times: 1_000, on: "rollback" }]);
    agent = await launch(server.url, [
      ...["refused", "pauses", "quick"].map((name) => ({ name, otaUrl: ota.url })),
      { name: "moving", otaUrl: moving.url },
      ...HANGING.map((app) => hanging(`${app}-read`, hangingReads.url)),
      ...HANGING.map((app) => hanging(`${app}-act`, hangingActs.url)),
    ]);
    fleet = await createTestFleet(server.url);
  });
  afterAll(async () => {
    fleet.close();
    await Promise.all([ota, moving, hangingReads, hangingActs].map((each) => each.close()));
    await agent.stop(5_000);
    await server.stop();
  });

  /** Somebody publishes 1.4.1 in the moment in which the first rollback arrives. */
  function publishOnceBeforeRollback(own: Pick<TestOtaServer, "publish">) {
    let isPublished = false;
    return (request: { method: string }, _response: unknown, next: () => void): void => {
      if (request.method === "POST" && !isPublished) {
        isPublished = true;
        publish(own, "moving", "1.4.1");
      }
      next();
    };
  }

  it("a channel that had moved on and offers the bad release again: a second round acts", async () => {
    await reportBad(fleet, "moving");
    const [first] = await endedDecisions(agent, "moving");
    expect(first!.outcome).toMatchObject({ kind: "stale", version_seen: "1.4.1" });
    publish(moving, "moving", "1.4.0");
    await reportBad(fleet, "moving", [21, 40]);
    const [second] = await endedDecisions(agent, "moving", 2);
    expect(second).toMatchObject({ id: `${first!.id}-2`, outcome: { kind: "applied", attempts: 1 } });
    expect(moving.readChannel(keyOf("moving"))!.version).toBe(second!.target);
    expect(second!.target).not.toBe("1.4.0");
    expect(rollbackCalls(moving, "moving").map(({ acted }) => acted)).toEqual([false, true]);
    const { channels } = await ask<{
      channels: { app: string; releases: { version: string; decision_id: string; condemned: boolean }[] }[];
    }>(agent, "/v1/status");
    const release = channels
      .find(({ app }) => app === "moving")!
      .releases.find((one) => one.version === "1.4.0");
    expect(release).toMatchObject({ condemned: true, decision_id: second!.id });
  });

  it("a server that refuses for a while (a secret is being changed) is asked again, and then acts", async () => {
    ota.setFaults([{ kind: "error", status: 401, times: 2 }]);
    await reportBad(fleet, "refused");
    const [decision] = await endedDecisions(agent, "refused");
    expect(decision!.outcome).toMatchObject({ kind: "applied", attempts: 3 });
    expect(ota.readChannel(keyOf("refused"))!.version).toBe("1.3.0");
  });

  it("pauses between tries double", async () => {
    ota.setFaults([{ kind: "error", status: 500, times: 4 }]);
    await reportBad(fleet, "pauses");
    const [decision] = await endedDecisions(agent, "pauses");
    expect(decision!.outcome).toMatchObject({ kind: "applied", attempts: 5 });
    const calls = rollbackCalls(ota, "pauses");
    const pauses = calls.slice(1).map((call, index) => call.receivedAtMs - calls[index]!.answeredAtMs!);
    [500, 1_000, 2_000, 4_000].forEach((pauseMs, index) =>
      expect(pauses[index]).toBeGreaterThanOrEqual(pauseMs - 20),
    );
  });

  it("servers of other apps that hang, reading or acting, do not hold a rollback up", async () => {
    for (const app of HANGING) {
      await reportBad(fleet, `${app}-read`);
      await reportBad(fleet, `${app}-act`);
    }
    const asked = (each: TestOtaServer, call: string) =>
      each.calls().filter((made) => made.call === call).length;
    // All of them hang at the same time: none waits for another either.
    await waitUntil(
      () => [asked(hangingReads, "read"), asked(hangingActs, "rollback")],
      ([reads, acts]) => reads! >= HANGING.length && acts! >= HANGING.length,
    );
    await reportBad(fleet, "quick");
    const [decision] = await endedDecisions(agent, "quick");
    expect(decision!.outcome).toMatchObject({ kind: "applied", attempts: 1 });
    const tookMs = Date.parse(decision!.outcome!.at) - Date.parse(decision!.last_needed_report_at);
    expect(tookMs).toBeLessThan(5_000);
    for (const app of HANGING)
      for (const kind of ["read", "act"])
        for (const { outcome } of await decisionsOf(agent, `${app}-${kind}`)) expect(outcome).toBeNull();
  });
});

describe("a policy that is changed between two starts", () => {
  let server: TestRedis;
  let redis: Redis;
  let fleet: TestFleet;
  let ota: TestOtaServer;
  let agent: RunningAgent | undefined;
  beforeAll(async () => {
    server = await startTestRedis();
    redis = new Redis({ ...server.options, replyMapping: "legacy" });
    ota = await startOtaServer();
    for (const app of ["waiting", "lenient"]) publish(ota, app, "1.3.0", "1.4.0");
    fleet = await createTestFleet(server.url);
  });
  afterAll(async () => {
    fleet.close();
    await agent?.stop(5_000);
    await ota.close();
    await redis.quit();
    await server.stop();
  });

  async function restart(name: string, policy: Partial<Policy>): Promise<RunningAgent> {
    await agent?.stop(5_000);
    agent = await launch(server.url, [{ name, otaUrl: ota.url, policy }]);
    return agent;
  }

  it("to shadow while a decision waits: nothing is touched until it is automatic again", async () => {
    ota.setFaults([{ kind: "error", status: 503, times: 1_000 }]);
    await restart("waiting", { mode: "automatic" });
    await reportBad(fleet, "waiting");
    await waitUntil(
      () => rollbackCalls(ota, "waiting").length,
      (calls) => calls >= 1,
    );
    const [id] = (await redis.hkeys(OUTBOX)) as [string];

    await restart("waiting", { mode: "shadow" });
    ota.setFaults([]);
    const callsBefore = rollbackCalls(ota, "waiting").length;
    const triesBefore = Number(await redis.hget(OUTBOX_TRIES, id));
    await waitUntil(
      async () => Number(await redis.hget(OUTBOX_TRIES, id)),
      (tries) => tries >= triesBefore + 2,
    );
    expect(rollbackCalls(ota, "waiting").length).toBe(callsBefore);
    expect(ota.readChannel(keyOf("waiting"))!.version).toBe("1.4.0");
    expect(await redis.hkeys(OUTBOX)).toEqual([id]);

    const [decision] = await endedDecisions(await restart("waiting", { mode: "automatic" }), "waiting");
    expect(decision).toMatchObject({ id, outcome: { kind: "applied" } });
    expect(decision!.outcome!.attempts).toBeGreaterThanOrEqual(triesBefore + 3);
    expect(ota.readChannel(keyOf("waiting"))!.version).toBe("1.3.0");
  });

  it("to a stricter limit: every release is judged anew, though no report comes any more", async () => {
    const lenient = await restart("lenient", {
      rules: [{ form: "limit", signal: "update_failure", limit: 0.9 }],
    });
    await fleet.report({ app: "lenient", version: "1.4.0", devices: [1, 20], events: ["reverted"] });
    await fleet.report({ app: "lenient", version: "1.4.0", devices: [21, 60], events: ["confirmed"] });
    await waitUntil(
      () => ask<{ channels: { releases: { devices: Record<string, number> }[] }[] }>(lenient, "/v1/status"),
      ({ channels }) => channels[0]!.releases[0]?.devices["attempted"] === 60,
    );
    expect(await decisionsOf(lenient, "lenient")).toEqual([]);

    const strict = await restart("lenient", {
      rules: [{ form: "limit", signal: "update_failure", limit: 0.05 }],
    });
    const [decision] = await endedDecisions(strict, "lenient");
    expect(decision!.outcome).toMatchObject({ kind: "applied" });
    expect(ota.readChannel(keyOf("lenient"))!.version).toBe("1.3.0");
  });
});
