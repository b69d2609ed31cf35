// A ShardCommit gathers what one change of a shard writes, and writes it in one atomic step that fails when
// anybody else has changed the shard since it was read (lua/commit.lua). The one way in which device
// states, counts, tables, windows, the deadline index and the cursor are written: whatever dies, whoever
// races, nothing is counted twice and nothing is half done.
import { randomBytes } from "node:crypto";
import { deadLetterStream } from "../../ingest/contract/stream-names.ts";
import { loadLuaScript } from "../../runtime/lua.ts";
import type { Redis } from "../../runtime/redis.ts";
import type { Revision } from "./revision.ts";
import { metaKey } from "./shard-keys.ts";

const COMMIT = loadLuaScript(new URL("./lua/commit.lua", import.meta.url));

/** Dead letters kept per shard; older ones give way. */
export const DEAD_LETTERS_MAX = 10_000;

/** `conflict`: somebody else has changed the shard, read again. */
export type CommitResult = "committed" | "conflict";

type Argument = string | number | Buffer;

/** Arguments of one Redis command inside the script: Lua can't unpack many more than 7,000. */
const ARGUMENTS_MAX = 1_000;

export interface ShardCommit {
  /** The revision that the shard has after it. */
  readonly revision: Revision;
  /** `DEL`, `XTRIM`, … with the arguments after the key. */
  command(name: string, key: string, ...args: readonly Argument[]): void;
  /** A command that takes any number of groups of arguments, such as field and value; none is no command. */
  many(name: string, key: string, groups: readonly (readonly Argument[])[]): void;
  /** Fields of a hash; one whose value is NOTHING leaves. */
  fields(key: string, rows: readonly (readonly [field: string | Buffer, value: Buffer])[]): void;
  run(expected: Revision): Promise<CommitResult>;
}

/** What a field holds that has come to nothing. */
export const NOTHING = Buffer.alloc(0);

export function createShardCommit(redis: Redis, shard: number): ShardCommit {
  const keys = [metaKey(shard), deadLetterStream(shard)];
  const positions = new Map(keys.map((key, index) => [key, index + 1]));
  const revision = randomBytes(9).toString("base64url");
  const args: Argument[] = [];
  const positionOf = (key: string): number => {
    let position = positions.get(key);
    if (position === undefined) positions.set(key, (position = keys.push(key)));
    return position;
  };
  const commit: ShardCommit = {
    revision,
    command(name, key, ...rest) {
      args.push(name, positionOf(key), rest.length);
      for (const argument of rest) args.push(argument);
    },
    many(name, key, groups) {
      const perCommand = Math.max(1, Math.floor(ARGUMENTS_MAX / (groups[0]?.length ?? 1)));
      for (let start = 0; start < groups.length; start += perCommand)
        commit.command(name, key, ...groups.slice(start, start + perCommand).flat());
    },
    fields(key, rows) {
      commit.many(
        "HSET",
        key,
        rows.filter(([, value]) => value.length > 0),
      );
      commit.many(
        "HDEL",
        key,
        rows.filter(([, value]) => value.length === 0).map(([field]) => [field]),
      );
    },
    async run(expected) {
      const answer = await COMMIT.run(redis, keys, [expected, revision, DEAD_LETTERS_MAX, ...args]);
      return answer === 1 ? "committed" : "conflict";
    },
  };
  return commit;
}
