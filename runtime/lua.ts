// Lua scripts as typed functions. A script lives in a `lua/` folder beside the file that calls it and
// starts with a block that lists its KEYS, ARGV and output. Sent by hash, loaded once per server.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Redis } from "./redis.ts";

export interface LuaScript {
  run(redis: Redis, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown>;
}

export function loadLuaScript(url: URL): LuaScript {
  const source = readFileSync(url, "utf8");
  const sha = createHash("sha1").update(source).digest("hex");
  return {
    async run(redis, keys, args) {
      // As one list: a function can't be called with hundreds of thousands of arguments, a script can.
      const rest = [keys.length, ...keys, ...args];
      try {
        return await redis.call("evalsha", [sha, ...rest]);
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
        return redis.call("eval", [source, ...rest]);
      }
    },
  };
}
