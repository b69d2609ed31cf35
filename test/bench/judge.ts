// `npm run bench:judge`: how long a verdict takes. Enters: flags. Judges a release with 30 days of windows and 20 kinds
// of device by five rules: from scratch, when nothing changed, and when an hour did. Leaves: a table, each time beside
// that of judging from scratch in the same run. Nothing here passes or fails.
import process from "node:process";
import { Command } from "commander";
import { judge } from "../../agent/judge/judge.ts";
import type { JudgeInput } from "../../agent/judge/judge.ts";
import { BENCH_RULES, benchInput, withChangedHour } from "./judged-history.ts";
import { parseWholeNumbers } from "./options.ts";
import { quantile } from "./quantile.ts";

interface Flags {
  readonly days: number;
  readonly strata: number;
  readonly times: number;
  readonly json?: true;
}

const one = (text: string): number => parseWholeNumbers(text)[0]!;

function readFlags(): Flags {
  return new Command("bench:judge")
    .usage("[flags]   (npm run bench:judge -- [flags])")
    .description("Time that a verdict by five rules takes.")
    .option("--days <n>", "days of windows", one, 30)
    .option("--strata <n>", "kinds of device", one, 20)
    .option("--times <n>", "verdicts of each kind", one, 500)
    .option("--json", "print the result as JSON")
    .parse()
    .opts<Flags>();
}

interface Measurement {
  readonly what: string;
  /** Milliseconds of a verdict. */
  readonly medianMs: number;
  readonly p99Ms: number;
}

function timeEach(what: string, inputs: readonly JudgeInput[]): Measurement {
  const times = inputs.map((input) => {
    const startMs = performance.now();
    judge(input);
    return performance.now() - startMs;
  });
  return { what, medianMs: quantile(times, 0.5), p99Ms: quantile(times, 0.99) };
}

function measure({ days, strata, times }: Flags): Measurement[] {
  const input = benchInput({ days, strata });
  // Objects of their own each time: nothing is remembered of them.
  const fresh = Array.from({ length: 5 }, () => structuredClone(input));
  const scratch = timeEach("from scratch", fresh);
  judge(input);
  const again = Array.from({ length: times }, () => input);
  const oneCell = again.map(() => withChangedHour(input, 1));
  const allCells = again.map(() => withChangedHour(input, Number.POSITIVE_INFINITY));
  // Warm: as an agent is that has judged for a while.
  timeEach("warm-up", again);
  return [
    scratch,
    timeEach("nothing changed", again),
    timeEach("one cell of an hour changed", oneCell),
    timeEach("every cell of an hour changed", allCells),
  ];
}

function render(flags: Flags, measurements: readonly Measurement[]): string {
  const scratchMs = measurements[0]!.medianMs;
  const rows = measurements.map(({ what, medianMs, p99Ms }) => [
    what,
    medianMs.toFixed(2),
    p99Ms.toFixed(2),
    (medianMs / BENCH_RULES.length).toFixed(2),
    `1/${(scratchMs / medianMs).toFixed(0)}`,
  ]);
  const header = ["verdict", "median ms", "p99 ms", "ms per rule", "of from scratch"];
  const lines = [header, header.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  return `${flags.days} days, ${flags.strata} kinds of device, ${BENCH_RULES.length} rules\n\n${lines.join("\n")}\n`;
}

const flags = readFlags();
const measurements = measure(flags);
process.stdout.write(
  flags.json === true ? `${JSON.stringify(measurements, null, 2)}\n` : render(flags, measurements),
);
