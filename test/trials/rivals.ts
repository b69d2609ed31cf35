// What other tools' rules would have done on the same devices: a plain threshold with a least number of devices, Wilson's
// bound looked at every 5 minutes (Capgo), the share of the whole group (hawkBit), a z-test at every look. And how often
// a test that is made for one look is wrong when it is looked at again and again.
import type { Random } from "../simulation/random.ts";
import { harmEvidenceLog10 } from "../../agent/judge/limit.ts";
import { binomial } from "./chance.ts";
import { deviation, medianOfAll, number, percent, shareThat } from "./experiment.ts";
import type { Case, Experiment, Found, Row } from "./experiment.ts";
import { twoProportionZ, wilsonLowerBound } from "./reference-forms.ts";

const LIMIT = 0.05;
/** A release that goes out over a day: devices that answer every 5 minutes. */
const LOOKS = 288;
const DEVICES_PER_LOOK = 10;
const GROUP = LOOKS * DEVICES_PER_LOOK;
/** Looks of the 60 minutes that Capgo's rule sees. */
const WINDOW_LOOKS = 12;
const NEEDED_LOG10 = Math.log10(200);

interface Seen {
  readonly trials: number;
  readonly failures: number;
  readonly window: { readonly trials: number; readonly failures: number };
  readonly baseline: { readonly trials: number; readonly failures: number };
  /** Whether 5 minutes are over. */
  readonly isFull: boolean;
}

/** Each is asked after every device. */
const RULES: Readonly<Record<string, (seen: Seen) => boolean>> = {
  Lastgood: ({ trials, failures }) => harmEvidenceLog10({ trials, failures, limit: LIMIT }) >= NEEDED_LOG10,
  "threshold, 20 devices": ({ trials, failures }) => trials >= 20 && failures > LIMIT * trials,
  "threshold, 200 devices": ({ trials, failures }) => trials >= 200 && failures > LIMIT * trials,
  "Wilson 95%, 60 min": ({ window: { trials, failures }, isFull }) =>
    isFull && trials >= 20 && failures >= 3 && wilsonLowerBound(failures, trials) >= LIMIT,
  "share of the group": ({ failures }) => failures > LIMIT * GROUP,
  "z-test at every look": ({ trials, failures, baseline }) =>
    trials >= 20 && twoProportionZ({ trials, failures }, baseline) > 1.645,
};
const RULE_NAMES = Object.keys(RULES);

/** Devices exposed when each rule spoke. The baseline fails exactly as often as is allowed. */
function goOut(random: Random, rate: number): Found {
  const exposed: Record<string, number> = Object.fromEntries(RULE_NAMES.map((name) => [name, Number.NaN]));
  const perLook: { trials: number; failures: number }[] = [];
  let [trials, failures, baselineFailures] = [0, 0, 0];
  for (let look = 0; look < LOOKS; look += 1) {
    const now = { trials: 0, failures: 0 };
    perLook.push(now);
    if (perLook.length > WINDOW_LOOKS) perLook.shift();
    for (let device = 0; device < DEVICES_PER_LOOK; device += 1) {
      const failed = random.chance(rate) ? 1 : 0;
      trials += 1;
      failures += failed;
      now.trials += 1;
      now.failures += failed;
      if (random.chance(LIMIT)) baselineFailures += 1;
      const seen: Seen = {
        trials,
        failures,
        window: sumOf(perLook),
        baseline: { trials, failures: baselineFailures },
        isFull: device === DEVICES_PER_LOOK - 1,
      };
      for (const name of RULE_NAMES)
        if (Number.isNaN(exposed[name]!) && RULES[name]!(seen)) exposed[name] = trials;
    }
  }
  return exposed;
}

function sumOf(looks: readonly { trials: number; failures: number }[]): { trials: number; failures: number } {
  return looks.reduce(
    (sum, { trials, failures }) => ({ trials: sum.trials + trials, failures: sum.failures + failures }),
    { trials: 0, failures: 0 },
  );
}

const RATES = [LIMIT, 0.15, 0.25, 0.5, 1] as const;

