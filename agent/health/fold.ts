// Folding: what a batch of reports changes. Pure. Enters: the reports of a batch in stream order, the
// states of their devices and the shard's release table, as they stand at the cursor. Leaves: a FoldPlan,
// the whole of what one atomic commit writes (see lua/commit-fold.lua): nothing else moves a count.
import { REPORT_AGE_MS_MAX } from "../../ingest/contract/device-report.ts";
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";
import { formatChannelKey, formatReleaseKey } from "../../ingest/contract/release-key.ts";
import { deviceDigest } from "../../ingest/contract/shard.ts";
import {
  ATTEMPT_MINUTE_MAX,
  RELEASES_PER_DEVICE_MAX,
  decodeDeviceState,
  encodeDeviceState,
} from "./device-state.ts";
import type { DeviceState, ReleaseRecord } from "./device-state.ts";
import { slotOf } from "./health-window.ts";
import { NO_OUTCOMES, flagOf, isAttempt, outcomesOf } from "./outcomes.ts";

/**
 * Releases a channel can have in a shard's table. When it is full, those that nobody reported about for longest
 * retire (shard-store.ts); only what finds no place then goes to the dead-letter stream.
 */
export const RELEASES_PER_CHANNEL_MAX = 10_000;

/** A report with the name its device has in the shard. */
export interface FoldableReport {
  readonly report: AcceptedReport;
  readonly receivedAtMs: number;
  /** Bucket of the device table and field in it (8 bytes as a latin1 string). */
  readonly bucket: number;
  readonly field: string;
}

/** Buckets of a shard's device table. Fixed: with 16 shards, 16 million devices make 500 devices a bucket. */
export const DEVICE_BUCKETS = 2_048;

export function toFoldable(report: AcceptedReport, receivedAtMs: number): FoldableReport {
  const digest = deviceDigest(report.app, report.device);
  return {
    report,
    receivedAtMs,
    bucket: digest.readUInt32BE(4) % DEVICE_BUCKETS,
    field: digest.toString("latin1", 4, 12),
  };
}

/** What changes for one release: counts are differences, times are newest (or first) seen. */
export interface ReleaseDelta {
  readonly totals: number[];
  /** By first minute of the slot. */
  readonly windows: Map<number, number[]>;
  firstReportAtMs: number;
  lastReportAtMs: number;
  lastFailureAtMs: number;
}

export interface RefusedReport {
  readonly report: AcceptedReport;
  readonly receivedAtMs: number;
  readonly reason: "too_many_releases_on_channel" | "too_many_releases_on_device";
}

export interface FoldPlan {
  /** Releases seen for the first time in this shard, with the numbers they get. */
  readonly newReleases: ReadonlyMap<string, number>;
  /** New states by bucket and field; only devices whose state changed. */
  readonly states: ReadonlyMap<number, ReadonlyMap<string, Buffer>>;
  /** By release key text. */
  readonly releases: ReadonlyMap<string, ReleaseDelta>;
  readonly refused: readonly RefusedReport[];
}

/** The shard's numbers for releases, by release key text; numbers start at 1 and are never reused. */
export type ReleaseTable = ReadonlyMap<string, number>;

export interface FoldInput {
  readonly reports: readonly FoldableReport[];
  readonly releaseTable: ReleaseTable;
  /** State bytes as stored; undefined = a device never seen. */
  readonly stateOf: (bucket: number, field: string) => Buffer | undefined;
}

