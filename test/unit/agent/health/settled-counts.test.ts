// Failures that wait, where a fleet does not say that it begins: the share and the age at their edges, and a
// fleet whose failures answer in seconds and whose good devices answer in minutes.
import { describe, expect, it } from "vitest";
import { NO_DEVICE_HOURS } from "../../../../agent/health/health-window.ts";
import type { HealthWindow } from "../../../../agent/health/health-window.ts";
import { OUTCOMES, flagOf, outcomesOf, toOutcomeCounts } from "../../../../agent/health/outcomes.ts";
import type { OutcomeCounts } from "../../../../agent/health/outcomes.ts";
import {
  ALL_SETTLED,
  ANNOUNCED_SHARE_LEAST,
  SETTLE_MS,
  areAttemptsAnnounced,
  hasUnannouncedFailures,
  settledMinute,
  unsettledFailures,
  unsettledOf,
} from "../../../../agent/health/settled-counts.ts";
import { NO_BASELINE, judge } from "../../../../agent/judge/judge.ts";
import type { Verdict } from "../../../../agent/judge/verdict.ts";
import { createRandom } from "../../../simulation/random.ts";
import { outcomeCounts, releaseOf } from "../../../support/verdicts.ts";
import { AT_MINUTE, AT_MS, RELEASE, createMemoryShard } from "./memory-shard.ts";
import type { MemoryShard } from "./memory-shard.ts";

const START_MINUTE = 5_000_000;
const START_MS = START_MINUTE * 60_000;

describe("areAttemptsAnnounced", () => {
  it("from 80% of the devices with an outcome on", () => {
    expect(ANNOUNCED_SHARE_LEAST).toBe(0.8);
    expect(areAttemptsAnnounced(outcomeCounts({ attempted: 100, announced: 80 }))).toBe(true);
    expect(areAttemptsAnnounced(outcomeCounts({ attempted: 100, announced: 79 }))).toBe(false);
    expect(areAttemptsAnnounced(outcomeCounts({ attempted: 1 }))).toBe(false);
    expect(areAttemptsAnnounced(outcomeCounts({}))).toBe(true);
  });
});

function windowAt(minute: number, counts: Partial<OutcomeCounts>, slotMinutes = 1): HealthWindow {
  return {
    slotMinute: START_MINUTE + minute,
    slotMinutes,
    stratum: "unknown",
    devices: outcomeCounts(counts),
    hours: NO_DEVICE_HOURS,
    answered: [],
  };
}

describe("settledMinute", () => {
  it("is ten minutes ago, to the full minute; at the epoch the first minute", () => {
    expect(settledMinute(START_MS + SETTLE_MS)).toBe(START_MINUTE);
    expect(settledMinute(START_MS + SETTLE_MS - 1)).toBe(START_MINUTE - 1);
    expect(settledMinute(0)).toBe(1);
  });
});

describe("unsettledFailures", () => {
  it("a failure settles SETTLE_MS after the end of its slot, to the minute", () => {
    expect(SETTLE_MS).toBe(600_000);
    const counts = {
      failed: 7,
      failed_unannounced: 3,
      download_failed: 4,
      download_failed_unannounced: 2,
      confirmed: 9,
    };
    for (const slotMinutes of [1, 5, 60]) {
      const windows = [windowAt(0, counts, slotMinutes)];
      const settlesAtMs = START_MS + slotMinutes * 60_000 + SETTLE_MS;
      expect(unsettledFailures(windows, START_MS)).toEqual({ failed: 3, download_failed: 2 });
      expect(unsettledFailures(windows, settlesAtMs - 1)).toEqual({ failed: 3, download_failed: 2 });
      expect(unsettledFailures(windows, settlesAtMs)).toEqual({ failed: 0, download_failed: 0 });
    }
  });

  it("sums the young slots only; a slot of the future is young", () => {
    const windows = [
      windowAt(0, { failed_unannounced: 1 }),
      windowAt(5, { failed_unannounced: 10, download_failed_unannounced: 1 }),
      windowAt(60, { failed_unannounced: 100 }),
    ];
    expect(unsettledFailures(windows, START_MS + 11 * 60_000)).toEqual({ failed: 110, download_failed: 1 });
    expect(unsettledFailures([], START_MS)).toEqual({ failed: 0, download_failed: 0 });
  });
});

const LIMIT = 0.05;
const DEVICES = 1_000;
const ROLLOUT_S = 300;
const FAILS_AFTER_S = 5;
const CONFIRMS_AFTER_S = 300;
/** Until all have answered and all failures are settled. */
const LOOKED_AT_S = ROLLOUT_S + CONFIRMS_AFTER_S + SETTLE_MS / 1_000 + 120;

