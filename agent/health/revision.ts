// The revision of a shard: a token that every commit replaces. Whatever a commit rests on is read in one step
// with the revision, so that all of it is what stood there then: also on a cluster, where after a failover an
// older revision may come back between two reads.
import type { ChainableCommander } from "ioredis";
import type { Redis } from "../../runtime/redis.ts";
import { metaKey } from "./shard-keys.ts";

export type Revision = string;
/** Of a shard that nobody has committed to. */
export const NO_REVISION: Revision = "";

/** Where a shard stands, to be read at. */
export interface ShardAt {
  readonly redis: Redis;
  readonly shard: number;
  readonly revision: Revision;
}

/** Somebody else has committed since, or an older primary is back: what was read belongs to another revision. */
export class RevisionMoved extends Error {
  constructor(shard: number) {
    super(`shard ${shard} has another revision by now`);
    this.name = "RevisionMoved";
  }
}

/** Leaves: the answers to the commands that `ask` adds, in their order. Throws {@link RevisionMoved}. */
export async function readAt(
  { redis, shard, revision }: ShardAt,
  ask: (transaction: ChainableCommander) => void,
): Promise<unknown[]> {
  const transaction = redis.multi().hget(metaKey(shard), "revision");
  ask(transaction);
  const answers = (await transaction.exec()) ?? [];
  const [held, ...values] = answers.map(([error, value]) => {
    if (error !== null) throw error;
    return value;
  });
  if (((held as string | null) ?? NO_REVISION) !== revision) throw new RevisionMoved(shard);
  return values;
}

/** Work that reads at a revision and commits: `conflict` when the revision has moved on the way. */
export async function orConflict<T>(work: () => Promise<T>): Promise<T | "conflict"> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RevisionMoved) return "conflict";
    throw error;
  }
}
