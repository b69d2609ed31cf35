// The naive model is what the folding is compared with, so it is checked first: small stories, one or two for
// each rule of docs/counting.md, whose numbers were worked out by hand.
import { expect, test } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../../agent/health/counting-rules.ts";
import type { OutcomeCounts } from "../../../agent/health/outcomes.ts";
import type { DeviceEvent, DeviceReport } from "../../../ingest/contract/device-report.ts";
import type { AppId, Channel, Version } from "../../../ingest/contract/release-key.ts";
import { createNaiveCounts } from "../../support/naive-counts.ts";
import type { HourTally, NaiveCounts, ReleaseCounts } from "../../support/naive-counts.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Minute 29_497_680 and hour 491_628 since the epoch. */
const NOON_MS = Date.UTC(2026, 0, 31, 12);
const NOON_MINUTE = 29_497_680;
const APP = "com.acme.till" as AppId;
const RELEASE = `${APP}|production|1.4.0`;
const NEXT = `${APP}|production|1.5.0`;

interface Saying extends Partial<Omit<DeviceReport, "version">> {
  readonly version?: string;
  /** Default: the moment of the device's own time. */
  readonly receivedAtMs?: number;
}

/** Told at noon, of release 1.4.0 and device d1, if nothing else is said. */
function say(model: NaiveCounts, event: DeviceEvent, saying: Saying = {}): void {
  const { receivedAtMs, version = "1.4.0", at = NOON_MS, ...rest } = saying;
  const report = { app: APP, channel: "production" as Channel, device: "d1", event, at, ...rest };
  model.tell({ ...report, version: version as Version }, receivedAtMs ?? at);
}

/** Only what is not 0. */
function shown(counts: OutcomeCounts | HourTally | Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}

function windowsOf(release: ReleaseCounts): Record<string, Record<string, number>> {
  return Object.fromEntries(
    Object.entries(release.windows).map(([name, { devices, hours, answered }]) => [
      name,
      {
        ...shown(devices),
        ...shown(Object.fromEntries(Object.entries(hours).map(([what, count]) => [`${what}Hours`, count]))),
        ...shown(Object.fromEntries(answered.map((count, bin) => [`bin${bin}`, count]))),
      },
    ]),
  );
}

test("rule 1: a device counts once for each thing that it ever reported, and for what follows from it", () => {
  const model = createNaiveCounts();
  say(model, "update_started", { device: "a" });
  say(model, "install_failed", { device: "a" });
  say(model, "install_failed", { device: "a" });
  say(model, "confirmed", { device: "a" });
  say(model, "download_failed", { device: "b" });
  say(model, "reverted", { device: "c" });
  say(model, "crashed", { device: "d" });
  const { devices } = model.counts()[RELEASE]!;
  expect(devices).toEqual({
    update_started: 1,
    download_failed: 1,
    installed: 0,
    install_failed: 1,
    confirmed: 1,
    reverted: 1,
    crashed: 1,
    not_responding: 0,
    active: 0,
    attempted: 3,
    failed: 2,
    recovered: 1,
    announced: 1,
    failed_unannounced: 1,
    download_failed_unannounced: 1,
    silent: 0,
    returned_late: 0,
    running: 2,
    failed_announced: 1,
    download_failed_announced: 0,
  });
  say(model, "installed", { device: "b" });
  say(model, "installed", { device: "c" });
  expect(model.counts()[RELEASE]!.devices).toMatchObject({
    failed_unannounced: 0,
    download_failed_unannounced: 0,
    failed_announced: 2,
    download_failed_announced: 1,
  });
});

