// Counting against a naive model, on a real Redis: whatever is reported, in whatever order, batch and
// repetition, while hours pass, with agents that race for the same shards and die before or after a commit,
// the counts are those of the set of reports and of the moments at which somebody looked for silence.
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import type { CountingRules } from "../../agent/health/counting-rules.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import type { HealthStore } from "../../agent/health/health-store.ts";
import { WINDOW_RETENTION_DAYS, horizonsAt, slotOf } from "../../agent/health/health-window.ts";
import { metaKey } from "../../agent/health/shard-keys.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import type { ShardStore } from "../../agent/health/shard-store.ts";
import { foldShard, planOf } from "../../agent/jobs/fold-shard.ts";
import { dropUnseenDevices } from "../../agent/jobs/retention.ts";
import { rollUpShard } from "../../agent/jobs/roll-up.ts";
import { EVENTS } from "../../ingest/contract/device-report.ts";
import type { DeviceEvent, DeviceReport } from "../../ingest/contract/device-report.ts";
import type { AppId, Channel, Version } from "../../ingest/contract/release-key.ts";
import { deviceDigest, shardOfDevice } from "../../ingest/contract/shard.ts";
import { deadLetterStream, reportStream } from "../../ingest/contract/stream-names.ts";
import { createStreamWriter } from "../../ingest/stream-writer.ts";
import type { StreamWriter } from "../../ingest/stream-writer.ts";
import { isCluster, serverOf } from "../../runtime/redis-servers.ts";
import type { Redis } from "../../runtime/redis.ts";
import { createNaiveCounts } from "../support/naive-counts.ts";
import type { DeviceFilter, NaiveCounts, ReleaseCounts } from "../support/naive-counts.ts";
import { OUTCOME_NAMES } from "../support/naive-record.ts";
import {
  inHours,
  readCounts,
  readDeviceView,
  withHoursOfAllStrata,
  withoutStrata,
} from "../support/read-counts.ts";
import { emptyRedis, startRedisOfEitherKind } from "../support/redis-kinds.ts";
import type { RedisOfEitherKind } from "../support/redis-kinds.ts";

const SHARDS = 3;
const START_MS = Date.UTC(2026, 0, 31, 12, 2);
const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** One app is split by everything and one by a single field; on `beta` silence is soon. */
const RULES: CountingRules = {
  ...DEFAULT_COUNTING_RULES,
  strataOf: (app) => (app === "com.acme.kiosk" ? ["model"] : DEFAULT_COUNTING_RULES.strataOf(app)),
  silenceDeadlineMsOf: (channel) =>
    channel.channel === "beta" ? 20 * MINUTE_MS : DEFAULT_COUNTING_RULES.silenceDeadlineMsOf(channel),
};

let server: RedisOfEitherKind;
let redis: Redis;
let otherRedis: Redis;
beforeAll(async () => {
  server = await startRedisOfEitherKind();
  redis = await server.connect();
  otherRedis = await server.connect();
});
afterAll(() => server.stop());

const hostileDevice = fc.oneof(
  fc.constantFrom(
    "😀",
    "{lg:0}",
    "a|b|c",
    'quote"back\\slash',
    "ü".normalize("NFC"),
    "ü".normalize("NFD"),
    "x".repeat(128),
    "__proto__",
    "0",
    " ",
    "\u202Eright-to-left",
  ),
  // Of these few much is told.
  { arbitrary: fc.constantFrom("till-1", "till-2", "till-3"), weight: 6 },
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 }),
);

/** A device's time: so long before its report is received, or a fixed time, or what only a broken clock tells. */
type Time =
  | { readonly kind: "ago"; readonly agoMs: number }
  | { readonly kind: "fixed"; readonly atMs: number }
  | { readonly kind: "none" };
