// An outage in the middle of a rollout: every version crashes fifteen times as often for four hours. A healthy release
// must not be rolled back for it, and a bad one must still be found.
import type { Random } from "../simulation/random.ts";
import type { RuleToJudge } from "../../agent/judge/rule-to-judge.ts";
import { binomial } from "./chance.ts";
import { createCountedRelease } from "./counted-release.ts";
import type { CountedRelease } from "./counted-release.ts";
import { medianOfAll, number, percent, shareThat } from "./experiment.ts";
import type { Case, Experiment, Found, Row } from "./experiment.ts";
import { BASELINE, CANDIDATE, look } from "./fleet-beside-fleet.ts";

const START_MINUTE = Date.UTC(2026, 0, 5) / 60_000;
const HOURS = 36;
/** The rollout begins after a day in which the baseline is known. */
const ROLLOUT_HOUR = 24;
const OUTAGE = { from: 28, to: 32, times: 15 } as const;
const FLEET = 4_000;
/** Of the fleet, by hour after the rollout began. */
const RAMP = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.5, 0.5] as const;
const CRASHES_PER_HOUR = 0.004;
const STRATUM = JSON.stringify(["", "T1", "", ""]);
const RULES: readonly RuleToJudge[] = [
  // Broken by the outage on every version, and by nothing else.
  { form: "limit", signal: "crash", limit: 0.03 },
  { form: "worse_than_baseline", signal: "crash", allowance: { ratio: 2, points: 0 } },
];

/** Devices of a side in which a crash is their first; crashes fall on anybody. */
interface Side {
  readonly release: CountedRelease;
  crashedOnce: number;
}

function useAnHour(
  random: Random,
  side: Side,
  { hourMinute, devices, rate }: { hourMinute: number; devices: number; rate: number },
): void {
  const crashed = binomial(random, devices, Math.min(1, rate));
  for (let device = 0; device < devices; device += 1) side.release.use(hourMinute, STRATUM);
  for (let crash = 0; crash < crashed; crash += 1) {
    const isFirst = !random.chance(Math.min(1, side.crashedOnce / devices));
    side.release.crash(hourMinute, STRATUM, isFirst ? "first" : "again");
    if (isFirst) side.crashedOnce += 1;
  }
}

/** Looked at three times an hour: a third of its use has been told each time. */
function rollOut(random: Random, worse: number, hasOutage: boolean): Found {
  const candidate: Side = { release: createCountedRelease(CANDIDATE), crashedOnce: 0 };
  const baseline: Side = { release: createCountedRelease(BASELINE), crashedOnce: 0 };
  const found = { failing: Number.NaN, environment: Number.NaN };
  takeUp(baseline.release, START_MINUTE, FLEET);
  for (let hour = 0; hour < HOURS; hour += 1) {
    const share = hour < ROLLOUT_HOUR ? 0 : RAMP[hour - ROLLOUT_HOUR]!;
    const rate = CRASHES_PER_HOUR * (hasOutage && hour >= OUTAGE.from && hour < OUTAGE.to ? OUTAGE.times : 1);
    const hourMinute = START_MINUTE + hour * 60;
    takeUp(
      candidate.release,
      hourMinute,
      hour < ROLLOUT_HOUR ? 0 : (RAMP[hour - ROLLOUT_HOUR]! - (RAMP[hour - ROLLOUT_HOUR - 1] ?? 0)) * FLEET,
    );
    for (let third = 1; third <= 3; third += 1) {
      const part = FLEET / 3;
      useAnHour(random, candidate, { hourMinute, devices: Math.round(part * share), rate: rate * worse });
      useAnHour(random, baseline, { hourMinute, devices: Math.round(part * (1 - share)), rate });
      if (share === 0) continue;
      const minute = hourMinute + third * 20 - 1;
      const verdict = look(candidate.release, baseline.release, { rules: RULES, budget: 0.01, minute });
      if (verdict.reason === "environment" && Number.isNaN(found.environment)) found.environment = hour;
      if (verdict.kind === "failing" && Number.isNaN(found.failing))
        found.failing = hour - ROLLOUT_HOUR + third / 3;
    }
  }
  return found;
}

function takeUp(release: CountedRelease, minute: number, devices: number): void {
  for (let device = 0; device < devices; device += 1) {
    release.attempt(minute, STRATUM);
    release.answer({ minute, stratum: STRATUM }, minute + 3, "confirmed");
  }
}

const LINES = [
  { name: "healthy, no outage", worse: 1, hasOutage: false },
  { name: "healthy, outage", worse: 1, hasOutage: true },
  { name: "crashes 5x as often, no outage", worse: 5, hasOutage: false },
  { name: "crashes 5x as often, outage", worse: 5, hasOutage: true },
] as const;

export const outage: Experiment = {
  name: "outage",
  title: "An outage on every version, fifteen-fold for four hours, in the middle of a rollout",
  about:
    "4,000 devices, a rollout to half of them in 10 hours, the outage from its 5th to its 8th hour. Rules: crashes in at most 3% of hours (which the outage breaks on every version), and at most twice the baseline's. Looked at every 20 minutes through the whole judge.",
  columns: ["release", "rolled back", "hours into the rollout, median", "told as environment"],
  cases: LINES.map(({ name, worse, hasOutage }): Case => ({
    name,
    share: 0.1,
    run: (random) => rollOut(random, worse, hasOutage),
  })),
  rowsOf: (found) =>
    LINES.map(({ name }): Row => {
      const ofLine = found.get(name)!;
      return [
        name,
        percent(shareThat(ofLine, "failing")),
        number(medianOfAll(ofLine, "failing")),
        percent(shareThat(ofLine, "environment")),
      ];
    }),
};