test("rule 2: a device stands in the minute of its earliest attempt, with the time that its answer took", () => {
  const model = createNaiveCounts();
  say(model, "installed", { at: NOON_MS + 90_000 });
  // The earlier attempt is told later; an answer comes seven minutes after it.
  say(model, "update_started", { at: NOON_MS + 59_999, receivedAtMs: NOON_MS + DAY_MS });
  say(model, "reverted", { at: NOON_MS + 7 * MINUTE_MS, receivedAtMs: NOON_MS + DAY_MS });
  expect(windowsOf(model.counts()[RELEASE]!)).toEqual({
    [`${NOON_MINUTE}/1 unknown`]: {
      update_started: 1,
      installed: 1,
      reverted: 1,
      attempted: 1,
      failed: 1,
      announced: 1,
      failed_announced: 1,
      bin6: 1,
    },
  });
});

test("rule 2: a time that was clamped is that of receipt, for the attempt and for the answer", () => {
  const receivedAtMs = NOON_MS + 30 * MINUTE_MS;
  const windowAt = (...sayings: [DeviceEvent, number][]) => {
    const model = createNaiveCounts();
    for (const [event, at] of sayings) say(model, event, { at, receivedAtMs });
    return Object.entries(windowsOf(model.counts()[RELEASE]!)).map(([name, { bin0, bin10 }]) => [
      Number(name.split("/")[0]) - NOON_MINUTE,
      bin0 ?? 0,
      bin10 ?? 0,
    ]);
  };
  expect(windowAt(["reverted", 0]).slice(0, 1)).toEqual([[30, 1, 0]]);
  expect(windowAt(["installed", receivedAtMs - 7 * DAY_MS])).toEqual([[30, 0, 0]]);
  expect(windowAt(["installed", receivedAtMs - 7 * DAY_MS + MINUTE_MS])).toEqual([
    [30 + 1 - 7 * 1_440, 0, 0],
  ]);
  expect(windowAt(["installed", receivedAtMs + 5 * MINUTE_MS])).toEqual([[30, 0, 0]]);
  expect(windowAt(["installed", receivedAtMs + 5 * MINUTE_MS - 1])).toEqual([[34, 0, 0]]);
  // Begun at noon, answered by a clock that was reset.
  expect(windowAt(["installed", NOON_MS], ["download_failed", 0]).slice(0, 1)).toEqual([[0, 0, 1]]);
});

test("rule 2: a device that only crashed stands in no window but that of its hour", () => {
  const model = createNaiveCounts();
  say(model, "crashed", { at: NOON_MS + 7 * MINUTE_MS });
  expect(windowsOf(model.counts()[RELEASE]!)).toEqual({
    [`${NOON_MINUTE}/1 unknown`]: { activeHours: 1, crashedHours: 1, firstCrashedHours: 1 },
  });
});

test("rule 2: failures that nothing announced stand in the minute in which the first was received", () => {
  const model = createNaiveCounts();
  // A slow clock: the failure seems to be a day old.
  say(model, "download_failed", { at: NOON_MS - DAY_MS, receivedAtMs: NOON_MS + 5 * MINUTE_MS });
  say(model, "reverted", { at: NOON_MS - DAY_MS, receivedAtMs: NOON_MS + 9 * MINUTE_MS });
  const yesterday = `${NOON_MINUTE - 1_440}/1 unknown`;
  const happened = { download_failed: 1, reverted: 1, attempted: 1, failed: 1, bin0: 1 };
  expect(windowsOf(model.counts()[RELEASE]!)).toEqual({
    [yesterday]: happened,
    [`${NOON_MINUTE + 5}/1 unknown`]: { failed_unannounced: 1, download_failed_unannounced: 1 },
  });
  say(model, "installed", { at: NOON_MS - DAY_MS, receivedAtMs: NOON_MS + 10 * MINUTE_MS });
  expect(windowsOf(model.counts()[RELEASE]!)).toEqual({
    [yesterday]: {
      ...happened,
      installed: 1,
      announced: 1,
      failed_announced: 1,
      download_failed_announced: 1,
    },
  });
});