const time: fc.Arbitrary<Time> = fc.oneof(
  // A dozen slots, with their edges, and a few seconds that are told again and again.
  { arbitrary: fc.nat(12 * MINUTE_MS).map(ago), weight: 6 },
  { arbitrary: fc.constantFrom(0, 1, SECOND_MS, MINUTE_MS, 5 * MINUTE_MS).map(ago), weight: 4 },
  { arbitrary: fc.nat(12).map((seconds) => fixed(START_MS - seconds * 500)), weight: 3 },
  { arbitrary: fc.nat(12).map((hours) => ago(hours * HOUR_MS)), weight: 2 },
  { arbitrary: fc.nat(7 * DAY_MS).map(ago), weight: 2 },
  // A clock that is ahead, either edge of what is let through, and beyond.
  { arbitrary: fc.nat(5 * MINUTE_MS).map((aheadMs) => ago(-aheadMs)), weight: 1 },
  {
    arbitrary: fc
      .tuple(fc.constantFrom(7 * DAY_MS, -5 * MINUTE_MS), fc.constantFrom(-1, 0, 1))
      .map(([edgeMs, offMs]) => ago(edgeMs + offMs)),
    weight: 2,
  },
  { arbitrary: fc.constantFrom<Time>(fixed(0), ago(-DAY_MS), { kind: "none" }), weight: 1 },
);

function ago(agoMs: number): Time {
  return { kind: "ago", agoMs };
}
function fixed(atMs: number): Time {
  return { kind: "fixed", atMs };
}

/** Absent in half of the cases, and else one of these. */
function sometimes(...texts: readonly string[]): fc.Arbitrary<string | undefined> {
  return fc.option(fc.constantFrom(...texts), { nil: undefined, freq: 2 });
}
interface Saying extends Pick<DeviceReport, "version" | "event"> {
  readonly time: Time;
  readonly texts: Readonly<Record<string, string | undefined>>;
}
const saying: fc.Arbitrary<Saying> = fc.record({
  version: fc
    .constantFrom("1.4.0", "1.4.0", "1.4.0", "1.3.0", "1.4.0-rc.1+{7}", "v'[%]")
    .map((text) => text as Version),
  event: fc.constantFrom(...EVENTS),
  time,
  texts: fc.record({
    // Sorted by UTF-8 or by code point, the last two would change places.
    platform: sometimes("android", "linux", "", "\uFFFD", "😀"),
    model: sometimes("X1", "X2", "\uD800", 'a"b\\|c', "__proto__"),
    os_version: sometimes("9", "10"),
    native_version: sometimes("7"),
    reason: sometimes(
      "",
      "disk full",
      "other",
      "__proto__",
      "ü",
      "\uD800",
      "\uD801",
      ..."a b c d e f g h".split(" "),
    ),
  }),
});

/** Crashes, or no answer, or just use, in so many of the last hours, and once by a clock that tells none. */
const loop = fc.record({
  event: fc.constantFrom<DeviceEvent>("crashed", "not_responding", "active"),
  hours: fc.uniqueArray(fc.oneof(fc.nat(6), fc.nat(167), fc.constant(169)), { minLength: 1, maxLength: 6 }),
});

const answer = fc.constantFrom<DeviceEvent>("confirmed", "reverted", "install_failed", "active", "crashed");

/** What one device says in one request. */
interface Talk extends Pick<DeviceReport, "app" | "channel" | "device"> {
  readonly sayings: readonly Saying[];
}
/** Of one device so much that hours slide out of what is told apart, with a crash before and one after. */
const loopTalk: fc.Arbitrary<Talk> = fc.record({
  app: fc.constant("com.acme.till" as AppId),
  channel: fc.constant("production" as Channel),
  device: fc.constant("till-1"),
  sayings: fc.tuple(saying, loop).map(looping),
});
const anyTalk: fc.Arbitrary<Talk> = fc.record({
  app: fc.constantFrom("com.acme.till", "com.acme.till", "com.acme.kiosk").map((app) => app as AppId),
  channel: fc.constantFrom("production", "beta").map((channel) => channel as Channel),
  device: hostileDevice,
  sayings: fc.oneof(
    { arbitrary: fc.array(saying, { minLength: 1, maxLength: 4 }), weight: 6 },
    // Nothing that would answer what it began; and an answer that was long on its way.
    { arbitrary: fc.array(saying, { minLength: 1, maxLength: 2 }).map(announcing), weight: 2 },
    {
      arbitrary: fc.tuple(saying, fc.integer({ min: 1, max: 12 }), answer).map(answeringLate),
      weight: 2,
    },
    // Many failures about one release, for many reasons.
    { arbitrary: fc.array(saying, { minLength: 12, maxLength: 24 }).map(failing), weight: 1 },
  ),
});