export function fold({ reports, releaseTable, stateOf }: FoldInput): FoldPlan {
  const numbers = createNumbering(releaseTable);
  const devices = new Map<string, OpenDevice>();
  const releases = new Map<string, ReleaseDelta>();
  const refused: RefusedReport[] = [];
  for (const { report, receivedAtMs, bucket, field } of reports) {
    const releaseText = formatReleaseKey(report);
    const device = openDevice(devices, bucket, field, stateOf);
    const known = numbers.find(releaseText);
    const before = known === undefined ? undefined : device.state.get(known);
    // Asked first: what a device may not have must not take a place in the channel's table either.
    const room = before === undefined ? findRoom(device.state, report, receivedAtMs) : FREE;
    if (room.kind === "full") {
      refused.push({ report, receivedAtMs, reason: "too_many_releases_on_device" });
      continue;
    }
    const releaseNumber = known ?? numbers.add(releaseText, formatChannelKey(report));
    if (releaseNumber === undefined) {
      refused.push({ report, receivedAtMs, reason: "too_many_releases_on_channel" });
      continue;
    }
    if (room.kind === "in_place_of") device.state.delete(room.releaseNumber);
    const after = applyReport(before, report);
    const delta = releaseDelta(releases, releaseText);
    noteTimes(delta, after, before, receivedAtMs);
    if (before !== undefined && before.flags === after.flags && before.attemptMinute === after.attemptMinute)
      continue;
    device.state.set(releaseNumber, after);
    device.isChanged = true;
    countTransition(delta, before, after);
  }
  return { newReleases: numbers.added, states: changedStates(devices), releases, refused };
}

interface OpenDevice {
  readonly bucket: number;
  readonly field: string;
  readonly state: Map<number, ReleaseRecord>;
  isChanged: boolean;
}

function openDevice(
  devices: Map<string, OpenDevice>,
  bucket: number,
  field: string,
  stateOf: FoldInput["stateOf"],
): OpenDevice {
  // The field starts with the four bytes that the bucket follows from, so it names the device alone.
  const known = devices.get(field);
  if (known !== undefined) return known;
  const bytes = stateOf(bucket, field);
  const state: DeviceState = bytes === undefined ? new Map() : decodeDeviceState(bytes);
  const device = { bucket, field, state: new Map(state), isChanged: false };
  devices.set(field, device);
  return device;
}

type Room =
  | { readonly kind: "free" }
  | { readonly kind: "in_place_of"; readonly releaseNumber: number }
  | { readonly kind: "full" };
const FREE: Room = { kind: "free" };
const FULL: Room = { kind: "full" };

/**
 * Where a record of one more release goes (see RELEASES_PER_DEVICE_MAX). A report whose time was clamped to
 * the past gets no record in place of another: it may be a replay about the release that gave way before,
 * and would count a second time.
 */
function findRoom(
  state: ReadonlyMap<number, ReleaseRecord>,
  report: AcceptedReport,
  receivedAtMs: number,
): Room {
  if (state.size < RELEASES_PER_DEVICE_MAX) return FREE;
  const earliestMs = receivedAtMs - REPORT_AGE_MS_MAX;
  if (report.atMs <= earliestMs) return FULL;
  let oldest: { releaseNumber: number; attemptMinute: number } | undefined;
  for (const [releaseNumber, { attemptMinute }] of state) {
    if (attemptMinute === 0 || (oldest !== undefined && oldest.attemptMinute <= attemptMinute)) continue;
    oldest = { releaseNumber, attemptMinute };
  }
  if (oldest === undefined || oldest.attemptMinute >= minuteOf(earliestMs)) return FULL;
  return { kind: "in_place_of", releaseNumber: oldest.releaseNumber };
}

function applyReport(before: ReleaseRecord | undefined, report: AcceptedReport): ReleaseRecord {
  const flag = flagOf(report.event);
  const flags = (before?.flags ?? 0) | flag;
  const minute = isAttempt(flag) ? minuteOf(report.atMs) : 0;
  const earlier = before?.attemptMinute ?? 0;
  if (minute === 0 || (earlier !== 0 && earlier <= minute)) return { flags, attemptMinute: earlier };
  return { flags, attemptMinute: minute };
}

/** Within what a state can hold, whatever another writer put into the stream; 0 is kept for "no attempt". */
function minuteOf(atMs: number): number {
  return Math.min(ATTEMPT_MINUTE_MAX, Math.max(1, Math.floor(atMs / 60_000)));
}

function releaseDelta(releases: Map<string, ReleaseDelta>, releaseText: string): ReleaseDelta {
  let delta = releases.get(releaseText);
  if (delta === undefined) {
    delta = {
      totals: [...NO_OUTCOMES],
      windows: new Map(),
      firstReportAtMs: 0,
      lastReportAtMs: 0,
      lastFailureAtMs: 0,
    };
    releases.set(releaseText, delta);
  }
  return delta;
}

