// Replays on a real Redis: reports are really folded through time, the policy that ran live decides, and a replay of what
// is stored says the same; a stricter one is sooner, a laxer one never acts; the same replay twice gives the same bits.
import { setImmediate } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import type { HealthStore } from "../../agent/health/health-store.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import { evaluateChannel } from "../../agent/jobs/evaluate-channel.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import { rollUpShard } from "../../agent/jobs/roll-up.ts";
import { createJournal } from "../../agent/journal/journal.ts";
import type { Journal } from "../../agent/journal/journal.ts";
import type { RuleToJudge } from "../../agent/judge/rule-to-judge.ts";
import { openStores } from "../../agent/pipeline.ts";
import type { Policy } from "../../agent/policy/policy.ts";
import { silenceDeadlineMsOf } from "../../agent/policy/silence-deadline.ts";
import { readChannelFacts } from "../../agent/replay/read-channel.ts";
import type { ReplayAnswer, ReleaseAnswer } from "../../agent/replay/replay-answer.ts";
import { REPLAY_TURN_MS, replay } from "../../agent/replay/replay.ts";
import { createDecisionStore } from "../../agent/rollback/decision-store.ts";
import type { DecisionStore } from "../../agent/rollback/decision-store.ts";
import type { OtaServer } from "../../agent/rollback/ota-server.ts";
import type { DeviceEvent } from "../../ingest/contract/device-report.ts";
import { encodeReportEntry } from "../../ingest/contract/report-entry.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { createLogger } from "../../runtime/logger.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { createRandom } from "../simulation/random.ts";
import { TILL, releaseOf, samplePolicy, version } from "../support/verdicts.ts";

const NOON_MS = Date.UTC(2026, 0, 31, 12);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

let server: TestRedis;
let redis: Redis;
let nowMs: number;
let health: HealthStore;
let journal: Journal;
let decisions: DecisionStore;
/** What the OTA server offers, newest first. */
let offered: string[];
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
  nowMs = NOON_MS;
  health = createHealthStore({ redis, shards: 1 });
  journal = createJournal({ redis });
  decisions = createDecisionStore({ redis, journal });
  offered = ["1.4.0", "1.3.0"];
});

let devicesTold = 0;

/** So many new devices say all of this, now. */
async function tell(text: string, devices: number, ...events: DeviceEvent[]): Promise<number> {
  const from = devicesTold;
  devicesTold += devices;
  await tellFrom(from, text, devices, ...events);
  return from;
}

/** Devices that were told before, by the first of them. */
async function tellFrom(
  from: number,
  text: string,
  devices: number,
  ...events: DeviceEvent[]
): Promise<void> {
  const reports = Array.from({ length: devices }, (_, device) =>
    events.map((event) => ({ ...releaseOf(text), device: `till-${from + device}`, event, atMs: nowMs })),
  ).flat();
  await redis.xadd(reportStream(0), "*", ...encodeReportEntry({ receivedAtMs: nowMs, reports }));
}

async function fold(policy: Policy): Promise<void> {
  const deadlineMs = silenceDeadlineMsOf(policy);
  await foldShard({
    store: createShardStore({ redis, shard: 0 }),
    rules: { ...DEFAULT_COUNTING_RULES, silenceDeadlineMsOf: () => deadlineMs },
    onChange: () => {},
    isStopping: () => false,
    nowMs: () => nowMs,
    heardFromMs: () => Promise.resolve(0),
  });
}

