// Reads the summaries of all releases again and again, for whoever does so all the time, as a scrape does. Enters: the store.
// Leaves: the summaries; one whose text in Redis has not changed is the same object as before and was not parsed again, so
// that what is made of it can be kept with it. What is not in Redis any more is forgotten.
import type { ReleaseSummary, SummaryStore } from "./summary-store.ts";
import { parseSummary } from "./summary-store.ts";

interface Known {
  readonly row: string;
  readonly summary: ReleaseSummary;
}

export function createSummaryReader(
  store: Pick<SummaryStore, "listStored">,
): () => Promise<ReleaseSummary[]> {
  let known: ReadonlyMap<string, Known> = new Map();
  return async () => {
    const rows = await store.listStored();
    const next = new Map<string, Known>();
    for (const [key, row] of rows) {
      const before = known.get(key);
      next.set(key, before?.row === row ? before : { row, summary: parseSummary(row) });
    }
    known = next;
    return Array.from(next.values(), ({ summary }) => summary);
  };
}