test.each([
  [-30, 0],
  [0, 0],
  [1, 1],
  [6, 5],
  [7, 6],
  [9, 6],
  [59, 11],
  [60, 12],
  [1_439, 19],
  [1_440, 20],
  [7_199, 22],
  [7_200, 23],
  [9_000, 23],
])("rule 2: an answer after %i minutes is in bin %i", (minutes, bin) => {
  const model = createNaiveCounts();
  const receivedAtMs = NOON_MS + 6.5 * DAY_MS;
  say(model, "installed", { receivedAtMs });
  say(model, "active", { at: NOON_MS + minutes * MINUTE_MS, receivedAtMs });
  const { answered } = model.counts()[RELEASE]!.windows[`${NOON_MINUTE}/1 unknown`]!;
  expect(answered).toEqual(Array.from({ length: 24 }, (_, index) => (index === bin ? 1 : 0)));
});

test("rule 3: a device-hour is one device in one hour, however often; a time that was clamped has no hour", () => {
  const model = createNaiveCounts();
  for (const minute of [0, 7, 59]) say(model, "active", { at: NOON_MS + minute * MINUTE_MS });
  say(model, "crashed", { at: NOON_MS + 60 * MINUTE_MS });
  say(model, "confirmed", { device: "d2", at: NOON_MS + 59 * MINUTE_MS + 59_999 });
  say(model, "installed", { at: NOON_MS + 3 * HOUR_MS });
  // Exactly at either edge counts as clamped, just inside does not.
  const receivedAtMs = NOON_MS + 4 * HOUR_MS;
  say(model, "active", { device: "d3", at: receivedAtMs + 5 * MINUTE_MS, receivedAtMs });
  say(model, "active", { device: "d4", at: receivedAtMs + 5 * MINUTE_MS - 1, receivedAtMs });
  say(model, "active", { device: "d5", at: receivedAtMs - 7 * DAY_MS, receivedAtMs });
  say(model, "active", { device: "d6", at: 0, receivedAtMs });
  const counts = model.counts()[RELEASE]!;
  expect(shown(counts.hours)).toEqual({ active: 4, crashed: 1, firstCrashed: 1 });
  expect(shown(counts.strata["unknown"]!.hours)).toEqual({ active: 4, crashed: 1, firstCrashed: 1 });
  const hours = Object.entries(counts.windows).map(([name, { hours }]) => [name, shown(hours)]);
  expect(Object.fromEntries(hours)).toEqual({
    [`${NOON_MINUTE}/1 unknown`]: { active: 2 },
    [`${NOON_MINUTE + 59}/1 unknown`]: {},
    [`${NOON_MINUTE + 60}/1 unknown`]: { active: 1, crashed: 1, firstCrashed: 1 },
    [`${NOON_MINUTE + 180}/1 unknown`]: {},
    [`${NOON_MINUTE + 240}/1 unknown`]: { active: 1 },
  });
});

test("rule 3: what was told of the first hour of 1970 counts in the second", () => {
  const model = createNaiveCounts();
  for (const at of [1, 3_599_999, 3_600_000]) say(model, "active", { at });
  expect(windowsOf(model.counts()[RELEASE]!)).toEqual({ "60/1 unknown": { activeHours: 1 } });
});

test("rule 3: a device in a crash loop crashes in every hour, and for the first time once", () => {
  const model = createNaiveCounts();
  for (let hour = 0; hour < 200; hour += 1)
    for (const minute of [3, 40])
      say(model, "crashed", { at: NOON_MS + hour * HOUR_MS + minute * MINUTE_MS });
  for (const device of ["d2", "d3", "d4", "d5"]) say(model, "active", { device });
  say(model, "crashed", { version: "1.5.0", at: NOON_MS + 200 * HOUR_MS });
  const counts = model.counts();
  expect(shown(counts[RELEASE]!.hours)).toEqual({ active: 204, crashed: 200, firstCrashed: 1 });
  const windows = windowsOf(counts[RELEASE]!);
  expect(windows[`${NOON_MINUTE}/1 unknown`]).toEqual({
    activeHours: 5,
    crashedHours: 1,
    firstCrashedHours: 1,
  });
  // The hour that is 199 hours later, of which nothing was told apart when the first one was counted.
  expect(windows[`${NOON_MINUTE + 11_940}/1 unknown`]).toEqual({ activeHours: 1, crashedHours: 1 });
  // Another version is counted for itself.
  expect(shown(counts[NEXT]!.hours)).toEqual({ active: 1, crashed: 1, firstCrashed: 1 });
});

