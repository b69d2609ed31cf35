// Appends entries to the shards' streams, each at the server that owns the shard. Enters: encoded entries by
// shard. Leaves: how long the streams are then, as far as that was asked, once every entry is acknowledged, by as many
// replicas as were asked for. It rejects when anything is not; some of the entries may be in Redis all the same.
import { refreshServers, serverOf } from "../runtime/redis-servers.ts";
import type { Redis, RedisServer } from "../runtime/redis.ts";
import { reportStream } from "./contract/stream-names.ts";

/** How long replicas may take to acknowledge, in milliseconds; then the sender is told to come back. */
export const REPLICA_ACK_MS_MAX = 1_000;

/** Names and values in turns, as `encodeReportEntry` makes them. */
export type EntryFields = readonly string[];
export type EntriesByShard = ReadonlyMap<number, readonly EntryFields[]>;

export interface EntryAppender {
  append(entries: EntriesByShard): Promise<StreamLengths>;
}

/** Entries in the stream by shard; only hints, so one that could not be read is left out. */
export type StreamLengths = ReadonlyMap<number, number>;

export interface EntryAppenderOptions {
  /** A connection of the role `request`: it fails fast when Redis is away. */
  readonly redis: Redis;
  /** 0 = the primary's own word is enough. */
  readonly replicaAcks: number;
  /** Whether it has to be asked how long the stream is when this many more entries are in it; always, if left out. */
  readonly asksLength?: AsksLength;
}

export type AsksLength = (shard: number, entries: number) => boolean;

export function createEntryAppender({
  redis,
  replicaAcks,
  asksLength = () => true,
}: EntryAppenderOptions): EntryAppender {
  const lanes = new WeakMap<RedisServer, Lane>();
  const laneOf = (server: RedisServer): Lane => {
    const lane = lanes.get(server) ?? createLane(server, { replicaAcks, asksLength });
    lanes.set(server, lane);
    return lane;
  };
  const appendAt = async (server: RedisServer, entries: EntriesByShard): Promise<StreamLengths> =>
    replicaAcks === 0
      ? settle((await send(server, [entries], { replicaAcks, asksLength }))[0]!)
      : laneOf(server).append(entries);
  return {
    async append(entries) {
      try {
        const parts = [...groupByServer(redis, entries)];
        const lengths = await Promise.all(parts.map(([server, part]) => appendAt(server, part)));
        return new Map(lengths.flatMap((ofServer) => [...ofServer]));
      } catch (error) {
        // A server that has lost a shard to another says so; the next request goes to the right one.
        refreshServers(redis);
        throw error;
      }
    },
  };
}

function groupByServer(redis: Redis, entries: EntriesByShard): Map<RedisServer, EntriesByShard> {
  const groups = new Map<RedisServer, Map<number, readonly EntryFields[]>>();
  for (const [shard, ofShard] of entries) {
    const server = serverOf(redis, reportStream(shard));
    if (server === undefined) throw new Error(`the server of shard ${shard} is away`);
    const group = groups.get(server);
    if (group === undefined) groups.set(server, new Map([[shard, ofShard]]));
    else group.set(shard, ofShard);
  }
  return groups;
}

interface Lane {
  append(entries: EntriesByShard): Promise<StreamLengths>;
}

interface Waiting {
  readonly entries: EntriesByShard;
  readonly resolve: (result: SendResult) => void;
}

/**
 * WAIT holds up everything behind it on its connection. So there is one at a time: what arrives meanwhile goes
 * together with the next. A replica that is away then costs a request two waits at most, however many come in.
 */
function createLane(server: RedisServer, asked: Asked): Lane {
  let waiting: Waiting[] = [];
  let isBusy = false;
  const work = async (): Promise<void> => {
    isBusy = true;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      const parts = batch.map(({ entries }) => entries);
      const results = await send(server, parts, asked);
      batch.forEach(({ resolve }, index) => resolve(results[index]!));
    }
    isBusy = false;
  };
  return {
    append: async (entries) =>
      settle(
        await new Promise<SendResult>((resolve) => {
          waiting.push({ entries, resolve });
          if (!isBusy) void work();
        }),
      ),
  };
}

type SendResult = { readonly lengths: StreamLengths } | { readonly error: Error };
type Reply = readonly [error: Error | null, value: unknown];

function settle(result: SendResult): StreamLengths {
  if ("error" in result) throw result.error;
  return result.lengths;
}

type Asked = Required<Pick<EntryAppenderOptions, "replicaAcks" | "asksLength">>;

/** One pipeline: an XADD for each entry, an XLEN for streams that it is asked of, a WAIT for all. Never rejects. */
async function send(
  server: RedisServer,
  parts: readonly EntriesByShard[],
  { replicaAcks, asksLength }: Asked,
): Promise<SendResult[]> {
  // The building of it as well: a lane that ended by an exception would leave its requests without an answer.
  try {
    const pipeline = server.pipeline();
    for (const entries of parts)
      for (const [shard, ofShard] of entries)
        for (const fields of ofShard) pipeline.xadd(reportStream(shard), "*", ...fields);
    const shards = [...entriesByShard(parts)].flatMap(([shard, added]) =>
      asksLength(shard, added) ? [shard] : [],
    );
    for (const shard of shards) pipeline.xlen(reportStream(shard));
    if (replicaAcks > 0) pipeline.wait(replicaAcks, REPLICA_ACK_MS_MAX);
    const expected = pipeline.length;
    const replies: readonly Reply[] = (await pipeline.exec()) ?? [];
    if (replies.length < expected) throw new Error("Redis did not answer every command");
    if (replicaAcks > 0) requireAcks(replies.at(-1)!, replicaAcks);
    const added = parts.map(countEntries);
    const total = added.reduce((sum, count) => sum + count, 0);
    const lengths = lengthsOf(shards, replies.slice(total));
    let position = 0;
    return added.map((count): SendResult => {
      const error = replies.slice(position, (position += count)).find(([failed]) => failed !== null)?.[0];
      return error === undefined || error === null ? { lengths } : { error };
    });
  } catch (error) {
    return parts.map(() => ({ error: error as Error }));
  }
}

function entriesByShard(parts: readonly EntriesByShard[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const entries of parts)
    for (const [shard, ofShard] of entries) counts.set(shard, (counts.get(shard) ?? 0) + ofShard.length);
  return counts;
}

function countEntries(entries: EntriesByShard): number {
  return [...entries.values()].reduce((sum, ofShard) => sum + ofShard.length, 0);
}

function requireAcks([error, acks]: Reply, replicaAcks: number): void {
  if (error !== null) throw error;
  if (Number(acks) >= replicaAcks) return;
  throw new Error(
    `${Number(acks)} of ${replicaAcks} replicas (redis.replica_acks) acknowledged within ${REPLICA_ACK_MS_MAX} ms`,
  );
}

function lengthsOf(shards: readonly number[], replies: readonly Reply[]): StreamLengths {
  return new Map(
    shards.flatMap((shard, index) => {
      const [error, length] = replies[index]!;
      return error === null ? [[shard, Number(length)] as const] : [];
    }),
  );
}