const FAILURE_FLAGS = flagOf("install_failed") | flagOf("reverted") | flagOf("download_failed");

/** A failure is new only the first time it is told: a repeat is no "newest needed report". */
function noteTimes(
  delta: ReleaseDelta,
  after: ReleaseRecord,
  before: ReleaseRecord | undefined,
  receivedAtMs: number,
): void {
  if (delta.firstReportAtMs === 0 || receivedAtMs < delta.firstReportAtMs)
    delta.firstReportAtMs = receivedAtMs;
  delta.lastReportAtMs = Math.max(delta.lastReportAtMs, receivedAtMs);
  const newFlags = after.flags & ~(before?.flags ?? 0);
  if ((newFlags & FAILURE_FLAGS) !== 0) delta.lastFailureAtMs = Math.max(delta.lastFailureAtMs, receivedAtMs);
}

function countTransition(delta: ReleaseDelta, before: ReleaseRecord | undefined, after: ReleaseRecord): void {
  const was = before === undefined ? NO_OUTCOMES : outcomesOf(before.flags);
  const is = outcomesOf(after.flags);
  addTo(delta.totals, is, 1);
  addTo(delta.totals, was, -1);
  if (before !== undefined && before.attemptMinute !== 0) addTo(windowOf(delta, before), was, -1);
  if (after.attemptMinute !== 0) addTo(windowOf(delta, after), is, 1);
}

function windowOf(delta: ReleaseDelta, record: ReleaseRecord): number[] {
  const slot = slotOf(record.attemptMinute);
  let counts = delta.windows.get(slot);
  if (counts === undefined) {
    counts = [...NO_OUTCOMES];
    delta.windows.set(slot, counts);
  }
  return counts;
}

function addTo(counts: number[], indicators: readonly number[], sign: 1 | -1): void {
  for (let index = 0; index < counts.length; index += 1) counts[index]! += sign * indicators[index]!;
}

function changedStates(devices: ReadonlyMap<string, OpenDevice>): Map<number, Map<string, Buffer>> {
  const states = new Map<number, Map<string, Buffer>>();
  for (const device of devices.values()) {
    if (!device.isChanged) continue;
    let bucket = states.get(device.bucket);
    if (bucket === undefined) states.set(device.bucket, (bucket = new Map()));
    bucket.set(device.field, encodeDeviceState(device.state));
  }
  return states;
}

/** 0 for an empty table. */
export function highestNumber(releaseTable: ReleaseTable): number {
  let highest = 0;
  for (const releaseNumber of releaseTable.values()) highest = Math.max(highest, releaseNumber);
  return highest;
}

interface Numbering {
  readonly added: ReadonlyMap<string, number>;
  find(releaseText: string): number | undefined;
  /** For a release that {@link find} does not know: undefined when the channel's share of the table is full. */
  add(releaseText: string, channelText: string): number | undefined;
}

/** Hands out the shard's release numbers. */
function createNumbering(releaseTable: ReleaseTable): Numbering {
  const added = new Map<string, number>();
  let highest: number | undefined;
  const perChannel = new Map<string, number>();
  const countOn = (channelText: string): number => {
    const known = perChannel.get(channelText);
    if (known !== undefined) return known;
    let count = 0;
    for (const text of releaseTable.keys()) if (text.startsWith(`${channelText}|`)) count += 1;
    return count;
  };
  return {
    added,
    find: (releaseText) => releaseTable.get(releaseText) ?? added.get(releaseText),
    add(releaseText, channelText) {
      const count = countOn(channelText);
      if (count >= RELEASES_PER_CHANNEL_MAX) return undefined;
      perChannel.set(channelText, count + 1);
      // The row with the highest number never retires, so no number is handed out twice.
      highest ??= highestNumber(releaseTable);
      const releaseNumber = highest + added.size + 1;
      added.set(releaseText, releaseNumber);
      return releaseNumber;
    },
  };
}
