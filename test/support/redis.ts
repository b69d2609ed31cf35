// Throw-away Redis servers for tests: the same code that production's private Redis starts with, in a
// temporary folder, on a unix socket (and on a TCP port of 127.0.0.1 if asked).
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { RedisOptions } from "ioredis";
import { startPrivateRedis } from "../../runtime/private-redis.ts";
import { redisOptions } from "../../runtime/redis.ts";

export interface TestRedis {
  /** `unix:///…`, or `redis://127.0.0.1:port` when TCP was asked for. */
  readonly url: string;
  /** For `new Redis(options)`: role `worker` (waits for a connection, any number of retries). */
  readonly options: RedisOptions & { readonly replyMapping: "legacy" };
  /** Where its append-only file is; still there after `kill`, gone after `stop`. */
  readonly folder: string;
  /** SHUTDOWN, then its folder is removed. */
  stop(): Promise<void>;
  /** SIGKILL; the folder stays, so that `startTestRedis({ folder })` can go on from it. */
  kill(): Promise<void>;
}

export interface TestRedisOptions {
  /** Also listen on a free TCP port and give that as `url`. */
  readonly tcp?: boolean;
  /** A folder of an earlier server to continue from. */
  readonly folder?: string;
}

export async function startTestRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const folder = options.folder ?? mkdtempSync(path.join(tmpdir(), "lg-redis-"));
  const { server, port } = await startOnFreePort(folder, options.tcp === true);
  const url = port === 0 ? server.url : `redis://127.0.0.1:${port}`;
  return {
    url,
    options: { ...redisOptions(url, "worker"), replyMapping: "legacy" },
    folder,
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
    kill: () => server.kill(),
  };
}

/** Somebody else may take the port in the moment in between: then another one will do. */
async function startOnFreePort(folder: string, isTcp: boolean) {
  for (let triesLeft = 4; ; triesLeft -= 1) {
    const port = isTcp ? await freePort() : 0;
    try {
      const pidFile = path.join(folder, "redis.pid");
      return { server: await startPrivateRedis({ folder, pidFile, port }), port };
    } catch (error) {
      if (triesLeft === 0 || !String(error).includes("Address already in use")) throw error;
    }
  }
}

/** A TCP port of 127.0.0.1 that nobody had a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => void server.close(() => resolve()));
  return port;
}