export const rivals: Experiment = {
  name: "rivals",
  title: "What other rules would have done, on the same devices",
  about:
    "A release for 2,880 devices over a day, limit 5%, all rules with a look after every device (Wilson's bound: every 5 minutes, as Capgo has it). `exactly 5%`: every rollback is a false one. Of bad releases: share that was missed, and the median of devices exposed when it was found.",
  columns: [
    "rule",
    "exactly 5%: rolled back",
    ...RATES.slice(1).map((rate) => `${percent(rate)}: missed, exposed`),
  ],
  cases: RATES.map((rate): Case => ({
    name: `${rate}`,
    share: rate === LIMIT ? 1 : 0.25,
    run: (random) => goOut(random, rate),
  })),
  rowsOf: (found) =>
    RULE_NAMES.map((name): Row => [
      name,
      percent(shareThat(found.get(`${LIMIT}`)!, name)),
      ...RATES.slice(1).map((rate) => {
        const ofRate = found.get(`${rate}`)!;
        return `${percent(1 - shareThat(ofRate, name))}, ${number(medianOfAll(ofRate, name))}`;
      }),
    ]),
};

// ---- looking again and again

const PEEKS = [
  { looks: 1, reference: 0.05 },
  { looks: 5, reference: 0.142 },
  { looks: 20, reference: 0.248 },
  { looks: 100, reference: 0.374 },
] as const;
/** Capgo's rule at a true rate of exactly its limit, attempts per 5 minutes. */
const ATTEMPTS = [5, 20] as const;

function peekAt(random: Random, looks: number): Found {
  let sum = 0;
  for (let look = 1; look <= looks; look += 1) {
    sum += normal(random);
    if (Math.abs(sum / Math.sqrt(look)) > 1.959_964) return { rejected: look };
  }
  return { rejected: Number.NaN };
}

/** Box & Muller 1958. */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}

function wilsonForADay(random: Random, perLook: number): Found {
  const window: number[] = [];
  const all = { trials: 0, failures: 0 };
  const found = { wilson: Number.NaN, ours: Number.NaN };
  for (let look = 0; look < LOOKS; look += 1) {
    const failures = binomial(random, perLook, LIMIT);
    window.push(failures);
    if (window.length > WINDOW_LOOKS) window.shift();
    const inWindow = window.reduce((sum, each) => sum + each, 0);
    const trials = window.length * perLook;
    if (
      Number.isNaN(found.wilson) &&
      trials >= 20 &&
      inWindow >= 3 &&
      wilsonLowerBound(inWindow, trials) >= LIMIT
    )
      found.wilson = look;
    all.trials += perLook;
    all.failures += failures;
    if (Number.isNaN(found.ours) && harmEvidenceLog10({ ...all, limit: LIMIT }) >= Math.log10(20))
      found.ours = look;
  }
  return found;
}

export const peeking: Experiment = {
  name: "peeking",
  title: "Tests that are made for one look",
  about:
    "How often each accuses a release that is exactly at its limit (or no different from the baseline), when it is looked at again. The reference is Armitage, McPherson & Rowe (1969) for the z-test, and the field's table for Wilson's bound. Ours at 20 to 1, where 5% would be allowed.",
  columns: ["test", "looks", "false", "reference", "off by", "ours at 5%"],
  cases: [
    ...PEEKS.map(({ looks }): Case => ({
      name: `z ${looks}`,
      share: 1,
      run: (random) => peekAt(random, looks),
    })),
    ...ATTEMPTS.map((attempts): Case => ({
      name: `wilson ${attempts}`,
      share: 0.5,
      run: (random) => wilsonForADay(random, attempts),
    })),
  ],
  rowsOf: (found) => [
    ...PEEKS.map(({ looks, reference }): Row => {
      const share = shareThat(found.get(`z ${looks}`)!, "rejected");
      return [
        "z, two-sided 5%",
        number(looks),
        percent(share),
        percent(reference),
        deviation(share, reference),
        "",
      ];
    }),
    ...ATTEMPTS.map((attempts): Row => {
      const ofLine = found.get(`wilson ${attempts}`)!;
      const share = shareThat(ofLine, "wilson");
      return [
        `Wilson 95%, 60 min, ${attempts} attempts per 5 min`,
        number(LOOKS),
        percent(share),
        "91% to 93%",
        "",
        percent(shareThat(ofLine, "ours")),
      ];
    }),
  ],
};