test("rule 3: an earlier crash that is told later is the first; a clamped one tells no hour", () => {
  const model = createNaiveCounts();
  const receivedAtMs = NOON_MS + 6 * HOUR_MS;
  const firsts = (): string[] =>
    Object.entries(model.counts()[RELEASE]?.windows ?? {})
      .filter(([, { hours }]) => hours.firstCrashed > 0)
      .map(([name]) => name);
  say(model, "crashed", { at: 0, receivedAtMs });
  expect([model.counts()[RELEASE]!.devices.crashed, firsts()]).toEqual([1, []]);
  say(model, "crashed", { at: NOON_MS + 5 * HOUR_MS, receivedAtMs });
  expect(firsts()).toEqual([`${NOON_MINUTE + 300}/1 unknown`]);
  say(model, "crashed", { at: NOON_MS + 2 * HOUR_MS + MINUTE_MS, receivedAtMs });
  say(model, "crashed", { at: NOON_MS + 4 * HOUR_MS, receivedAtMs });
  expect(firsts()).toEqual([`${NOON_MINUTE + 120}/1 unknown`]);
  // Use is older, a crash is not.
  say(model, "active", { at: NOON_MS, receivedAtMs });
  expect(shown(model.counts()[RELEASE]!.hours)).toEqual({ active: 4, crashed: 3, firstCrashed: 1 });
});

test("rule 3: not to respond is use, no crash, and has a first hour of its own", () => {
  const model = createNaiveCounts();
  say(model, "not_responding", { at: NOON_MS + HOUR_MS });
  say(model, "not_responding", { at: NOON_MS });
  say(model, "not_responding", { at: NOON_MS + 10 * MINUTE_MS });
  say(model, "crashed", { at: NOON_MS + HOUR_MS });
  expect(windowsOf(model.counts()[RELEASE]!)).toEqual({
    [`${NOON_MINUTE}/1 unknown`]: { activeHours: 1, notRespondingHours: 1, firstNotRespondingHours: 1 },
    [`${NOON_MINUTE + 60}/1 unknown`]: {
      activeHours: 1,
      crashedHours: 1,
      notRespondingHours: 1,
      firstCrashedHours: 1,
    },
  });
  expect(model.counts()[RELEASE]!.devices.running).toBe(1);
});

test("rule 4: a stratum that is told later has the first crash as well", () => {
  const model = createNaiveCounts();
  say(model, "crashed");
  say(model, "active", { at: NOON_MS + 9 * DAY_MS, platform: "linux" });
  const counts = model.counts()[RELEASE]!;
  const stratum = '["linux","","",""]';
  expect(Object.keys(counts.strata)).toEqual([stratum]);
  expect(counts.strata[stratum]!.hours.firstCrashed).toBe(1);
  expect(windowsOf(counts)[`${NOON_MINUTE}/1 ${stratum}`]).toMatchObject({ firstCrashedHours: 1 });
});

test("rule 4: of several values the smallest names the stratum, for everything that the device did", () => {
  const model = createNaiveCounts({
    rules: { ...DEFAULT_COUNTING_RULES, strataOf: () => ["model", "platform"] },
  });
  say(model, "installed", { device: "a", platform: "linux", model: "", native_version: "7" });
  say(model, "confirmed", { device: "a", platform: "android", model: "X2" });
  say(model, "installed", { device: "b", native_version: "7" });
  // Another release of the same device is split on its own; it also runs that one, whose text is larger.
  say(model, "active", { device: "a", version: "1.5.0" });
  const counts = model.counts();
  const stratum = '["android","X2","",""]';
  expect(Object.keys(counts[RELEASE]!.strata).toSorted()).toEqual([stratum, "unknown"]);
  expect(shown(counts[RELEASE]!.strata[stratum]!.devices)).toEqual({
    installed: 1,
    confirmed: 1,
    attempted: 1,
    announced: 1,
  });
  expect(Object.keys(counts[RELEASE]!.windows).toSorted()).toEqual([
    `${NOON_MINUTE}/1 ${stratum}`,
    `${NOON_MINUTE}/1 unknown`,
  ]);
  expect(Object.keys(counts[NEXT]!.strata)).toEqual(["unknown"]);
});

