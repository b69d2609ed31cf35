// The demo's story, top to bottom: a fleet on 1.4.0, a good release that stays, a bad one that is rolled
// back, and the comparison of the books. Enters: the running stack. Leaves: what was seen, for the
// timeline and the exit code. Waiting is done by looking at what the processes say, never by guessing.
import { setTimeout as sleep } from "node:timers/promises";
import { compareBooks } from "./books.ts";
import type { BookDifference, VersionBook } from "./books.ts";
import { isAlive, readPid } from "./demo-stack.ts";
import type { Stack } from "./demo-stack.ts";
import type { Child } from "./child-process.ts";
import type { FleetMessage } from "./fleet-messages.ts";
import type {
  Decision,
  LastgoodClient,
  OtaServerClient,
  ReleaseStatus,
  RollbackCall,
} from "./lastgood-client.ts";

export const FIRST = "1.4.0";
export const GOOD = "1.5.0";
export const BAD = "1.6.0";
/** Failure rate of the releases that are not the bad one, a ratio. */
export const GOOD_RATIO = 0.01;

export interface StoryOptions {
  readonly seed: number;
  readonly devices: number;
  readonly badRatio: number;
  readonly rolloutSeconds: number;
  readonly killAgent: boolean;
}

/** What happened when; `atMs` counts from the start of the story. */
export interface Happening {
  readonly atMs: number;
  readonly text: string;
}

/** What is known now; one object that the story keeps up to date and the screen draws. */
export interface World {
  phase: string;
  fleet: FleetMessage | undefined;
  releases: readonly ReleaseStatus[];
  decisions: readonly Decision[];
  rollbacks: readonly RollbackCall[];
  channelVersion: string | undefined;
}

export interface StoryResult {
  readonly happenings: readonly Happening[];
  readonly final: FleetMessage;
  readonly releases: readonly ReleaseStatus[];
  readonly decisions: readonly Decision[];
  readonly rollbacks: readonly RollbackCall[];
  readonly differences: readonly BookDifference[];
  readonly isGoodRolledBack: boolean;
  readonly isBadRolledBack: boolean;
  readonly kill: AgentKill;
}

export interface AgentKill {
  readonly kind: "not_asked" | "restarted" | "not_restarted";
  /** Epoch milliseconds; undefined when nobody asked for it. */
  readonly atMs: number | undefined;
}

export interface StoryDeps {
  readonly stack: Stack;
  readonly lastgood: LastgoodClient;
  readonly ota: OtaServerClient;
  readonly world: World;
  /** Aborted by Ctrl-C and by a process that ends when it should not. */
  readonly signal: AbortSignal;
  readonly onHappening: (happening: Happening) => void;
}

/** A wait that did not come to its end; the message says for what and for how long. */
export class StoryTimeout extends Error {}

const READY_MS_MAX = 60_000;
const WATCH_MS = 250;
/** How long a release that was taken up by all is watched further before it counts as "stays". */
const STAYS_MS = 3_000;
/** How long an agent that does not catch up is waited for; the books then show what it lacks. */
const CATCH_UP_MS_MAX = 15_000;
const BOOKS_MS_MAX = 30_000;
const RESTART_MS_MAX = 30_000;

interface Teller extends StoryDeps {
  readonly options: StoryOptions;
  readonly happenings: Happening[];
  readonly settleMsMax: number;
  say(text: string): void;
  until(what: string, msMax: number, condition: () => boolean | Promise<boolean>): Promise<void>;
}

export async function tellStory(deps: StoryDeps, options: StoryOptions): Promise<StoryResult> {
  const story = createTeller(deps, options);
  await story.until("Lastgood to be ready", READY_MS_MAX, () => deps.lastgood.isReady());
  const fleet = startFleet(story);
  const watch = watchWorld(story);
  try {
    await warmUp(story);
    const isGoodRolledBack = await rollOutGood(story);
    const kill = await rollOutBad(story);
    const final = await stopFleet(story, fleet);
    const differences = await compareWithAgent(story, final.books);
    await watch.refresh();
    const { releases, decisions, rollbacks } = deps.world;
    return {
      happenings: story.happenings,
      final,
      releases,
      decisions,
      rollbacks,
      differences,
      isGoodRolledBack: isGoodRolledBack || rollbackOf(deps.world, GOOD) !== undefined,
      isBadRolledBack: rollbackOf(deps.world, BAD) !== undefined,
      kill,
    };
  } finally {
    watch.stop();
  }
}

