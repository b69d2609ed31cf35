// A shard in memory: keeps what plans of the core change, so that tests can go on where they stopped and ask
// for the counts. Enters: reports in a short form, or foldable ones, and visits. Leaves: plans, and counts in
// the form of the naive model (test/support/naive-counts.ts). Windows stay minutes; nothing is rolled up.
import { ANSWER_BINS } from "../../../../agent/health/answer-bins.ts";
import { ANSWERS_INDEX, addCounts, isZero, zeroCounts } from "../../../../agent/health/count-vector.ts";
import type { CountVector } from "../../../../agent/health/count-vector.ts";
import { DEFAULT_COUNTING_RULES } from "../../../../agent/health/counting-rules.ts";
import type { CountingRules } from "../../../../agent/health/counting-rules.ts";
import { decodeDeviceState } from "../../../../agent/health/device-state.ts";
import type { DeviceState } from "../../../../agent/health/device-state.ts";
import { nameDevice, nameOf } from "../../../../agent/health/device-table.ts";
import type { DeviceName } from "../../../../agent/health/device-table.ts";
import { toGroundCounts } from "../../../../agent/health/first-contacts.ts";
import { fold } from "../../../../agent/health/fold.ts";
import type { FoldableReport } from "../../../../agent/health/fold.ts";
import type { FoldPlan } from "../../../../agent/health/fold-plan.ts";
import { toFoldable } from "../../../../agent/health/report-batch.ts";
import { toStratumHealth } from "../../../../agent/health/release-counts.ts";
import type { ReleaseDelta } from "../../../../agent/health/release-delta.ts";
import { NO_TABLES, grown, textWithoutApp } from "../../../../agent/health/shard-tables.ts";
import type { ShardTable, ShardTables } from "../../../../agent/health/shard-tables.ts";
import { STRATUM_UNKNOWN } from "../../../../agent/health/stratum.ts";
import { foldLeaving, foldSilence } from "../../../../agent/health/visit.ts";
import type { DeviceEvent } from "../../../../ingest/contract/device-report.ts";
import type { Channel } from "../../../../ingest/contract/release-key.ts";
import type { AcceptedReport } from "../../../../ingest/contract/report-entry.ts";
import type { ReleaseCounts, WindowTally } from "../../../support/naive-counts.ts";
import { releaseOf } from "../../../support/verdicts.ts";

/** A whole number of hours after the epoch. */
export const AT_MS = 25_000_000 * 60_000 - ((25_000_000 * 60_000) % 3_600_000);
export const AT_MINUTE = AT_MS / 60_000;
export const RECEIVED_AT_MS = AT_MS + 1_234;
export const RELEASE = "com.acme.till|production|1.4.0";

/** One report; what is left out is the same for all. */
export interface Told extends Partial<
  Pick<AcceptedReport, "reason" | "platform" | "model" | "os_version" | "native_version">
> {
  readonly event: DeviceEvent;
  readonly device?: string;
  readonly version?: string;
  readonly channel?: string;
  readonly atMs?: number;
  readonly receivedAtMs?: number;
}

export function toReport(told: Told): AcceptedReport {
  const { version = "1.4.0", channel, receivedAtMs: _, ...rest } = told;
  const release = releaseOf(version);
  const key = channel === undefined ? release : { ...release, channel: channel as Channel };
  return { ...key, device: "till-1", atMs: AT_MS, ...rest };
}

export function foldableOf(told: Told): FoldableReport {
  return toFoldable(toReport(told), told.receivedAtMs ?? RECEIVED_AT_MS);
}

export interface MemoryShard {
  tables: ShardTables;
  /** By field. */
  readonly states: Map<string, Buffer>;
  fold(...told: Told[]): FoldPlan;
  foldReports(reports: readonly FoldableReport[]): FoldPlan;
  /** Looks at all devices, or those that are named. */
  look(
    nowMs: number,
    options?: {
      heardFromMs?: number;
      appHeardFromMs?: (app: string) => number;
      devices?: readonly DeviceName[];
    },
  ): FoldPlan;
  leave(nowMs: number, retentionMs: number, devices?: readonly DeviceName[]): FoldPlan;
  /** Of the only device, or the one that is named. */
  stateOf(device?: string): DeviceState;
  counts(): Record<string, ReleaseCounts>;
}

