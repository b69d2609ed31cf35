// Numbers of the reference table for silence: minutes until bricked devices show in how fast devices come back, beside a
// baseline of the same age, and what a release does that is healthy but slower.
import type { Random } from "../simulation/random.ts";
import { addAnswerSpan, logRankHarmLog10, zeroLogRankSums } from "../../agent/judge/statistics/log-rank.ts";
import { exponential } from "./chance.ts";
import { deviation, median, number, percent, shareThat, valuesOf } from "./experiment.ts";
import type { Case, Experiment, Found } from "./experiment.ts";

const CANDIDATES = 100;
const BASELINE = 900;
const MEAN_MINUTES = 60;
const MINUTES = 600;

interface Ring {
  readonly bricked: number;
  /** How much slower than the baseline's the healthy devices answer. */
  readonly slowdown: number;
  /** What the test allows. */
  readonly slower: number;
}

function answersByMinute(random: Random, devices: number, meanMinutes: number): number[] {
  const answers = Array.from({ length: MINUTES }, () => 0);
  for (let device = 0; device < devices; device += 1) {
    const minute = Math.floor(exponential(random, meanMinutes));
    if (minute < MINUTES) answers[minute]! += 1;
  }
  return answers;
}

function watch(random: Random, { bricked, slowdown, slower }: Ring): Found {
  const healthy = Math.round(CANDIDATES * (1 - bricked));
  const candidate = answersByMinute(random, healthy, MEAN_MINUTES * slowdown);
  const baseline = answersByMinute(random, BASELINE, MEAN_MINUTES);
  const sums = zeroLogRankSums(slower);
  let [unheard, baselineUnheard] = [CANDIDATES, BASELINE];
  for (let minute = 0; minute < MINUTES; minute += 1) {
    const [answered, baselineAnswered] = [candidate[minute]!, baseline[minute]!];
    addAnswerSpan(sums, { unheard, answered, baselineUnheard, baselineAnswered });
    unheard -= answered;
    baselineUnheard -= baselineAnswered;
    if (logRankHarmLog10(sums) >= 2) return { minutes: minute + 1 };
  }
  return { minutes: Number.NaN };
}

const MARGIN = 1 / 0.7;
const BRICKED = [
  { bricked: 1, plain: 5, margin: 6 },
  { bricked: 0.5, plain: 21, margin: 55 },
  { bricked: 0.3, plain: 54, margin: 157 },
  // Found in 57% within 10 hours with the margin: the reference is the median of those.
  { bricked: 0.2, plain: 101, margin: 259 },
] as const;
const SLOWER = [
  { slowdown: 1, plain: 0.002, margin: 0 },
  { slowdown: 1.3, plain: 0.3, margin: 0 },
  { slowdown: 1.5, plain: 0.77, margin: 0.007 },
  { slowdown: 2, plain: 0.999, margin: 0.49 },
] as const;

function caseOf(name: string, ring: Omit<Ring, "slower">): Case[] {
  return [
    { name: `${name} plain`, share: 0.5, run: (random) => watch(random, { ...ring, slower: 1 }) },
    { name: `${name} margin`, share: 0.5, run: (random) => watch(random, { ...ring, slower: MARGIN }) },
  ];
}

export const silence: Experiment = {
  name: "silence",
  title: "Devices that do not come back, beside a baseline of the same age",
  about:
    "100 devices of the release and 900 of the baseline, which answer after 60 minutes on average; looked at every minute for 10 hours. Minutes until 100 to 1, without a margin and with the one of 1/0.7 that the reference used (ours is 1.5 unless told). The last rows are healthy releases that answer more slowly.",
  columns: ["release", "no margin", "reference", "off by", "with margin", "reference", "off by"],
  cases: [
    ...BRICKED.flatMap(({ bricked }) => caseOf(`bricked ${bricked}`, { bricked, slowdown: 1 })),
    ...SLOWER.flatMap(({ slowdown }) => caseOf(`slower ${slowdown}`, { bricked: 0, slowdown })),
  ],
  rowsOf: (found) => [
    ...BRICKED.map(({ bricked, plain, margin }) => {
      const minutes = (form: string): number =>
        median(valuesOf(found.get(`bricked ${bricked} ${form}`)!, "minutes"));
      return [
        `${percent(bricked)} bricked`,
        number(minutes("plain")),
        number(plain),
        deviation(minutes("plain"), plain),
        number(minutes("margin")),
        number(margin),
        deviation(minutes("margin"), margin),
      ];
    }),
    ...SLOWER.map(({ slowdown, plain, margin }) => {
      const share = (form: string): string =>
        `accused: ${percent(shareThat(found.get(`slower ${slowdown} ${form}`)!, "minutes"))}`;
      const what = slowdown === 1 ? "healthy" : `healthy, ${slowdown}x slower`;
      return [
        what,
        share("plain"),
        `accused: ${percent(plain)}`,
        "",
        share("margin"),
        `accused: ${percent(margin)}`,
        "",
      ];
    }),
  ],
};
