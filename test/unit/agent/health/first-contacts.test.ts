// First contacts: why a device may accuse, and by which day it is counted; in any order, batch and repetition, over days,
// and whatever the clocks of devices say.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { GROUNDS, LATE_ANSWER_MINUTES } from "../../../../agent/health/first-contacts.ts";
import type { FoldableReport } from "../../../../agent/health/fold.ts";
import { EVENTS, clampReportTime } from "../../../../ingest/contract/device-report.ts";
import { createNaiveCounts } from "../../../support/naive-counts.ts";
import { AT_MS, RELEASE, createMemoryShard, foldableOf } from "./memory-shard.ts";
import type { MemoryShard, Told } from "./memory-shard.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 3_600_000;
const DAY = Math.floor(AT_MS / DAY_MS);

/** By day and stratum, the grounds that are not 0. */
function contactsIn(shard: MemoryShard, release = RELEASE): Record<string, Record<string, number>> {
  const { contacts } = shard.counts()[release]!;
  return Object.fromEntries(
    Object.entries(contacts).map(([name, counts]) => [
      name,
      Object.fromEntries(Object.entries(counts).filter(([, devices]) => devices !== 0)),
    ]),
  );
}

function told(...reports: readonly Told[]): Record<string, Record<string, number>> {
  const shard = createMemoryShard();
  shard.fold(...reports);
  return contactsIn(shard);
}

describe("a device may accuse", () => {
  const at = (minutes: number, event: Told["event"]): Told => ({ event, atMs: AT_MS + minutes * MINUTE_MS });
  it.each<[string, Told[], Record<string, number>]>([
    ["by a failed installation", [at(0, "install_failed")], { failed: 1 }],
    ["by going back", [at(0, "reverted")], { failed: 1 }],
    ["by both, as one device", [at(0, "install_failed"), at(0, "reverted")], { failed: 1 }],
    ["by a failed download", [at(0, "download_failed")], { download_failed: 1 }],
    ["by crashing", [at(0, "crashed"), at(1, "crashed")], { crashed: 1 }],
    ["by not responding", [at(0, "not_responding")], { not_responding: 1 }],
    ["while it has not answered", [at(0, "update_started"), at(2, "installed")], { unanswered: 1 }],
    [
      "by an answer that is late",
      [at(0, "update_started"), at(LATE_ANSWER_MINUTES, "confirmed")],
      { late: 1 },
    ],
  ])("%s", (_how, reports, grounds) => {
    expect(told(...reports)).toEqual({ [`${DAY} unknown`]: grounds });
  });

  it("and not by an answer in time, nor by use alone", () => {
    expect(told(at(0, "update_started"), at(LATE_ANSWER_MINUTES - 1, "confirmed"))).toEqual({});
    expect(told(at(0, "active"))).toEqual({});
  });

  it("by silence, until it is heard of again", () => {
    const shard = createMemoryShard();
    shard.fold(at(0, "update_started"));
    shard.look(AT_MS + DAY_MS);
    expect(contactsIn(shard)).toEqual({ [`${DAY} unknown`]: { silent: 1, unanswered: 1 } });
    shard.fold(at(1, "confirmed"));
    expect(contactsIn(shard)).toEqual({});
  });
});

describe("the day of the first contact", () => {
  const received = (days: number, fields: Partial<Told>): Told => ({
    event: "active",
    receivedAtMs: AT_MS + days * DAY_MS,
    atMs: AT_MS + days * DAY_MS,
    ...fields,
  });

  it("is that of the first report about any version, on any channel, by our clock", () => {
    expect(
      told(
        received(0, { version: "1.3.0", channel: "beta", atMs: AT_MS - 6 * DAY_MS }),
        received(9, { event: "install_failed" }),
      ),
    ).toEqual({ [`${DAY} unknown`]: { failed: 1 } });
  });

  it("an earlier report that is folded later takes all counts of the device along", () => {
    const shard = createMemoryShard();
    shard.fold(received(3, { event: "install_failed" }), received(3, { event: "crashed", version: "1.5.0" }));
    expect(contactsIn(shard)).toEqual({ [`${DAY + 3} unknown`]: { failed: 1 } });
    shard.fold(received(1, { version: "1.3.0" }));
    expect(contactsIn(shard)).toEqual({ [`${DAY + 1} unknown`]: { failed: 1 } });
    expect(contactsIn(shard, "com.acme.till|production|1.5.0")).toEqual({
      [`${DAY + 1} unknown`]: { crashed: 1 },
    });
  });

  it("a stratum that is told later takes them along as well", () => {
    const shard = createMemoryShard();
    shard.fold(received(0, { event: "install_failed" }));
    shard.fold(received(2, { model: "X1" }));
    expect(contactsIn(shard)).toEqual({ [`${DAY} ["","X1","",""]`]: { failed: 1 } });
  });
});

const report: fc.Arbitrary<FoldableReport> = fc
  .record({
    event: fc.constantFrom(...EVENTS),
    device: fc.constantFrom("a", "b", "c", "d"),
    version: fc.constantFrom("1.4.0", "1.5.0"),
    days: fc.nat(4),
    agoMs: fc.oneof(fc.nat(20 * MINUTE_MS), fc.nat(9 * DAY_MS)),
    model: fc.option(fc.constantFrom("X1", "X2"), { nil: undefined }),
  })
  .map(({ days, agoMs, model, ...rest }) => {
    const receivedAtMs = AT_MS + days * DAY_MS;
    const { atMs } = clampReportTime(receivedAtMs - agoMs, receivedAtMs);
    return foldableOf({ ...rest, receivedAtMs, atMs, ...(model === undefined ? {} : { model }) });
  });

test("is a function of the set of reports, and what the naive model counts", () => {
  const met = new Set<string>();
  fc.assert(
    fc.property(fc.array(report, { minLength: 1, maxLength: 30 }), fc.nat(), (reports, seed) => {
      const model = createNaiveCounts();
      for (const { report: one, receivedAtMs } of reports) model.tell({ ...one, at: one.atMs }, receivedAtMs);
      const shuffled = reports.toSorted(
        (left, right) =>
          ((reports.indexOf(left) * 7 + seed) % 13) - ((reports.indexOf(right) * 7 + seed) % 13),
      );
      const shard = createMemoryShard();
      for (let start = 0; start < shuffled.length; start += 3)
        shard.foldReports(shuffled.slice(start, start + 4));
      for (const [release, { contacts }] of Object.entries(model.counts())) {
        expect(shard.counts()[release]!.contacts).toEqual(contacts);
        for (const counts of Object.values(contacts))
          for (const ground of GROUNDS) if (counts[ground] > 0) met.add(ground);
      }
    }),
    { numRuns: 500 },
  );
  // Nobody looks for silence here.
  expect([...met].toSorted()).toEqual(GROUNDS.filter((ground) => ground !== "silent").toSorted());
});
