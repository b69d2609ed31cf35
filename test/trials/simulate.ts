// `npm run simulate`: whether the judge can be trusted at every look. Enters: flags. Judges simulated releases by the
// thousand, on all cores. Leaves: tables, on the terminal and, with --write, in docs/statistics.md. The same seed gives
// the same tables, on any number of cores.
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import { Command, InvalidArgumentError } from "commander";
import { parseWholeNumbers } from "../bench/options.ts";
import { createProgress } from "../bench/progress.ts";
import { EXPERIMENTS } from "./experiments.ts";
import type { Experiment } from "./experiment.ts";
import { putIntoPage, renderTables } from "./statistics-page.ts";
import { runExperiments } from "./trial-pool.ts";

const PAGE = new URL("../../../docs/statistics.md", import.meta.url);
const BAR_CHARS = 24;

interface Flags {
  readonly releases: number;
  readonly seed: number;
  readonly workers: number;
  readonly only: readonly Experiment[];
  readonly write?: true;
  readonly json?: true;
}

const one = (text: string): number => parseWholeNumbers(text)[0]!;

function parseExperiments(text: string): Experiment[] {
  return text.split(",").map((name) => {
    const experiment = EXPERIMENTS.find((each) => each.name === name);
    if (experiment === undefined)
      throw new InvalidArgumentError(`there are ${EXPERIMENTS.map((each) => each.name).join(", ")}`);
    return experiment;
  });
}

function readFlags(): Flags {
  return new Command("simulate")
    .usage("[flags]   (npm run simulate -- [flags])")
    .description("Judge simulated releases by the thousand: false rollbacks, missed ones, devices exposed.")
    .option("--releases <n>", "releases a line", one, 2_000)
    .option("--seed <n>", "the same seed gives the same tables", one, 1)
    .option("--workers <n>", "processes", one, availableParallelism())
    .option("--only <names>", "some experiments: names by comma", parseExperiments, [...EXPERIMENTS])
    .option("--write", "put the tables into docs/statistics.md; all experiments only")
    .option("--json", "print what every case found as JSON on stdout")
    .addHelpText(
      "after",
      [
        "",
        "Experiments:",
        ...EXPERIMENTS.map(({ name, title }) => `  ${name.padEnd(16)}${title}`),
        "",
        "Examples:",
        "  $ npm run simulate -- --only exposure --releases 500",
        "  $ npm run simulate -- --write",
      ].join("\n"),
    )
    .parse()
    .opts<Flags>();
}

const flags = readFlags();
const { releases, seed, workers, only } = flags;
if (flags.write === true && only.length < EXPERIMENTS.length) {
  process.stderr.write("simulate: --write needs all experiments: leave --only out\n");
  process.exit(2);
}
const progress = createProgress();
const startMs = performance.now();
const found = await runExperiments(only, {
  seed,
  releases,
  workers,
  onProgress({ done, all, what }) {
    const share = done / all;
    const filled = Math.round(share * BAR_CHARS);
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(0);
    progress.say(
      () =>
        `${"█".repeat(filled)}${"░".repeat(BAR_CHARS - filled)} ${(share * 100).toFixed(0).padStart(3)}%  ${seconds} s  ${what}`,
    );
  },
});
progress.end();
const tables = renderTables({ experiments: only, found, releases, seed });
if (flags.json === true) {
  const cases = [...found].map(([name, ofExperiment]) => [name, Object.fromEntries(ofExperiment)]);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(cases))}\n`);
} else process.stdout.write(tables);
if (flags.write === true) writeFileSync(PAGE, putIntoPage(readFileSync(PAGE, "utf8"), tables));
process.stderr.write(`${((performance.now() - startMs) / 1_000).toFixed(0)} s on ${workers} cores\n`);
