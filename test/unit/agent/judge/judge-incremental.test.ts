// Judging again what changed gives the same bits as judging all of it anew: whatever changes, in whatever order things
// are looked at, and whatever was remembered. And how windows are cut up, ordered or spread over shards changes nothing.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { historyOf } from "../../../../agent/health/release-history.ts";
import type { ReleaseHistory } from "../../../../agent/health/release-history.ts";
import type { HealthWindow } from "../../../../agent/health/health-window.ts";
import { judge } from "../../../../agent/judge/judge.ts";
import type { JudgeInput } from "../../../../agent/judge/judge.ts";
import type { RuleToJudge } from "../../../../agent/judge/rule-to-judge.ts";
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
  inputOf,
} from "../../../support/judged-release.ts";

const RULES: readonly RuleToJudge[] = [
  UPDATE_LIMIT,
  UPDATE_COMPARED,
  CRASH_LIMIT,
  CRASH_COMPARED,
  { form: "limit", signal: "silence", limit: 0.02, deadlineMs: 6 * 3_600_000 },
  {
    form: "worse_than_baseline",
    signal: "silence",
    allowance: { ratio: 1.5, points: 0 },
    deadlineMs: 6 * 3_600_000,
  },
  { form: "worse_than_baseline", signal: "download_failure", allowance: { ratio: 1, points: 0.01 } },
  {
    form: "plain",
    signal: "update_failure",
    limit: 0.05,
    windowMs: 3_600_000,
    forMs: 600_000,
    minDevices: 5,
  },
];

const step = fc.record({
  side: fc.nat(2),
  /** Hours after the beginning of the first of three days. */
  hour: fc.nat(70),
  minute: fc.nat(59),
  stratum: fc.constantFrom(T1, T2),
  devices: fc.integer({ min: 1, max: 30 }),
  failed: fc.nat(6),
  what: fc.constantFrom("update", "begin", "use"),
  later: fc.nat(90),
});

test("incremental is from scratch, bit for bit", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 3, maxLength: 25 }), (steps) => {
      const sides = [createSide("1.5.0"), createSide("1.4.0"), createSide("1.3.0")] as const;
      let minute = DAY_START + 71 * HOUR;
      for (const { side: index, hour, minute: inHour, stratum, devices, failed, what, later } of steps) {
        const side = sides[index]!;
        const at = { minute: DAY_START + hour * HOUR + inHour, hourMinute: DAY_START + hour * HOUR, stratum };
        if (what === "update") side.update(at, devices, Math.min(failed, devices));
        if (what === "begin") side.begin(at, devices);
        if (what === "use") side.useIn(at, devices, Math.min(failed, devices));
        minute += later;
        const [candidate, ...baselines] = sides;
        const input = inputOf({ candidate, baselines, rules: RULES, minute });
        // Objects of their own: nothing can be remembered of them.
        expect(judge(input)).toEqual(judge(structuredClone(input)));
        // The other way round, and beside one baseline only: nothing that is remembered may leak.
        const turned = inputOf({ candidate: sides[1], baselines: [sides[2]], rules: RULES, minute });
        expect(judge(turned)).toEqual(judge(structuredClone(turned)));
      }
    }),
    { numRuns: 60 },
  );
});

function windowsOf({ days }: ReleaseHistory): HealthWindow[] {
  return days.flatMap(({ hours }) => hours.flatMap(({ windows }) => [...windows]));
}

/** A window in two, with every count in one of them or shared between them. */
function cut(window: HealthWindow, share: number): HealthWindow[] {
  const part = <Counts extends object>(counts: Counts, take: (count: number) => number): Counts =>
    Object.fromEntries(
      Object.entries(counts).map(([name, count]) => [name, take(count as number)]),
    ) as Counts;
  const first = (count: number): number => Math.floor(count * share);
  const rest = (count: number): number => count - first(count);
  return [first, rest].map((take) => ({
    ...window,
    devices: part(window.devices, take),
    hours: part(window.hours, take),
    answered: window.answered.map(take),
  }));
}

test("permuting, splitting and sharding windows changes nothing", () => {
  const [candidate, baseline] = [createSide("1.5.0"), createSide("1.4.0")];
  for (let hour = 0; hour < 30; hour += 1)
    for (const stratum of [T1, T2]) {
      candidate.update({ minute: DAY_START + hour * HOUR + hour, stratum }, 10 + hour, hour % 4);
      baseline.update({ minute: DAY_START + hour * HOUR + hour, stratum }, 40, hour % 3);
      candidate.useIn({ hourMinute: DAY_START + hour * HOUR, stratum }, 20 + hour, hour % 2);
      baseline.useIn({ hourMinute: DAY_START + hour * HOUR, stratum }, 90, hour % 3);
    }
  const input = inputOf({ candidate, baselines: [baseline], rules: RULES, minute: DAY_START + 31 * HOUR });
  const expected = judge(input);
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(), (share, salt) => {
      const rearranged = (history: ReleaseHistory): ReleaseHistory => {
        const pieces = windowsOf(history).flatMap((window) => cut(window, share));
        const order = pieces.map((_, index) => (index * 7_919 + salt) % pieces.length);
        return historyOf(
          history.release,
          pieces.toSorted((left, right) => order[pieces.indexOf(left)]! - order[pieces.indexOf(right)]!),
        );
      };
      const other: JudgeInput = {
        ...input,
        history: rearranged(input.history),
        baseline: { ...input.baseline, histories: input.baseline.histories.map(rearranged) },
      };
      expect(judge(other)).toEqual(expected);
    }),
    { numRuns: 20 },
  );
});
