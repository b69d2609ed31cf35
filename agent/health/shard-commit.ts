// A ShardCommit gathers what one change of a shard writes, and writes it in one atomic step that fails when
// anybody else has changed the shard since it was read (lua/commit.lua). The one way in which device
// states, counts, tables, windows, the deadline index and the cursor are written: whatever dies, whoever
// races, nothing is counted twice and nothing is half done.
import { randomBytes } from "node:crypto";
import { deadLetterStream } from "../../ingest/contract/stream-names.ts";
import { loadLuaScript } from "../../runtime/lua.ts";
import type { Redis } from "../../runtime/redis.ts";
import { writeArgument, writeArrayHeader, writeBytes, writeLatin1 } from "./message-pack.ts";
import type { PackedArgument } from "./message-pack.ts";
import { ByteWriter } from "./packed-bytes.ts";
import type { Revision } from "./revision.ts";
import { metaKey } from "./shard-keys.ts";

const COMMIT = loadLuaScript(new URL("./lua/commit.lua", import.meta.url));

/** Dead letters kept per shard; older ones give way. */
export const DEAD_LETTERS_MAX = 10_000;

/** `conflict`: somebody else has changed the shard, read again. */
export type CommitResult = "committed" | "conflict";

/** Arguments of one Redis command inside the script: Lua can't unpack many more than 7,000. */
const ARGUMENTS_MAX = 1_000;
/** Fields that one HSET sets. */
const FIELDS_MAX = ARGUMENTS_MAX / 2;

export interface ShardCommit {
  /** The revision that the shard has after it. */
  readonly revision: Revision;
  /** `DEL`, `XTRIM`, … with the arguments after the key. */
  command(name: string, key: string, ...args: readonly PackedArgument[]): void;
  /** A command that takes any number of groups of arguments, such as field and value; none is no command. */
  many(name: string, key: string, groups: readonly (readonly PackedArgument[])[]): void;
  /** Fields of a hash, whose names have a byte for each character; one whose value is NOTHING leaves. */
  fields(key: string, rows: ReadonlyMap<string, Buffer>): void;
  run(expected: Revision): Promise<CommitResult>;
}

/** What a field holds that has come to nothing. */
export const NOTHING = Buffer.alloc(0);

/** Most commits take less: then no room has to be made twice. */
const COMMIT_BYTES_EXPECTED = 16_384;

export function createShardCommit(redis: Redis, shard: number): ShardCommit {
  const keys = [metaKey(shard), deadLetterStream(shard)];
  const positions = new Map(keys.map((key, index) => [key, index + 1]));
  const revision = randomBytes(9).toString("base64url");
  const commands = new ByteWriter(COMMIT_BYTES_EXPECTED);
  const begin = (name: string, key: string, args: number): void => {
    let position = positions.get(key);
    if (position === undefined) positions.set(key, (position = keys.push(key)));
    writeArrayHeader(commands, args + 2);
    writeArgument(commands, name);
    writeArgument(commands, position);
  };
  const commit: ShardCommit = {
    revision,
    command(name, key, ...args) {
      begin(name, key, args.length);
      for (const argument of args) writeArgument(commands, argument);
    },
    many(name, key, groups) {
      for (const some of slicesOf(groups, Math.max(1, Math.floor(ARGUMENTS_MAX / (groups[0]?.length ?? 1)))))
        commit.command(name, key, ...some.flat());
    },
    fields(key, rows) {
      const gone: string[] = [];
      for (const [field, value] of rows) if (value.length === 0) gone.push(field);
      let room = 0;
      let left = rows.size - gone.length;
      for (const [field, value] of rows) {
        if (value.length === 0) continue;
        if (room === 0) begin("HSET", key, 2 * (room = Math.min(left, FIELDS_MAX)));
        writeLatin1(commands, field);
        writeBytes(commands, value);
        room -= 1;
        left -= 1;
      }
      for (const some of slicesOf(gone, ARGUMENTS_MAX)) {
        begin("HDEL", key, some.length);
        for (const field of some) writeLatin1(commands, field);
      }
    },
    async run(expected) {
      const answer = await COMMIT.run(redis, keys, [expected, revision, DEAD_LETTERS_MAX, commands.bytes()]);
      return answer === 1 ? "committed" : "conflict";
    },
  };
  return commit;
}

function slicesOf<T>(all: readonly T[], itemsMax: number): (readonly T[])[] {
  if (all.length <= itemsMax) return all.length === 0 ? [] : [all];
  const slices: T[][] = [];
  for (let start = 0; start < all.length; start += itemsMax) slices.push(all.slice(start, start + itemsMax));
  return slices;
}
