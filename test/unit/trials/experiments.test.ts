// A small cut of `npm run simulate` with a fixed seed: the promise at the limit, devices exposed beside the optimum,
// what others would have done, an outage, and that numbers of the field's table come out. Bounds follow from the number
// of trials; the full tables are in docs/statistics.md.
import { describe, expect, it } from "vitest";
import {
  median,
  medianOfAll,
  mean,
  runChunk,
  shareThat,
  upperBound,
  valuesOf,
} from "../../trials/experiment.ts";
import type { Experiment, Found } from "../../trials/experiment.ts";
import { EXPERIMENTS } from "../../trials/experiments.ts";
import { BEGIN, END, putIntoPage, renderTables } from "../../trials/statistics-page.ts";
import { binomial, geometric, poisson } from "../../trials/chance.ts";
import { createRandom } from "../../simulation/random.ts";

const SEED = 1;

function experiment(name: string): Experiment {
  return EXPERIMENTS.find((each) => each.name === name)!;
}

function tried(name: string, trials: number): Map<string, readonly Found[]> {
  const { cases } = experiment(name);
  return new Map(
    cases.map((each) => [
      each.name,
      runChunk(experiment(name), { experiment: name, case: each.name, first: 0, last: trials }, SEED),
    ]),
  );
}

/** Most that may happen of `trials` at this chance, with 3 standard errors. */
function mostOf(trials: number, chance: number): number {
  return Math.ceil(trials * chance + 3 * Math.sqrt(trials * chance * (1 - chance)));
}

describe("exactly at the limit", () => {
  it.each([...tried("at-the-limit", 300)])("%s: at most half of the budget is accused", (_name, found) => {
    expect(valuesOf(found, "accused").length).toBeLessThanOrEqual(mostOf(300, 0.005));
  });

  it.each([...tried("all-rules", 10)])("every rule at its edge, through the judge: %s", (_name, found) => {
    expect(valuesOf(found, "accused").length).toBeLessThanOrEqual(mostOf(10, 0.01));
  });

  it.each([...tried("counted", 8)])("through the folding: %s", (_name, found) => {
    expect(valuesOf(found, "accused").length).toBeLessThanOrEqual(mostOf(8, 0.01));
  });
});

describe("bad releases", () => {
  it.each([...tried("exposure", 300)])(
    "%s: at most twice the devices of the optimal test",
    (_name, found) => {
      expect(valuesOf(found, "ours")).toHaveLength(300);
      expect(mean(valuesOf(found, "ours")) / mean(valuesOf(found, "optimal"))).toBeLessThanOrEqual(2);
    },
  );

  it("are found during an outage, and a healthy one is not blamed for it", () => {
    const found = tried("outage", 3);
    expect(shareThat(found.get("healthy, outage")!, "failing")).toBe(0);
    expect(shareThat(found.get("healthy, outage")!, "environment")).toBe(1);
    expect(shareThat(found.get("healthy, no outage")!, "environment")).toBe(0);
    expect(shareThat(found.get("crashes 5x as often, outage")!, "failing")).toBe(1);
    expect(shareThat(found.get("crashes 5x as often, no outage")!, "failing")).toBe(1);
  });
});

it("on the same devices a threshold, Wilson's bound and a z-test roll back what is exactly at its limit; ours does not", () => {
  const found = tried("rivals", 40).get("0.05")!;
  expect(valuesOf(found, "Lastgood").length).toBeLessThanOrEqual(mostOf(40, 0.005));
  for (const rule of ["threshold, 20 devices", "threshold, 200 devices", "Wilson 95%, 60 min"])
    expect(shareThat(found, rule)).toBeGreaterThan(0.7);
  expect(shareThat(found, "z-test at every look")).toBeGreaterThan(0.2);
});

describe("numbers of the field's table, roughly at this size", () => {
  it.each([
    ["limit", "harm 0.5", "devices", 7, 0.2],
    ["limit", "harm 0.2", "devices", 40, 0.2],
    ["limit", "safe 0.01", "devices", 126, 0.15],
    ["comparison", "1:9 0.2", "block", 23, 0.25],
    ["comparison", "1:1 0.1", "ours", 159, 0.25],
    ["silence", "bricked 1 margin", "minutes", 6, 0.01],
    ["silence", "bricked 0.5 plain", "minutes", 21, 0.25],
    ["bad-model", "model 1", "byModel", 85, 0.25],
    ["points", "0.12", "bet", 153, 0.3],
  ] as const)("%s, %s", (name, of, value, reference, within) => {
    const found = runChunk(experiment(name), { experiment: name, case: of, first: 0, last: 150 }, SEED);
    expect(Math.abs(medianOfAll(found, value) / reference - 1)).toBeLessThanOrEqual(within);
  });
});

describe("trials", () => {
  it("are the same whatever chunk they are in", () => {
    const whole = runChunk(
      experiment("exposure"),
      { experiment: "exposure", case: "0.05 3", first: 0, last: 10 },
      SEED,
    );
    const part = runChunk(
      experiment("exposure"),
      { experiment: "exposure", case: "0.05 3", first: 4, last: 7 },
      SEED,
    );
    expect(part).toEqual(whole.slice(4, 7));
    const other = runChunk(
      experiment("exposure"),
      { experiment: "exposure", case: "0.05 3", first: 0, last: 10 },
      2,
    );
    expect(other).not.toEqual(whole);
  });

  it("have names and cases of their own, and every case its row", () => {
    expect(new Set(EXPERIMENTS.map(({ name }) => name)).size).toBe(EXPERIMENTS.length);
    for (const { cases } of EXPERIMENTS)
      expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  });

  it("are drawn with the right chances", () => {
    const random = createRandom("chance");
    const drawn = (draw: () => number): number => mean(Array.from({ length: 4_000 }, draw));
    expect(drawn(() => binomial(random, 50, 0.03))).toBeCloseTo(1.5, 1);
    expect(drawn(() => binomial(random, 50, 0.8)) / 40).toBeCloseTo(1, 2);
    expect(drawn(() => poisson(random, 0.7))).toBeCloseTo(0.7, 1);
    expect(drawn(() => poisson(random, 100)) / 100).toBeCloseTo(1, 2);
    expect(drawn(() => geometric(random, 5)) / 5).toBeCloseTo(1, 1);
    expect([binomial(random, 5, 0), binomial(random, 5, 1), geometric(random, 1)]).toEqual([0, 5, 1]);
  });

  it("medians and bounds", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(medianOfAll([{ a: 1 }, { a: Number.NaN }, { a: 2 }], "a")).toBe(2);
    expect(medianOfAll([{ a: Number.NaN }, { a: Number.NaN }, { a: 2 }], "a")).toBeNaN();
    expect(upperBound(0, 2_000)).toBeCloseTo(0.001_92, 4);
    expect(upperBound(10, 2_000)).toBeCloseTo(0.009_2, 3);
  });
});

it("the page keeps its words around the tables", () => {
  const run = { experiments: [], found: new Map(), releases: 2_000, seed: 1 };
  const page = `# Statistics\n\nwords\n\n${BEGIN}\nold\n${END}\n\nmore`;
  expect(putIntoPage(page, renderTables(run))).toBe(
    `# Statistics\n\nwords\n\n${BEGIN}\n\nSeed 1; 2,000 releases a line, fewer where a line says so.\n\n\n\n${END}\n\nmore`,
  );
  expect(() => putIntoPage("no marks", "tables")).toThrow("docs/statistics.md");
});
