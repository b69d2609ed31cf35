// Devices that meet a bad release before it is rolled back, beside the best that any test could do: Wald's sequential
// test that is told how bad the release is. Ours is told nothing, and keeps half of its budget for kinds of device.
import type { Random } from "../simulation/random.ts";
import { harmEvidenceLog10 } from "../../agent/judge/limit.ts";
import { thresholdsOf } from "../../agent/judge/rule-to-judge.ts";
import { mean, medianOfAll, number, percent, valuesOf } from "./experiment.ts";
import type { Case, Experiment, Found } from "./experiment.ts";

const BUDGET = 0.01;
const DEVICES_MAX = 100_000;
const LIMITS = [0.005, 0.02, 0.05] as const;
const TIMES = [3, 5, 10, Number.POSITIVE_INFINITY] as const;

function expose(random: Random, limit: number, rate: number): Found {
  const neededLog10 = thresholdsOf([{ form: "limit", signal: "update_failure", limit }], BUDGET).fleetLog10;
  const needed = -Math.log(BUDGET);
  let [failures, knowing, optimal, ours] = [0, 0, Number.NaN, Number.NaN];
  for (let trials = 1; trials <= DEVICES_MAX; trials += 1) {
    const failed = random.chance(rate);
    if (failed) failures += 1;
    knowing += failed ? Math.log(rate / limit) : Math.log((1 - Math.min(rate, 1 - 1e-12)) / (1 - limit));
    if (Number.isNaN(optimal) && knowing >= needed) optimal = trials;
    if (Number.isNaN(ours) && harmEvidenceLog10({ trials, failures, limit }) >= neededLog10) ours = trials;
    if (!Number.isNaN(optimal) && !Number.isNaN(ours)) break;
  }
  return { optimal, ours };
}

const LINES = LIMITS.flatMap((limit) =>
  TIMES.map((times) => ({ limit, times, rate: Math.min(1, times * limit), name: `${limit} ${times}` })),
);

export const exposure: Experiment = {
  name: "exposure",
  title: "Devices exposed before a rollback",
  about:
    "Beside the optimal sequential test that knows the bad rate (Wald; at 1/budget = 100 to 1), which nobody can run. Ours acts at 200 to 1, since half of the budget is kept for kinds of device. A look after every device, budget 1%. Aim: at most twice the devices.",
  columns: [
    "limit",
    "true rate",
    "optimal, mean",
    "ours, mean",
    "ratio of means",
    "optimal, median",
    "ours, median",
  ],
  cases: LINES.map(({ name, limit, rate }): Case => ({
    name,
    share: 1,
    run: (random) => expose(random, limit, rate),
  })),
  rowsOf: (found) =>
    LINES.map(({ name, limit, rate, times }) => {
      const ofLine = found.get(name)!;
      const [optimal, ours] = [mean(valuesOf(ofLine, "optimal")), mean(valuesOf(ofLine, "ours"))];
      return [
        percent(limit),
        Number.isFinite(times) ? `${percent(rate)} (${times}x)` : "all fail",
        number(optimal),
        number(ours),
        (ours / optimal).toFixed(2),
        number(medianOfAll(ofLine, "optimal")),
        number(medianOfAll(ofLine, "ours")),
      ];
    }),
};
