// One simulated device as a state machine over simulated time; pure. Enters: what the update server
// offers when the device checks in. Leaves: the device's next state and the reports it will send, with
// the delays, duplicates and reorderings of a real network. What becomes of a device under a version is
// a function of (seed, device, version, rates) and of nothing else, so a rerun tells the same story.
import { createRandom } from "./random.ts";
import type { Random } from "./random.ts";

export const DEVICE_EVENTS = [
  "update_started",
  "download_failed",
  "installed",
  "install_failed",
  "confirmed",
  "reverted",
  "crashed",
  "not_responding",
  "active",
] as const;
export type DeviceEvent = (typeof DEVICE_EVENTS)[number];

/** Chances per device that takes the release up; each 0..1. */
export interface ReleaseRates {
  /** The update fails: `install_failed` or `reverted` is reported. The "bad rate" of a release. */
  readonly failureRatio: number;
  /** Of those that do not fail: `download_failed` is reported. */
  readonly downloadFailureRatio: number;
  /** Of those that do not fail: nothing is ever heard again after `update_started`. */
  readonly silentRatio: number;
  /** Of those that come to run the release: `crashed` is reported. */
  readonly crashRatio: number;
  /** Of those that come to run the release: `not_responding` is reported. */
  readonly notRespondingRatio: number;
}

export const HEALTHY_RATES: ReleaseRates = {
  failureRatio: 0.01,
  downloadFailureRatio: 0.006,
  silentRatio: 0.003,
  crashRatio: 0.008,
  notRespondingRatio: 0.002,
};

export interface Strata {
  readonly platform: string;
  readonly model: string;
  readonly os_version: string;
  readonly native_version: string;
}

export type DevicePhase = "idle" | "updating" | "silent";

export interface SimulatedDevice {
  readonly index: number;
  readonly id: string;
  readonly strata: Strata;
  /** The version that it runs now. */
  readonly running: string;
  readonly phase: DevicePhase;
  /** The version that it tried, failed and does not try again while it is offered. */
  readonly gaveUpOn: string | undefined;
}

/** A report that will be sent; times count from the check-in that caused it, in milliseconds. */
export interface PlannedReport {
  readonly event: DeviceEvent;
  readonly occursAfterMs: number;
  /** Later than it occurred where the network held it back; copies come later still. */
  readonly sentAfterMs: number;
  readonly isDuplicate: boolean;
  readonly isLate: boolean;
  /** Whether the report carries `at`; without it the receiver's clock counts. */
  readonly hasTime: boolean;
  readonly id: string | undefined;
  readonly reason: string | undefined;
  readonly crash: { readonly fingerprint: string; readonly type: string } | undefined;
}

export type Fate = "confirmed" | "install_failed" | "reverted" | "download_failed" | "silent";

export interface UpdatePlan {
  readonly fate: Fate;
  readonly reports: readonly PlannedReport[];
  /** When the update is over, in milliseconds; a silent device never gets there. */
  readonly settledAfterMs: number | undefined;
  /** Whether the device runs the new version when the update is over. */
  readonly runsNewVersion: boolean;
}

export type CheckIn =
  | { readonly kind: "updates"; readonly device: SimulatedDevice; readonly plan: UpdatePlan }
  | { readonly kind: "stays"; readonly reports: readonly PlannedReport[] }
  | { readonly kind: "busy" }
  | { readonly kind: "silent" };

export interface FateKey {
  readonly seed: number;
  readonly deviceId: string;
  readonly version: string;
  readonly rates: ReleaseRates;
}

const MODELS = [
  { platform: "android", model: "T2 Mini", osVersions: ["11", "12"] },
  { platform: "android", model: "V3 Mix", osVersions: ["12", "13", "14"] },
  { platform: "ios", model: "iPad13,18", osVersions: ["17.6", "18.2"] },
  { platform: "linux", model: "NUC12", osVersions: ["6.1", "6.6"] },
] as const;
const NATIVE_VERSIONS = ["4.0.0", "4.1.0"] as const;

