// Numbers of the reference table for crash rates: hours until a release that crashes more is found during a rollout,
// with a day's rhythm; and what becomes of it when crashing devices tell many crashes each.
import type { Random } from "../simulation/random.ts";
import { addRatioCell, ratioHarmLog10, zeroRatioSums } from "../../agent/judge/statistics/ratio-test.ts";
import { geometric, poisson } from "./chance.ts";
import { deviation, medianOfAll, number, percent, shareThat } from "./experiment.ts";
import type { Case, Experiment, Found } from "./experiment.ts";

interface Fleet {
  readonly devices: number;
  /** Crashes of a device per hour. */
  readonly rate: number;
}

const LARGE: Fleet = { devices: 100_000, rate: 0.000_5 };
const SMALL: Fleet = { devices: 10_000, rate: 0.002 };
/** Share of the fleet on the candidate, by day. */
const RAMP = [0.01, 0.05, 0.1, 0.2, 0.5] as const;
/** A look every 3 minutes. */
const STEP_HOURS = 0.05;

interface CrashRun {
  readonly fleet: Fleet;
  readonly multiple: number;
  /** Crashes that one crashing device tells, on average. */
  readonly burst?: number;
}

function rollOut(random: Random, { fleet, multiple, burst = 1 }: CrashRun): Found {
  const sums = zeroRatioSums("evidence", { ratio: 1, points: 0 });
  const crashesOf = (mean: number): number => {
    const devices = poisson(random, mean);
    let crashes = 0;
    for (let device = 0; device < devices; device += 1) crashes += geometric(random, burst);
    return crashes;
  };
  for (let step = 1; step <= (RAMP.length * 24) / STEP_HOURS; step += 1) {
    const hours = step * STEP_HOURS;
    const share = RAMP[Math.floor((hours - STEP_HOURS / 2) / 24)]!;
    const rate = fleet.rate * (1 + 0.8 * Math.sin((2 * Math.PI * hours) / 24));
    const exposure = fleet.devices * share * STEP_HOURS;
    const baselineExposure = fleet.devices * (1 - share) * STEP_HOURS;
    addRatioCell(sums, {
      failures: crashesOf(rate * multiple * exposure),
      exposure,
      baselineFailures: crashesOf(rate * baselineExposure),
      baselineExposure,
    });
    if (ratioHarmLog10(sums) >= 2) return { hours, crashes: sums.failures };
  }
  return { hours: Number.NaN, crashes: Number.NaN };
}

const LINES = [
  { fleet: LARGE, multiple: 20, hours: 0.2, crashes: 4 },
  { fleet: LARGE, multiple: 5, hours: 2.2, crashes: 8 },
  { fleet: LARGE, multiple: 2, hours: 24.8, crashes: 31 },
  { fleet: LARGE, multiple: 1.5, hours: 34.5, crashes: 83 },
  { fleet: SMALL, multiple: 20, hours: 0.6, crashes: Number.NaN },
  { fleet: SMALL, multiple: 5, hours: 4.6, crashes: Number.NaN },
  { fleet: SMALL, multiple: 2, hours: 30.8, crashes: Number.NaN },
  { fleet: SMALL, multiple: 1.5, hours: 56, crashes: Number.NaN },
] as const;
const nameOf = ({ fleet, multiple }: { fleet: Fleet; multiple: number }): string =>
  `${fleet.devices} ${multiple}x`;
const BURSTS = [
  { burst: 2, reference: 0.24 },
  { burst: 5, reference: 0.59 },
  { burst: 20, reference: 0.79 },
] as const;

export const crashes: Experiment = {
  name: "crashes",
  title: "Crash rates beside a baseline, during a rollout of five days",
  about:
    "1, 5, 10, 20 and 50% of the fleet on the candidate, day by day; crashes follow the time of day (±80%). Hours until 100 to 1, looked at every 3 minutes. The last rows are a release that is no worse: each crashing device once, and what raw crash events would do.",
  columns: [
    "fleet",
    "crashes more often",
    "hours, median",
    "reference",
    "off by",
    "crashes of the candidate",
    "reference",
  ],
  cases: [
    ...LINES.map((line): Case => ({
      name: nameOf(line),
      share: 0.5,
      run: (random) => rollOut(random, line),
    })),
    { name: "no worse", share: 1, run: (random) => rollOut(random, { fleet: LARGE, multiple: 1 }) },
    ...BURSTS.map(({ burst }): Case => ({
      name: `burst ${burst}`,
      share: 0.25,
      run: (random) => rollOut(random, { fleet: LARGE, multiple: 1, burst }),
    })),
  ],
  rowsOf: (found) => [
    ...LINES.map((line) => {
      const ofLine = found.get(nameOf(line))!;
      const hours = medianOfAll(ofLine, "hours");
      return [
        number(line.fleet.devices),
        `${line.multiple}x`,
        number(hours),
        number(line.hours),
        deviation(hours, line.hours),
        number(medianOfAll(ofLine, "crashes")),
        number(line.crashes),
      ];
    }),
    falseRow("no worse, devices once", found.get("no worse")!, 0.008),
    ...BURSTS.map(({ burst, reference }) =>
      falseRow(`no worse, ${burst} raw crashes each`, found.get(`burst ${burst}`)!, reference),
    ),
  ],
};

function falseRow(what: string, found: readonly Found[], reference: number): string[] {
  return [
    "100,000",
    what,
    `false: ${percent(shareThat(found, "hours"))}`,
    `false: ${percent(reference)}`,
    "",
    "",
    "",
  ];
}