export function createMemoryShard({
  rules = DEFAULT_COUNTING_RULES,
}: { rules?: CountingRules } = {}): MemoryShard {
  const states = new Map<string, Buffer>();
  const sums = new Map<string, StoredCounts>();
  const stateOf = (_bucket: number, field: string): Buffer | undefined => states.get(field);
  const everyone = (): DeviceName[] => [...states.keys()].map(nameOf);
  const keep = (plan: FoldPlan): FoldPlan => {
    shard.tables = grown(shard.tables, plan.newRows);
    for (const bucket of plan.states.values()) for (const [field, bytes] of bucket) put(states, field, bytes);
    for (const [text, delta] of plan.releases) addDelta(entryOf(sums, text, noStoredCounts), delta);
    return plan;
  };
  const shard: MemoryShard = {
    tables: NO_TABLES,
    states,
    fold: (...told) => shard.foldReports(told.map(foldableOf)),
    foldReports: (reports) => keep(fold({ reports, tables: shard.tables, stateOf, rules })),
    look: (nowMs, { heardFromMs = 0, appHeardFromMs = () => 0, devices = everyone() } = {}) =>
      keep(
        foldSilence({
          devices,
          tables: shard.tables,
          stateOf,
          rules,
          nowMs,
          heardFromMs,
          appHeardFromMs,
        }),
      ),
    leave: (nowMs, retentionMs, devices = everyone()) =>
      keep(foldLeaving({ devices, tables: shard.tables, stateOf, nowMs, retentionMs })),
    stateOf: (device = "till-1") => decodeDeviceState(states.get(nameDevice("com.acme.till", device).field)!),
    counts: () =>
      Object.fromEntries([...sums].map(([text, stored]) => [text, shownOf(stored, shard.tables)])),
  };
  return shard;
}

function put(states: Map<string, Buffer>, field: string, bytes: Buffer): void {
  if (bytes.length === 0) states.delete(field);
  // A copy, as Redis would give back.
  else states.set(field, Buffer.from(bytes));
}

interface StoredCounts {
  readonly totals: CountVector;
  readonly strata: Map<number, CountVector>;
  /** By `minute` and stratum. */
  readonly windows: Map<number, Map<number, CountVector>>;
  /** By stratum and day. */
  readonly contacts: Map<number, Map<number, CountVector>>;
  readonly reasons: Map<number, number>;
  readonly firsts: number[];
  readonly lasts: number[];
  readonly failures: number[];
}

function noStoredCounts(): StoredCounts {
  return {
    totals: zeroCounts(),
    strata: new Map(),
    windows: new Map(),
    contacts: new Map(),
    reasons: new Map(),
    firsts: [],
    lasts: [],
    failures: [],
  };
}

function addDelta(stored: StoredCounts, delta: ReleaseDelta): void {
  addCounts(stored.totals, delta.totals);
  for (const [stratum, counts] of delta.strata)
    addCounts(entryOf(stored.strata, stratum, zeroCounts), counts);
  addNested(stored.windows, delta.windows);
  addNested(stored.contacts, delta.contacts);
  for (const [reason, devices] of delta.reasons)
    stored.reasons.set(reason, (stored.reasons.get(reason) ?? 0) + devices);
  const { firstReportAtMs, lastReportAtMs, lastFailureAtMs } = delta;
  if (firstReportAtMs !== 0) stored.firsts.push(firstReportAtMs);
  stored.lasts.push(lastReportAtMs);
  stored.failures.push(lastFailureAtMs);
}

type Nested = ReadonlyMap<number, ReadonlyMap<number, CountVector>>;

function addNested(sums: Map<number, Map<number, CountVector>>, added: Nested): void {
  for (const [outer, inner] of added) {
    const sum = entryOf(sums, outer, () => new Map<number, CountVector>());
    for (const [key, counts] of inner) addCounts(entryOf(sum, key, zeroCounts), counts);
  }
}

function shownOf(
  { totals, strata, windows, contacts, reasons, firsts, lasts, failures }: StoredCounts,
  { strata: strataTable, reasons: reasonTable }: ShardTables,
): ReleaseCounts {
  const stratumText = textsOf(strataTable);
  const reasonText = textsOf(reasonTable);
  return {
    ...toStratumHealth(totals),
    strata: Object.fromEntries(
      nonZero(strata).map(([number, sum]) => [stratumText(number), toStratumHealth(sum)]),
    ),
    reasons: Object.fromEntries(
      [...reasons]
        .filter(([, devices]) => devices !== 0)
        .map(([number, devices]) => [reasonText(number), devices]),
    ),
    windows: Object.fromEntries(
      [...windows].flatMap(([minute, slot]) =>
        nonZero(slot).map(
          ([number, sum]) => [`${minute}/1 ${stratumText(number)}`, windowTallyOf(sum)] as const,
        ),
      ),
    ),
    contacts: Object.fromEntries(
      [...contacts].flatMap(([number, days]) =>
        nonZero(days).map(([day, sum]) => [`${day} ${stratumText(number)}`, toGroundCounts(sum)] as const),
      ),
    ),
    firstReportAtMs: firsts.length === 0 ? 0 : Math.min(...firsts),
    lastReportAtMs: Math.max(0, ...lasts),
    lastFailureAtMs: Math.max(0, ...failures),
  };
}

function nonZero(vectors: ReadonlyMap<number, CountVector>): [number, CountVector][] {
  return [...vectors].filter(([, counts]) => !isZero(counts));
}

function textsOf(table: ShardTable): (number: number) => string {
  const texts = new Map([...table].map(([text, number]) => [number, textWithoutApp(text)]));
  return (number) => texts.get(number) ?? STRATUM_UNKNOWN;
}

function windowTallyOf(counts: CountVector): WindowTally {
  return { ...toStratumHealth(counts), answered: counts.slice(ANSWERS_INDEX, ANSWERS_INDEX + ANSWER_BINS) };
}

function entryOf<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = create()));
  return value;
}
