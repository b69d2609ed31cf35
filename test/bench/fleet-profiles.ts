// What a simulated fleet says, hour by hour: the lives of devices that memory and speed are measured with.
// Enters: how many devices. Leaves: reports in the order in which they are sent, on a simulated clock that
// begins in January 2026. The same number of devices always says the same.
import type { DeviceEvent } from "../../ingest/contract/device-report.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Midnight of the day in which the newest release of a profile rolls out. */
const ROLLOUT_MS = Date.UTC(2026, 0, 31);

/** One report of one device. */
export interface Said {
  /** 0 to the number of devices - 1. */
  readonly device: number;
  readonly version: string;
  readonly event: DeviceEvent;
  /** By the device's clock; hours of use are sent when the day's use is over. */
  readonly atMs: number;
  readonly sentAtMs: number;
}

export interface FleetHour {
  readonly endMs: number;
  /** By the time at which they are sent. */
  readonly said: readonly Said[];
}

export interface Profile {
  readonly name: string;
  /** For people: what a device does, in a line. */
  readonly describes: string;
  /** Hours in which nobody says anything are left out. */
  hours(devices: number): Iterable<FleetHour>;
}

/** Devices send in the order of their numbers, evenly over the day. */
function momentOf(device: number, devices: number): number {
  return Math.floor((device / devices) * DAY_MS);
}

/** The devices whose moment of the day is in the hour (0 to 23). */
function devicesOfHour(hour: number, devices: number): number[] {
  const first = Math.ceil((hour * devices) / 24);
  const end = Math.ceil(((hour + 1) * devices) / 24);
  return Array.from({ length: end - first }, (_, index) => first + index);
}

/** A day in which every device says something at its moment, and perhaps in the hours after it. */
function* day(
  startMs: number,
  devices: number,
  say: (device: number, momentMs: number) => readonly Said[],
  hours = 24,
): Generator<FleetHour> {
  let later: Said[] = [];
  for (let hour = 0; hour < hours; hour += 1) {
    const endMs = startMs + (hour + 1) * HOUR_MS;
    const speaking = hour < 24 ? devicesOfHour(hour, devices) : [];
    const all = [
      ...later,
      ...speaking.flatMap((device) => say(device, startMs + momentOf(device, devices))),
    ].toSorted((left, right) => left.sentAtMs - right.sentAtMs);
    const firstLater = all.findIndex(({ sentAtMs }) => sentAtMs >= endMs);
    const said = firstLater === -1 ? all : all.slice(0, firstLater);
    later = firstLater === -1 ? [] : all.slice(firstLater);
    if (said.length > 0) yield { endMs, said };
  }
}

/** How long after the update began, in milliseconds. */
const INSTALLED_AFTER_MS = 4 * 60_000;
const CONFIRMED_AFTER_MS = 9 * 60_000;

function said(device: number, version: string, event: DeviceEvent, atMs: number, sentAtMs = atMs): Said {
  return { device, version, event, atMs, sentAtMs };
}

function update(device: number, version: string, atMs: number): Said[] {
  return [
    said(device, version, "update_started", atMs),
    said(device, version, "installed", atMs + INSTALLED_AFTER_MS),
    said(device, version, "confirmed", atMs + CONFIRMED_AFTER_MS),
  ];
}

/** The hours of use, each so many hours before the device's moment, sent in one go. */
function use(device: number, version: string, sentAtMs: number, hoursAgo: readonly number[]): Said[] {
  return hoursAgo.map((hours) => said(device, version, "active", sentAtMs - hours * HOUR_MS, sentAtMs));
}

/** Of the 12 hours before its moment a device is in use for about 6, others every day. */
function someHoursAgo(device: number, dayNumber: number): number[] {
  const bits = scramble(device * 31 + dayNumber);
  return Array.from({ length: 12 }, (_, hours) => hours).filter((hours) => ((bits >>> hours) & 1) === 1);
}

