// Exactness under violence, in any size: a fleet reports while the agent that folds is killed again and again,
// Redis is killed and comes back from its append-only file, and a second agent runs for a while and is frozen
// in the middle of its work. In the end every count is that of the fleet's own books (naive-counts.ts); once
// more when all the silent devices were found, and again when some of them have come back.
import { once } from "node:events";
import { expect } from "vitest";
import { horizonsAt, slotOf } from "../../agent/health/health-window.ts";
import { metaKey } from "../../agent/health/shard-keys.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import type { ShardStore } from "../../agent/health/shard-store.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import type { FoldResult, FoldShardOptions } from "../../agent/jobs/fold-shard.ts";
import { rollUpShard } from "../../agent/jobs/roll-up.ts";
import { LISTENING_KEY } from "../../ingest/contract/listening.ts";
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import { SHARDS_DEFAULT, reportStream } from "../../ingest/contract/stream-names.ts";
import { createListeningBeat } from "../../ingest/listening-beat.ts";
import { createStreamWriter } from "../../ingest/stream-writer.ts";
import { sleep, systemClock } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { closeRedis, createRedis, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { createRandom } from "../simulation/random.ts";
import { openCrashStage, PATIENT_DEADLINE_MS } from "./crash-stage.ts";
import type { AgentProcess, CrashStage } from "./crash-stage.ts";
import { ANNOUNCED_VERSIONS, FIELD, tellStories } from "./fleet-stories.ts";
import type { Saying } from "./fleet-stories.ts";
import { createNaiveCounts } from "./naive-counts.ts";
import type { NaiveCounts, ReleaseCounts } from "./naive-counts.ts";
import { inHours, readCounts, readDeviceView } from "./read-counts.ts";
import { compareTrees, expectSame } from "./same-counts.ts";
import { waitUntil } from "./wait-until.ts";

export interface FoldCrashOptions {
  readonly seed: number;
  readonly devices: number;
  /** In which they send all that they have to say. */
  readonly requests: number;
  /** How often the first agent is killed, and Redis. */
  readonly kills: number;
  readonly redisKills: number;
  /** How long the first agent folds at most before it is killed, in milliseconds. */
  readonly lifeMsMax: number;
  /** How long the second agent is frozen, in milliseconds; longer than LOCK_MS, and the first one takes its jobs. */
  readonly frozenMs: number;
  readonly onProgress?: (line: string) => void;
}

export interface FoldCrashReport {
  readonly seconds: number;
  /** Acknowledged, and those of requests that may have been written all the same. */
  readonly reports: number;
  readonly unacknowledged: number;
  readonly folded: number;
  /** Kills at which something was waiting to be folded. */
  readonly killsAtWork: number;
  /** Commits that lost against somebody else's, of the second agent and of the two that heed no queue. */
  readonly commitsLost: number;
  /** Devices whose silence was found while agents were still being killed. */
  readonly silentInTheStorm: number;
  /** Integers that are equal. */
  readonly compared: number;
  /** Devices by the end. */
  readonly silent: number;
  readonly returnedLate: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** What the fleet says comes in over so long, and has all come in so long ago, by ingest's clock. */
const REPORTING_MS = 6 * HOUR_MS;
const REPORTED_AGO_MS = 20 * MINUTE_MS;
/** Requests at the same time; each device stays in its lane, so that its words arrive in order. */
const LANES = 3;
/** How long an agent is thought to take before it folds, in milliseconds: sets the pace of the fleet. */
const BIRTH_MS = 1_500;
/** A third of the kills come in the first commits of a life. */
const SHORT_LIFE_MS_MAX = 60;
const SHORT_LIVES_SHARE = 1 / 3;
/** The second agent runs from the middle on, for a third of the run. */
const SECOND_AGENT_FROM = 1 / 2;
const SECOND_AGENT_TO = 5 / 6;
const DEVICES_LOOKED_AT = 300;
const BEGUN_MS_MAX = 60_000;
const SETTLED_MS_MAX = 120_000;

const logger = createLogger({ name: "test", level: "silent" });

/** One run: what is on stage, what the fleet has written down, and how far it has come. */
interface Run {
  readonly options: FoldCrashOptions;
  readonly stage: CrashStage;
  readonly course: Course;
  readonly sayings: readonly Saying[];
  readonly listeningSinceMs: number;
  readonly toMs: number;
  readonly books: NaiveCounts;
  acknowledged: number;
  unacknowledged: number;
}

export async function expectExactCounts(options: FoldCrashOptions): Promise<FoldCrashReport> {
  const startedMs = performance.now();
  const stage = await openCrashStage();
  const run = createRun(options, stage);
  try {
    await stage.redis.hset(LISTENING_KEY, "since", run.listeningSinceMs, "last", Date.now());
    const stopTelling = tellProgress(run);
    const { last, ...storm } = await throughTheStorm(run).finally(stopTelling);
    const { folded, ...atFirst } = await expectAllCounted(run, last);
    const later = await expectSilenceCounted(run, atFirst);
    return {
      seconds: (performance.now() - startedMs) / 1_000,
      reports: run.acknowledged,
      unacknowledged: run.unacknowledged,
      folded,
      ...storm,
      ...later,
      compared: atFirst.compared + later.compared,
    };
  } finally {
    run.course.abandon();
    await stage.close();
  }
}

function createRun(options: FoldCrashOptions, stage: CrashStage): Run {
  const toMs = Date.now() - REPORTED_AGO_MS;
  const fromMs = toMs - REPORTING_MS;
  const { seed, devices, kills, lifeMsMax } = options;
  return {
    options,
    stage,
    course: createCourse({ lives: kills + 1, lifeMs: BIRTH_MS + lifeMsMax / 3 }),
    sayings: tellStories({ seed, devices, fromMs, toMs }),
    listeningSinceMs: fromMs - HOUR_MS,
    toMs,
    books: createNaiveCounts({ rules: stage.rules }),
    acknowledged: 0,
    unacknowledged: 0,
  };
}

/** How far the run is, by the lives of the first agent: whatever the machine's speed, all of them see reports. */
interface Course {
  /** From 0 to 1. */
  share(): number;
  endLife(): void;
  /** Rejects when the run was abandoned. */
  until(share: number): Promise<void>;
  /** So that nobody goes on sending and killing when the test has failed. */
  abandon(): void;
}

function createCourse({ lives, lifeMs }: { lives: number; lifeMs: number }): Course {
  let ended = 0;
  let bornMs = performance.now();
  const abandoned = new AbortController();
  const share = (): number => {
    const ofLife = Math.min(1, (performance.now() - bornMs) / lifeMs);
    return Math.min(1, (ended + ofLife) / lives);
  };
  return {
    share,
    endLife() {
      ended += 1;
      bornMs = performance.now();
    },
    async until(wanted) {
      do {
        abandoned.signal.throwIfAborted();
        await sleep(5);
      } while (share() < wanted);
    },
    abandon: () => abandoned.abort(),
  };
}

function tellProgress({ options: { onProgress }, stage: { health }, course, ...run }: Run): () => void {
  if (onProgress === undefined) return () => {};
  const tell = async (): Promise<void> => {
    const [{ folded }, lag] = await Promise.all([health.readFoldTotals(), health.readLag(Date.now())]);
    const waiting = lag.reduce((sum, { waitingEntries }) => sum + waitingEntries, 0);
    onProgress(
      `${Math.floor(course.share() * 100)}% of ${run.sayings.length} reports; ${folded} folded, ${waiting} entries waiting`,
    );
  };
  const timer = setInterval(() => void tell().catch(() => {}), 10_000);
  return () => clearInterval(timer);
}

interface Storm extends Pick<FoldCrashReport, "killsAtWork" | "commitsLost" | "silentInTheStorm"> {
  /** The agent that is alive in the end. */
  readonly last: AgentProcess;
}

async function throughTheStorm(run: Run): Promise<Storm> {
  const redis = createRedis({ url: run.stage.redisUrl, role: "request", logger });
  await waitUntilReady(redis, 5_000);
  const beat = createListeningBeat({ redis, clock: systemClock, logger });
  beat.start();
  try {
    return await weather(run, redis);
  } finally {
    await beat.stop();
    await closeRedis(redis);
  }
}

/** All at once, until everything is sent, and counted. */
async function weather(run: Run, redis: Redis): Promise<Storm> {
  const lanes = Array.from({ length: LANES }, (_, lane) => sendLane(run, redis, lane));
  const [killed, ...lost] = await Promise.all([
    keepKilling(run),
    runSecondAgent(run),
    foldAgainstEachOther(run),
    restartRedis(run),
    ...lanes,
  ]);
  // The last agent folds the rest, and has looked for silence.
  const { health } = run.stage;
  await waitUntil(
    async () => [await health.readLag(Date.now()), await health.listDueShards(Date.now())] as const,
    ([lag, due]) => lag.every(({ waitingEntries }) => waitingEntries === 0) && due.length === 0,
    SETTLED_MS_MAX,
  );
  return { ...killed, commitsLost: lost[0] + lost[1] };
}

/** Sends each request until it is acknowledged, like a device; what was acknowledged stands in the books. */
async function sendLane(run: Run, redis: Redis, lane: number): Promise<void> {
  const { course, books, options } = run;
  const sayings = run.sayings.filter(({ report }) => Number(report.device.split("-")[1]) % LANES === lane);
  const requests = cutIntoRequests(sayings, Math.ceil(options.requests / LANES), `${options.seed} ${lane}`);
  let receivedAtMs = 0;
  const writer = createStreamWriter({
    redis,
    shards: SHARDS_DEFAULT,
    streamEntriesMax: 100_000,
    clock: () => receivedAtMs,
  });
  for (const [index, request] of requests.entries()) {
    await course.until(index / requests.length);
    // Of a request that is sent again nobody knows whether it was written: it keeps the time of the first try,
    // so that the books need not know either.
    receivedAtMs = Math.ceil(request.at(-1)!.arrivesAtMs);
    const reports = request.map(({ report }) => report);
    while ((await writer.write(reports)).kind !== "written") {
      run.unacknowledged += reports.length;
      await sleep(20);
      await course.until(0);
    }
    reports.forEach((report) => books.tell(report, receivedAtMs));
    run.acknowledged += reports.length;
  }
}

function cutIntoRequests(sayings: readonly Saying[], requests: number, seed: string): Saying[][] {
  const random = createRandom(seed, "requests");
  const cuts = Array.from({ length: requests - 1 }, () => Math.floor(random.between(1, sayings.length)));
  const ends = [...new Set([...cuts, sayings.length])].toSorted((left, right) => left - right);
  return ends.map((end, index) => sayings.slice(ends[index - 1] ?? 0, end));
}

/** The first agent, killed at moments that the seed chooses, each time when it had begun to fold. */
async function keepKilling({
  options: { seed, kills, lifeMsMax },
  stage,
  course,
}: Run): Promise<Omit<Storm, "commitsLost">> {
  const random = createRandom(seed, "kills");
  const { health } = stage;
  const foldedSoFar = async (): Promise<number> => (await health.readFoldTotals()).folded;
  const foldedAt = [0];
  let killsAtWork = 0;
  let agent = stage.startAgent();
  for (let kill = 0; kill < kills; kill += 1) {
    await agent.url;
    await waitUntil(foldedSoFar, (folded) => folded > foldedAt.at(-1)!, BEGUN_MS_MAX);
    await sleep(random.between(0, random.chance(SHORT_LIVES_SHARE) ? SHORT_LIFE_MS_MAX : lifeMsMax));
    await agent.kill();
    const lag = await health.readLag(Date.now());
    if (lag.some(({ waitingEntries }) => waitingEntries > 0)) killsAtWork += 1;
    foldedAt.push(await foldedSoFar());
    agent = stage.startAgent();
    course.endLife();
  }
  const silentInTheStorm = await silentInTheField(stage);
  await agent.url;
  // Every life has folded something.
  expect(foldedAt).toEqual([...new Set(foldedAt)].toSorted((left, right) => left - right));
  return { last: agent, killsAtWork, silentInTheStorm };
}

async function silentInTheField({ health }: CrashStage): Promise<number> {
  const releases = ANNOUNCED_VERSIONS.map((version) => health.readRelease({ ...FIELD, version }));
  return (await Promise.all(releases)).reduce((sum, { devices }) => sum + devices.silent, 0);
}

/** Leaves: how many of its commits were lost. */
async function runSecondAgent({ options: { frozenMs }, stage, course }: Run): Promise<number> {
  await course.until(SECOND_AGENT_FROM);
  const { child, url } = stage.startAgent();
  const address = await url;
  await course.until((SECOND_AGENT_FROM + SECOND_AGENT_TO) / 2);
  // It stops in the middle of its work, others take it over, and it goes on as if nothing had been.
  child.kill("SIGSTOP");
  await sleep(frozenMs);
  child.kill("SIGCONT");
  await course.until(SECOND_AGENT_TO);
  const ended = once(child, "exit");
  // Asked before it is told to stop, so that there is a word in any case. A fold tells what it lost when it ends, and that
  // may be now.
  const word = lastWordOn("ota_folds_lost_total", address);
  await sleep(100);
  child.kill("SIGTERM");
  const commitsLost = await word;
  expect(await ended).toEqual([0, null]);
  return commitsLost;
}

/**
 * The queue gives a shard to one agent at a time. These two heed no queue while two agents run: they take what
 * they find, at the same moment, so that commits do meet. Leaves: how many of theirs were lost.
 */
async function foldAgainstEachOther(run: Run): Promise<number> {
  await run.course.until(SECOND_AGENT_FROM);
  const lost = await Promise.all([foldForAWhile(run), foldForAWhile(run)]);
  return lost[0] + lost[1];
}

async function foldForAWhile({ stage, course, listeningSinceMs }: Run): Promise<number> {
  const stores = openShards(stage);
  const isStopping = (): boolean => course.share() >= SECOND_AGENT_TO;
  let lost = 0;
  while (!isStopping()) {
    for (const store of stores)
      lost += (await fold(stage, { store, listeningSinceMs, isStopping, nowMs: systemClock })).lost;
    await sleep(10);
  }
  return lost;
}

function openShards({ redis }: CrashStage): ShardStore[] {
  return Array.from({ length: SHARDS_DEFAULT }, (_, shard) => createShardStore({ redis, shard }));
}

/** What an agent's fold job does. */
function fold(
  { rules }: CrashStage,
  {
    listeningSinceMs,
    ...given
  }: Pick<FoldShardOptions, "store" | "nowMs" | "isStopping"> & Pick<Run, "listeningSinceMs">,
): Promise<FoldResult> {
  return foldShard({
    ...given,
    rules,
    // Nobody is woken: the agents' sweep finds what has changed.
    onChange: () => {},
    heardFromMs: () => Promise.resolve(listeningSinceMs),
  });
}

/** Value of the metric when the agent stopped to answer. */
async function lastWordOn(metric: string, url: string): Promise<number> {
  let last = Number.NaN;
  for (;;) {
    const text = await fetch(`${url}/metrics`).then(
      (answer) => answer.text(),
      () => undefined,
    );
    if (text === undefined) return last;
    // One that is stopping may answer with something else: then the word before was its last.
    const word = Number(new RegExp(`^${metric} (\\d+)$`, "m").exec(text)?.[1]);
    if (!Number.isNaN(word)) last = word;
    await sleep(5);
  }
}

async function restartRedis({ options: { seed, redisKills }, stage, course }: Run): Promise<void> {
  const random = createRandom(seed, "redis");
  for (let kill = 0; kill < redisKills; kill += 1) {
    await course.until((kill + random.between(0.2, 0.8)) / redisKills);
    const before = await stage.health.readFoldTotals();
    await stage.restartRedis();
    const after = await stage.health.readFoldTotals();
    expect(after.folded).toBeGreaterThanOrEqual(before.folded);
  }
}

/** All is folded, once, and evaluated; then the last agent ends. */
async function expectAllCounted(run: Run, last: AgentProcess): Promise<Agreement & { folded: number }> {
  const { stage, books, listeningSinceMs } = run;
  const { health, redis } = stage;
  const { folded, deadLetters } = await health.readFoldTotals();
  expect(deadLetters).toBe(0);
  // A request whose acknowledgement was lost is sent twice, and folded twice, and counted once.
  expect(folded).toBeGreaterThanOrEqual(run.acknowledged);
  expect(folded).toBeLessThanOrEqual(run.acknowledged + run.unacknowledged);
  for (let shard = 0; shard < SHARDS_DEFAULT; shard += 1) {
    const info = (await redis.xinfo("STREAM", reportStream(shard))) as unknown[];
    expect(await redis.hget(metaKey(shard), "cursor")).toBe(info[info.indexOf("last-generated-id") + 1]);
  }
  books.look(Date.now(), { heardFromMs: listeningSinceMs });
  const agreement = await expectBooksAgree(run, "after the storm");
  // In the field, and nowhere else yet.
  expect(agreement.silent).toBeGreaterThan(0);
  expect(agreement.silent).toBe(await silentInTheField(stage));
  await expectEvaluated(run, await last.url);
  last.child.kill("SIGTERM");
  expect(await once(last.child, "exit")).toEqual([0, null]);
  return { ...agreement, folded };
}

interface Status {
  readonly channels: {
    readonly app: string;
    readonly channel: string;
    readonly releases: { readonly version: string; readonly devices: Record<string, number> }[];
  }[];
}

/** What was counted is also evaluated, whoever died between the two. */
async function expectEvaluated({ stage: { health }, books }: Run, url: string): Promise<void> {
  const shown = async (): Promise<Record<string, unknown>> => {
    const { channels } = (await (await fetch(`${url}/v1/status`)).json()) as Status;
    return Object.fromEntries(
      channels.flatMap(({ app, channel, releases }) =>
        releases.map(({ version, devices }) => [`${app}|${channel}|${version}`, devices]),
      ),
    );
  };
  const counted = Object.fromEntries(
    Object.entries(books.counts()).map(([release, { devices }]) => [release, devices]),
  );
  await waitUntil(
    async () => compareTrees(await shown(), counted).differences,
    (differences) => differences.length === 0,
    SETTLED_MS_MAX,
  );
  await waitUntil(
    () => health.listDirty(),
    (dirty) => dirty.length === 0,
    SETTLED_MS_MAX,
  );
}

/** Without agents, and by a clock of our own: half of the deadlines pass, then all, and devices come back. */
async function expectSilenceCounted(run: Run, atFirst: Agreement): Promise<Agreement> {
  const { books, toMs, stage } = run;
  await lookAt(run, toMs - REPORTING_MS / 2 + PATIENT_DEADLINE_MS);
  const half = await expectBooksAgree(run, "with half of the deadlines over");
  expect(half.silent).toBeGreaterThan(atFirst.silent);

  const backMs = toMs + PATIENT_DEADLINE_MS + 2 * MINUTE_MS;
  await lookAt(run, backMs);
  const all = await expectBooksAgree(run, "with all deadlines over");
  expect(all.silent).toBeGreaterThan(half.silent);
  expect(all.returnedLate).toBe(0);

  await comeBack(run, backMs);
  await lookAt(run, backMs);
  const back = await expectBooksAgree(run, "with devices that came back");
  expect(back.silent).toBeLessThan(all.silent);
  expect(back.returnedLate).toBeGreaterThan(0);

  const lastMs = backMs + PATIENT_DEADLINE_MS + 2 * MINUTE_MS;
  await lookAt(run, lastMs);
  for (let shard = 0; shard < SHARDS_DEFAULT; shard += 1)
    await rollUpShard({ redis: stage.redis, shard, nowMs: lastMs, which: "all", isStopping: () => false });
  const horizons = horizonsAt(Math.floor(lastMs / MINUTE_MS));
  const rolledUp = books.counts({ slotOf: (minute) => slotOf(minute, horizons) });
  const last = expectSame(await readCounts(stage.health), rolledUp, "with every window rolled up");
  return {
    compared: half.compared + all.compared + back.compared + last,
    silent: sumOf(rolledUp, "silent"),
    returnedLate: sumOf(rolledUp, "returned_late"),
  };
}

function sumOf(counts: Record<string, ReleaseCounts>, outcome: "silent" | "returned_late"): number {
  return Object.values(counts).reduce((sum, { devices }) => sum + devices[outcome], 0);
}

/** Folds what waits, and looks for silence; so does the model. */
async function lookAt({ stage, books, listeningSinceMs }: Run, nowMs: number): Promise<void> {
  for (const store of openShards(stage))
    await fold(stage, { store, listeningSinceMs, nowMs: () => nowMs, isStopping: () => false });
  books.look(nowMs, { heardFromMs: listeningSinceMs });
}

/** A third of the devices says something: an answer, another beginning, or what it said before. */
async function comeBack({ options, sayings, stage, books }: Run, nowMs: number): Promise<void> {
  const random = createRandom(options.seed, "back");
  const lastWords = new Map(sayings.map(({ report }) => [`${report.app}|${report.device}`, report]));
  const reports = [...lastWords.values()]
    .filter(() => random.chance(1 / 3))
    .map((report): DeviceReport => {
      const event = random.pick(["confirmed", "active", "install_failed", "installed", undefined] as const);
      return event === undefined
        ? report
        : { ...report, event, at: nowMs - Math.floor(random.between(0, HOUR_MS)) };
    });
  const writer = createStreamWriter({
    redis: stage.redis,
    shards: SHARDS_DEFAULT,
    streamEntriesMax: 100_000,
    clock: () => nowMs,
  });
  for (let start = 0; start < reports.length; start += 1_000) {
    const request = reports.slice(start, start + 1_000);
    expect((await writer.write(request)).kind).toBe("written");
    request.forEach((report) => books.tell(report, nowMs));
  }
}

type Agreement = Pick<FoldCrashReport, "compared" | "silent" | "returnedLate">;

/** Every count, with windows by the hour (some have been rolled up by now); and some of the devices. */
async function expectBooksAgree(
  { options: { seed, onProgress }, stage: { health }, books, sayings }: Run,
  when: string,
): Promise<Agreement> {
  const counts = inHours(books.counts(), 0);
  const compared = expectSame(inHours(await readCounts(health), 0), counts, when);
  const random = createRandom(seed, when);
  for (let looked = 0; looked < DEVICES_LOOKED_AT; looked += 1) {
    const { app, device } = random.pick(sayings).report;
    const view = await readDeviceView(health, app, device);
    expectSame(view, books.device(app, device), `${when}, ${app} ${device}`);
  }
  onProgress?.(`${when}: ${compared} counts are equal`);
  return { compared, silent: sumOf(counts, "silent"), returnedLate: sumOf(counts, "returned_late") };
}
