// Fields of a shard's hashes in a real Redis: what a commit wrote is read again, whatever bytes names and values are of,
// however many there are, and only at the revision that was asked for.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { RevisionMoved } from "../../agent/health/revision.ts";
import { NOTHING, createShardCommit } from "../../agent/health/shard-commit.ts";
import { deviceBucketKey, windowsKey } from "../../agent/health/shard-keys.ts";
import { readFields } from "../../agent/health/stored-fields.ts";
import type { Redis } from "../../runtime/redis.ts";
import { emptyRedis, startRedisOfEitherKind } from "../support/redis-kinds.ts";
import type { RedisOfEitherKind } from "../support/redis-kinds.ts";

const SHARD = 3;
const HERE = deviceBucketKey(SHARD, 7);
const THERE = windowsKey(SHARD, 1);

let server: RedisOfEitherKind;
let redis: Redis;
beforeAll(async () => {
  server = await startRedisOfEitherKind();
  redis = await server.connect();
});
afterAll(() => server.stop());
beforeEach(() => emptyRedis(redis));

/** Leaves: the revision that the shard has by then. */
async function write(rowsOf: Record<string, ReadonlyMap<string, Buffer>>, expected = ""): Promise<string> {
  const commit = createShardCommit(redis, SHARD);
  for (const [key, rows] of Object.entries(rowsOf)) commit.fields(key, rows);
  expect(await commit.run(expected)).toBe("committed");
  return commit.revision;
}

function read(revision: string, ...asked: [key: string, fields: readonly string[]][]) {
  return readFields(
    { redis, shard: SHARD, revision },
    asked.map(([key, fields]) => ({ key, fields })),
  );
}

function hexOf(fields: ReadonlyMap<string, Buffer>): Record<string, string> {
  return Object.fromEntries([...fields].map(([name, value]) => [name, value.toString("hex")]));
}

const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

describe("fields of hashes", () => {
  it("come back with their bytes, those that are not there left out", async () => {
    const name = EVERY_BYTE.toString("latin1");
    const value = Buffer.from("\r\n\0{}", "latin1");
    const rows = new Map([
      [name, EVERY_BYTE],
      ["\xff\0\r\n$1*3x", value],
    ]);
    const revision = await write({ [HERE]: rows, [THERE]: new Map([["s1", value]]) });
    const [here, none, there] = await read(
      revision,
      [HERE, ["gone", ...rows.keys()]],
      [HERE, []],
      [THERE, ["s1", "s2"]],
    );
    expect(hexOf(here!)).toEqual(hexOf(rows));
    expect(hexOf(none!)).toEqual({});
    expect(hexOf(there!)).toEqual({ s1: value.toString("hex") });
    expect(await redis.hgetBuffer(HERE, Buffer.from(name, "latin1"))).toEqual(EVERY_BYTE);
  });

  it.each([499, 500, 501, 1_000, 1_001, 20_000])("may be %d in one hash", async (count) => {
    const rows = new Map(Array.from({ length: count }, (_, index) => [`f${index}`, Buffer.from(`${index}`)]));
    const revision = await write({ [HERE]: rows });
    const [held] = await read(revision, [HERE, ["none", ...rows.keys()]]);
    expect(held).toEqual(rows);
    const gone = await write({ [HERE]: new Map([...rows.keys()].map((name) => [name, NOTHING])) }, revision);
    expect(await redis.exists(HERE)).toBe(0);
    expect((await read(gone, [HERE, [...rows.keys()]]))[0]!.size).toBe(0);
  });

  it("some set and some gone in one commit", async () => {
    const revision = await write({ [HERE]: new Map([["a", Buffer.from("1")]]) });
    await write(
      {
        [HERE]: new Map([
          ["a", NOTHING],
          ["b", Buffer.from("2")],
        ]),
      },
      revision,
    );
    expect(await redis.hgetall(HERE)).toEqual({ b: "2" });
  });

  it("come over a connection that gathers commands into pipelines by itself", async () => {
    const revision = await write({ [HERE]: new Map([["a", EVERY_BYTE]]) });
    const asked = [{ key: HERE, fields: ["a"] }];
    const at = { redis: await server.connect("request"), shard: SHARD, revision };
    const answers = await Promise.all([readFields(at, asked), readFields(at, asked)]);
    const all = { a: EVERY_BYTE.toString("hex") };
    expect(answers.map(([held]) => hexOf(held!))).toEqual([all, all]);
  });

  it("are of no use at another revision", async () => {
    const first = await write({ [HERE]: new Map([["a", Buffer.from("1")]]) });
    await write({ [HERE]: new Map([["a", Buffer.from("2")]]) }, first);
    await expect(read(first, [HERE, ["a"]])).rejects.toThrow(RevisionMoved);
  });
});

describe("a commit", () => {
  it("of nothing but a revision is one", async () => {
    const revision = await write({});
    expect(await read(revision, [HERE, ["a"]])).toEqual([new Map()]);
  });

  it("carries texts as UTF-8, numbers as digits, and large values whole", async () => {
    const large = "ü".repeat(70_000);
    const commit = createShardCommit(redis, SHARD);
    commit.command("HSET", THERE, "text", "ä{}\n🙂", "large", large, "number", -7);
    expect(await commit.run("")).toBe("committed");
    expect(await redis.hgetall(THERE)).toEqual({ text: "ä{}\n🙂", large, number: "-7" });
  });

  it("of 20,000 commands is not too many for Lua", async () => {
    const commit = createShardCommit(redis, SHARD);
    for (let index = 0; index < 20_000; index += 1) commit.command("HINCRBY", THERE, "sum", 1);
    expect(await commit.run("")).toBe("committed");
    expect(await redis.hgetall(THERE)).toEqual({ sum: "20000" });
  });
});