const talk: fc.Arbitrary<Talk> = fc.oneof(
  { arbitrary: anyTalk, weight: 8 },
  { arbitrary: loopTalk, weight: 2 },
);

function answeringLate([one, hours, event]: [Saying, number, DeviceEvent]): Saying[] {
  return [{ ...one, version: "1.4.0" as Version, event, time: ago(hours * HOUR_MS) }];
}

function looping([one, { event, hours }]: [Saying, { event: DeviceEvent; hours: number[] }]): Saying[] {
  const version = "1.4.0" as Version;
  return hours.map((hoursAgo) => ({ ...one, version, event, time: ago(hoursAgo * HOUR_MS) }));
}

function announcing(sayings: readonly Saying[]): Saying[] {
  return sayings.map((one, index) => ({ ...one, event: index === 0 ? "installed" : "update_started" }));
}

function failing(sayings: readonly Saying[]): Saying[] {
  return sayings.map((one, index) => ({
    ...one,
    version: "1.4.0" as Version,
    event: index % 2 === 0 ? "reverted" : "download_failed",
  }));
}

/** How long nothing happens: mostly moments, now and then hours, seldom days. */
const waitMs = fc.oneof(
  { arbitrary: fc.nat(MINUTE_MS), weight: 40 },
  { arbitrary: fc.nat(40).map((minutes) => minutes * MINUTE_MS), weight: 40 },
  { arbitrary: fc.nat(10).map((hours) => hours * HOUR_MS), weight: 20 },
  { arbitrary: fc.nat(8).map((days) => days * DAY_MS), weight: 10 },
  { arbitrary: fc.constant(WINDOW_RETENTION_DAYS * DAY_MS), weight: 1 },
);

/** What an agent does when it is its turn. */
type Turn =
  /** Folds whatever waits in a shard, alone, and looks for silence. */
  | "fold"
  /** Both agents do so at the same moment. */
  | "race"
  /** Reads and dies before the commit. */
  | "die_before_commit"
  /** Commits, dies before it has heard so, and is sent again. */
  | "commit_twice"
  /** Reads, lets the other agent fold meanwhile, and then commits. */
  | "commit_late"
  /** Rolls up, while the other agent folds. */
  | "roll_up";

type Step =
  | {
      readonly kind: "send";
      readonly waitMs: number;
      readonly talks: readonly Talk[];
      /** Reports that were sent before and are sent once more: 0 = the last one. */
      readonly again: readonly number[];
    }
  | { readonly kind: "turn"; readonly shard: number; readonly agent: number; readonly turn: Turn }
  /** Time passes, everything is folded, silence is looked for, and all counts are compared. */
  | { readonly kind: "look"; readonly waitMs: number; readonly agent: number }
  /** The same, and windows are rolled up before. */
  | { readonly kind: "roll_up"; readonly waitMs: number; readonly which: "fine" | "all" }
  /** Time passes, and devices leave that were not heard of for so long. */
  | { readonly kind: "leave"; readonly waitMs: number; readonly retentionMs: number }
  /** Reports cannot come in for a time, or not until further notice. */
  | { readonly kind: "outage"; readonly waitMs: number; readonly isOver: boolean };

const agent = fc.nat(1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constant("send" as const),
      waitMs,
      talks: fc.array(talk, { minLength: 1, maxLength: 8 }),
      again: fc.array(fc.oneof(fc.nat(12), fc.nat(1_000)), { maxLength: 8 }),
    }),
    weight: 20,
  },
  {
    arbitrary: fc.record({
      kind: fc.constant("turn" as const),
      shard: fc.nat(SHARDS - 1),
      agent,
      turn: fc.constantFrom<Turn>(
        "fold",
        "race",
        "die_before_commit",
        "commit_twice",
        "commit_late",
        "roll_up",
      ),
    }),
    weight: 24,
  },
  { arbitrary: fc.record({ kind: fc.constant("look" as const), waitMs, agent }), weight: 8 },
  {
    arbitrary: fc.record({
      kind: fc.constant("roll_up" as const),
      waitMs,
      which: fc.constantFrom("fine" as const, "all" as const),
    }),
    weight: 4,
  },
  {
    arbitrary: fc.record({
      kind: fc.constant("leave" as const),
      waitMs,
      retentionMs: fc.constantFrom(HOUR_MS, 8 * DAY_MS, 90 * DAY_MS),
    }),
    weight: 1,
  },
  {
    arbitrary: fc.record({ kind: fc.constant("outage" as const), waitMs, isOver: fc.boolean() }),
    weight: 1,
  },
);

