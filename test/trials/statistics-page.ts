// The generated part of docs/statistics.md: the tables of all experiments, as Markdown. Enters: what trials found.
// Leaves: text, and the page with the text in it.
import type { Experiment, Row } from "./experiment.ts";
import type { AllFound } from "./trial-pool.ts";

export const BEGIN = "<!-- begin: made by npm run simulate -- --write; change test/trials, not this -->";
export const END = "<!-- end -->";

export interface Run {
  readonly experiments: readonly Experiment[];
  readonly found: AllFound;
  readonly releases: number;
  readonly seed: number;
}

export function renderTables({ experiments, found, releases, seed }: Run): string {
  const head = `Seed ${seed}; ${releases.toLocaleString("en")} releases a line, fewer where a line says so.`;
  const sections = experiments.map(({ name, title, about, columns, rowsOf, cases }) => {
    const ofExperiment = found.get(name)!;
    const trials = cases.map((each) => ofExperiment.get(each.name)!.length);
    const [fewest, most] = [Math.min(...trials), Math.max(...trials)];
    const tried = fewest === most ? `${fewest}` : `${fewest} to ${most}`;
    return `### ${title}\n\n${about} (${tried} releases a line; \`--only ${name}\`)\n\n${renderTable([columns, ...rowsOf(ofExperiment)])}`;
  });
  return `${head}\n\n${sections.join("\n\n")}\n`;
}

function renderTable([columns, ...rows]: readonly Row[]): string {
  return [columns!, columns!.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Throws when the page has no place for it. */
export function putIntoPage(page: string, tables: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin)
    throw new Error("docs/statistics.md has lost the marks of its generated part");
  return `${page.slice(0, begin + BEGIN.length)}\n\n${tables}\n${page.slice(end)}`;
}
