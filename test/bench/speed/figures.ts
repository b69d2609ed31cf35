// Numbers of several rounds as one, and tables of them. Pure. The median is what is told and the least and the most are
// shown beside it: on a machine that does other things too, a mean would tell more of those than of the program.

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Of at least one number. */
export function spreadOf(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((one, other) => one - other);
  return { median: quantile(sorted, 0.5), least: sorted[0]!, most: sorted.at(-1)! };
}

/** Of numbers in order; between two neighbours it is in proportion. */
export function quantile(sorted: readonly number[], share: number): number {
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)]!;
  const above = sorted[Math.ceil(place)]!;
  return below + (above - below) * (place - Math.floor(place));
}

/** How a cost grows with the work, 1 = in proportion, 0 = not at all: the least-squares slope of their logarithms. */
export function logLogSlope(points: readonly (readonly [work: number, cost: number])[]): number {
  const logs = points.map(([work, cost]) => [Math.log(work), Math.log(cost)] as const);
  const meanX = logs.reduce((sum, [x]) => sum + x, 0) / logs.length;
  const meanY = logs.reduce((sum, [, y]) => sum + y, 0) / logs.length;
  const covariance = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const variance = logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return covariance / variance;
}

/** A table in Markdown, the first row its header. */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const [header, ...others] = rows as readonly [readonly string[], ...(readonly string[])[]];
  return [header, header.map((_, index) => (index === 0 ? "---" : "---:")), ...others]
    .map((cells) => `| ${cells.join(" | ")} |\n`)
    .join("");
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-GB");
}

export function withSpread({ median, least, most }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${least.toFixed(digits)} to ${most.toFixed(digits)})`;
}

/** Upper ends of a histogram's bins, in milliseconds. */
const BINS_MS = [100, 200, 300, 400, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 30_000, 60_000];
const BAR_CHARS = 30;

/** One line for each bin that holds something, with a bar. */
export function histogramOf(valuesMs: readonly number[]): string {
  const counts = BINS_MS.map(
    (end, index) => valuesMs.filter((value) => value <= end && value > (BINS_MS[index - 1] ?? -1)).length,
  );
  const rest = valuesMs.filter((value) => value > BINS_MS.at(-1)!).length;
  const most = Math.max(...counts, rest);
  const lines = [...counts, rest].map((count, index) => {
    const label = index < BINS_MS.length ? `<= ${BINS_MS[index]} ms` : "later";
    const bar = "#".repeat(Math.ceil((count / most) * BAR_CHARS));
    return count === 0 ? "" : `${label.padStart(12)} ${String(count).padStart(4)} ${bar}\n`;
  });
  return lines.join("");
}