function createTeller(deps: StoryDeps, options: StoryOptions): Teller {
  const startedAtMs = Date.now();
  const happenings: Happening[] = [];
  return {
    ...deps,
    options,
    happenings,
    settleMsMax: options.rolloutSeconds * 3_000 + 60_000,
    say: (text) => {
      const happening = { atMs: Date.now() - startedAtMs, text };
      happenings.push(happening);
      deps.onHappening(happening);
    },
    until: async (what, msMax, condition) => {
      deps.world.phase = `waiting for ${what}`;
      const deadline = Date.now() + msMax;
      while (!(await condition())) {
        deps.signal.throwIfAborted();
        if (Date.now() > deadline)
          throw new StoryTimeout(`waited ${Math.round(msMax / 1_000)} s for ${what}, in vain`);
        await sleep(100);
      }
      deps.signal.throwIfAborted();
    },
  };
}

function startFleet({ stack, world, options }: Teller): Child {
  const { seed, devices, rolloutSeconds, badRatio } = options;
  return stack.startFleet({
    seed,
    devices,
    rolloutSeconds,
    fails: { [FIRST]: GOOD_RATIO, [GOOD]: GOOD_RATIO, [BAD]: badRatio },
    onMessage: (message) => void (world.fleet = message),
  });
}

/** Looks at the agent and the OTA server all the time; an agent that is away keeps its last numbers. */
function watchWorld({ lastgood, ota, world }: Teller): { refresh(): Promise<void>; stop(): void } {
  const refresh = async (): Promise<void> => {
    const [releases, decisions, rollbacks, channelVersion] = await Promise.allSettled([
      lastgood.releases(),
      lastgood.decisions(),
      ota.rollbacks(),
      ota.channelVersion(),
    ]);
    if (releases.status === "fulfilled") world.releases = releases.value;
    if (decisions.status === "fulfilled") world.decisions = decisions.value;
    if (rollbacks.status === "fulfilled") world.rollbacks = rollbacks.value;
    if (channelVersion.status === "fulfilled") world.channelVersion = channelVersion.value;
  };
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    void refresh().finally(() => void (isBusy = false));
  }, WATCH_MS);
  return { refresh, stop: () => clearInterval(timer) };
}

/** The OTA server's own record of the rollback that took the channel off this version. */
export function rollbackOf(
  world: { readonly rollbacks: readonly RollbackCall[] },
  version: string,
): RollbackCall | undefined {
  return world.rollbacks.find(({ status, body }) => status === 200 && body?.from === version);
}

async function warmUp(story: Teller): Promise<void> {
  const { world, options } = story;
  story.say(`${count(options.devices)} devices, nearly all on ${FIRST}, which the channel offers`);
  const untilMs = Date.now() + Math.min(6_000, options.rolloutSeconds * 400);
  await story.until(`the first reports of ${FIRST}`, READY_MS_MAX, () => {
    const hasReports = world.releases.some(({ version }) => version === FIRST);
    return hasReports && Date.now() >= untilMs;
  });
}

/** Publishes the good release; true when it was rolled back, which it must not be. */
async function rollOutGood(story: Teller): Promise<boolean> {
  const { world, ota } = story;
  await ota.publish(GOOD);
  story.say(`${GOOD} is published; it fails for ${percent(GOOD_RATIO)} of devices`);
  await story.until(`the fleet to take up ${GOOD}`, story.settleMsMax, () => {
    return hasSettledOn(GOOD, world) || rollbackOf(world, GOOD) !== undefined;
  });
  const isRolledBack = rollbackOf(world, GOOD) !== undefined;
  if (isRolledBack) story.say(`${GOOD} was rolled back, although it is a good release`);
  else story.say(`${GOOD} runs on ${count(world.fleet?.fleet.running[GOOD] ?? 0)} devices and stays`);
  return isRolledBack;
}

