// Which versions of a channel are named in metrics: those that are being taken up most, a few at a time, because versions
// are without number over the years and whoever has an ingest key can invent them. Enters: a version and how much it
// counts. Leaves: whether it is named, or stands among the others. Pure; the clock comes in.
//
// The counts of those that wait for a name are kept by SpaceSaving (Metwally, Agrawal & El Abbadi, "Efficient computation of
// frequent and top-k elements in data streams", ICDT 2005): one with more than 1/WAITING_MAX of what is counted is never
// lost from sight, however many others come by, and each knows how much of its count is certain. Only what is certain earns
// a name, so versions that somebody invents, each reported once, take no turns. Counts are halved now and then, so that a
// release of today is not measured by the past.

/** Versions of a channel that are named at the same time. */
export const NAMED_MAX = 8;
/** Versions of a channel that are counted without being named. */
export const WAITING_MAX = 64;
/** How often counts are halved, in milliseconds. */
export const HALVED_EVERY_MS = 10 * 60_000;
/** A version takes the place of another when it was certainly taken up so many times as often: or two alike would take turns. */
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

/** `count` is too high by `error` at most: what was inherited from the one whose place it took. */
interface Waiting {
  readonly count: number;
  readonly error: number;
}

export function createBusiestVersions({ nowMs, onDropped }: BusiestVersionsOptions): BusiestVersions {
  const named = new Map<string, number>();
  const waiting = new Map<string, Waiting>();
  let halvedAtMs = nowMs();

  function halve(): void {
    const periods = Math.floor((nowMs() - halvedAtMs) / HALVED_EVERY_MS);
    if (periods <= 0) return;
    halvedAtMs += periods * HALVED_EVERY_MS;
    const by = 2 ** periods;
    for (const [version, count] of named) named.set(version, count / by);
    for (const [version, { count, error }] of waiting)
      waiting.set(version, { count: count / by, error: error / by });
  }

  /** SpaceSaving: whoever comes new takes the place of the lowest, and its count: it may have been here before. */
  function wait(version: string, weight: number): number {
    const known = waiting.get(version) ?? placeFor();
    const { count, error } = { ...known, count: known.count + weight };
    waiting.set(version, { count, error });
    return count - error;
  }

  function placeFor(): Waiting {
    if (waiting.size < WAITING_MAX) return { count: 0, error: 0 };
    const [gives, { count }] = lowest(waiting, (each) => each.count);
    waiting.delete(gives);
    return { count, error: count };
  }

  return {
    note(version, weight) {
      halve();
      const known = named.get(version);
      if (known !== undefined || named.size < NAMED_MAX) {
        named.set(version, (known ?? 0) + weight);
        return "named";
      }
      if (weight === 0) return "other";
      const certain = wait(version, weight);
      const [gives, least] = lowest(named, (count) => count);
      if (certain <= OVERTAKES_BY * least) return "other";
      named.delete(gives);
      onDropped(gives);
      waiting.delete(version);
      named.set(version, certain);
      return "named";
    },
  };
}

function lowest<T>(counted: ReadonlyMap<string, T>, countOf: (value: T) => number): [string, T] {
  let found: [string, T] | undefined;
  for (const [version, value] of counted)
    if (found === undefined || countOf(value) < countOf(found[1])) found = [version, value];
  return found!;
}
