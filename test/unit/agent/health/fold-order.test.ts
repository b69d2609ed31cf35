// Whatever the order, the batches and the repetition in which the same reports are folded, what is counted
// and kept is the same. Each report keeps the moment in which it was received; those lie within half an hour
// of each other, as in one shard's stream: over longer times the hours of a device are forgotten in the order
// in which they come (hour-set.ts). When a failure was new depends on which report of it came first.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../../../agent/health/counting-rules.ts";
import type { CountingRules } from "../../../../agent/health/counting-rules.ts";
import { HOURS_RETAINED } from "../../../../agent/health/hour-set.ts";
import { decodeDeviceState } from "../../../../agent/health/device-state.ts";
import type { ReleaseRecord } from "../../../../agent/health/device-state.ts";
import type { FoldableReport } from "../../../../agent/health/fold.ts";
import type { ShardTable } from "../../../../agent/health/shard-tables.ts";
import { EVENTS, REPORT_AGE_MS_MAX, clampReportTime } from "../../../../ingest/contract/device-report.ts";
import { createNaiveCounts } from "../../../support/naive-counts.ts";
import type { ReleaseCounts } from "../../../support/naive-counts.ts";
import { AT_MS, createMemoryShard, foldableOf } from "./memory-shard.ts";
import type { MemoryShard, Told } from "./memory-shard.ts";

const RUNS = Number(process.env["RUNS"] ?? 300);
const RECEIVED_WITHIN_MS = 30 * 60_000;
const SILENT_MS = 20 * 60_000;

/** Silence is soon, so that some devices are silent while others still have time. */
const RULES: CountingRules = { ...DEFAULT_COUNTING_RULES, silenceDeadlineMsOf: () => SILENT_MS };

/** How long before it was received a report says that it happened. */
const agoMs = fc.oneof(
  { arbitrary: fc.nat(5 * 60_000), weight: 4 },
  // The same second, and the edges of a minute and an hour.
  { arbitrary: fc.constantFrom(0, 1, 999, 1_000, 60_000, 3_600_000), weight: 4 },
  { arbitrary: fc.nat(12).map((hours) => hours * 3_600_000), weight: 3 },
  { arbitrary: fc.nat(REPORT_AGE_MS_MAX), weight: 2 },
  { arbitrary: fc.nat(5 * 60_000).map((ahead) => -ahead), weight: 1 },
  { arbitrary: fc.constantFrom(-1, 0, 1).map((off) => REPORT_AGE_MS_MAX + off), weight: 1 },
  { arbitrary: fc.constantFrom(-1, 0, 1).map((off) => -5 * 60_000 + off), weight: 1 },
);

/** Half of the time nothing, else one of these. */
function maybe(...texts: readonly string[]): fc.Arbitrary<string | undefined> {
  return fc.option(fc.constantFrom(...texts), { nil: undefined, freq: 2 });
}

const report: fc.Arbitrary<FoldableReport> = fc
  .record({
    event: fc.constantFrom(...EVENTS),
    device: fc.constantFrom("a", "b", "c"),
    version: fc.constantFrom("1.9.0", "1.10.0", "2.0.0"),
    channel: fc.constantFrom("production", "beta"),
    receivedAtMs: fc.oneof(
      fc.nat(RECEIVED_WITHIN_MS).map((afterMs) => AT_MS + afterMs),
      fc.constantFrom(AT_MS, AT_MS + 1, AT_MS + 60_000),
    ),
    agoMs,
    platform: maybe("android", "linux", "", "😀", "\uFFFD"),
    model: maybe("X1", "X2"),
    reason: maybe("", "other", "disk full", ..."a b c d e f g h i".split(" ")),
  })
  .map(({ agoMs, platform, model, reason, ...told }) => {
    const { atMs } = clampReportTime(told.receivedAtMs - agoMs, told.receivedAtMs);
    const texts = Object.entries({ platform, model, reason }).filter(([, text]) => text !== undefined);
    return foldableOf({ ...told, atMs, ...(Object.fromEntries(texts) as Partial<Told>) });
  });

/** The same reports, some of them again, in another order and cut into batches. */
interface Shuffled {
  readonly reports: readonly FoldableReport[];
  readonly batches: readonly (readonly FoldableReport[])[];
}
const shuffled: fc.Arbitrary<Shuffled> = fc
  .array(report, { minLength: 1, maxLength: 40, size: "max" })
  .chain((reports) =>
    fc.record({
      reports: fc.constant(reports),
      batches: fc
        .tuple(
          fc.array(fc.constantFrom(...reports), { maxLength: 20 }),
          fc.array(fc.nat(), { minLength: reports.length + 20, maxLength: reports.length + 20 }),
          fc.integer({ min: 1, max: 12 }),
        )
        .map(([again, keys, batchSize]) => {
          const mixed = [...reports, ...again]
            .map((one, index) => ({ one, key: keys[index]! }))
            .toSorted((left, right) => left.key - right.key)
            .map(({ one }) => one);
          return Array.from({ length: Math.ceil(mixed.length / batchSize) }, (_, batch) =>
            mixed.slice(batch * batchSize, (batch + 1) * batchSize),
          );
        }),
    }),
  );

