// Replays on a real Redis: reports are really folded through time, the policy that ran live decides, and a replay of what
// is stored says the same; a stricter one is sooner, a laxer one never acts; the same replay twice gives the same bits.
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import type { HealthStore } from "../../agent/health/health-store.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import { evaluateChannel } from "../../agent/jobs/evaluate-channel.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import { rollUpShard } from "../../agent/jobs/roll-up.ts";
import { createHoldStore } from "../../agent/journal/hold-store.ts";
import { createJournal } from "../../agent/journal/journal.ts";
import type { Journal } from "../../agent/journal/journal.ts";
import { createSummaryStore } from "../../agent/journal/summary-store.ts";
import type { RuleToJudge } from "../../agent/judge/rule-to-judge.ts";
import type { Policy } from "../../agent/policy/policy.ts";
import { silenceDeadlineMsOf } from "../../agent/policy/silence-deadline.ts";
import { readChannelFacts } from "../../agent/replay/read-channel.ts";
import type { ReplayAnswer, ReleaseAnswer } from "../../agent/replay/replay-answer.ts";
import { replay } from "../../agent/replay/replay.ts";
import { createDecisionStore } from "../../agent/rollback/decision-store.ts";
import type { DecisionStore } from "../../agent/rollback/decision-store.ts";
import type { OtaServer } from "../../agent/rollback/ota-server.ts";
import type { DeviceEvent } from "../../ingest/contract/device-report.ts";
import { encodeReportEntry } from "../../ingest/contract/report-entry.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { createLogger } from "../../runtime/logger.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
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
  const otaServer = { readChannel: () => Promise.resolve({ kind: "channel", state: state() }) };
  await evaluateChannel(
    { key: TILL, policy, minimumVersion: undefined, server: otaServer as unknown as OtaServer },
    {
      health,
      summaries: createSummaryStore({ redis }),
      journal,
      decisions,
      holds: createHoldStore({ redis, journal }),
      onDecision: (id) => Promise.resolve(void decided.push(id)),
      watchReplication: () => () => Promise.resolve(true),
      clock: () => nowMs,
      logger: createLogger({ name: "test", level: "silent" }),
    },
  );
  for (const id of decided) {
    const decision = (await decisions.read(id))!;
    offered = [decision.target, ...offered.filter((each) => each !== decision.target)];
    const at = new Date(nowMs).toISOString();
    const outcome = { kind: "applied", at, detail: "", version_seen: decision.target, attempts: 1 } as const;
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

describe("a release that fails more often than its limit", () => {
  const policy = policyOf({ ...LIMIT, limit: 0.02 });

  it("the policy that ran live decides the same, within a window", async () => {
    await badRollout(policy);
    const [decision] = await decisions.list();
    expect(decision).toMatchObject({ version: "1.4.0", target: "1.3.0" });
    const release = answerOf(await replayed(policy));
    expect(release).toMatchObject({
      replayed: { action: "rollback", mode: "automatic", target: "1.3.0" },
      happened: { decision_id: decision!.id, target: "1.3.0", at: decision!.at, outcome: "applied" },
      difference: { acts: "same" },
    });
  });
});