interface Answer {
  readonly atSecond: number;
  readonly event: "install_failed" | "confirmed";
}

/** What a release's devices report, in order; none says that it begins. */
function silentFleet(release: number, failureRate: number): Answer[] {
  const random = createRandom("silent-fleet", release);
  return Array.from({ length: DEVICES }, (): Answer => {
    const beganAtSecond = Math.floor(random.between(0, ROLLOUT_S));
    return random.chance(failureRate)
      ? { atSecond: beganAtSecond + FAILS_AFTER_S, event: "install_failed" }
      : { atSecond: beganAtSecond + CONFIRMS_AFTER_S, event: "confirmed" };
  }).toSorted((left, right) => left.atSecond - right.atSecond);
}

function createCounts() {
  const totals = OUTCOMES.map(() => 0);
  const slots = new Map<number, number[]>();
  /** As it was when it was asked for last: it is asked for every second. */
  const windows = new Map<number, HealthWindow>();
  const add = (counts: number[], outcomes: readonly number[]): void =>
    outcomes.forEach((count, index) => void (counts[index]! += count));
  return {
    tell({ atSecond, event }: Answer): void {
      const minute = Math.floor(atSecond / 60);
      const ofMinute = slots.get(minute) ?? OUTCOMES.map(() => 0);
      slots.set(minute, ofMinute);
      windows.delete(minute);
      add(ofMinute, outcomesOf(flagOf(event)));
      add(totals, outcomesOf(flagOf(event)));
    },
    devices: () => toOutcomeCounts(totals),
    windows(): HealthWindow[] {
      for (const [minute, counts] of slots)
        if (!windows.has(minute)) windows.set(minute, windowAt(minute, toOutcomeCounts(counts)));
      return [...windows.values()];
    },
  };
}

/** Nothing to compare it with. */
const ALONE = {
  release: releaseOf("1.4.0"),
  history: { release: releaseOf("1.4.0"), days: [] },
  baseline: NO_BASELINE,
  nowMs: START_MS,
};

/** The first second at which the release is called failing, looked at every second; undefined: never. */
function failingAt(answers: readonly Answer[], isSettling = true): number | undefined {
  const counts = createCounts();
  let told = 0;
  for (let second = 0; second <= LOOKED_AT_S; second += 1) {
    const toldBefore = told;
    for (; told < answers.length && answers[told]!.atSecond <= second; told += 1) counts.tell(answers[told]!);
    // Nothing new, and what settles does so at a full minute: the verdict is that of the second before.
    if (told === toldBefore && second % 60 !== 0) continue;
    if (judgeAt(counts, second, isSettling).kind === "failing") return second;
  }
  return undefined;
}

function judgeAt(counts: ReturnType<typeof createCounts>, second: number, isSettling: boolean): Verdict {
  const devices = counts.devices();
  return judge({
    devices,
    ...ALONE,
    rules: [{ form: "limit", signal: "update_failure", limit: LIMIT }],
    falseRollbackBudget: 0.01,
    unsettled: isSettling
      ? unsettledOf({
          devices,
          windows: counts.windows(),
          nowMs: START_MS + second * 1_000,
        })
      : undefined,
  });
}

describe("a fleet that does not announce", () => {
  it("0 of 200 releases with 0.5% failures are accused, ever; without settling, most would be", () => {
    const releases = Array.from({ length: 200 }, (_, release) => silentFleet(release, 0.005));
    expect(releases.filter((answers) => failingAt(answers, false) !== undefined).length).toBeGreaterThan(100);
    expect(releases.filter((answers) => failingAt(answers) !== undefined).length).toBe(0);
  }, 120_000);

  it("with 100% failures it is found, and not before the first of them have settled", () => {
    for (let release = 0; release < 20; release += 1) {
      const second = failingAt(silentFleet(release, 1));
      expect(second).toBeGreaterThanOrEqual(SETTLE_MS / 1_000);
      expect(second).toBeLessThanOrEqual(SETTLE_MS / 1_000 + 120);
    }
  });
});

/** Expected counts `second` seconds into a rollout, and the same as one window; nothing is ever old enough to settle. */
function judgeExpected(counts: Partial<OutcomeCounts>): Verdict {
  const devices = outcomeCounts(counts);
  const unsettled = unsettledOf({
    devices,
    windows: [windowAt(0, counts)],
    nowMs: START_MS,
  });
  const rules = [{ form: "limit" as const, signal: "update_failure" as const, limit: LIMIT }];
  return judge({ ...ALONE, devices, rules, falseRollbackBudget: 0.01, unsettled });
}

