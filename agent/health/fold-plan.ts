// A FoldPlan is all that one atomic commit changes in a shard: new rows of tables, new device states,
// differences of counts, and which devices have to be looked at when their deadline has passed. Pure.
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";
import { parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { CountingRules } from "./counting-rules.ts";
import { encodeDeviceState } from "./device-state.ts";
import type { DeviceState, ReleaseRecord } from "./device-state.ts";
import { examplesOf, gainedOutcomes } from "./examples.ts";
import { addContact, isContactMoved } from "./first-contacts.ts";
import { changeOf, isChanged, owingOf } from "./open-device.ts";
import type { OpenDevice } from "./open-device.ts";
import { addRunning, emptyDelta, replaceRecord } from "./release-delta.ts";
import type { RecordChange, ReleaseDelta } from "./release-delta.ts";
import type { GrowingTable, GrowingTables, ShardTable, TableName } from "./shard-tables.ts";

export interface RefusedReport {
  readonly report: AcceptedReport;
  readonly receivedAtMs: number;
  readonly reason: "too_many_releases_on_channel" | "too_many_releases_on_device" | "unreadable_device_state";
}

/** A device that owes a word, and the minute (since the epoch) in which its silence is looked at. */
export interface Due {
  readonly minute: number;
  readonly field: string;
}

export interface FoldPlan {
  readonly newRows: Readonly<Record<TableName, ShardTable>>;
  /** New states by bucket and field; empty bytes = the device leaves. Only devices that changed. */
  readonly states: ReadonlyMap<number, ReadonlyMap<string, Buffer>>;
  /** By release key text. */
  readonly releases: ReadonlyMap<string, ReleaseDelta>;
  readonly due: readonly Due[];
  readonly refused: readonly RefusedReport[];
}

/** A plan that is being made. */
export interface PlanDraft {
  readonly states: Map<number, Map<string, Buffer>>;
  readonly releases: Map<string, ReleaseDelta>;
  readonly due: Due[];
  deltaOf(releaseText: string): ReleaseDelta;
  putState(device: { readonly bucket: number; readonly field: string }, bytes: Buffer): void;
}

export function emptyPlan(): PlanDraft {
  const states = new Map<number, Map<string, Buffer>>();
  const releases = new Map<string, ReleaseDelta>();
  return {
    states,
    releases,
    due: [],
    deltaOf(releaseText) {
      let delta = releases.get(releaseText);
      if (delta === undefined) releases.set(releaseText, (delta = emptyDelta()));
      return delta;
    },
    putState({ bucket, field }, bytes) {
      const ofBucket = states.get(bucket);
      if (ofBucket === undefined) states.set(bucket, new Map([[field, bytes]]));
      else ofBucket.set(field, bytes);
    },
  };
}

export interface Folded {
  readonly devices: readonly OpenDevice[];
  readonly refused: readonly RefusedReport[];
  readonly growing: GrowingTables;
  readonly rules: CountingRules;
}

/** Compares every device with what it was, and completes the plan with the differences. */
export function countDevices(draft: PlanDraft, { devices, refused, growing, rules }: Folded): FoldPlan {
  const deadlineMsOf = deadlinesOf(growing.releases, rules);
  for (const device of devices) {
    if (!isChanged(device)) continue;
    countDevice(draft, device, growing.releases);
    const dueMinute = dueMinuteOf(device, deadlineMsOf);
    if (dueMinute !== undefined) draft.due.push({ minute: dueMinute, field: device.field });
    draft.putState(device, encodeDeviceState(device));
  }
  const newRows = {
    releases: growing.releases.added,
    strata: growing.strata.added,
    reasons: growing.reasons.added,
  };
  return { newRows, states: draft.states, releases: draft.releases, due: draft.due, refused };
}

/** Adds what the device contributes now, and takes off what it contributed before. */
function countDevice(draft: PlanDraft, device: OpenDevice, releases: GrowingTable): void {
  for (const { release, change } of device.dropped)
    countChange(draft, device, releases.textOf(release), change);
  for (const release of device.changed) {
    const change = changeOf(device, release);
    if (change !== undefined) countChange(draft, device, releases.textOf(release), change);
  }
  if (device.firstDay !== device.before.firstDay) moveFirstDay(draft, device, releases);
  const was = runningIn(device.before);
  const is = runningIn(device);
  if (was?.release === is?.release && was?.stratum === is?.stratum) return;
  if (was !== undefined) moveRunning(draft, releases, was, -1);
  if (is !== undefined) moveRunning(draft, releases, is, 1);
}

/** A release that has retired, and has no text any more, is counted no more. */
function countChange(
  draft: PlanDraft,
  device: OpenDevice,
  releaseText: string | undefined,
  change: RecordChange,
): void {
  if (releaseText === undefined) return;
  countContact(draft, device, releaseText, change);
  if (change.before === change.after) return;
  const delta = draft.deltaOf(releaseText);
  replaceRecord(delta, change);
  const gained = gainedOutcomes(change.before?.flags ?? 0, change.after.flags);
  if (gained !== 0) delta.examples.push(...examplesOf(gained, device));
}

/** A device whose first day turns out to be an earlier one moves with everything that it is counted in. */
function moveFirstDay(draft: PlanDraft, device: OpenDevice, releases: GrowingTable): void {
  for (const [release, record] of device.records) {
    const text = releases.textOf(release);
    if (text !== undefined && !device.changed.has(release))
      countContact(draft, device, text, { before: record, after: record });
  }
}

/** Most devices accuse nobody, before and after. */
function countContact(
  draft: PlanDraft,
  { before: { firstDay: firstDayBefore }, firstDay }: OpenDevice,
  releaseText: string,
  { before, after }: Pick<RecordChange, "before" | "after">,
): void {
  if (!isContactMoved(before, after, firstDayBefore === firstDay)) return;
  const { contacts } = draft.deltaOf(releaseText);
  addContact(contacts, { record: before, firstDay: firstDayBefore }, -1);
  addContact(contacts, { record: after, firstDay }, 1);
}

interface RunningRelease {
  readonly release: number;
  readonly stratum: number;
}

export function runningIn({
  running,
  records,
}: Pick<DeviceState, "running"> & {
  readonly records: ReadonlyMap<number, ReleaseRecord>;
}): RunningRelease | undefined {
  if (running === undefined) return undefined;
  return { release: running.release, stratum: records.get(running.release)?.stratum ?? 0 };
}

export function moveRunning(
  draft: PlanDraft,
  releases: GrowingTable,
  { release, stratum }: RunningRelease,
  sign: 1 | -1,
): void {
  const text = releases.textOf(release);
  if (text !== undefined) addRunning(draft.deltaOf(text), stratum, sign);
}

/**
 * Undefined when the device owes nothing that is not in the index already. Who owed a word before, and was
 * not silent, is in it: at its minute, or at a later one at which a look that came too early put it again. So
 * a device that begins a thousand times in a minute stands there once.
 */
function dueMinuteOf(device: OpenDevice, deadlineMsOf: DeadlineMsOf): number | undefined {
  if (device.heard === device.before.heard) return undefined;
  const minuteIn = (state: Pick<DeviceState, "heard" | "records">): number | undefined => {
    const dueMs = silentAtMs(state, { deadlineMsOf, heardFromMs: 0 });
    return dueMs === undefined ? undefined : Math.ceil(dueMs / 60_000);
  };
  const minute = minuteIn(device);
  return minute === undefined || minute === minuteIn(device.before) ? undefined : minute;
}

/** Of a release's number; undefined for one that has retired. */
export type DeadlineMsOf = (release: number) => number | undefined;

/** Each release's is looked up once: thousands of devices of a batch ask for the same few. */
export function deadlinesOf(releases: GrowingTable, rules: CountingRules): DeadlineMsOf {
  const known = new Map<number, number | undefined>();
  return (release) => {
    if (!known.has(release)) {
      const text = releases.textOf(release);
      known.set(release, text === undefined ? undefined : rules.silenceDeadlineMsOf(parseReleaseKey(text)));
    }
    return known.get(release);
  };
}

export interface SilenceInput {
  readonly deadlineMsOf: DeadlineMsOf;
  /** Since when we have listened without a gap: nobody owes a word for time in which none could come in. */
  readonly heardFromMs: number;
  /** The same of each release, where its devices are heard through another server; never earlier counts. */
  readonly releaseHeardFromMs?: (release: number) => number;
}

/** When the device counts as silent, epoch milliseconds; undefined when it owes nothing. */
export function silentAtMs(
  device: Pick<DeviceState, "heard" | "records">,
  { deadlineMsOf, heardFromMs, releaseHeardFromMs = () => 0 }: SilenceInput,
): number | undefined {
  const owing = owingOf(device);
  const deadlineMs = owing === undefined ? undefined : deadlineMsOf(owing.release);
  if (owing === undefined || deadlineMs === undefined) return undefined;
  return Math.max(owing.sinceMs, heardFromMs, releaseHeardFromMs(owing.release)) + deadlineMs;
}
