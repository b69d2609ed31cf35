// What ingest has written into the streams of a Redis: how many reports an entry holds, and the fields of one of middling
// size, for who wants to write the very same.
import { reportStream, SHARDS_DEFAULT } from "../../../ingest/contract/stream-names.ts";
import type { Redis } from "../../../runtime/redis.ts";

const ENTRIES_LOOKED_AT = 20;

export interface Payload {
  readonly fields: readonly string[];
  readonly reports: number;
}

export function createFieldReader(redis: Redis): { middling(): Promise<Payload> } {
  return {
    async middling() {
      const payloads: Payload[] = [];
      for (let shard = 0; shard < SHARDS_DEFAULT; shard += 1)
        for (const [, fields] of await redis.xrevrange(
          reportStream(shard),
          "+",
          "-",
          "COUNT",
          ENTRIES_LOOKED_AT,
        ))
          payloads.push({ fields, reports: (JSON.parse(fields.at(-1)!) as unknown[]).length });
      const sorted = payloads.toSorted((one, other) => one.reports - other.reports);
      const middling = sorted[Math.floor(sorted.length / 2)];
      if (middling === undefined) throw new Error("ingest has written nothing: was every request refused?");
      return middling;
    },
  };
}

/** Entries that nobody has folded yet. */
export async function waitingEntries(redis: Redis): Promise<number> {
  const lengths = await Promise.all(
    Array.from({ length: SHARDS_DEFAULT }, (_, shard) => redis.xlen(reportStream(shard))),
  );
  return lengths.reduce((sum, length) => sum + length, 0);
}