/** As an agent does it: folds, evaluates, and the OTA server answers at once. */
async function live(policy: Policy): Promise<void> {
  await fold(policy);
  const decided: string[] = [];
  const state = () => ({
    version: version(offered[0]!),
    releases: offered.map((text) => ({ version: version(text), releasedAt: "2026-01-30T12:00:00.000Z" })),
  });
  const otaServer = {
    capabilities: { rollback: true, pause: true },
    readChannel: () => Promise.resolve({ kind: "channel", state: state() }),
  };
  await evaluateChannel(
    { key: TILL, policy, minimumVersion: undefined, server: otaServer as unknown as OtaServer },
    {
      ...openStores(redis, 1),
      health,
      onDecision: (id) => Promise.resolve(void decided.push(id)),
      onNews: () => Promise.resolve(),
      watchReplication: () => () => Promise.resolve(true),
      clock: () => nowMs,
      logger: createLogger({ name: "test", level: "silent" }),
    },
  );
  for (const id of decided) {
    const decision = (await decisions.read(id))!;
    const target = decision.target!;
    offered = [target, ...offered.filter((each) => each !== target)];
    const at = new Date(nowMs).toISOString();
    const outcome = { kind: "applied", at, detail: "", version_seen: target, attempts: 1 } as const;
    await decisions.recordOutcome(decision, outcome);
  }
}

async function replayed(policy: Policy, sinceMs = 7 * DAY_MS): Promise<ReplayAnswer> {
  return replay(
    {
      policies: new Map([[policy.name, policy]]),
      channels: [{ key: TILL, policy, minimumVersion: undefined }],
      sinceMs: nowMs - sinceMs,
      untilMs: nowMs,
    },
    { health, decisions },
  );
}

function answerOf(answer: ReplayAnswer, text = "1.4.0"): ReleaseAnswer {
  return answer.channels[0]!.releases.find((release) => release.version === text)!;
}

function policyOf(...rules: RuleToJudge[]): Policy {
  return samplePolicy({ rules });
}

const LIMIT: RuleToJudge = { form: "limit", signal: "update_failure", limit: 0.05 };

/** Every minute two devices begin, and answer three minutes later: one in ten with a failure. */
async function badRollout(policy: Policy, minutes = 90): Promise<void> {
  await tell("1.3.0", 40, "update_started", "confirmed", "active");
  await live(policy);
  nowMs += HOUR_MS;
  const begun: number[] = [];
  for (let minute = 0; minute < minutes; minute += 1) {
    begun.push(await tell("1.4.0", 2, "update_started"));
    const answering = begun[minute - 3];
    if (answering !== undefined)
      for (const device of [0, 1])
        await tellFrom(
          answering + device,
          "1.4.0",
          1,
          (2 * minute + device) % 10 === 3 ? "install_failed" : "confirmed",
        );
    await live(policy);
    nowMs += MINUTE_MS;
  }
}

async function rollUp(): Promise<void> {
  await rollUpShard({ redis, shard: 0, nowMs, which: "fine", isStopping: () => false });
}