describe("fleets of which only some say when they begin", () => {
  it.each([10, 50, 200, 1_000])(
    "%d devices a second whose first word is `installed` after a minute, or a failure after 5 s: never accused",
    (devicesPerSecond) => {
      for (let second = 1; second < 300; second += 1) {
        const failed = Math.floor(0.005 * devicesPerSecond * Math.max(0, second - 5));
        const installed = Math.floor(0.995 * devicesPerSecond * Math.max(0, second - 60));
        const verdict = judgeExpected({
          attempted: failed + installed,
          installed,
          announced: installed,
          failed,
          failed_unannounced: failed,
        });
        expect(verdict.kind).not.toBe("failing");
      }
    },
  );

  it("a silent ring that fails after many have announced does not accuse at once; announced failures do", () => {
    const ring = { attempted: 5_000, announced: 4_000, failed: 1_000 };
    expect(judgeExpected({ ...ring, failed_unannounced: 1_000 })).toMatchObject({
      kind: "inconclusive",
      reason: "attempts_not_announced",
    });
    expect(judgeExpected({ ...ring, announced: 5_000 }).kind).toBe("failing");
  });
});

describe("unsettledOf", () => {
  const at = (counts: Partial<OutcomeCounts>, nowMs: number) =>
    unsettledOf({ devices: outcomeCounts(counts), windows: [windowAt(0, counts)], nowMs });

  it("nothing has to wait where enough devices announce and no failure is young", () => {
    expect(at({ attempted: 100, announced: 80, failed: 20 }, START_MS)).toBeUndefined();
    expect(at({}, START_MS)).toBeUndefined();
    const oneWaits = { attempted: 100, announced: 99, failed: 20, failed_unannounced: 1 };
    expect(at(oneWaits, START_MS)).toEqual({ failed: 1, download_failed: 0 });
    expect(at(oneWaits, START_MS + 60_000 + SETTLE_MS)).toBeUndefined();
  });

  it("where too few announce, there is something to say even when nothing waits", () => {
    expect(at({ attempted: 100, announced: 79, failed: 20 }, START_MS)).toEqual(ALL_SETTLED);
    expect(hasUnannouncedFailures(outcomeCounts({ failed: 20, announced: 79 }))).toBe(false);
    expect(hasUnannouncedFailures(outcomeCounts({ download_failed_unannounced: 1 }))).toBe(true);
    expect(hasUnannouncedFailures(outcomeCounts({ failed_unannounced: 1 }))).toBe(true);
  });
});

describe("devices whose clocks are behind", () => {
  function windowsOf(shard: MemoryShard): HealthWindow[] {
    return Object.entries(shard.counts()[RELEASE]!.windows).map(([name, counts]) => ({
      slotMinute: Number.parseInt(name, 10),
      slotMinutes: 1,
      stratum: "unknown",
      ...counts,
    }));
  }
  const unsettledAt = (shard: MemoryShard, nowMs: number) =>
    unsettledOf({ devices: shard.counts()[RELEASE]!.devices, windows: windowsOf(shard), nowMs });

  it.each([0, 3_600_000, 7 * 24 * 3_600_000])(
    "by %d ms settle nothing before we have known of it for as long, by our own clock",
    (behindMs) => {
      const shard = createMemoryShard();
      const tills = Array.from({ length: 20 }, (_, index) => `till-${index}`);
      shard.fold(
        ...tills.map((device) => ({
          event: "install_failed" as const,
          device,
          atMs: AT_MS - behindMs,
          receivedAtMs: AT_MS,
        })),
      );
      const settlesAtMs = (AT_MINUTE + 1) * 60_000 + SETTLE_MS;
      expect(unsettledAt(shard, AT_MS)).toEqual({ failed: 20, download_failed: 0 });
      expect(unsettledAt(shard, settlesAtMs - 1)).toEqual({ failed: 20, download_failed: 0 });
      expect(unsettledAt(shard, settlesAtMs)).toEqual(ALL_SETTLED);
    },
  );

  it("a failure that is told again, or was first told long ago, does not begin to wait anew", () => {
    const shard = createMemoryShard();
    shard.fold({ event: "install_failed", receivedAtMs: AT_MS });
    const laterMs = (AT_MINUTE + 1) * 60_000 + SETTLE_MS;
    shard.fold(
      { event: "install_failed", receivedAtMs: laterMs },
      { event: "reverted", receivedAtMs: laterMs },
    );
    expect(unsettledAt(shard, laterMs)).toEqual(ALL_SETTLED);
  });
});