export function createDevice(seed: number, index: number, running: string): SimulatedDevice {
  const id = `till-${String(index).padStart(6, "0")}`;
  const random = createRandom(seed, id, "strata");
  const { platform, model, osVersions } = random.pick(MODELS);
  const strata: Strata = {
    platform,
    model,
    os_version: random.pick<string>(osVersions),
    native_version: random.pick(NATIVE_VERSIONS),
  };
  return { index, id, strata, running, phase: "idle", gaveUpOn: undefined };
}

/** The device asks what it should run and acts on the answer. */
export function checkIn(
  device: SimulatedDevice,
  { seed, offered, rates }: { seed: number; offered: string; rates: ReleaseRates },
): CheckIn {
  switch (device.phase) {
    case "silent":
      return { kind: "silent" };
    case "updating":
      return { kind: "busy" };
    case "idle":
      break;
  }
  if (offered === device.running || offered === device.gaveUpOn)
    return { kind: "stays", reports: heartbeat(seed, device) };
  const plan = planUpdate({ seed, deviceId: device.id, version: offered, rates });
  return { kind: "updates", device: { ...device, phase: "updating", gaveUpOn: undefined }, plan };
}

/** The state after an update, whenever its plan says that it is over; at once for a silent device. */
export function settle(device: SimulatedDevice, version: string, plan: UpdatePlan): SimulatedDevice {
  if (plan.fate === "silent") return { ...device, phase: "silent" };
  return plan.runsNewVersion
    ? { ...device, phase: "idle", running: version, gaveUpOn: undefined }
    : { ...device, phase: "idle", gaveUpOn: version };
}

export function planUpdate(key: FateKey): UpdatePlan {
  const random = createRandom(key.seed, key.deviceId, key.version);
  const fate = drawFate(random, key.rates);
  const story = createStory();
  story.tell("update_started", 0);
  TELL[fate](story, random);
  if (story.runsNewVersion) tellOfRunning(story, random, key.rates);
  return {
    fate,
    reports: story.moments.flatMap((moment, order) =>
      deliver(moment, random, `${key.deviceId}:${key.version}:${order}`),
    ),
    settledAfterMs: fate === "silent" ? undefined : story.settledAfterMs,
    runsNewVersion: story.runsNewVersion,
  };
}

/** `active`, sent at each check-in by a device that has nothing to do. */
function heartbeat(seed: number, device: SimulatedDevice): PlannedReport[] {
  const random = createRandom(seed, device.id, device.running, "active");
  return deliver({ event: "active", atMs: 0 }, random, undefined);
}

function drawFate(random: Random, rates: ReleaseRates): Fate {
  if (random.chance(rates.failureRatio)) return random.chance(0.7) ? "install_failed" : "reverted";
  const draw = random.next();
  if (draw < rates.silentRatio) return "silent";
  return draw < rates.silentRatio + rates.downloadFailureRatio ? "download_failed" : "confirmed";
}

interface Moment {
  readonly event: DeviceEvent;
  readonly atMs: number;
  readonly reason?: string;
  readonly crash?: { readonly fingerprint: string; readonly type: string };
}

interface Story {
  readonly moments: Moment[];
  settledAfterMs: number;
  runsNewVersion: boolean;
  /** Adds what happens `afterMs` after the last thing told. */
  tell(event: DeviceEvent, afterMs: number, details?: Pick<Moment, "reason" | "crash">): void;
}

function createStory(): Story {
  const story: Story = {
    moments: [],
    settledAfterMs: 0,
    runsNewVersion: false,
    tell: (event, afterMs, details = {}) => {
      story.settledAfterMs += Math.round(afterMs);
      story.moments.push({ event, atMs: story.settledAfterMs, ...details });
    },
  };
  return story;
}