function folded(batches: readonly (readonly FoldableReport[])[]): MemoryShard {
  const shard = createMemoryShard({ rules: RULES });
  for (const batch of batches) expect(shard.foldReports(batch).refused).toEqual([]);
  return shard;
}

/** But for what depends on the order: when a failure was first told. */
function withoutFailureTimes(counts: Record<string, ReleaseCounts>): Record<string, ReleaseCounts> {
  const rows = Object.entries(counts);
  return Object.fromEntries(rows.map(([release, each]) => [release, { ...each, lastFailureAtMs: 0 }]));
}

function countsOf(shard: MemoryShard): Record<string, ReleaseCounts> {
  return withoutFailureTimes(shard.counts());
}

/** What is kept of the devices, with texts for numbers: those depend on who came first. */
function statesOf({ states, tables }: MemoryShard): Record<string, unknown> {
  const releaseOf = textsOf(tables.releases);
  const stratumOf = textsOf(tables.strata);
  const reasonOf = textsOf(tables.reasons);
  const withTexts = ({ stratum, reasons, ...record }: ReleaseRecord) => ({
    ...record,
    stratum: stratumOf(stratum),
    reasons: reasons.map(reasonOf),
  });
  return Object.fromEntries(
    [...states].map(([field, bytes]) => {
      const { heard, running, firstDay, records } = decodeDeviceState(bytes);
      const named = [...records].map(([number, record]) => [releaseOf(number), withTexts(record)]);
      const shown = {
        heard: { ...heard!, release: releaseOf(heard!.release) },
        running: running === undefined ? undefined : { ...running, release: releaseOf(running.release) },
        firstDay,
        records: Object.fromEntries(named) as unknown,
      };
      return [field, shown];
    }),
  );
}

function textsOf(table: ShardTable): (number: number) => string | undefined {
  const texts = new Map([...table].map(([text, number]) => [number, text]));
  return (number) => texts.get(number);
}

test("hours of reports that came in within half an hour are all told apart", () => {
  const hours = (REPORT_AGE_MS_MAX + 5 * 60_000 + RECEIVED_WITHIN_MS) / 3_600_000;
  expect(Math.ceil(hours)).toBeLessThan(HOURS_RETAINED);
});

test("shuffled, cut into batches and repeated, reports count the same and leave the same states", () => {
  fc.assert(
    fc.property(shuffled, ({ reports, batches }) => {
      const atOnce = folded([reports]);
      const otherwise = folded(batches);
      expect(countsOf(otherwise)).toEqual(countsOf(atOnce));
      expect(statesOf(otherwise)).toEqual(statesOf(atOnce));
    }),
    { numRuns: RUNS },
  );
});

test("and so does silence, when it is looked for afterwards", () => {
  fc.assert(
    fc.property(shuffled, fc.nat(2 * RECEIVED_WITHIN_MS), ({ reports, batches }, afterMs) => {
      const atOnce = folded([reports]);
      const otherwise = folded(batches);
      for (const shard of [atOnce, otherwise]) shard.look(AT_MS + afterMs);
      expect(countsOf(otherwise)).toEqual(countsOf(atOnce));
      expect(statesOf(otherwise)).toEqual(statesOf(atOnce));
    }),
    { numRuns: RUNS },
  );
});

test("they are the counts of the naive model, looks for silence in between included", () => {
  fc.assert(
    fc.property(shuffled, fc.infiniteStream(fc.nat(4)), ({ batches }, looks) => {
      const shard = createMemoryShard({ rules: RULES });
      const model = createNaiveCounts({ rules: RULES });
      for (const batch of batches) {
        shard.foldReports(batch);
        for (const { report, receivedAtMs } of batch)
          model.tell({ ...report, at: report.atMs }, receivedAtMs);
        const look = looks.next().value;
        if (look === 0) continue;
        const nowMs = AT_MS + look * 15 * 60_000;
        shard.look(nowMs);
        model.look(nowMs);
      }
      expect(countsOf(shard)).toEqual(withoutFailureTimes(model.counts()));
    }),
    { numRuns: RUNS },
  );
});
