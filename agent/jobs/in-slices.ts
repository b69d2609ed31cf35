// Work on a shard beside folding, a slice per commit. Enters: a step that does so much at once. Leaves: whether
// all was done. Each time that folding was faster the slices get smaller: less is read and written before the
// next batch is folded.
import { orConflict } from "../health/revision.ts";

/** Work that loses this often in a row is left for the next time that it is due. */
const CONFLICTS_MAX = 20;

export interface SlicedWork {
  /** Things done in one commit at most: bounds how long Redis is busy. */
  readonly atOnceMax: number;
  /** `done`: nothing is left. What is read for it may throw RevisionMoved, which is a conflict too. */
  readonly step: (atOnce: number) => Promise<"more" | "done" | "conflict">;
  readonly isStopping: () => boolean;
}

export async function inSlices({ atOnceMax, step, isStopping }: SlicedWork): Promise<"done" | "given_up"> {
  let atOnce = atOnceMax;
  let conflicts = 0;
  while (conflicts <= CONFLICTS_MAX && !isStopping()) {
    const result = await orConflict(() => step(atOnce));
    if (result === "done") return "done";
    conflicts = result === "conflict" ? conflicts + 1 : 0;
    if (result === "conflict") atOnce = Math.ceil(atOnce / 2);
  }
  return "given_up";
}
