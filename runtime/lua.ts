// Lua scripts as typed functions. A script lives in a `lua/` folder beside the file that calls it and
// starts with a block that lists its KEYS, ARGV and output. Sent by hash, loaded once per server.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Command } from "ioredis";
import type { Redis } from "./redis.ts";

type Argument = string | number | Buffer;

export interface LuaScript {
  run(redis: Redis, keys: readonly string[], args: readonly Argument[]): Promise<unknown>;
  /** The same, with strings of the answer as bytes. */
  runBuffer(redis: Redis, keys: readonly string[], args: readonly Argument[]): Promise<unknown>;
}

export function loadLuaScript(url: URL): LuaScript {
  const source = readFileSync(url, "utf8");
  const sha = createHash("sha1").update(source).digest("hex");
  // As one list: a function can't be called with hundreds of thousands of arguments, a script can.
  const runBy = async (
    call: (command: string, args: Argument[]) => Promise<unknown>,
    keys: readonly string[],
    args: readonly Argument[],
  ): Promise<unknown> => {
    const rest = [keys.length, ...keys, ...args];
    try {
      return await call("evalsha", [sha, ...rest]);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return call("eval", [source, ...rest]);
    }
  };
  return {
    run: (redis, keys, args) => runBy((command, all) => redis.call(command, all), keys, args),
    // ioredis can't pipeline `callBuffer` by itself: it takes the arguments for the name of the command.
    runBuffer: (redis, keys, args) =>
      runBy(
        async (name, all) => redis.sendCommand(new Command(name, all, { replyEncoding: null })),
        keys,
        args,
      ),
  };
}