describe("a release that fails more often than its limit", () => {
  const policy = policyOf({ ...LIMIT, limit: 0.02 });

  it("the policy that ran live decides the same, within a window", async () => {
    await badRollout(policy);
    const [decision] = await decisions.list();
    expect(decision).toMatchObject({ version: "1.4.0", target: "1.3.0" });
    const release = answerOf(await replayed(policy));
    expect(release).toMatchObject({
      replayed: { action: "rollback", mode: "automatic", target: "1.3.0", resolution_minutes: 1 },
      happened: { decision_id: decision!.id, target: "1.3.0", at: decision!.at, outcome: "applied" },
      difference: { acts: "same", devices: 0 },
    });
    expect(release.over_threshold_at).toBe(release.replayed!.at);
  });

  it("still does when its windows have become 5 minutes, and hours: as coarse as they are", async () => {
    await badRollout(policy);
    for (const [laterMs, minutes] of [
      [4 * HOUR_MS, 5],
      [60 * HOUR_MS, 60],
    ] as const) {
      nowMs += laterMs;
      await rollUp();
      const release = answerOf(await replayed(policy));
      expect(release).toMatchObject({
        replayed: { target: "1.3.0", resolution_minutes: minutes },
        difference: { acts: "same" },
      });
      expect(Math.abs(release.difference.minutes!)).toBeLessThanOrEqual(minutes);
    }
  });

  it("a stricter policy would have been sooner, a laxer one would never have acted", async () => {
    await badRollout(policy);
    const strict = answerOf(await replayed(policyOf({ ...LIMIT, limit: 0.005 })));
    expect(strict).toMatchObject({ replayed: { target: "1.3.0" }, difference: { acts: "sooner" } });
    expect(strict.difference.minutes).toBeLessThan(-5);
    expect(strict.difference.devices).toBe(strict.replayed!.devices - strict.happened!.devices);
    expect(strict.difference.devices).toBeLessThan(-10);

    const lax = answerOf(await replayed(policyOf({ ...LIMIT, limit: 0.5 })));
    expect(lax).toMatchObject({
      replayed: null,
      over_threshold_at: null,
      difference: { acts: "only_happened" },
    });
    expect(lax.devices).toBe(180);
    expect(lax.difference.devices).toBe(180 - lax.happened!.devices);
  });

  it("by a policy that only watched, live: it would have acted, and nothing was touched", async () => {
    await badRollout({ ...policy, mode: "shadow" });
    const release = answerOf(await replayed(policy));
    expect(release).toMatchObject({
      replayed: { mode: "automatic", target: "1.3.0" },
      happened: { mode: "shadow" },
      difference: { acts: "same" },
    });
  });

  it("the same replay twice gives the same bits, and reads nothing but what is stored", async () => {
    await badRollout(policy);
    const first = JSON.stringify(await replayed(policy));
    health = createHealthStore({ redis, shards: 1 });
    expect(JSON.stringify(await replayed(policy))).toBe(first);
    expect(first.length).toBeGreaterThan(1_000);
  });

  it("what was done before the replay begins stays done", async () => {
    await badRollout(policy);
    nowMs += DAY_MS;
    expect(answerOf(await replayed(policy, HOUR_MS))).toMatchObject({
      replayed: null,
      difference: { acts: "before", minutes: null, devices: 0 },
    });
  });
});

describe("the guards, as they would have been", () => {
  const policy = policyOf({ ...LIMIT, limit: 0.02 });

  it("the cooldown runs from the acts of the replay itself", async () => {
    await badRollout(policy, 60);
    offered = ["1.5.0", ...offered];
    for (let minute = 0; minute < 60; minute += 1) {
      await tell("1.5.0", 4, "update_started", minute % 2 === 0 ? "install_failed" : "confirmed");
      await live(policy);
      nowMs += MINUTE_MS;
    }
    const made = await decisions.list();
    expect(made.map(({ version: from, target }) => [from, target])).toEqual([
      ["1.5.0", "1.3.0"],
      ["1.4.0", "1.3.0"],
    ]);
    const answer = await replayed(policy);
    for (const text of ["1.4.0", "1.5.0"])
      expect(answerOf(answer, text).difference).toMatchObject({ acts: "same" });
    const hold = answerOf(answer, "1.5.0").holds.at(-1);
    expect(hold).toMatchObject({ reason: "cooling_down", guard: "cooldown" });
    expect(hold!.until).toBe(answerOf(answer, "1.5.0").replayed!.at);
  });

  it("a version that was gone back to is not left by itself", async () => {
    await badRollout(policy, 60);
    nowMs += 2 * HOUR_MS;
    for (let minute = 0; minute < 20; minute += 1) {
      await tell("1.3.0", 4, "update_started", "install_failed");
      await live(policy);
      nowMs += MINUTE_MS;
    }
    expect((await decisions.list()).length).toBe(1);
    const release = answerOf(await replayed(policy), "1.3.0");
    expect(release).toMatchObject({
      verdict: { kind: "failing" },
      replayed: null,
      difference: { acts: "neither" },
    });
    expect(release.holds.map(({ reason }) => reason)).toContain("rolled_back_to_before");
  });
});

