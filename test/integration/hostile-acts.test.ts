// Interleavings and inputs by which a hostile reader had Lastgood act twice, too often, too late, or not at all. Real
// Redis, the real judge and policy; the OTA server is a value that each test changes.
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openStores } from "../../agent/pipeline.ts";
import type { Stores } from "../../agent/pipeline.ts";
import { carryOut } from "../../agent/jobs/carry-out.ts";
import { evaluateChannel } from "../../agent/jobs/evaluate-channel.ts";
import { offeredAgain } from "../../agent/jobs/offered-again.ts";
import type { Policy } from "../../agent/policy/policy.ts";
import type { DecisionRecord } from "../../agent/rollback/decision-record.ts";
import type { OtaServer } from "../../agent/rollback/ota-server.ts";
import type { RollbackOutcomeKind } from "../../agent/rollback/outcome.ts";
import type { AppId, ChannelKey } from "../../ingest/contract/release-key.ts";
import { createLogger } from "../../runtime/logger.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import {
  TILL,
  failingVerdict,
  outcomeCounts,
  releaseOf,
  sampleDecision,
  sampleGuards,
  samplePolicy,
  version,
} from "../support/verdicts.ts";
import { NO_DEVICE_HOURS } from "../../agent/health/health-window.ts";

const NOON_MS = Date.UTC(2026, 0, 31, 12);
const logger = createLogger({ name: "test", level: "silent" });
let server: TestRedis;
let redis: Redis;
let stores: Stores;
let nowMs: number;
let offered: string;
let asked: string[];

beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
});
afterAll(async () => {
  await redis.quit();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  stores = openStores(redis, 1);
  nowMs = NOON_MS;
  offered = "1.4.0";
  asked = [];
});

const ota: Pick<OtaServer, "capabilities" | "readChannel" | "rollback"> = {
  capabilities: { rollback: true, pause: true },
  async readChannel() {
    const releases = ["1.4.0", "1.3.0"].map((text, index) => ({
      version: version(text),
      releasedAt: new Date(NOON_MS - index * 86_400_000).toISOString(),
    }));
    return { kind: "channel", state: { version: version(offered), releases } };
  },
  async rollback({ to, decisionId }) {
    asked.push(decisionId);
    offered = to;
    return { kind: "done", version: to };
  },
};

/** An alert asks for a rollback of 1.4.0: as good as any evidence, and made in a line. */
async function accuse(key: ChannelKey = TILL, action: "rollback" | "page" = "rollback", name = "TillErrors") {
  const since = new Date(nowMs).toISOString();
  await stores.alerts.fire({
    release: releaseOf("1.4.0", key),
    alertname: name,
    action,
    sentence: "It fails.",
    since,
  });
}

async function evaluate(key: ChannelKey = TILL, fields: Partial<Policy> = {}): Promise<void> {
  const guards = sampleGuards({ minDevices: 0, cooldownMs: 0 });
  await evaluateChannel(
    { key, policy: samplePolicy({ guards, ...fields }), minimumVersion: undefined, server: ota as OtaServer },
    {
      ...stores,
      onNews: () => Promise.resolve(),
      onDecision: () => Promise.resolve(),
      watchReplication: () => () => Promise.resolve(true),
      clock: () => nowMs,
      logger,
    },
  );
}

function standing(text: string, kind: "failing" | "healthy"): Promise<void> {
  const verdict = failingVerdict({
    kind,
    reason: kind === "failing" ? "limit_exceeded" : "within_limits",
    release: releaseOf(text),
    devices: outcomeCounts({ attempted: 9 }),
  });
  return stores.summaries.write({
    verdict,
    hours: NO_DEVICE_HOURS,
    evaluatedAtMs: nowMs,
    firstReportAtMs: 1,
    lastReportAtMs: nowMs,
  });
}

function carry(id: string, policy: Partial<Policy> = {}) {
  const watchedOf = () => ({ server: ota as OtaServer, policy: samplePolicy(policy) });
  return carryOut(id, { ...stores, watchedOf, clock: () => nowMs, logger });
}

describe("too often", () => {
  it("ten channels that fail at the same moment share one budget", async () => {
    const channels = Array.from({ length: 10 }, (_, index) => ({ ...TILL, app: `app-${index}` as AppId }));
    for (const key of channels) await accuse(key);
    const maxRollbacks = { perChannelPerDay: undefined, overallPerHour: 2 };
    const guards = sampleGuards({ minDevices: 0, maxRollbacks });
    await Promise.all(channels.map((key) => evaluate(key, { guards })));
    expect((await stores.decisions.list()).length).toBe(2);
    const held = [...(await stores.holds.list()).values()];
    expect(held.map(({ reason }) => reason)).toEqual(
      Array.from({ length: 8 }, () => "overall_rollbacks_used_up"),
    );
  });

  it("evaluations that overlap make one decision", async () => {
    await accuse();
    await Promise.all(Array.from({ length: 5 }, () => evaluate()));
    expect((await stores.decisions.list()).length).toBe(1);
  });
});

describe("two alerts about one release", () => {
  it("the stronger is answered, in whatever order they came, and each ends for itself", async () => {
    await accuse(TILL, "page", "Warn");
    await accuse(TILL, "rollback", "Act");
    await accuse(TILL, "page", "Act");
    await evaluate();
    expect(await stores.decisions.list()).toMatchObject([{ action: "rollback", target: "1.3.0" }]);
    const release = releaseOf("1.4.0");
    expect(await stores.alerts.resolve({ release, alertname: "Act", action: "page" })).toBe("ended");
    expect(await stores.alerts.isFiring(release)).toBe(true);
    expect(
      (await stores.alerts.listOn(TILL)).map(({ alertname, action }) => `${alertname} ${action}`).toSorted(),
    ).toEqual(["Act rollback", "Warn page"]);
  });
});

