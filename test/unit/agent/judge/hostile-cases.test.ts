// Cases in which a hostile reader had the judge wrong: bad releases that were excused, and good ones that were accused.
// Each says what the devices did, and what must come of it.
import { describe, expect, it } from "vitest";
import { isSurging } from "../../../../agent/judge/environment.ts";
import type { RuleToJudge } from "../../../../agent/judge/rule-to-judge.ts";
import { createRandom } from "../../../simulation/random.ts";
import {
  CRASH_COMPARED,
  CRASH_LIMIT,
  DAY_START,
  HOUR,
  T1,
  T2,
  UPDATE_COMPARED,
  UPDATE_LIMIT,
  createSide,
  judgeSides,
} from "../../../support/judged-release.ts";

const kind = (model: string): string => JSON.stringify(["", model, "", ""]);
const SILENCE: RuleToJudge = { form: "limit", signal: "silence", limit: 0.02, deadlineMs: 6 * 3_600_000 };
const RETURNS: RuleToJudge = {
  form: "worse_than_baseline",
  signal: "silence",
  allowance: { ratio: 1.5, points: 0 },
  deadlineMs: 6 * 3_600_000,
};

it("a kind of device that fails is not forgotten for others that have more evidence and a smaller share of the budget", () => {
  const candidate = createSide("1.5.0");
  candidate.update({ minute: DAY_START, stratum: kind("A-first") }, 40, 10);
  candidate.update({ minute: DAY_START + 5, stratum: kind("big") }, 4_000, 40);
  for (let index = 0; index < 8; index += 1)
    candidate.update({ minute: DAY_START + 10 + index * 5, stratum: kind(`ok${index}`) }, 200, 2);
  for (let index = 0; index < 5; index += 1)
    candidate.update({ minute: DAY_START + 60 + index * 5, stratum: kind(`late${index}`) }, 12, 6);
  const verdict = judgeSides({ candidate, rules: [UPDATE_LIMIT], minute: DAY_START + 3 * HOUR });
  expect(verdict).toMatchObject({ kind: "failing", reason: "segment_failing" });
  expect(verdict.signals[0]!.segments[0]!.segment).toBe("model=A-first");
});

describe("devices that come back a little later, all of them", () => {
  function evidence(delayOf: (side: "candidate" | "baseline") => number, devices = 40): number {
    const [candidate, baseline] = [createSide("1.5.0"), createSide("1.4.0")];
    for (let device = 0; device < devices; device += 1)
      for (const [side, name] of [
        [candidate, "candidate"],
        [baseline, "baseline"],
      ] as const) {
        const minute = DAY_START + 5 * Math.floor(device / 20);
        side.begin({ minute }, 1);
        side.answer({ minute, stratum: T1 }, minute + delayOf(name), "confirmed");
      }
    const evidences = [4, 6, 9, 15, 40, 720].map((after) => {
      const minute = DAY_START + after;
      const verdict = judgeSides({ candidate, baselines: [baseline], rules: [SILENCE, RETURNS], minute });
      expect(verdict.kind).not.toBe("failing");
      return verdict.signals[1]!.evidenceLog10 ?? 0;
    });
    return Math.max(...evidences);
  }

  it("40 of them at 3 minutes, where the baseline's 40 take 2", () => {
    expect(evidence((side) => (side === "candidate" ? 3 : 2))).toBeLessThanOrEqual(0);
  });

  it("720 of them, 1.4 times as late, around 2 minutes", () => {
    const random = createRandom(7);
    const spread = (): number => Math.exp(0.25 * (random.next() + random.next() + random.next() - 1.5) * 2);
    const delay = (side: string): number => Math.floor((side === "candidate" ? 2.8 : 2) * spread());
    expect(evidence(delay, 720)).toBeLessThanOrEqual(0);
  });
});

describe("another kind of device excuses nobody", () => {
  it("that fails on the baseline, where the release's own kind is not there, or is fine", () => {
    for (const fine of [0, 10]) {
      const [candidate, baseline] = [createSide("1.5.0"), createSide("1.4.0")];
      for (let hour = 0; hour < 24; hour += 1) {
        const minute = DAY_START + hour * HOUR;
        candidate.update({ minute, stratum: T1 }, 100, 12);
        baseline.update({ minute, stratum: T1 }, fine, 0);
        baseline.update({ minute, stratum: T2 }, 100, 14);
      }
      const told = { candidate, baselines: [baseline], minute: DAY_START + 26 * HOUR };
      expect(judgeSides({ ...told, rules: [UPDATE_LIMIT] }).kind).toBe("failing");
      expect(judgeSides({ ...told, rules: [UPDATE_LIMIT, UPDATE_COMPARED] }).kind).toBe("failing");
    }
  });

  it("that has always crashed", () => {
    const [candidate, baseline] = [createSide("1.5.0"), createSide("1.4.0")];
    candidate.update({ minute: DAY_START, stratum: T1 }, 1_000);
    baseline.update({ minute: DAY_START, stratum: T1 }, 1_000);
    baseline.update({ minute: DAY_START, stratum: T2 }, 1_000);
    for (let hour = 1; hour < 20; hour += 1) {
      candidate.useIn({ hourMinute: DAY_START + hour * HOUR, stratum: T1 }, 1_000, 40);
      baseline.useIn({ hourMinute: DAY_START + hour * HOUR, stratum: T2 }, 1_000, 50);
    }
    const told = { candidate, baselines: [baseline], minute: DAY_START + 20 * HOUR };
    expect(judgeSides({ ...told, rules: [CRASH_LIMIT, CRASH_COMPARED] }).kind).toBe("failing");
  });
});