/** A whole number of 32 bits that looks like chance (the finaliser of MurmurHash3, Austin Appleby, public domain). */
export function scramble(seed: number): number {
  let bits = seed | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

const ALL_HOURS_AGO = Array.from({ length: 24 }, (_, hours) => hours);
/** Releases that a device of `week` had before. */
const PAST_RELEASES = 12;

const ROLLOUT: Profile = {
  name: "rollout",
  describes:
    "confirmed on the old release a month ago, in use about 6 hours a day for a week; then updates, and is in use for 6 hours",
  *hours(devices) {
    yield* day(ROLLOUT_MS - 30 * DAY_MS, devices, (device, atMs) => [
      said(device, "1.0.0", "confirmed", atMs),
    ]);
    for (let ago = 7; ago >= 1; ago -= 1)
      yield* day(ROLLOUT_MS - ago * DAY_MS, devices, (device, sentAtMs) =>
        use(device, "1.0.0", sentAtMs, someHoursAgo(device, ago)),
      );
    const updateAndUse = (device: number, atMs: number): Said[] => [
      ...update(device, "1.1.0", atMs),
      ...[1, 2, 3, 4, 5, 6].map((hours) => said(device, "1.1.0", "active", atMs + hours * HOUR_MS)),
    ];
    yield* day(ROLLOUT_MS, devices, updateAndUse, 24 + 7);
  },
};

const FIRST_CONTACT: Profile = {
  name: "first-contact",
  describes: "one release: started, installed, confirmed",
  *hours(devices) {
    yield* day(ROLLOUT_MS, devices, (device, atMs) => update(device, "1.0.0", atMs), 25);
  },
};

const WEEK: Profile = {
  name: "week",
  describes: `${PAST_RELEASES} releases in its past, a week apart; then a week of use in every hour`,
  *hours(devices) {
    for (let past = 0; past < PAST_RELEASES; past += 1) {
      const startMs = ROLLOUT_MS - (PAST_RELEASES - past) * 7 * DAY_MS;
      yield* day(startMs, devices, (device, atMs) => [said(device, `1.${past}.0`, "confirmed", atMs)]);
    }
    const newest = `1.${PAST_RELEASES}.0`;
    yield* day(ROLLOUT_MS, devices, (device, atMs) => update(device, newest, atMs), 25);
    for (let days = 1; days <= 7; days += 1)
      yield* day(ROLLOUT_MS + days * DAY_MS, devices, (device, sentAtMs) =>
        use(device, newest, sentAtMs, ALL_HOURS_AGO),
      );
  },
};

export const PROFILES: readonly Profile[] = [ROLLOUT, FIRST_CONTACT, WEEK];

/** Kinds of device in a fleet. */
const KINDS = 20;

export interface DeviceKind {
  readonly platform: string;
  readonly model: string;
  readonly os_version: string;
  readonly native_version: string;
}

const DEVICE_KINDS: readonly DeviceKind[] = Array.from({ length: KINDS }, (_, kind) => ({
  platform: kind % 3 === 0 ? "ios" : "android",
  model: `T${kind}`,
  os_version: String(12 + (kind % 4)),
  native_version: `3.${kind % 5}.0`,
}));

const KIND_SHARES = DEVICE_KINDS.map((_, kind) => 1 / (kind + 1));
const KIND_SHARES_TOTAL = KIND_SHARES.reduce((sum, share) => sum + share, 0);

/** By Zipf's law: the second kind has half as many devices as the first, the third a third. */
export function kindOf(device: number): DeviceKind {
  let rest = (scramble(device) / 2 ** 32) * KIND_SHARES_TOTAL;
  let kind = 0;
  while (kind < KINDS - 1 && rest >= KIND_SHARES[kind]!) {
    rest -= KIND_SHARES[kind]!;
    kind += 1;
  }
  return DEVICE_KINDS[kind]!;
}