describe("offered again", () => {
  let rounds = 0;
  async function past(kind: RollbackOutcomeKind | null, fields: Partial<DecisionRecord> = {}): Promise<void> {
    nowMs += 60_000;
    const at = new Date(nowMs).toISOString();
    const outcome = kind === null ? null : { kind, at, detail: "", version_seen: null, attempts: 1 };
    await stores.decisions.record(
      sampleDecision("1.4.0", { id: `rb_${(rounds += 1)}`, at, outcome, ...fields }),
    );
  }
  async function isAccused(): Promise<boolean> {
    nowMs += 60_000;
    await stores.summaries.writeChannel(TILL, { version: version("1.4.0"), readAtMs: nowMs });
    return (await offeredAgain(TILL, stores)).length > 0;
  }

  it.each(["stale", "expired", "withdrawn"] as const)(
    "is seen also after a round that ended as %s",
    async (kind) => {
      await past("applied");
      await past(kind);
      expect(await isAccused()).toBe(true);
    },
  );

  it("is seen after a person rolled it back in between", async () => {
    await past("applied");
    await past("applied", { mode: "manual", operator: "ana" });
    expect(await isAccused()).toBe(true);
  });

  it("is seen under a new name too: a server may release the same content again", async () => {
    const offer = async (
      text: string,
      sameAs: readonly string[],
    ): Promise<readonly { sentence: string }[]> => {
      nowMs += 60_000;
      const releases = [
        { version: version(text), releasedAt: new Date(nowMs).toISOString(), sameAs: sameAs.map(version) },
      ];
      await stores.summaries.writeChannel(TILL, { version: version(text), releases, readAtMs: nowMs });
      return offeredAgain(TILL, stores);
    };
    await past("applied");
    // What it was rolled back to, and something new.
    expect(await offer("1.4.1", ["1.3.0"])).toEqual([]);
    expect(await offer("1.4.2", [])).toEqual([]);
    const [again] = await offer("1.4.3", ["1.4.0"]);
    expect(again).toMatchObject({ release: { version: "1.4.3" } });
    expect(again!.sentence).toMatch(/^1\.4\.0 was rolled back at .* is offered again, as 1\.4\.3\.$/);
    // A person put that content back.
    await past("applied", { mode: "manual", ...releaseOf("1.3.0"), target: version("1.4.0") });
    expect(await offer("1.4.3", ["1.4.0"])).toEqual([]);
  });

  it("is no accusation while a decision is open, after a person's no, or when a person put it back", async () => {
    await past("applied");
    await past(null);
    expect(await isAccused()).toBe(false);
    await redis.flushall();
    await past("applied");
    await past("rejected", { mode: "approval" });
    expect(await isAccused()).toBe(false);
    await redis.flushall();
    await past("applied");
    await past("applied", { mode: "manual", ...releaseOf("1.3.0"), target: version("1.4.0") });
    expect(await isAccused()).toBe(false);
  });
});

describe("what was decided and not yet done", () => {
  const id = "rb_waiting";
  const decided = () =>
    stores.decisions.record(sampleDecision("1.4.0", { id, at: new Date(nowMs).toISOString() }));
  const outcome = async () => (await stores.decisions.read(id))?.outcome?.kind;

  it.each([
    ["the release is healthy by now", () => standing("1.4.0", "healthy")],
    ["the target fails by now", () => standing("1.3.0", "failing")],
    [
      "the release was absolved meanwhile",
      async () => {
        const absolution = { by: "ana", reason: "backend", at: new Date(nowMs + 1).toISOString(), times: 1 };
        await stores.absolutions.set(releaseOf("1.4.0"), absolution, {
          kind: "operator",
          at: absolution.at,
          body: {},
        });
      },
    ],
  ])("is withdrawn when %s", async (_name, happens) => {
    await decided();
    await happens();
    expect(await carry(id)).toEqual({ kind: "ended" });
    expect([await outcome(), asked]).toEqual(["withdrawn", []]);
  });

  it("is withdrawn when the alert that asked for it is over", async () => {
    await accuse();
    await evaluate();
    const [decision] = await stores.decisions.list();
    await stores.alerts.resolve({ release: releaseOf("1.4.0"), alertname: "TillErrors", action: "rollback" });
    await carry(decision!.id);
    expect((await stores.decisions.read(decision!.id))?.outcome?.kind).toBe("withdrawn");
    expect(asked).toEqual([]);
  });

  it("goes on once the server was asked, whatever happened since: what came of it must be known", async () => {
    await decided();
    await stores.decisions.noteAsked(id);
    await standing("1.4.0", "healthy");
    await carry(id);
    expect([await outcome(), asked]).toEqual(["applied", [id]]);
  });

  it("waits when the kill switch is switched while the channel is looked at", async () => {
    await decided();
    const slow: Pick<OtaServer, "capabilities" | "readChannel" | "rollback"> = {
      ...ota,
      async readChannel(key) {
        const since = new Date(nowMs).toISOString();
        const freeze = { id: "fr_1", scope: "all" as const, by: "ana", reason: "stop", since, until: null };
        await stores.freezes.set(freeze, { kind: "freeze", at: since, body: {} });
        return ota.readChannel(key);
      },
    };
    const watchedOf = () => ({ server: slow as OtaServer, policy: samplePolicy() });
    const result = await carryOut(id, { ...stores, watchedOf, clock: () => nowMs, logger });
    expect(result.kind).toBe("try_again");
    expect(asked).toEqual([]);
  });
});
