// Which versions of a channel are named in metrics: those that are being taken up most, a few at a time, because versions
// are without number over the years and whoever has an ingest key can invent them. Enters: a version and how much it
// counts. Leaves: whether it is named, or stands among the others. Pure; the clock comes in.
//
// Ranks are kept by SpaceSaving (Metwally, Agrawal & El Abbadi, "Efficient computation of frequent and top-k elements in
// data streams", ICDT 2005): a version with more than 1/TRACKED_MAX of what is counted is never lost from sight, however
// many others come by. They are halved now and then, so that a release of today is not measured by the past.

/** Versions of a channel that are named at the same time. */
export const NAMED_MAX = 8;
/** Versions of a channel whose ranks are kept. */
export const TRACKED_MAX = 64;
/** How often ranks are halved, in milliseconds. */
export const HALVED_EVERY_MS = 10 * 60_000;
/** A version takes the place of another when it has so many times its rank: or two alike would take turns. */
export const OVERTAKES_BY = 2;

export interface BusiestVersions {
  /**
   * Whether the version is named, now that it has counted for so much more. `weight` 0 = it is in use, and nobody takes
   * it up.
   */
  note(version: string, weight: number): "named" | "other";
}

export interface BusiestVersionsOptions {
  readonly nowMs: () => number;
  /** Told of a version that gave its place to another. */
  readonly onDropped: (version: string) => void;
}

export function createBusiestVersions({ nowMs, onDropped }: BusiestVersionsOptions): BusiestVersions {
  const ranks = new Map<string, number>();
  const named = new Set<string>();
  let halvedAtMs = nowMs();

  function halve(): void {
    const periods = Math.floor((nowMs() - halvedAtMs) / HALVED_EVERY_MS);
    if (periods <= 0) return;
    halvedAtMs += periods * HALVED_EVERY_MS;
    for (const [version, rank] of ranks) ranks.set(version, rank / 2 ** periods);
  }

  function drop(version: string): void {
    if (named.delete(version)) onDropped(version);
  }

  function lowest(versions: Iterable<string>): string {
    let found = "";
    let least = Number.POSITIVE_INFINITY;
    for (const version of versions) {
      const rank = ranks.get(version)!;
      if (rank < least) [found, least] = [version, rank];
    }
    return found;
  }

  /** SpaceSaving: whoever comes new takes the place of the lowest, and its rank: it may have been here before. */
  function rise(version: string, weight: number): void {
    const rank = ranks.get(version);
    if (rank !== undefined || ranks.size < TRACKED_MAX) {
      ranks.set(version, (rank ?? 0) + weight);
      return;
    }
    const gives = lowest(ranks.keys());
    const inherited = ranks.get(gives)!;
    ranks.delete(gives);
    drop(gives);
    ranks.set(version, inherited + weight);
  }

  return {
    note(version, weight) {
      halve();
      if (weight > 0 || named.size < NAMED_MAX) rise(version, weight);
      if (named.has(version)) return "named";
      if (named.size >= NAMED_MAX) {
        const gives = lowest(named);
        if (!((ranks.get(version) ?? 0) > OVERTAKES_BY * ranks.get(gives)!)) return "other";
        drop(gives);
      }
      named.add(version);
      return "named";
    },
  };
}