async function rollOutBad(story: Teller): Promise<AgentKill> {
  const { world, ota, options } = story;
  await ota.publish(BAD);
  story.say(`${BAD} is published; it fails for ${percent(options.badRatio)} of devices`);
  const kill = options.killAgent ? await killAgent(story) : ({ kind: "not_asked", atMs: undefined } as const);
  let settledSinceMs = Number.POSITIVE_INFINITY;
  await story.until(`the fleet to take up ${BAD}, or a rollback`, story.settleMsMax, () => {
    if (rollbackOf(world, BAD) !== undefined) return true;
    settledSinceMs = hasSettledOn(BAD, world)
      ? Math.min(settledSinceMs, Date.now())
      : Number.POSITIVE_INFINITY;
    const settledMs = Date.now() - settledSinceMs;
    return settledMs > (hasCaughtUpWith(BAD, world) ? STAYS_MS : CATCH_UP_MS_MAX);
  });
  const call = rollbackOf(world, BAD);
  if (call === undefined) {
    story.say(`${BAD} runs on ${count(world.fleet?.fleet.running[BAD] ?? 0)} devices and stays`);
    return kill;
  }
  const target = call.body?.to ?? FIRST;
  story.say(`Lastgood rolls the channel back: ${BAD} → ${target}`);
  await story.until(`the fleet to return to ${target}`, story.settleMsMax, () => hasSettledOn(target, world));
  story.say(`the fleet is back: ${count(world.fleet?.fleet.running[target] ?? 0)} devices on ${target}`);
  return kill;
}

/** True when the channel offers this version and every device that can take it up has done so. */
function hasSettledOn(version: string, { fleet }: World): boolean {
  return fleet !== undefined && fleet.offered === version && fleet.fleet.isSettled;
}

/** True when the agent knows of every attempt; heartbeats may still be on their way, as they always are. */
function hasCaughtUpWith(version: string, { fleet, releases }: World): boolean {
  const release = releases.find((one) => one.version === version);
  return release?.devices["attempted"] === fleet?.books[version]?.attempted;
}

async function waitingEntries({ lastgood }: Teller): Promise<number> {
  return lastgood.waitingEntries().catch(() => Number.POSITIVE_INFINITY);
}

/** Devices that must have begun with the bad release before the agent is killed, as a share of the fleet. */
const KILL_AT_RATIO = 0.01;

async function killAgent(story: Teller): Promise<AgentKill> {
  const { world, options, stack } = story;
  await story.until(`the first devices on ${BAD}`, story.settleMsMax, () => {
    const started = world.fleet?.books[BAD]?.update_started ?? 0;
    return started >= KILL_AT_RATIO * options.devices;
  });
  const pid = readPid(stack.dataDir, "agent");
  if (pid === undefined || !isAlive(pid)) throw new Error("the agent's pid file names no living process");
  const killedAtMs = Date.now();
  process.kill(pid, "SIGKILL");
  story.say(`the agent (process ${pid}) is killed with SIGKILL`);
  try {
    await story.until("the agent to come back", RESTART_MS_MAX, async () => {
      const next = readPid(stack.dataDir, "agent");
      return next !== undefined && next !== pid && isAlive(next) && (await story.lastgood.isReady());
    });
  } catch (error) {
    if (error instanceof StoryTimeout) return { kind: "not_restarted", atMs: killedAtMs };
    throw error;
  }
  const awaySeconds = ((Date.now() - killedAtMs) / 1_000).toFixed(1);
  story.say(`the agent is back as process ${readPid(stack.dataDir, "agent")}, after ${awaySeconds} s`);
  return { kind: "restarted", atMs: killedAtMs };
}

async function stopFleet(story: Teller, fleet: Child): Promise<FleetMessage> {
  fleet.expectEnd();
  fleet.write(JSON.stringify({ cmd: "stop" }));
  await story.until("the last late reports", story.settleMsMax, () => fleet.hasEnded());
  const final = story.world.fleet;
  if (final?.kind !== "final") throw new Error("the fleet ended without its final books");
  return final;
}

/** Waits until nothing waits and the counts are equal; what still differs after a while is the answer. */
async function compareWithAgent(
  story: Teller,
  books: Readonly<Record<string, VersionBook>>,
): Promise<BookDifference[]> {
  let differences: BookDifference[] = [];
  try {
    await story.until("the agent to have counted everything", BOOKS_MS_MAX, async () => {
      if ((await waitingEntries(story)) !== 0) return false;
      const releases = await story.lastgood.releases().catch(() => []);
      differences = compareBooks(
        books,
        Object.fromEntries(releases.map(({ version, devices }) => [version, devices])),
      );
      return differences.length === 0;
    });
  } catch (error) {
    if (!(error instanceof StoryTimeout)) throw error;
    if (differences.length === 0) throw error;
  }
  return differences;
}

export function count(value: number): string {
  return value.toLocaleString("en-GB");
}

export function percent(ratio: number, digits = 1): string {
  return `${(ratio * 100).toFixed(digits)} %`;
}