const history = fc.array(step, { minLength: 4, maxLength: 30 });

/** One installation with two agents, and the model that it is compared with. */
interface World {
  readonly rules: CountingRules;
  nowMs: number;
  /** Undefined while reports cannot come in. */
  heardFromMs: number | undefined;
  readonly writer: StreamWriter;
  /** By agent and shard. */
  readonly stores: readonly (readonly ShardStore[])[];
  readonly health: HealthStore;
  readonly model: NaiveCounts;
  readonly sent: DeviceReport[];
}

async function createWorld(rules: CountingRules): Promise<World> {
  await emptyRedis(redis);
  const storesOf = (connection: Redis): ShardStore[] =>
    Array.from({ length: SHARDS }, (_, shard) => createShardStore({ redis: connection, shard }));
  const world: World = {
    rules,
    nowMs: START_MS,
    heardFromMs: 0,
    writer: createStreamWriter({
      redis,
      shards: SHARDS,
      streamEntriesMax: 100_000,
      clock: () => world.nowMs,
    }),
    stores: [storesOf(redis), storesOf(otherRedis)],
    health: createHealthStore({ redis, shards: SHARDS }),
    model: createNaiveCounts({ rules }),
    sent: [],
  };
  return world;
}

async function take(world: World, step: Step): Promise<void> {
  if (step.kind === "turn") return takeTurn(world, step);
  world.nowMs += step.waitMs;
  switch (step.kind) {
    case "send":
      return send(world, step);
    case "look":
      await foldEverything(world, step.agent);
      return expectSameCounts(world);
    case "roll_up":
      return rollUpEverything(world, step.which);
    case "leave":
      return letLeave(world, step.retentionMs);
    case "outage":
      world.heardFromMs = step.isOver ? Math.ceil(world.nowMs / MINUTE_MS) * MINUTE_MS : undefined;
  }
}

async function send(world: World, { talks, again }: Extract<Step, { kind: "send" }>): Promise<void> {
  const { sent, nowMs, model, writer } = world;
  const reports = talks.flatMap((talk) => talk.sayings.map((one) => toReport(talk, one, nowMs)));
  const repeated = sent.length === 0 ? [] : again.map((back) => sent.at(-1 - (back % sent.length))!);
  const batch = [...reports, ...repeated];
  expect((await writer.write(batch)).kind).toBe("written");
  batch.forEach((told) => model.tell(told, nowMs));
  sent.push(...batch);
}

function toReport(
  { app, channel, device }: Talk,
  { version, event, time, texts }: Saying,
  receivedAtMs: number,
): DeviceReport {
  const report = { app, channel, device, version, event };
  const told = Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined));
  if (time.kind === "none") return { ...report, ...told };
  return { ...report, ...told, at: time.kind === "fixed" ? time.atMs : receivedAtMs - time.agoMs };
}

async function takeTurn(
  world: World,
  { shard, agent, turn }: Extract<Step, { kind: "turn" }>,
): Promise<void> {
  const other = 1 - agent;
  switch (turn) {
    case "fold":
      await foldOne(world, agent, shard);
      return look(world, shard);
    case "race":
      await Promise.all([foldOne(world, agent, shard), foldOne(world, other, shard)]);
      return look(world, shard);
    case "roll_up":
      await Promise.all([foldOne(world, agent, shard), rollUpOne(world, shard, "all")]);
      return look(world, shard);
    case "die_before_commit":
    case "commit_twice":
    case "commit_late":
      return commitBadly(world, { shard, agent, turn });
  }
}

