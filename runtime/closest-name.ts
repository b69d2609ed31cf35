// "Did you mean …": the known name that a mistyped one most likely stands for. Pure.

/** Names this many edits away or further are not offered: the guess would only mislead. */
const EDITS_MAX = 3;

/** The nearest of `known`, or undefined when nothing is near. A third of the letters may differ, at most three. */
export function closestName(name: string, known: Iterable<string>): string | undefined {
  let best: { readonly name: string; readonly edits: number } | undefined;
  for (const candidate of known) {
    const edits = editDistance(normalised(name), normalised(candidate));
    const allowed = Math.min(EDITS_MAX, Math.max(1, Math.floor(candidate.length / 3)));
    if (edits <= allowed && (best === undefined || edits < best.edits)) best = { name: candidate, edits };
  }
  return best?.name;
}

/** ` (did you mean "x"?)` with a leading space, or nothing. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const guess = closestName(name, known);
  return guess === undefined ? "" : ` (did you mean "${guess}"?)`;
}

// `dataDir`, `data-dir` and `data_dir` are the same thought.
function normalised(name: string): string {
  return name.toLowerCase().replaceAll(/[_-]/g, "");
}

/** Levenshtein distance, two rows of the table at a time. */
function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const swap = previous[column - 1]! + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min(swap, previous[column]! + 1, current[column - 1]! + 1));
    }
    previous = current;
  }
  return previous[right.length]!;
}
