// When Lastgood was listening. Ingest writes a beat while it runs, one that begins a new spell when it had to turn
// reports away; the agent reads the beats before it says that a device kept silent: a word that nobody took is no
// silence. Enters: what Redis holds, and a time. Leaves: since when every report that reached ingest was taken.

/** Hash: `since` and `last`, epoch milliseconds by ingest's clock. One per installation, however many ingests. */
export const LISTENING_KEY = "{lg:control}:listening";

/** How often each ingest process writes a beat, in milliseconds. */
export const LISTENING_BEAT_MS = 15_000;
/** Beats further apart than this are two spells of listening, in milliseconds. */
export const LISTENING_GAP_MS_MAX = 60_000;

export type Listening =
  | { readonly kind: "never" }
  | {
      readonly kind: "listening";
      /** The first beat of the newest spell, or the first after reports were turned away, epoch milliseconds. */
      readonly sinceMs: number;
      /** The newest beat, epoch milliseconds. */
      readonly lastMs: number;
    };

/** A connection to Redis, as far as it is needed here. */
export interface HashReader {
  hgetall(key: string): Promise<Readonly<Record<string, string>>>;
}

/** Rejects when Redis can't be read: then nothing is known, which is not the same as "never". */
export async function readListening(redis: HashReader): Promise<Listening> {
  const { since, last } = await redis.hgetall(LISTENING_KEY);
  if (since === undefined || last === undefined) return { kind: "never" };
  return { kind: "listening", sinceMs: Number(since), lastMs: Number(last) };
}

/**
 * Since when ingest has been listening without a gap up to now, and turned nothing away, epoch milliseconds;
 * undefined when nobody listens now. A newest beat far in the future is no proof either: a clock was set back
 * since, or is wrong.
 */
export function heardFromMs(listening: Listening, nowMs: number): number | undefined {
  if (listening.kind === "never") return undefined;
  return Math.abs(nowMs - listening.lastMs) <= LISTENING_GAP_MS_MAX ? listening.sinceMs : undefined;
}
