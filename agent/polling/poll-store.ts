// How far each OTA server that is polled has been read, and since when without a gap. Enters: what a poll came to.
// Leaves: a record per server, in one Redis hash, so that agents take over from each other.
import { z } from "zod";
import type { Redis } from "../../runtime/redis.ts";
import { POLLS } from "../journal/control-keys.ts";

export interface PollRecord {
  /** Null before the first page. */
  readonly cursor: string | null;
  /** The first of the polls that reached the end, one after the other without a gap, epoch milliseconds. */
  readonly sinceMs: number | null;
  /** The newest poll that reached the end, epoch milliseconds. */
  readonly completeMs: number | null;
  /** Not asked before, epoch milliseconds. */
  readonly nextMs: number;
  /** In a row. */
  readonly failures: number;
  /** What the polls in a row that failed came to; null while they don't. */
  readonly failing: PollFailing | null;
}

export interface PollFailing {
  /** Epoch milliseconds. */
  readonly sinceMs: number;
  /** Of the newest. */
  readonly detail: string;
}

export const NEVER_POLLED: PollRecord = {
  cursor: null,
  sinceMs: null,
  completeMs: null,
  nextMs: 0,
  failures: 0,
  failing: null,
};

const recordSchema = z.object({
  cursor: z.string().nullable(),
  sinceMs: z.number().nullable(),
  completeMs: z.number().nullable(),
  nextMs: z.number(),
  failures: z.number(),
  failing: z.object({ sinceMs: z.number(), detail: z.string() }).nullable(),
});

export interface PollStore {
  read(source: string): Promise<PollRecord>;
  write(source: string, record: PollRecord): Promise<void>;
}

export function createPollStore({ redis }: { readonly redis: Redis }): PollStore {
  return {
    async read(source) {
      const text = await redis.hget(POLLS, source);
      return text === null ? NEVER_POLLED : recordSchema.parse(JSON.parse(text));
    },
    async write(source, record) {
      await redis.hset(POLLS, source, JSON.stringify(record));
    },
  };
}