describe("other rules", () => {
  it("silence: devices fall silent at the same time as they did", async () => {
    const policy = policyOf({ form: "limit", signal: "silence", limit: 0.02, deadlineMs: 6 * HOUR_MS });
    await tell("1.3.0", 40, "update_started", "confirmed");
    await live(policy);
    nowMs += HOUR_MS;
    const from = await tell("1.4.0", 20, "update_started");
    await live(policy);
    nowMs += 6 * HOUR_MS + MINUTE_MS;
    await live(policy);
    expect((await decisions.list()).length).toBe(1);
    nowMs += HOUR_MS;
    // They were there after all: what is known now must not undo what was decided then.
    await tellFrom(from, "1.4.0", 20, "confirmed");
    await live(policy);
    expect(answerOf(await replayed(policy))).toMatchObject({
      replayed: { target: "1.3.0" },
      happened: { target: "1.3.0" },
      difference: { acts: "same", minutes: 0, devices: 0 },
    });
  });

  it("crashes beside the baseline: once their hour is over", async () => {
    const policy = policyOf({
      form: "worse_than_baseline",
      signal: "crash",
      allowance: { ratio: 2, points: 0 },
    });
    const old = await tell("1.3.0", 200, "active");
    await live(policy);
    nowMs += HOUR_MS;
    const bad = await tell("1.4.0", 100, "update_started", "confirmed", "active");
    for (let hour = 0; hour < 8; hour += 1) {
      await tellFrom(old, "1.3.0", 200, "active");
      await tellFrom(old + hour, "1.3.0", 1, "crashed");
      await tellFrom(bad, "1.4.0", 100, "active");
      await tellFrom(bad + 6 * hour, "1.4.0", 6, "crashed");
      for (const minutes of [15, 25, 20]) {
        await live(policy);
        nowMs += minutes * MINUTE_MS;
      }
    }
    const [decision] = await decisions.list();
    expect(decision).toMatchObject({ version: "1.4.0", target: "1.3.0" });
    const { replayed: act, difference } = answerOf(await replayed(policy));
    expect(act).toMatchObject({ target: "1.3.0" });
    expect(Math.abs(difference.minutes!)).toBeLessThanOrEqual(60);
  });

  it("failures that were not announced wait, as they did", async () => {
    const policy = policyOf(LIMIT);
    await tell("1.3.0", 40, "confirmed");
    await live(policy);
    nowMs += HOUR_MS;
    await tell("1.4.0", 20, "install_failed");
    await live(policy);
    for (let minute = 0; minute < 20; minute += 1) {
      nowMs += MINUTE_MS;
      await live(policy);
    }
    expect((await decisions.list()).length).toBe(1);
    expect(answerOf(await replayed(policy))).toMatchObject({
      replayed: { target: "1.3.0" },
      difference: { acts: "same", devices: 0 },
    });
  });
});

