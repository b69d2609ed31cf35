// Of the devices that accuse by a rule, those that were heard of before the day of the release: which are meant, by
// which day, and how slow answers are counted.
import { describe, expect, it } from "vitest";
import { toGroundCounts } from "../../../../agent/health/first-contacts.ts";
import type { Ground, GroundCounts } from "../../../../agent/health/first-contacts.ts";
import type { FirstContacts } from "../../../../agent/health/health-window.ts";
import { knownDevicesOf, shareOf } from "../../../../agent/judge/known-devices.ts";
import type { AccusingRule } from "../../../../agent/judge/verdict.ts";
import {
  CRASH_LIMIT,
  DAY_START,
  HOUR,
  T2,
  UPDATE_LIMIT,
  createSide,
  judgeSides,
} from "../../../support/judged-release.ts";

const DAY = 20_484;
const T9 = JSON.stringify(["", "till-9", "", ""]);
const T1 = JSON.stringify(["", "till-1", "", ""]);

function counts(fields: Partial<GroundCounts>): GroundCounts {
  return { ...toGroundCounts([]), ...fields };
}

function rule(fields: Partial<AccusingRule> = {}): AccusingRule {
  return { signal: "update_failure", rule: "limit", segment: null, failures: 1, ...fields };
}

function countedOf(contacts: FirstContacts, accusing: AccusingRule): { devices: number; known: number } {
  const { devices, known, releaseDay, listeningDay } = knownDevicesOf(accusing, {
    contacts,
    releaseDay: DAY,
    listeningDay: DAY - 9,
  });
  expect([releaseDay, listeningDay]).toEqual([DAY, DAY - 9]);
  return { devices, known };
}

describe("a rule for what devices report", () => {
  const days = new Map([
    [0, counts({ failed: 1, crashed: 2 })],
    [DAY - 1, counts({ failed: 4, silent: 1, download_failed: 7 })],
    [DAY, counts({ failed: 8, not_responding: 3 })],
    [DAY + 1, counts({ failed: 16 })],
  ]);

  it.each<[AccusingRule["signal"], number, number]>([
    ["update_failure", 29, 5],
    ["download_failure", 7, 7],
    ["crash", 2, 2],
    ["not_responding", 3, 0],
    ["silence", 1, 1],
  ])(
    "%s: of %i devices %i were heard of on an earlier day, or before days were kept",
    (signal, devices, known) => {
      expect(countedOf(new Map([["unknown", days]]), rule({ signal }))).toEqual({ devices, known });
    },
  );

  it("means all kinds of device, or the one that fails", () => {
    const contacts = new Map([
      [T9, new Map([[DAY, counts({ failed: 3 })]])],
      [T1, new Map([[DAY - 1, counts({ failed: 5 })]])],
      ["other", new Map([[DAY - 1, counts({ failed: 7 })]])],
    ]);
    expect(countedOf(contacts, rule())).toEqual({ devices: 15, known: 12 });
    expect(countedOf(contacts, rule({ segment: "model=till-9" }))).toEqual({ devices: 3, known: 0 });
    expect(countedOf(contacts, rule({ segment: "model=till-1" }))).toEqual({ devices: 5, known: 5 });
  });

  it("what was taken off and never added counts as nothing", () => {
    const contacts = new Map([
      [
        "unknown",
        new Map([
          [0, counts({ failed: -2 })],
          [DAY, counts({ failed: 1 })],
        ]),
      ],
    ]);
    expect(countedOf(contacts, rule())).toEqual({ devices: 1, known: 0 });
  });

  it("nobody accuses: nobody is known", () => {
    expect(countedOf(new Map(), rule())).toEqual({ devices: 0, known: 0 });
    expect(shareOf({ devices: 0, known: 0 })).toBe(0);
  });
});

describe("a rule for slow answers", () => {
  const slow = (failures: number): AccusingRule =>
    rule({ signal: "silence", rule: "worse_than_baseline", failures });
  const contactsOf = (...rows: [day: number, ground: Ground, devices: number][]): FirstContacts =>
    new Map(
      rows.map(([day, ground, devices], index) => [
        `s${index}`,
        new Map([[day, counts({ [ground]: devices })]]),
      ]),
    );

  it("known devices that have only just begun don't stand in for new ones that are slow", () => {
    // 60 have not answered by an age at which they should have; 900 began a minute ago.
    const contacts = contactsOf([DAY - 1, "unanswered", 900], [DAY, "unanswered", 60]);
    expect(countedOf(contacts, slow(60))).toEqual({ devices: 60, known: 0 });
  });

  it("those that are no new ones are known", () => {
    const contacts = contactsOf([DAY - 1, "unanswered", 50], [DAY, "unanswered", 10]);
    expect(countedOf(contacts, slow(60))).toEqual({ devices: 60, known: 50 });
  });

  it("late answers accuse as well, and can't be hidden by a few that have not answered", () => {
    const contacts = contactsOf([DAY - 1, "unanswered", 3], [DAY, "late", 600]);
    expect(countedOf(contacts, slow(3))).toEqual({ devices: 603, known: 3 });
    expect(countedOf(contacts, slow(0))).toEqual({ devices: 600, known: 0 });
  });

  it("nor can forged silence be hidden by answers that are always late", () => {
    const contacts = contactsOf([DAY - 1, "late", 5_000], [DAY, "unanswered", 100]);
    expect(countedOf(contacts, slow(100))).toEqual({ devices: 100, known: 0 });
  });
});

describe("a verdict", () => {
  const side = createSide("1.5.0");
  side.update({ minute: DAY_START }, 2_000, 400);
  side.useIn({ hourMinute: DAY_START + HOUR }, 2_000, 500);

  it("names the rules that make it failing, and whom they mean", () => {
    const { accusing } = judgeSides({
      candidate: side,
      baselines: [],
      rules: [UPDATE_LIMIT, CRASH_LIMIT],
      minute: DAY_START + 3 * HOUR,
    });
    expect(accusing).toEqual([
      { signal: "update_failure", rule: "limit", segment: null, failures: 400 },
      { signal: "crash", rule: "limit", segment: null, failures: 500 },
    ]);
  });

  it("or each kind of device that fails, where the fleet does not", () => {
    const confined = createSide("1.5.0");
    confined.update({ minute: DAY_START }, 2_000, 20);
    confined.update({ minute: DAY_START, stratum: T2 }, 60, 30);
    const { reason, accusing } = judgeSides({
      candidate: confined,
      baselines: [],
      rules: [UPDATE_LIMIT],
      minute: DAY_START + HOUR,
    });
    expect(reason).toBe("segment_failing");
    expect(accusing.length).toBeGreaterThan(0);
    for (const each of accusing)
      expect(each).toEqual({ signal: "update_failure", rule: "limit", segment: each.segment, failures: 30 });
    expect(accusing[0]!.segment).toContain("=");
  });

  it("names none where nothing accuses", () => {
    const healthy = createSide("1.5.0");
    healthy.update({ minute: DAY_START }, 100, 0);
    const { accusing } = judgeSides({
      candidate: healthy,
      baselines: [],
      rules: [UPDATE_LIMIT],
      minute: DAY_START + HOUR,
    });
    expect(accusing).toEqual([]);
  });
});