test("rule 5: a device runs what it last proved to run; at the same second the larger text wins", () => {
  const model = createNaiveCounts();
  const runs = (): (number | undefined)[] =>
    [RELEASE, NEXT].map((release) => model.counts()[release]?.devices.running);
  say(model, "active", { at: NOON_MS + 900, version: "1.4.0" });
  expect(runs()).toEqual([1, undefined]);
  say(model, "confirmed", { at: NOON_MS + 100, version: "1.5.0" });
  expect(runs()).toEqual([0, 1]);
  say(model, "installed", { at: NOON_MS + 9_500, version: "1.4.0" });
  expect(runs()).toEqual([0, 1]);
  expect(model.device(APP, "d1")).toMatchObject({ lastSeenAtMs: NOON_MS + 9_000, running: NEXT });
  // A clock in 1970: heard when it was received.
  say(model, "crashed", { at: 0, receivedAtMs: NOON_MS + 20_000, version: "1.4.0" });
  expect(runs()).toEqual([1, 0]);
  const view = model.device(APP, "d1")!;
  expect(view).toMatchObject({ lastSeenAtMs: NOON_MS + 20_000, running: RELEASE });
  expect(Object.entries(view.releases).map(([release, counts]) => [release, shown(counts)])).toEqual([
    [RELEASE, { installed: 1, crashed: 1, active: 1, attempted: 1, announced: 1, running: 1 }],
    [NEXT, { confirmed: 1, attempted: 1 }],
  ]);
  expect(model.device(APP, "d2")).toBeUndefined();
});

/** The first moment at which a device that started something in the minute of noon is silent. */
const DUE_MS = NOON_MS + MINUTE_MS + 6 * HOUR_MS;

function silenceOf(model: NaiveCounts, release = RELEASE): number[] {
  const { silent, returned_late: returnedLate } = model.counts()[release]!.devices;
  return [silent, returnedLate];
}

test("rule 6: silent from the deadline on, once, and back late for ever", () => {
  const model = createNaiveCounts();
  // Received in the minute of noon, whatever its own clock says.
  say(model, "update_started", { at: NOON_MS - 2 * HOUR_MS, receivedAtMs: NOON_MS + 59_999 });
  model.look(DUE_MS - 1);
  expect(silenceOf(model)).toEqual([0, 0]);
  model.look(DUE_MS);
  model.look(DUE_MS + DAY_MS);
  expect(silenceOf(model)).toEqual([1, 0]);
  expect(windowsOf(model.counts()[RELEASE]!)).toEqual({
    [`${NOON_MINUTE - 120}/1 unknown`]: { update_started: 1, attempted: 1, announced: 1, silent: 1 },
  });
  // The same report again, and an older one, are not a sign of life.
  say(model, "update_started", { at: NOON_MS - 2 * HOUR_MS, receivedAtMs: NOON_MS + DAY_MS });
  say(model, "installed", { at: NOON_MS - 3 * HOUR_MS, receivedAtMs: NOON_MS + DAY_MS });
  expect(silenceOf(model)).toEqual([1, 0]);
  say(model, "installed", { at: NOON_MS + DAY_MS });
  expect(silenceOf(model)).toEqual([0, 1]);
  model.look(NOON_MS + 2 * DAY_MS);
  expect(silenceOf(model)).toEqual([1, 1]);
});

