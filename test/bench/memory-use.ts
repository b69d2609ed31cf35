// How much memory a Redis server uses, and what for. Enters: a server that nobody else uses. Leaves: bytes
// of `used_memory` when it has come to rest; and by kind of key, found by deleting one kind after the other,
// because only that counts everything a key costs (its entry in the keyspace, rounding of the allocator).
import { Redis } from "ioredis";
import type { RedisOptions } from "ioredis";
import { shardTag } from "../../ingest/contract/stream-names.ts";
import { sleep } from "../../runtime/clock.ts";
import { SHARDS } from "./report-feed.ts";

export type ServerOptions = RedisOptions & { readonly replyMapping: "legacy" };

/** Buffers of connections are freed within seconds; tables of the keyspace shrink in steps. */
const REST_MS_MAX = 20_000;
const LOOK_MS = 100;
/** Looks in a row that must agree, to within some bytes that are the looking itself. */
const LOOKS_AT_REST = 3;
const AT_REST_BYTES = 2_048;

export interface MemoryLook {
  readonly usedBytes: number;
  /** By how much the last looks differed. */
  readonly noiseBytes: number;
  /** Of the allocator: handed out by it, and held from the system. */
  readonly allocatedBytes: number;
  readonly residentBytes: number;
}

/** Waits until the number stays, over a connection of its own: those of the work hold buffers while they are open. */
export async function measureMemory(options: ServerOptions): Promise<MemoryLook> {
  const redis = new Redis(options);
  try {
    // What Redis remembers of commands (how long each kind took, arguments of slow ones) is up to a megabyte
    // that has nothing to do with what is stored.
    await redis.slowlog("RESET");
    await redis.config("RESETSTAT");
    const deadlineMs = performance.now() + REST_MS_MAX;
    const looks: number[] = [];
    for (;;) {
      const info = await redis.info("everything");
      const numberOf = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
      looks.push(numberOf("used_memory"));
      const last = looks.slice(-LOOKS_AT_REST);
      const noiseBytes = Math.max(...last) - Math.min(...last);
      const isAtRest = last.length === LOOKS_AT_REST && noiseBytes <= AT_REST_BYTES;
      const isRewriting = numberOf("aof_rewrite_in_progress") === 1;
      if ((isAtRest && !isRewriting) || performance.now() > deadlineMs)
        return {
          usedBytes: last.at(-1)!,
          noiseBytes,
          allocatedBytes: numberOf("allocator_allocated"),
          residentBytes: numberOf("used_memory_rss"),
        };
      await sleep(LOOK_MS);
    }
  } finally {
    await redis.quit();
  }
}

/** What a shard keeps, by the names of its keys (agent/health/shard-keys.ts), in the order of deleting. */
const KINDS_OF_KEYS = {
  deadlines: ["due", "due:*"],
  windows: ["w:*"],
  totals: ["c:*"],
  devices: ["d:*"],
} as const;
export type KindOfKey = keyof typeof KINDS_OF_KEYS;

export interface KindUse {
  readonly keys: number;
  readonly bytes: number;
  /** Keys that Redis keeps in its compact form. */
  readonly compactKeys: number;
}

export interface MemoryUse {
  readonly kinds: Readonly<Record<KindOfKey, KindUse>>;
  /** Tables of texts, cursors, empty streams, the keyspace's own tables. */
  readonly restBytes: number;
}

/** Deletes everything. `emptyBytes` = what the server used before it held anything. */
export async function takeApart(options: ServerOptions, emptyBytes: number): Promise<MemoryUse> {
  let { usedBytes } = await measureMemory(options);
  const kinds: Partial<Record<KindOfKey, KindUse>> = {};
  for (const kind of Object.keys(KINDS_OF_KEYS) as KindOfKey[]) {
    const deleted = await deleteKeys(options, KINDS_OF_KEYS[kind]);
    const rest = await measureMemory(options);
    kinds[kind] = { ...deleted, bytes: usedBytes - rest.usedBytes };
    ({ usedBytes } = rest);
  }
  return { kinds: kinds as Record<KindOfKey, KindUse>, restBytes: usedBytes - emptyBytes };
}

const COMPACT_ENCODINGS: ReadonlySet<unknown> = new Set(["listpack", "ziplist", "embstr", "int"]);

async function deleteKeys(
  options: ServerOptions,
  names: readonly string[],
): Promise<{ keys: number; compactKeys: number }> {
  const redis = new Redis(options);
  let keys = 0;
  let compactKeys = 0;
  for (let shard = 0; shard < SHARDS; shard += 1)
    for (const name of names) {
      const scan = redis.scanStream({ match: `${shardTag(shard)}:${name}`, count: 2_000 });
      for await (const found of scan as AsyncIterable<string[]>) {
        if (found.length === 0) continue;
        const looks = await Promise.all(found.map((key) => redis.call("OBJECT", "ENCODING", key)));
        compactKeys += looks.filter((encoding) => COMPACT_ENCODINGS.has(encoding)).length;
        keys += await redis.del(...found);
      }
    }
  await redis.quit();
  return { keys, compactKeys };
}