// A demo's devices live faster than real ones: seconds stand for minutes. The order of things is real.
const downloadMs = (random: Random): number => random.between(200, 900);
const bootMs = (random: Random): number => random.between(200, 800);
const retryPauseMs = (random: Random): number => random.between(500, 1_500);

const INSTALL_FAILURES = ["checksum_mismatch", "disk_full", "signature_invalid", "unpack_failed"] as const;
const DOWNLOAD_FAILURES = ["timeout", "connection_lost", "disk_full"] as const;
const CRASHES = [
  { fingerprint: "a41f09", type: "NullPointerException" },
  { fingerprint: "77c2d0", type: "OutOfMemoryError" },
] as const;
const BOOT_CRASH = { fingerprint: "b007ed", type: "UnsatisfiedLinkError" };

const TELL: Record<Fate, (story: Story, random: Random) => void> = {
  confirmed: succeed,
  install_failed: (story, random) => {
    const reason = random.pick(INSTALL_FAILURES);
    story.tell("install_failed", downloadMs(random), { reason });
    if (!random.chance(0.4)) return;
    story.tell("update_started", retryPauseMs(random));
    if (random.chance(0.5)) succeed(story, random);
    else story.tell("install_failed", downloadMs(random), { reason });
  },
  reverted: (story, random) => {
    story.tell("installed", downloadMs(random));
    if (random.chance(0.5)) story.tell("crashed", bootMs(random), { crash: BOOT_CRASH });
    story.tell("reverted", bootMs(random), { reason: "boot_check_failed" });
  },
  download_failed: (story, random) => {
    story.tell("download_failed", downloadMs(random), { reason: random.pick(DOWNLOAD_FAILURES) });
    if (!random.chance(0.5)) return;
    story.tell("update_started", retryPauseMs(random));
    succeed(story, random);
  },
  silent: () => {},
};

function succeed(story: Story, random: Random): void {
  story.tell("installed", downloadMs(random));
  story.tell("confirmed", bootMs(random));
  story.runsNewVersion = true;
}

/** What follows a success does not hold the device back: it may check in again meanwhile. */
function tellOfRunning(story: Story, random: Random, rates: ReleaseRates): void {
  const runsFromMs = story.settledAfterMs;
  const later = (event: DeviceEvent, details?: Pick<Moment, "crash">): void => {
    story.moments.push({ event, atMs: Math.round(runsFromMs + random.between(300, 4_000)), ...details });
  };
  if (random.chance(0.5)) later("active");
  if (random.chance(rates.crashRatio)) later("crashed", { crash: random.pick(CRASHES) });
  if (random.chance(rates.notRespondingRatio)) later("not_responding");
}

/** Shares of reports that are sent late, that overtake each other, and that are sent more than once. */
const LATE_RATIO = 0.03;
const HELD_BACK_RATIO = 0.06;
const DUPLICATE_RATIO = 0.06;

/** One moment as the reports that come of it: usually one, at once. */
function deliver(moment: Moment, random: Random, id: string | undefined): PlannedReport[] {
  const isLate = random.chance(LATE_RATIO);
  const heldBackMs = random.chance(HELD_BACK_RATIO) ? random.between(100, 1_500) : 0;
  const first: PlannedReport = {
    event: moment.event,
    occursAfterMs: moment.atMs,
    sentAfterMs: Math.round(moment.atMs + heldBackMs + (isLate ? random.between(2_000, 6_000) : 0)),
    isDuplicate: false,
    isLate,
    // A late report without its time would claim that it happened only now.
    hasTime: isLate || random.chance(0.8),
    id: random.chance(0.5) ? id : undefined,
    reason: moment.reason,
    crash: moment.crash,
  };
  if (!random.chance(DUPLICATE_RATIO)) return [first];
  const copies = random.chance(0.2) ? 2 : 1;
  return [
    first,
    ...Array.from({ length: copies }, () => ({
      ...first,
      isDuplicate: true,
      sentAfterMs: Math.round(first.sentAfterMs + random.between(50, 3_000)),
    })),
  ];
}