test("rule 6: who confirmed, failed or went on to something else owes nothing", () => {
  const model = createNaiveCounts();
  say(model, "installed", { device: "answered" });
  // Older than what it answers, and still an answer.
  say(model, "reverted", { device: "answered", at: NOON_MS - HOUR_MS });
  say(model, "installed", { device: "elsewhere" });
  say(model, "active", { device: "elsewhere", version: "1.5.0", at: NOON_MS + 1_000 });
  say(model, "installed", { device: "download" });
  // In the same second what is not pending is heard last.
  say(model, "download_failed", { device: "download", at: NOON_MS + 10 });
  say(model, "update_started", { device: "owes" });
  model.look(NOON_MS + DAY_MS);
  expect(silenceOf(model)).toEqual([1, 0]);
  say(model, "confirmed", { device: "owes", at: NOON_MS - HOUR_MS, receivedAtMs: NOON_MS + DAY_MS });
  expect(silenceOf(model)).toEqual([0, 1]);
});

test("rule 6: what was received first starts the deadline, and each channel has its own", () => {
  const model = createNaiveCounts({
    rules: {
      ...DEFAULT_COUNTING_RULES,
      silenceDeadlineMsOf: ({ channel }) => (channel === "beta" ? HOUR_MS : DAY_MS),
    },
  });
  say(model, "installed", { at: NOON_MS + 100 });
  say(model, "update_started", { at: NOON_MS + 900, receivedAtMs: NOON_MS + 2 * HOUR_MS });
  say(model, "installed", { device: "d2", channel: "beta" as Channel });
  model.look(NOON_MS + HOUR_MS + MINUTE_MS);
  expect([silenceOf(model), silenceOf(model, `${APP}|beta|1.4.0`)]).toEqual([
    [0, 0],
    [1, 0],
  ]);
  model.look(NOON_MS + DAY_MS + MINUTE_MS, { only: (_, device) => device !== "d1" });
  expect(silenceOf(model)).toEqual([0, 0]);
  model.look(NOON_MS + DAY_MS + MINUTE_MS);
  expect(silenceOf(model)).toEqual([1, 0]);
});

test("rule 6: no deadline starts while reports cannot come in", () => {
  const model = createNaiveCounts();
  say(model, "installed");
  const heardFromMs = NOON_MS + 2 * HOUR_MS;
  model.look(heardFromMs + 6 * HOUR_MS - 1, { heardFromMs });
  expect(silenceOf(model)).toEqual([0, 0]);
  model.look(heardFromMs + 6 * HOUR_MS, { heardFromMs });
  expect(silenceOf(model)).toEqual([1, 0]);
});

test("rule 7: a device stands at the eight smallest reasons of its failures", () => {
  const model = createNaiveCounts();
  for (const reason of ["9", "10", "c", "b", "a", "", "z", "y", "x", "w"])
    say(model, "install_failed", { reason });
  say(model, "download_failed", { device: "d2", reason: "9" });
  say(model, "crashed", { device: "d2", reason: "not a failure" });
  expect(model.counts()[RELEASE]!.reasons).toEqual({ 10: 1, 9: 2, a: 1, b: 1, c: 1, w: 1, x: 1, y: 1 });
});

test("rule 8: first, last and last new failure are receive times", () => {
  const model = createNaiveCounts();
  say(model, "active", { at: NOON_MS - HOUR_MS, receivedAtMs: NOON_MS + 1 });
  const times = () => {
    const { firstReportAtMs, lastReportAtMs, lastFailureAtMs } = model.counts()[RELEASE]!;
    return [firstReportAtMs, lastReportAtMs, lastFailureAtMs].map((ms) => (ms === 0 ? 0 : ms - NOON_MS));
  };
  expect(times()).toEqual([1, 1, 0]);
  say(model, "reverted", { receivedAtMs: NOON_MS + 2 });
  say(model, "reverted", { receivedAtMs: NOON_MS + 3 });
  expect(times()).toEqual([1, 3, 2]);
  say(model, "install_failed", { receivedAtMs: NOON_MS + 4 });
  say(model, "reverted", { device: "d2", receivedAtMs: NOON_MS + 5 });
  say(model, "active", { receivedAtMs: NOON_MS + 6 });
  expect(times()).toEqual([1, 6, 5]);
});

