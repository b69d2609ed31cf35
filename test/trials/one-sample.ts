// Numbers of the field's reference table for tests against a limit: how many devices until a bad release is found, how
// many until a good one is called healthy, one bad model among forty, retries.
import { harmEvidenceLog10, safetyEvidenceLog10 } from "../../agent/judge/limit.ts";
import type { Random } from "../simulation/random.ts";
import { deviation, medianOfAll, number, percent, shareThat } from "./experiment.ts";
import type { Case, Experiment, Found } from "./experiment.ts";

const LIMIT = 0.05;

/** Devices until the evidence reaches `log10`, one after the other; NaN = not within so many. */
function devicesUntil(
  random: Random,
  { rate, log10, devicesMax }: { rate: number; log10: number; devicesMax: number },
  evidenceOf: (counts: { trials: number; failures: number; limit: number }) => number,
): number {
  let failures = 0;
  for (let trials = 1; trials <= devicesMax; trials += 1) {
    if (random.chance(rate)) failures += 1;
    if (evidenceOf({ trials, failures, limit: LIMIT }) >= log10) return trials;
  }
  return Number.NaN;
}

interface Line {
  readonly rate: number;
  readonly reference: number;
  readonly devicesMax: number;
}

const HARM: readonly Line[] = [
  { rate: 1, reference: 3, devicesMax: 100 },
  { rate: 0.5, reference: 7, devicesMax: 1_000 },
  { rate: 0.2, reference: 40, devicesMax: 5_000 },
  { rate: 0.1, reference: 265, devicesMax: 20_000 },
  { rate: 0.075, reference: 969, devicesMax: 40_000 },
  { rate: 0.06, reference: 5_900, devicesMax: 60_000 },
];
const SAFE: readonly Line[] = [
  { rate: 0, reference: 77, devicesMax: 3_000 },
  { rate: 0.01, reference: 126, devicesMax: 3_000 },
  { rate: 0.02, reference: 248, devicesMax: 3_000 },
  { rate: 0.03, reference: 608, devicesMax: 3_000 },
];

export const oneSample: Experiment = {
  name: "limit",
  title: "Against a limit of 5%",
  about:
    "Devices until the release is found bad (evidence of 100 to 1), or proven good (20 to 1), one after the other with a look after each. Medians; the reference is the field's table that our tests have to reproduce within 15%.",
  columns: ["true rate", "what", "devices, median", "reference", "off by", "found"],
  cases: [
    ...HARM.map((line): Case => ({
      name: `harm ${line.rate}`,
      share: line.devicesMax > 10_000 ? 0.25 : 1,
      run: (random): Found => ({ devices: devicesUntil(random, { ...line, log10: 2 }, harmEvidenceLog10) }),
    })),
    {
      name: "harm at the limit",
      share: 0.5,
      run: (random) => ({
        devices: devicesUntil(random, { rate: LIMIT, log10: 2, devicesMax: 20_000 }, harmEvidenceLog10),
      }),
    },
    ...SAFE.map((line): Case => ({
      name: `safe ${line.rate}`,
      share: 1,
      run: (random): Found => ({
        devices: devicesUntil(random, { ...line, log10: Math.log10(20) }, safetyEvidenceLog10),
      }),
    })),
    {
      name: "safe at the limit",
      share: 0.5,
      run: (random) => ({
        devices: devicesUntil(
          random,
          { rate: LIMIT, log10: Math.log10(20), devicesMax: 20_000 },
          safetyEvidenceLog10,
        ),
      }),
    },
  ],
  rowsOf: (found) => [
    ...HARM.map(({ rate, reference }) =>
      rowOf(found.get(`harm ${rate}`)!, { rate, what: "found bad", reference }),
    ),
    [
      percent(LIMIT),
      "found bad: false",
      "",
      "0.5%",
      "",
      percent(shareThat(found.get("harm at the limit")!, "devices")),
    ],
    ...SAFE.map(({ rate, reference }) =>
      rowOf(found.get(`safe ${rate}`)!, { rate, what: "proven good", reference }),
    ),
    [
      percent(LIMIT),
      "proven good: wrong",
      "",
      "5%",
      "",
      percent(shareThat(found.get("safe at the limit")!, "devices")),
    ],
  ],
};

function rowOf(
  found: readonly Found[],
  { rate, what, reference }: { rate: number; what: string; reference: number },
): string[] {
  const devices = medianOfAll(found, "devices");
  return [
    percent(rate),
    what,
    number(devices),
    number(reference),
    deviation(devices, reference),
    percent(shareThat(found, "devices")),
  ];
}

// ---- one bad model

const MODEL_SHARE = 0.032;
const FLEET_RATE = 0.01;
const ALLOWED = 1.5 * FLEET_RATE;
const MODELS = 40;
const MODEL_LINES = [
  { rate: 0.25, global: Number.NaN, model: 559 },
  { rate: 0.5, global: 1_633, model: 223 },
  { rate: 1, global: 309, model: 85 },
] as const;

function findModel(random: Random, rate: number): Found {
  const fleet = { trials: 0, failures: 0, limit: ALLOWED };
  const model = { trials: 0, failures: 0, limit: ALLOWED };
  let [byFleet, byModel] = [Number.NaN, Number.NaN];
  for (let devices = 1; devices <= 5_000 && (Number.isNaN(byFleet) || Number.isNaN(byModel)); devices += 1) {
    const isModel = random.chance(MODEL_SHARE);
    const failed = random.chance(isModel ? rate : FLEET_RATE) ? 1 : 0;
    fleet.trials += 1;
    fleet.failures += failed;
    if (isModel) {
      model.trials += 1;
      model.failures += failed;
    }
    if (Number.isNaN(byFleet) && harmEvidenceLog10(fleet) >= 2) byFleet = devices;
    if (Number.isNaN(byModel) && harmEvidenceLog10(model) >= Math.log10(100 * MODELS)) byModel = devices;
  }
  return { byFleet, byModel };
}

export const badModel: Experiment = {
  name: "bad-model",
  title: "One bad model of 3.2% of the fleet among 40",
  about:
    "The other models fail for 1%; 1.5% is allowed. Updated devices until the fleet as a whole (100 to 1) or the model on its own (4,000 to 1) shows it, within 5,000. Medians of all; `-` = in fewer than half.",
  columns: ["the model fails for", "by the fleet", "reference", "by the model", "reference", "off by"],
  cases: MODEL_LINES.map(({ rate }) => ({
    name: `model ${rate}`,
    share: 0.5,
    run: (random) => findModel(random, rate),
  })),
  rowsOf: (found) =>
    MODEL_LINES.map(({ rate, global, model }) => {
      const ofModel = found.get(`model ${rate}`)!;
      const devices = medianOfAll(ofModel, "byModel");
      return [
        percent(rate),
        Number.isNaN(global)
          ? `found in ${percent(shareThat(ofModel, "byFleet"))}`
          : number(medianOfAll(ofModel, "byFleet")),
        Number.isNaN(global) ? "found in 7%" : number(global),
        number(devices),
        number(model),
        deviation(devices, model),
      ];
    }),
};
