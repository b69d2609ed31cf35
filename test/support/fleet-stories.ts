// What the devices of a fleet say, and when each word arrives: updates that go well or badly, crashes, hours
// of use, devices that never answer, broken clocks, words that come days late, in any order, or twice.
// Enters: a seed and a span of time. Leaves: sayings in the order in which they arrive. Pure.
import { EVENTS } from "../../ingest/contract/device-report.ts";
import type { DeviceEvent, DeviceReport } from "../../ingest/contract/device-report.ts";
import type { AppId, Channel, ChannelKey, Version } from "../../ingest/contract/release-key.ts";
import { createRandom } from "../simulation/random.ts";
import type { Random } from "../simulation/random.ts";
import { TILL } from "./verdicts.ts";

export const BETA: ChannelKey = { ...TILL, channel: "beta" as Channel };
/** Of a policy with a short deadline: its devices announce an update and are never heard of again. */
export const FIELD: ChannelKey = { ...TILL, channel: "field" as Channel };
/** Its counts are split by the model alone. */
export const KIOSK: ChannelKey = { app: "com.acme.kiosk" as AppId, channel: "production" as Channel };
export const STORY_CHANNELS = [TILL, BETA, FIELD, KIOSK];

/** Released one after the other; every device says when it begins with one of them. */
export const ANNOUNCED_VERSIONS = ["1.3.0", "1.4.0", "1.5.0"].map((text) => text as Version);
/** Of these devices say anything, in any order. */
const WILD_VERSIONS = ["1.6.0-rc.1", "1.6.0"].map((text) => text as Version);

export interface Saying {
  readonly report: DeviceReport;
  readonly arrivesAtMs: number;
}

