// Reads the tables of the documentation, so that tests can hold pages and code together. Enters: a page and
// a heading. Leaves: the rows of the first table below it, cells as trimmed text, without the header.
export function readTable(page: string, heading: string): string[][] {
  const lines = page.split("\n");
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, "") === heading);
  if (start < 0) throw new Error(`the page has no heading "${heading}"`);
  const first = lines.findIndex((line, index) => index > start && line.startsWith("|"));
  const next = lines.findIndex((line, index) => index > start && /^#+ /.test(line));
  if (first < 0 || (next >= 0 && next < first)) throw new Error(`there is no table below "${heading}"`);
  const length = lines.slice(first).findIndex((line) => !line.startsWith("|"));
  const rows = lines.slice(first, length < 0 ? undefined : first + length);
  return rows.slice(2).map(cellsOf);
}

/** `\|` inside a cell is a bar of its text. */
function cellsOf(row: string): string[] {
  return row
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll(String.raw`\|`, "|"));
}