test("rule 9: who is not heard of leaves; what it did stays, and it counts anew when it comes back", () => {
  const model = createNaiveCounts();
  say(model, "confirmed", { device: "gone" });
  say(model, "installed", { device: "silent" });
  say(model, "confirmed", { device: "stays", at: NOON_MS + 1_000 });
  model.look(NOON_MS + DAY_MS);
  model.leave(NOON_MS + 90 * DAY_MS, 90 * DAY_MS);
  expect(model.device(APP, "gone")).toBeUndefined();
  expect(model.device(APP, "stays")).toBeDefined();
  const first = { confirmed: 2, attempted: 3, installed: 1, announced: 1, silent: 1 };
  expect(shown(model.counts()[RELEASE]!.devices)).toEqual({ ...first, running: 1 });
  say(model, "confirmed", { device: "gone", at: NOON_MS + 91 * DAY_MS });
  say(model, "confirmed", { device: "silent", at: NOON_MS + 91 * DAY_MS });
  expect(shown(model.counts()[RELEASE]!.devices)).toEqual({
    ...first,
    confirmed: 4,
    attempted: 5,
    running: 3,
  });
});

test("rolling up adds windows together, and those that are no longer kept are gone from the windows alone", () => {
  const model = createNaiveCounts();
  for (const minute of [0, 4, 5])
    say(model, "installed", { device: `d${minute}`, at: NOON_MS + minute * 60_000 });
  say(model, "installed", { device: "old", at: NOON_MS - 60_000 });
  const counts = model.counts({
    slotOf: (minute) =>
      minute < NOON_MINUTE ? undefined : { slotMinute: minute - (minute % 5), slotMinutes: 5 },
  })[RELEASE]!;
  const installed = (devices: number) => ({ installed: devices, attempted: devices, announced: devices });
  expect(windowsOf(counts)).toEqual({
    [`${NOON_MINUTE}/5 unknown`]: installed(2),
    [`${NOON_MINUTE + 5}/5 unknown`]: installed(1),
  });
  expect(shown(counts.devices)).toEqual(installed(4));
});

test("order and repetition change nothing", () => {
  const sayings: [DeviceEvent, Saying][] = [
    ["installed", { device: "a", platform: "linux", receivedAtMs: NOON_MS + 1 }],
    [
      "update_started",
      { device: "a", platform: "android", at: NOON_MS - HOUR_MS, receivedAtMs: NOON_MS + 2 },
    ],
    ["reverted", { device: "a", reason: "disk full", receivedAtMs: NOON_MS + 3 }],
    ["reverted", { device: "a", reason: "no power", receivedAtMs: NOON_MS + 4 }],
    ["active", { device: "a", version: "1.5.0", receivedAtMs: NOON_MS + 5 }],
    ["crashed", { device: "a", at: 0, receivedAtMs: NOON_MS + 1_006 }],
    ["installed", { device: "b", receivedAtMs: NOON_MS + 7 }],
  ];
  const told = (order: readonly [DeviceEvent, Saying][]) => {
    const model = createNaiveCounts();
    for (const [event, saying] of order) say(model, event, saying);
    model.look(NOON_MS + DAY_MS);
    return model.counts();
  };
  const counts = told(sayings);
  expect(shown(counts[RELEASE]!.devices)).toEqual({
    update_started: 1,
    installed: 2,
    reverted: 1,
    crashed: 1,
    attempted: 2,
    failed: 1,
    announced: 2,
    failed_announced: 1,
    silent: 1,
    running: 1,
  });
  expect(told(sayings.toReversed())).toEqual(counts);
  expect(told([...sayings.slice(3), ...sayings, ...sayings.slice(0, 5)])).toEqual(counts);
});