describe("fleets by chance, beside what was decided live", () => {
  const RULES: readonly (readonly [string, readonly RuleToJudge[]])[] = [
    ["a limit", [{ ...LIMIT, limit: 0.03 }]],
    [
      "a comparison",
      [{ form: "worse_than_baseline", signal: "update_failure", allowance: { ratio: 1.5, points: 0 } }],
    ],
    [
      "a plain rate",
      [
        {
          form: "plain",
          signal: "update_failure",
          limit: 0.05,
          windowMs: HOUR_MS,
          forMs: 10 * MINUTE_MS,
          minDevices: 20,
        },
      ],
    ],
    [
      "answers that do not come",
      [
        {
          form: "worse_than_baseline",
          signal: "silence",
          allowance: { ratio: 1.5, points: 0 },
          deadlineMs: HOUR_MS,
        },
        { form: "limit", signal: "silence", limit: 0.02, deadlineMs: HOUR_MS },
      ],
    ],
  ];

  /** Both versions are taken up at once; some minutes later devices answer, or never do. */
  async function fleet(seed: string, policy: Policy): Promise<void> {
    const random = createRandom("replay", seed);
    const isSilent = policy.rules.some(({ signal }) => signal === "silence");
    const due = new Map<number, (() => Promise<void>)[]>();
    await tell("1.3.0", 30, "update_started", "confirmed");
    await live(policy);
    nowMs += 5 * MINUTE_MS;
    for (let minute = 0; minute < 120; minute += 1) {
      for (const [text, failing, silent] of [
        ["1.3.0", 0.02, 0.01],
        ["1.4.0", 0.2, isSilent ? 0.4 : 0.05],
      ] as const)
        for (let device = 0; device < 2; device += 1) {
          const from = await tell(text, 1, "update_started");
          if (random.chance(silent)) continue;
          const event = random.chance(failing) ? "install_failed" : "confirmed";
          const at = minute + 1 + Math.floor(random.next() * (event === "confirmed" ? 12 : 4));
          due.set(at, [...(due.get(at) ?? []), () => tellFrom(from, text, 1, event)]);
        }
      for (const answer of due.get(minute) ?? []) await answer();
      await live(policy);
      nowMs += MINUTE_MS;
    }
  }

  it.each(RULES.flatMap(([what, rules]) => ["a", "b"].map((seed) => [what, seed, rules] as const)))(
    "%s, fleet %s",
    async (_what, seed, rules) => {
      const policy = policyOf(...rules);
      await fleet(seed, policy);
      const { replayed: act, happened, difference } = answerOf(await replayed(policy));
      expect([act?.target, act?.action]).toEqual(["1.3.0", "rollback"]);
      expect([happened?.target, happened?.action]).toEqual(["1.3.0", "rollback"]);
      // Windows of a minute; answers to the span of their age, which is at most 5 minutes for those given here.
      expect(Math.abs(difference.minutes!)).toBeLessThanOrEqual(5);
    },
  );
});

describe("what is read of a channel", () => {
  it("the releases reported about last, with all windows that may be held at once; the others are named as known", async () => {
    for (const text of ["1.1.0", "1.2.0", "1.3.0"]) {
      await tell(text, 3, "update_started", "confirmed");
      nowMs += HOUR_MS;
      await fold(policyOf(LIMIT));
    }
    const key = { key: TILL, minimumVersion: undefined };
    const read = async (options: { releasesMax?: number; windowsMax?: number }) => {
      const { releases, others } = await readChannelFacts({ ...key, ...options }, { health, decisions });
      return [releases.map((each) => each.health.release.version), others.map((each) => each.version)];
    };
    expect(await read({})).toEqual([["1.3.0", "1.2.0", "1.1.0"], []]);
    expect(await read({ releasesMax: 2 })).toEqual([["1.3.0", "1.2.0"], ["1.1.0"]]);
    expect(await read({ windowsMax: 2 })).toEqual([["1.3.0", "1.2.0"], ["1.1.0"]]);
    expect(await read({ windowsMax: 3 })).toEqual([["1.3.0", "1.2.0", "1.1.0"], []]);
  });

  it("others have their turn in between: a long replay holds nobody up", async () => {
    await badRollout(policyOf(LIMIT));
    let turns = 0;
    const over = new AbortController();
    const others = (async () => {
      for (; !over.signal.aborted; turns += 1) await setImmediate();
    })();
    const sinceMs = performance.now();
    await replayed(policyOf(LIMIT));
    const workMs = performance.now() - sinceMs;
    over.abort();
    await others;
    expect(turns).toBeGreaterThan(workMs / (20 * REPLAY_TURN_MS));
  });

  it("work for a client that has gone ends", async () => {
    await badRollout(policyOf(LIMIT), 10);
    const gone = replay(
      {
        policies: new Map([["standard", samplePolicy()]]),
        channels: [{ key: TILL, policy: samplePolicy(), minimumVersion: undefined }],
        sinceMs: nowMs - DAY_MS,
        untilMs: nowMs,
        signal: AbortSignal.abort(),
      },
      { health, decisions },
    );
    await expect(gone).rejects.toThrow(/abort/i);
  });
});