export interface StoryOptions {
  readonly seed: number;
  readonly devices: number;
  /** All of it arrives in this span, epoch milliseconds; some of it happened days before. */
  readonly fromMs: number;
  readonly toMs: number;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const REASONS =
  "checksum|disk full|power lost|no signature|battery low|timeout|boot loop|missing file|old bootloader|no memory|refused|unknown".split(
    "|",
  );
/** Share of sayings that arrive once more. */
const REPEATED_SHARE = 0.15;

export function tellStories(options: StoryOptions): Saying[] {
  const sayings = Array.from({ length: options.devices }, (_, index) => storyOf(index, options)).flat();
  return sayings.toSorted((left, right) => left.arrivesAtMs - right.arrivesAtMs);
}

/** A device that tells its story. */
interface Teller {
  readonly random: Random;
  readonly options: StoryOptions;
  /** `atMs` by the device's clock; undefined = it has none. */
  readonly say: (version: Version, event: DeviceEvent, atMs: number | undefined) => void;
}

function storyOf(index: number, options: StoryOptions): Saying[] {
  const { seed, fromMs, toMs } = options;
  const random = createRandom(seed, "device", index);
  const channel = channelOf(random);
  const device = `device-${index}`;
  const describe = describer(random);
  const isLate = random.chance(0.1);
  const story: Saying[] = [];
  const arrivalOf = (atMs: number): number => {
    if (isLate) return random.between(fromMs, toMs);
    const delayMs = random.chance(0.8) ? random.between(0, MINUTE_MS) : random.between(0, 2 * HOUR_MS);
    return Math.min(toMs, Math.max(fromMs, atMs + delayMs));
  };
  const teller: Teller = {
    random,
    options,
    say(version, event, atMs) {
      const report: DeviceReport = { ...channel, device, version, event, ...describe(event) };
      const arrivesAtMs = arrivalOf(atMs ?? random.between(fromMs, toMs));
      story.push({ report: atMs === undefined ? report : { ...report, at: Math.floor(atMs) }, arrivesAtMs });
    },
  };
  const startMs = isLate
    ? fromMs - random.between(HOUR_MS, 6 * DAY_MS)
    : random.between(fromMs, toMs - HOUR_MS);
  if (channel === FIELD) tellQuiet(teller, startMs);
  else if (random.chance(0.12)) tellWild(teller);
  else if (random.chance(0.02)) tellFailures(teller, startMs);
  else tellUpdates(teller, startMs);
  return withRepeats(story, random, toMs);
}

function channelOf(random: Random): ChannelKey {
  const share = random.next();
  if (share < 0.08) return FIELD;
  if (share < 0.18) return KIOSK;
  return share < 0.4 ? BETA : TILL;
}

/** What a device tells of itself and of a failure. It does not tell all of it each time. */
function describer(random: Random): (event: DeviceEvent) => Partial<DeviceReport> {
  const platform = random.pick(["android", "linux"]);
  const model = `${platform}-${random.pick(["A", "B"])}`;
  const native_version = random.chance(0.05) ? "7" : undefined;
  const tellsNothing = random.chance(0.1);
  const isUpgraded = random.chance(0.03);
  let os_version = random.pick(["9", "10"]);
  return (event) => {
    const failure = /failed|reverted/.test(event) && random.chance(0.9) ? random.pick(REASONS) : undefined;
    if (isUpgraded && random.chance(0.2)) os_version = "11";
    const told = tellsNothing ? {} : { platform, model, os_version, native_version };
    const fields = { ...told, reason: failure };
    return Object.fromEntries(
      Object.entries(fields).filter(([, text]) => text !== undefined && random.chance(0.8)),
    );
  };
}

/** One word, and never another one: it is silent once, whenever somebody looks. */
function tellQuiet({ random, say }: Teller, startMs: number): void {
  say(random.pick(ANNOUNCED_VERSIONS), random.pick(["update_started", "installed"]), startMs);
}

/** One update after the other, until the story is over, or the device says nothing any more. */
function tellUpdates(teller: Teller, startMs: number): void {
  let atMs = startMs;
  for (const version of ANNOUNCED_VERSIONS) {
    if (teller.random.chance(0.15)) continue;
    const endMs = tellUpdate(teller, version, atMs);
    if (endMs === undefined) return;
    atMs = endMs + teller.random.between(5 * MINUTE_MS, HOUR_MS);
  }
}

/** Leaves: when it was over; undefined = the device never answers. */
function tellUpdate(teller: Teller, version: Version, startMs: number): number | undefined {
  const { random } = teller;
  let atMs = startMs;
  const then = (event: DeviceEvent, waitMsMax: number): void => {
    // What has not happened yet is not told.
    if (atMs <= teller.options.toMs) teller.say(version, event, atMs);
    atMs += random.between(SECOND_MS, waitMsMax);
  };
  then("update_started", 5 * MINUTE_MS);
  if (random.chance(0.05)) return undefined;
  if (random.chance(0.1)) then("download_failed", 10 * MINUTE_MS);
  if (random.chance(0.07)) {
    then("install_failed", MINUTE_MS);
    return atMs;
  }
  then("installed", 10 * MINUTE_MS);
  if (random.chance(0.04)) return undefined;
  if (random.chance(0.06)) {
    then("reverted", 20 * MINUTE_MS);
    if (random.chance(0.6)) return atMs;
  }
  then("confirmed", HOUR_MS);
  // Some crash, or hang, whenever they are used.
  const badShare = random.chance(0.05) ? 1 : 0.1;
  for (let hours = Math.floor(random.between(0, 5)); hours > 0; hours -= 1) {
    then(random.chance(badShare) ? random.pick(["crashed", "not_responding"]) : "active", HOUR_MS);
  }
  return atMs;
}

/** Anything about anything, by a clock that may be wrong, or by none. */
function tellWild({ random, options: { toMs }, say }: Teller): void {
  const clock = random.pick(["right", "right", "none", "stopped", "ahead"]);
  const timeOf = (): number | undefined => {
    if (clock === "none") return undefined;
    if (clock === "stopped") return 0;
    const agoMs = random.chance(0.7) ? random.between(0, 2 * HOUR_MS) : random.between(0, 6 * DAY_MS);
    return clock === "ahead" ? toMs + DAY_MS : toMs - agoMs;
  };
  for (let words = Math.ceil(random.between(0, 12)); words > 0; words -= 1)
    say(random.pick(WILD_VERSIONS), random.pick(EVENTS), timeOf());
}

/** Failures for more reasons than are kept of a device. */
function tellFailures({ random, say }: Teller, startMs: number): void {
  const version = random.pick(WILD_VERSIONS);
  for (let failures = 0; failures < 14; failures += 1) {
    const event = random.pick(["download_failed", "install_failed", "reverted"] as const);
    say(version, event, startMs + random.between(0, HOUR_MS));
  }
}

function withRepeats(story: readonly Saying[], random: Random, toMs: number): Saying[] {
  const repeats = story.filter(() => random.chance(REPEATED_SHARE));
  const again = repeats.map(({ report, arrivesAtMs }) => ({
    report,
    // At once, or much later.
    arrivesAtMs: random.chance(0.5) ? arrivesAtMs : random.between(arrivesAtMs, toMs),
  }));
  return [...story, ...again];
}