describe("a part of the network", () => {
  const day = DAY_START + 24 * HOUR;
  /** 1,000 devices; half of them update, so many of them fall silent; so many of the others are still used. */
  function silentBeside({ silent, stillUsed }: { silent: number; stillUsed: number }) {
    const [candidate, baseline] = [createSide("1.5.0"), createSide("1.4.0")];
    baseline.update({ minute: DAY_START - 48 * HOUR }, 1_000);
    for (let hour = 0; hour < 24; hour += 1) baseline.useIn({ hourMinute: DAY_START + hour * HOUR }, 1_000);
    for (let hour = 0; hour < 9; hour += 1) baseline.useIn({ hourMinute: day + hour * HOUR }, stillUsed);
    Object.assign(baseline.devices, { running: 500 + silent });
    candidate.update({ minute: day + HOUR }, 500 - silent);
    candidate.begin({ minute: day + HOUR }, silent);
    for (let device = 0; device < silent; device += 1) candidate.silent({ minute: day + HOUR, stratum: T1 });
    return judgeSides(
      { candidate, baselines: [baseline], rules: [SILENCE], minute: day + 9 * HOUR },
      { silenceDeadlineMs: 6 * 3_600_000 },
    );
  }

  it("that is down excuses as many as it silenced", () => {
    expect(silentBeside({ silent: 200, stillUsed: 300 }).reason).toBe("environment");
  });

  it("does not excuse many more, nor where nobody went quiet", () => {
    expect(silentBeside({ silent: 300, stillUsed: 300 }).kind).toBe("failing");
    expect(silentBeside({ silent: 200, stillUsed: 500 }).kind).toBe("failing");
    expect(silentBeside({ silent: 40, stillUsed: 485 }).kind).toBe("failing");
  });
});

it("devices that crash every night at three are no surge; one at noon is", () => {
  const baseline = createSide("1.4.0");
  baseline.update({ minute: DAY_START }, 4_000);
  for (let hour = 0; hour < 96; hour += 1) {
    const isNoon = hour === 84;
    const isNight = hour % 24 === 3;
    for (let device = 0; device < 4_000; device += 1) baseline.use(DAY_START + hour * HOUR, T1);
    for (let crash = 0; crash < (isNoon ? 500 : isNight ? 160 : 8); crash += 1)
      baseline.crash(DAY_START + hour * HOUR, T1, "again");
  }
  const surges = Array.from({ length: 72 }, (_, index) => index + 24).filter((hour) => {
    const upTo = DAY_START + hour * HOUR;
    const history = baseline.history();
    const days = history.days.map((day) => ({
      ...day,
      hours: day.hours.filter(({ hourMinute }) => hourMinute <= upTo),
    }));
    return isSurging([{ ...history, days }], { signal: "crash", nowMs: (upTo + 59) * 60_000 });
  });
  expect(surges).toEqual([84, 85]);
});

it("the first hour of devices that are only heard of when they crash accuses nobody while it is open", () => {
  const [candidate, baseline] = [createSide("1.5.0"), createSide("1.4.0")];
  const noon = DAY_START + 12 * HOUR;
  for (let hour = 0; hour < 12; hour += 1) baseline.useIn({ hourMinute: DAY_START + hour * HOUR }, 1_000, 5);
  baseline.useIn({ hourMinute: noon }, 500, 3);
  candidate.useIn({ hourMinute: noon }, 5, 5);
  const told = { candidate, baselines: [baseline], rules: [CRASH_COMPARED] };
  expect(judgeSides({ ...told, minute: noon + 40 }).kind).not.toBe("failing");
});

it("what a rule without a baseline says comes after what is known", () => {
  const candidate = createSide("1.5.0");
  candidate.update({ minute: DAY_START }, 1_000, 5);
  const { sentence } = judgeSides({
    candidate,
    rules: [UPDATE_COMPARED, UPDATE_LIMIT],
    minute: DAY_START + 2 * HOUR,
  });
  expect(sentence).toMatch(/^5 of 1,000 devices failed to install or boot 1\.5\.0/);
});
