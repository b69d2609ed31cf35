// An experiment is a list of cases, each tried very often with chance of its own, and a table of what came of it.
// Pure: the same seed gives the same table, however the trials are spread over processes.
import { createRandom } from "../simulation/random.ts";
import type { Random } from "../simulation/random.ts";

/** What one trial found, as numbers; NaN = it did not happen. */
export type Found = Readonly<Record<string, number>>;

export interface Case {
  /** Of the experiment. */
  readonly name: string;
  /** Share of the asked number of releases that is tried: long trials are tried less often. */
  readonly share: number;
  readonly run: (random: Random) => Found;
}

export type Row = readonly string[];

export interface Experiment {
  readonly name: string;
  readonly title: string;
  /** What is shown, how to read it, and what it is held against; Markdown. */
  readonly about: string;
  readonly columns: Row;
  readonly cases: readonly Case[];
  readonly rowsOf: (found: ReadonlyMap<string, readonly Found[]>) => readonly Row[];
}

export interface Chunk {
  readonly experiment: string;
  readonly case: string;
  readonly first: number;
  readonly last: number;
}

/** Trials are told apart by their number, so that any split of them gives the same. */
export function runChunk(experiment: Experiment, chunk: Chunk, seed: number): Found[] {
  const { run } = experiment.cases.find(({ name }) => name === chunk.case)!;
  return Array.from({ length: chunk.last - chunk.first }, (_, index) =>
    run(createRandom(seed, experiment.name, chunk.case, chunk.first + index)),
  );
}

export function trialsOf({ share }: Case, releases: number): number {
  return Math.max(1, Math.round(share * releases));
}

// ---- what tables show

export function valuesOf(found: readonly Found[], name: string): number[] {
  return found.map((each) => each[name]!).filter((value) => !Number.isNaN(value));
}

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const inOrder = values.toSorted((left, right) => left - right);
  const middle = Math.floor(inOrder.length / 2);
  return inOrder.length % 2 === 1 ? inOrder[middle]! : (inOrder[middle - 1]! + inOrder[middle]!) / 2;
}

/** Median where what did not happen counts as later than all that did; NaN when it happened in fewer than half. */
export function medianOfAll(found: readonly Found[], name: string): number {
  const inOrder = found
    .map((each) => (Number.isNaN(each[name]!) ? Number.POSITIVE_INFINITY : each[name]!))
    .toSorted((left, right) => left - right);
  const middle = inOrder[Math.floor(inOrder.length / 2)]!;
  return Number.isFinite(middle) ? middle : Number.NaN;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Share of the trials in which it happened. */
export function shareThat(found: readonly Found[], name: string): number {
  return valuesOf(found, name).length / found.length;
}

/** One-sided 97.5% upper bound of a share (Wilson 1927). */
export function upperBound(happened: number, trials: number): number {
  const z = 1.96;
  const share = happened / trials;
  const middle = share + z ** 2 / (2 * trials);
  const spread = z * Math.sqrt((share * (1 - share)) / trials + z ** 2 / (4 * trials ** 2));
  return (middle + spread) / (1 + z ** 2 / trials);
}

export function percent(share: number): string {
  if (Number.isNaN(share)) return "-";
  const value = share * 100;
  return `${value < 1 ? value.toFixed(2) : value.toFixed(1)}%`;
}

export function number(value: number): string {
  if (Number.isNaN(value)) return "-";
  const text = value < 10 && !Number.isInteger(value) ? value.toFixed(1) : Math.round(value).toString();
  return text.replace(/\B(?=(\d{3})+$)/g, ",");
}

/** How far off a figure is from the one it is to reproduce. */
export function deviation(value: number, reference: number): string {
  if (Number.isNaN(value)) return "-";
  const off = value / reference - 1;
  return `${off < 0 ? "-" : "+"}${Math.abs(off * 100).toFixed(0)}%`;
}
