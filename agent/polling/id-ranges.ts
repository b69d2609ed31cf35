// Sets of ids as text, short where they are one after the other: `3-17,21`. Pure. Enters: ids. Leaves: text, and back.

/** Ascending ids, none twice. */
export function formatIdRanges(ids: readonly number[]): string {
  const parts: string[] = [];
  for (let first = 0; first < ids.length; ) {
    let last = first;
    while (ids[last + 1] === ids[last]! + 1) last += 1;
    parts.push(first === last ? `${ids[first]}` : `${ids[first]}-${ids[last]}`);
    first = last + 1;
  }
  return parts.join(",");
}

/** Undefined for what is no such text, or names more ids than `idsMax`. */
export function parseIdRanges(text: string, idsMax: number): readonly number[] | undefined {
  const ids: number[] = [];
  if (text === "") return ids;
  for (const part of text.split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    const isAscending = last >= first && first > (ids.at(-1) ?? -1);
    if (!isAscending || !Number.isSafeInteger(last) || last - first >= idsMax - ids.length) return undefined;
    for (let id = first; id <= last; id += 1) ids.push(id);
  }
  return ids;
}