async function commitBadly(
  world: World,
  { shard, agent, turn }: { shard: number; agent: number; turn: Turn },
): Promise<void> {
  const { rules, stores } = world;
  const store = stores[agent]![shard]!;
  const batch = await store.readBatch(await store.readPosition());
  if (batch === undefined) return;
  const plan = await planOf(batch, { store, rules });
  if (turn === "die_before_commit") return;
  if (turn === "commit_late") {
    await foldOne(world, 1 - agent, shard);
    look(world, shard);
  }
  expect(await store.commitBatch(batch, plan)).toBe(turn === "commit_late" ? "conflict" : "committed");
  if (turn === "commit_twice") expect(await store.commitBatch(batch, plan)).toBe("conflict");
}

async function foldOne(
  { rules, stores, nowMs, heardFromMs }: World,
  agent: number,
  shard: number,
): Promise<void> {
  await foldShard({
    store: stores[agent]![shard]!,
    rules,
    nowMs: () => nowMs,
    heardFromMs: () => Promise.resolve(heardFromMs),
    onChange: () => {},
    isStopping: () => false,
  });
}

/** The model's part of folding a shard. */
function look({ model, nowMs, heardFromMs }: World, shard: number): void {
  if (heardFromMs !== undefined) model.look(nowMs, { heardFromMs, only: ofShard(shard) });
}

function ofShard(shard: number): DeviceFilter {
  return (app, device) => shardOfDevice(deviceDigest(app, device), SHARDS) === shard;
}

async function foldEverything(world: World, agent: number): Promise<void> {
  for (let shard = 0; shard < SHARDS; shard += 1) {
    await foldOne(world, (agent + shard) % 2, shard);
    look(world, shard);
  }
}

async function rollUpOne({ nowMs }: World, shard: number, which: "fine" | "all"): Promise<void> {
  await rollUpShard({ redis: otherRedis, shard, nowMs, which, isStopping: () => false });
}

/** Right after it every window stands in the slot of its age. */
async function rollUpEverything(world: World, which: "fine" | "all"): Promise<void> {
  await foldEverything(world, 0);
  for (let shard = 0; shard < SHARDS; shard += 1) await rollUpOne(world, shard, which);
  const { health, model, nowMs } = world;
  const horizons = horizonsAt(Math.floor(nowMs / MINUTE_MS));
  // Not every release is looked at for windows that are too old.
  const drop = which === "all" ? horizons.drop : 0;
  const counts = model.counts({ slotOf: (minute) => slotOf(minute, { ...horizons, drop }) });
  const stored = await readCounts(health);
  if (which === "all" || nowMs < START_MS + 80 * DAY_MS) expectSame(world, stored, counts);
}

async function letLeave(world: World, retentionMs: number): Promise<void> {
  await foldEverything(world, 0);
  const { nowMs, stores, model } = world;
  for (const store of stores[0]!)
    await dropUnseenDevices({ redis, store, nowMs, retentionMs, isStopping: () => false });
  model.leave(nowMs, retentionMs);
  await expectSameCounts(world);
}

/** Windows by the hour: some have been rolled up by now, and others not. Those about to be dropped may be gone. */
async function expectSameCounts(world: World): Promise<void> {
  const { health, model, nowMs, sent } = world;
  const sinceMinute = horizonsAt(Math.floor(nowMs / MINUTE_MS)).drop;
  expectSame(world, inHours(await readCounts(health), sinceMinute), inHours(model.counts(), sinceMinute));
  const devices = new Map(sent.map(({ app, device }) => [`${app}|${device}`, { app, device }]));
  for (const { app, device } of devices.values())
    expect(await readDeviceView(health, app, device)).toEqual(model.device(app, device));
}

type Counts = Record<string, ReleaseCounts>;

/** Hours stand by stratum as well, while no device has such that are older than a week. */
function expectSame({ model }: World, stored: Counts, counts: Counts): void {
  if (model.hoursSinceUseMax() <= 7 * 24) expect(stored).toEqual(counts);
  else expect(withHoursOfAllStrata(stored)).toEqual(withHoursOfAllStrata(counts));
}

test("on a cluster the shards are not all in one place", () => {
  const owners = Array.from({ length: SHARDS }, (_, shard) => serverOf(redis, reportStream(shard)));
  expect(new Set(owners).size > 1).toBe(isCluster(redis));
});

