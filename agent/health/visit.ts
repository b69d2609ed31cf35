// What time alone changes: devices whose deadline has passed without a word count as silent, and devices
// that nobody has heard of for the retention leave. Pure; commits like a fold.
import { parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { CountingRules } from "./counting-rules.ts";
import { heardSecondOf, tryDecodeDeviceState } from "./device-state.ts";
import type { DeviceName, StateOf } from "./device-table.ts";
import { countDevices, deadlinesOf, emptyPlan, moveRunning, runningIn, silentAtMs } from "./fold-plan.ts";
import type { FoldPlan } from "./fold-plan.ts";
import { openDevice, silence } from "./open-device.ts";
import type { OpenDevice } from "./open-device.ts";
import { NO_TABLES, growTables } from "./shard-tables.ts";
import type { ShardTables } from "./shard-tables.ts";

export interface VisitInput {
  readonly devices: readonly DeviceName[];
  readonly tables: ShardTables;
  readonly stateOf: StateOf;
  readonly nowMs: number;
}

export interface SilenceVisit extends VisitInput {
  readonly rules: CountingRules;
  /** Since when we have listened without a gap, epoch milliseconds. */
  readonly heardFromMs: number;
  /** Since when devices of this app could be heard, where that is through its OTA server, epoch milliseconds. */
  readonly appHeardFromMs?: (app: string) => number;
}

/** Devices that still owe a word, but not yet, are looked at again when they do. */
export function foldSilence({
  devices,
  tables,
  stateOf,
  rules,
  nowMs,
  heardFromMs,
  appHeardFromMs = () => 0,
}: SilenceVisit): FoldPlan {
  const growing = growTables(tables);
  const deadlineMsOf = deadlinesOf(growing.releases, rules);
  const releaseHeardFromMs = (release: number): number => {
    const text = growing.releases.textOf(release);
    return text === undefined ? 0 : appHeardFromMs(parseReleaseKey(text).app);
  };
  const silent = new Map<string, OpenDevice>();
  const plan = emptyPlan();
  for (const { bucket, field } of devices) {
    const bytes = stateOf(bucket, field);
    if (bytes === undefined || silent.has(field)) continue;
    const device = openDevice(bucket, field, bytes);
    if (device === undefined) continue;
    const dueMs = silentAtMs(device, { deadlineMsOf, heardFromMs, releaseHeardFromMs });
    if (dueMs === undefined) continue;
    if (dueMs > nowMs) {
      plan.due.push({ minute: Math.ceil(dueMs / 60_000), field });
      continue;
    }
    silence(device);
    silent.set(field, device);
    const { release } = device.heard!;
    const delta = plan.deltaOf(growing.releases.textOf(release)!);
    delta.silenceDeadlineMs = deadlineMsOf(release)!;
    delta.lastFailureAtMs = Math.max(delta.lastFailureAtMs, dueMs);
  }
  return countDevices(plan, { devices: [...silent.values()], refused: [], growing, rules });
}

/** State of a device that leaves. */
export const GONE = Buffer.alloc(0);

export interface LeaveInput extends VisitInput {
  readonly retentionMs: number;
}

/** They run nothing any more; all else they did stays counted. */
export function foldLeaving({ devices, tables, stateOf, nowMs, retentionMs }: LeaveInput): FoldPlan {
  const growing = growTables(tables);
  const plan = emptyPlan();
  for (const device of devices) {
    const bytes = stateOf(device.bucket, device.field);
    if (bytes === undefined || heardSecondOf(bytes) * 1_000 > nowMs - retentionMs) continue;
    const state = tryDecodeDeviceState(bytes);
    // Who can't be read stays, with what it says of when it was heard.
    if (state === undefined) continue;
    const running = runningIn(state);
    if (running !== undefined) moveRunning(plan, growing.releases, running, -1);
    plan.putState(device, GONE);
  }
  return { newRows: NO_TABLES, states: plan.states, releases: plan.releases, due: [], refused: [] };
}
