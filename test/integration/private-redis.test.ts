// The private Redis against the real redis-server: how it is set up, and what a crash of anybody leaves.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Redis } from "ioredis";
import { afterEach, describe, expect, test } from "vitest";
import { BUCKET_DEVICES_MAX, STATE_BYTES_COMPACT_MAX } from "../../agent/health/device-table.ts";
import { isProcessAlive, readPidFile } from "../../runtime/pid-file.ts";
import { SOCKET_PATH_BYTES_MAX, socketPathFor, startPrivateRedis } from "../../runtime/private-redis.ts";
import type { PrivateRedis } from "../../runtime/private-redis.ts";
import { checkRedisServer, requireVersion } from "../../runtime/redis-server.ts";
import { startTestRedis } from "../support/redis.ts";

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function newFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-private-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function startIn(folder: string): Promise<PrivateRedis> {
  const redis = await startPrivateRedis({ folder, pidFile: path.join(folder, "redis.pid") });
  cleanups.push(() => redis.stop());
  return redis;
}

function clientOf({ socketPath }: PrivateRedis): Redis {
  const client = new Redis({ path: socketPath });
  client.on("error", () => {});
  cleanups.push(() => client.disconnect());
  return client;
}

async function settingOf(client: Redis, name: string): Promise<unknown> {
  return Object.entries((await client.config("GET", name)) as unknown as object)
    .flat()
    .at(-1);
}

describe("a private Redis", () => {
  test("is set up to lose nothing, and listens on a socket of this user alone", async () => {
    const redis = await startIn(newFolder());
    const client = clientOf(redis);
    expect(statSync(redis.socketPath).mode & 0o777).toBe(0o700);
    expect({
      appendonly: await settingOf(client, "appendonly"),
      appendfsync: await settingOf(client, "appendfsync"),
      save: await settingOf(client, "save"),
      policy: await settingOf(client, "maxmemory-policy"),
      entries: await settingOf(client, "hash-max-listpack-entries"),
      value: await settingOf(client, "hash-max-listpack-value"),
      port: await settingOf(client, "port"),
    }).toEqual({
      appendonly: "yes",
      appendfsync: "everysec",
      save: "",
      policy: "noeviction",
      entries: String(BUCKET_DEVICES_MAX),
      value: String(STATE_BYTES_COMPACT_MAX),
      port: "0",
    });
  });

  test("keeps what it had after stopping and after SIGKILL, and removes its pid file", async () => {
    const folder = newFolder();
    const pidFile = path.join(folder, "redis.pid");
    const first = await startIn(folder);
    await clientOf(first).set("a", "1");
    expect(readPidFile(pidFile)).toBe(first.pid);
    await first.stop();
    expect([existsSync(pidFile), isProcessAlive(first.pid)]).toEqual([false, false]);
    const second = await startIn(folder);
    await clientOf(second).set("b", "2");
    await second.kill();
    const third = clientOf(await startIn(folder));
    expect([await third.get("a"), await third.get("b")]).toEqual(["1", "2"]);
  });

  test("that an earlier run left behind is shut down first, with what it had", async () => {
    const folder = newFolder();
    const orphan = await startIn(folder);
    await clientOf(orphan).set("a", "1");
    const lines: string[] = [];
    const next = await startPrivateRedis({
      folder,
      pidFile: path.join(folder, "redis.pid"),
      onProgress: (line) => lines.push(line),
    });
    cleanups.push(() => next.stop());
    expect(isProcessAlive(orphan.pid)).toBe(false);
    expect(next.pid).not.toBe(orphan.pid);
    expect(lines).toEqual(["stopping the redis-server that an earlier run left behind"]);
    expect(await clientOf(next).get("a")).toBe("1");
    expect(readPidFile(path.join(folder, "redis.pid"))).toBe(next.pid);
  });

  test("a pid file that names a program of somebody else harms nobody", async () => {
    const folder = newFolder();
    const bystander = spawn("sleep", ["60"]);
    cleanups.push(() => void bystander.kill("SIGKILL"));
    await once(bystander, "spawn");
    writeFileSync(path.join(folder, "redis.pid"), `${bystander.pid}\n`);
    await startIn(folder);
    expect(isProcessAlive(bystander.pid!)).toBe(true);
  });

  test("that can't start says why, with the end of its log", async () => {
    const folder = newFolder();
    const first = await startIn(folder);
    await clientOf(first).set("a", "1");
    await first.stop();
    writeFileSync(path.join(folder, "appendonlydir", "appendonly.aof.manifest"), "broken\n");
    await expect(startIn(folder)).rejects.toThrow(
      /redis-server stopped at once; the end of its log:\n.*manifest/is,
    );
    expect(readFileSync(path.join(folder, "redis.log"), "utf8")).toContain("manifest");
  });

  test("is given up while it loads when told to", async () => {
    const folder = newFolder();
    const signal = AbortSignal.abort();
    const pidFile = path.join(folder, "redis.pid");
    const starting = startPrivateRedis({ folder, pidFile, signal });
    await expect(starting).rejects.toThrow("starting Redis was given up");
    expect(existsSync(pidFile)).toBe(false);
  });
});

describe("the path of the socket", () => {
  const folderOfBytes = (bytes: number): string => `/${"x".repeat(bytes - 1 - "/redis.sock".length)}`;

  test("is inside the folder up to the limit, beyond it in the temporary folder", () => {
    const fits = socketPathFor(folderOfBytes(SOCKET_PATH_BYTES_MAX));
    expect(fits).toHaveLength(SOCKET_PATH_BYTES_MAX);
    expect(fits.startsWith("/xxx")).toBe(true);
    const long = socketPathFor(folderOfBytes(SOCKET_PATH_BYTES_MAX + 1));
    expect(long.startsWith(tmpdir())).toBe(true);
    expect(long).not.toBe(socketPathFor(folderOfBytes(SOCKET_PATH_BYTES_MAX + 2)));
  });

  test("counts bytes, not characters, and a server starts behind a long one", async () => {
    const folder = path.join(newFolder(), "ü".repeat(40), "d".repeat(40));
    cleanups.push(() => rmSync(path.dirname(socketPathFor(folder)), { recursive: true, force: true }));
    const redis = await startIn(folder);
    expect(redis.socketPath.startsWith(folder)).toBe(false);
    expect(await clientOf(redis).ping()).toBe("PONG");
  });
});

describe("the version of redis-server", () => {
  test("the one on the PATH fits", async () => {
    expect((await checkRedisServer()).version).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test("7 is the oldest that is taken, and the refusal says what to do", () => {
    expect(requireVersion("Redis server v=7.0.0 sha=00000000:0")).toBe("7.0.0");
    expect(() => requireVersion("Redis server v=6.2.14 sha=00000000:0")).toThrow(
      /^redis-server 6\.2\.14 is too old, 7 or newer is needed: install it \(Debian.*redis\.url/,
    );
    expect(() => requireVersion("hello")).toThrow(/did not say its version/);
  });
});

test("a Redis for tests goes on from the folder of one that was killed, over TCP too", async () => {
  const first = await startTestRedis({ tcp: true });
  const client = new Redis(first.options);
  client.on("error", () => {});
  await client.set("a", "1");
  client.disconnect();
  await first.kill();
  const second = await startTestRedis({ folder: first.folder });
  cleanups.push(() => second.stop());
  const again = new Redis(second.options);
  cleanups.push(() => again.disconnect());
  expect(first.url).toMatch(/^redis:\/\/127\.0\.0\.1:\d+$/);
  expect(await again.get("a")).toBe("1");
});