test("counts are those of the set of reports, and of the looks for silence", async () => {
  const met = new Set<string>();
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      const world = await createWorld(RULES);
      for (const next of steps) await take(world, next);
      await foldEverything(world, 0);
      await expectSameCounts(world);
      await expectAllFolded(world);
      const dirty = (await world.health.listDirty()).map(({ release }) => Object.values(release).join("|"));
      expect(dirty.toSorted()).toEqual(Object.keys(world.model.counts()).toSorted());
      for (const what of metIn(world)) met.add(what);
    }),
    { numRuns: isCluster(redis) ? 100 : 300, seed: 20_260_131, endOnFailure: false },
  );
  expect([...met].toSorted()).toEqual([...OUTCOME_NAMES, ...MEETINGS].toSorted());
}, 120_000);

const MEETINGS = ["reasons", "strata", "crash loop", "hang", "no hour", "slid out", "known", "new"];

/** What the history has met, so that nobody has to believe that histories meet anything. */
function metIn({ model }: World): string[] {
  return Object.values(model.counts()).flatMap((release) => {
    const { devices, hours, reasons, strata, contacts } = release;
    const firstDay = Math.floor(release.firstReportAtMs / DAY_MS);
    const contactDays = Object.keys(contacts).map((name) => Number.parseInt(name, 10));
    const meetings: readonly (readonly [string, boolean])[] = [
      ["reasons", Object.keys(reasons).length > 8],
      ["strata", Object.keys(strata).length > 3],
      ["crash loop", hours.crashed >= hours.firstCrashed + 5],
      ["hang", hours.firstNotResponding > 0 && hours.notResponding > hours.firstNotResponding],
      ["no hour", hours.firstCrashed > 0 && devices.crashed > hours.firstCrashed],
      ["slid out", hours.firstCrashed > 0 && model.hoursSinceUseMax() > 170],
      ["known", contactDays.some((day) => day < firstDay)],
      ["new", contactDays.some((day) => day > firstDay)],
    ];
    return [
      ...OUTCOME_NAMES.filter((outcome) => devices[outcome] > 0),
      ...meetings.filter(([, isMet]) => isMet).map(([name]) => name),
    ];
  });
}

test("past the cap of strata only the split depends on order", async () => {
  const strataMax = 2;
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      const world = await createWorld({ ...RULES, strataMaxOf: () => strataMax });
      for (const next of steps) if (next.kind === "send" || next.kind === "turn") await take(world, next);
      await foldEverything(world, 0);
      const stored = await readCounts(world.health);
      const sinceMinute = horizonsAt(Math.floor(world.nowMs / MINUTE_MS)).drop;
      expect(withoutStrata(inHours(stored, sinceMinute))).toEqual(
        withoutStrata(inHours(world.model.counts(), sinceMinute)),
      );
      // In each shard as many as may be, and `unknown` and `other`.
      for (const { strata } of Object.values(stored))
        expect(Object.keys(strata).length).toBeLessThanOrEqual(SHARDS * strataMax + 2);
    }),
    { numRuns: isCluster(redis) ? 20 : 60, seed: 20_260_201, endOnFailure: false },
  );
}, 60_000);

async function expectAllFolded({ health, sent }: World): Promise<void> {
  expect(await health.readFoldTotals()).toEqual({ folded: sent.length, deadLetters: 0 });
  for (let shard = 0; shard < SHARDS; shard += 1) {
    expect(await redis.xlen(reportStream(shard))).toBe(0);
    expect(await redis.exists(deadLetterStream(shard))).toBe(0);
    const [cursor, lastId] = await Promise.all([
      redis.hget(metaKey(shard), "cursor"),
      lastGeneratedId(shard),
    ]);
    expect(cursor ?? "0-0").toBe(lastId);
  }
}

async function lastGeneratedId(shard: number): Promise<string> {
  if ((await redis.exists(reportStream(shard))) === 0) return "0-0";
  const info = (await redis.call("XINFO", "STREAM", reportStream(shard))) as unknown[];
  return String(info[info.indexOf("last-generated-id") + 1]);
}
