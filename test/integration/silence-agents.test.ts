// Silence that is looked for in several steps, by several agents, on a real Redis: more devices in a minute than
// one commit takes, agents that die or overtake each other in between, and reports that wait meanwhile. Every
// device is counted once, and none whose answer was there.
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { DUE_DEVICES_MAX } from "../../agent/health/deadline-index.ts";
import type { ShardStore } from "../../agent/health/shard-store.ts";
import { foldSilence } from "../../agent/health/visit.ts";
import { encodeReportEntry } from "../../ingest/contract/report-entry.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import {
  DUE_MS,
  HOUR_MS,
  MINUTE_MS,
  NOON_MS,
  createTestShard,
  each,
  expectDevices,
  names,
} from "../support/test-shard.ts";
import type { TestShard } from "../support/test-shard.ts";
import { releaseOf } from "../support/verdicts.ts";

let server: TestRedis;
let redis: Redis;
let shard: TestShard;
beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
});
afterAll(async () => {
  await redis.quit();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  shard = createTestShard(redis);
});

describe("many devices of one minute", () => {
  it.each([
    [DUE_DEVICES_MAX - 1, [1_999]],
    [DUE_DEVICES_MAX, [2_000, 0]],
    [DUE_DEVICES_MAX + 1, [2_000, 1]],
    [2 * DUE_DEVICES_MAX, [2_000, 2_000, 0]],
  ])("%i of them, with commits of %j", async (count, sizes) => {
    await shard.tell(...each(names(count), "update_started"));
    await shard.fold();
    const { store, seen } = watchLooks(shard.openStore());
    await shard.foldAt(DUE_MS, { store });
    expect(seen).toEqual(sizes);
    await expectDevices(shard, { announced: count, silent: count });
    expect(await shard.indexKeys()).toEqual([]);
  });

  it("are counted once when an agent dies between two commits", async () => {
    await shard.tell(...each(names(DUE_DEVICES_MAX + 1), "update_started"));
    await shard.fold();
    shard.nowMs = DUE_MS;
    await lookOnce(shard.openStore());
    expect((await shard.devices()).silent).toBe(DUE_DEVICES_MAX);
    await shard.fold();
    await expectDevices(shard, { announced: DUE_DEVICES_MAX + 1, silent: DUE_DEVICES_MAX + 1 });
    expect(await shard.indexKeys()).toEqual([]);
  });

  it("that have been looked at in part give way to an earlier minute, and are gone on with after it", async () => {
    await shard.tell(...each(names(DUE_DEVICES_MAX + 1), "update_started"));
    await shard.fold();
    shard.nowMs = DUE_MS;
    await lookOnce(shard.openStore());
    await putBack("redriven", NOON_MS - MINUTE_MS);
    await shard.foldWaiting();
    await shard.fold();
    await expectDevices(shard, { announced: DUE_DEVICES_MAX + 2, silent: DUE_DEVICES_MAX + 2 });
    expect(await shard.indexKeys()).toEqual([]);
  });

  it("are left to the next agent by one that is told to stop", async () => {
    await shard.tell(...each(names(2 * DUE_DEVICES_MAX), "update_started"));
    await shard.fold();
    const { store, seen } = watchLooks(shard.openStore());
    shard.nowMs = DUE_MS;
    await shard.fold({ store, isStopping: () => seen.length > 0 });
    expect((await shard.devices()).silent).toBe(DUE_DEVICES_MAX);
    expect(await shard.indexKeys()).not.toEqual([]);
    const next = watchLooks(shard.openStore());
    await shard.fold({ store: next.store });
    // It goes on behind those that have been looked at.
    expect(next.seen).toEqual([DUE_DEVICES_MAX, 0]);
    await expectDevices(shard, { silent: 2 * DUE_DEVICES_MAX });
  });

  it("are counted once when several agents look at the same time", async () => {
    const count = 3 * DUE_DEVICES_MAX + 1;
    await shard.tell(...each(names(count), "update_started"));
    await shard.fold();
    shard.nowMs = DUE_MS;
    await Promise.all([shard.fold(), shard.fold(), shard.fold()]);
    await expectDevices(shard, { announced: count, silent: count });
    expect(await shard.indexKeys()).toEqual([]);
  });
});

/** How many devices each commit of a look had. */
function watchLooks(store: ShardStore): { store: ShardStore; seen: number[] } {
  const seen: number[] = [];
  const commitVisit: ShardStore["commitVisit"] = (revision, plan, due) => {
    seen.push(due?.devices.length ?? -1);
    return store.commitVisit(revision, plan, due);
  };
  return { store: { ...store, commitVisit }, seen };
}

/** One commit of a look, and no more. */
async function lookOnce(store: ShardStore): Promise<void> {
  const { revision } = await store.readPosition();
  const due = (await store.readDue(revision, Math.floor(shard.nowMs / MINUTE_MS)))!;
  const plan = foldSilence({
    devices: due.devices,
    tables: await store.readTables(revision),
    stateOf: await store.readStates(revision, due.devices),
    rules: DEFAULT_COUNTING_RULES,
    nowMs: shard.nowMs,
    heardFromMs: 0,
  });
  expect(await store.commitVisit(revision, plan, due)).toBe("committed");
}

describe("another agent", () => {
  it("that looked first makes a look lose, and nothing is counted twice", async () => {
    await shard.tell(...each(names(5), "update_started"));
    await shard.fold();
    shard.nowMs = DUE_MS;
    const store = shard.openStore();
    let others = 1;
    const readStates: ShardStore["readStates"] = async (revision, devices) => {
      const states = await store.readStates(revision, devices);
      if (others-- > 0) await shard.fold();
      return states;
    };
    expect(await shard.fold({ store: { ...store, readStates } })).toMatchObject({ lost: 1 });
    await expectDevices(shard, { silent: 5 });
  });

  it("that folded an answer first makes a look lose, and the device is not silent", async () => {
    await shard.tell(...each(["till-1", "till-2"], "update_started"));
    await shard.fold();
    shard.nowMs = DUE_MS - 1;
    await shard.tell({ device: "till-1", event: "confirmed" });
    shard.nowMs = DUE_MS;
    const store = shard.openStore();
    // At first it sees no entry, as if the answer came in only now.
    let others = 1;
    const readBatch: ShardStore["readBatch"] = (position) =>
      others > 0 ? Promise.resolve(undefined) : store.readBatch(position);
    const readStates: ShardStore["readStates"] = async (revision, devices) => {
      const states = await store.readStates(revision, devices);
      if (others-- > 0) await shard.foldWaiting();
      return states;
    };
    expect(await shard.fold({ store: { ...store, readBatch, readStates } })).toMatchObject({ lost: 1 });
    await expectDevices(shard, { silent: 1, returned_late: 0, confirmed: 1 });
  });

  it("that has worked the minute off leaves to this one what came into it since", async () => {
    await shard.tell(...each(names(DUE_DEVICES_MAX + 1), "update_started"));
    await shard.fold();
    shard.nowMs = DUE_MS;
    const store = shard.openStore();
    let others = 1;
    const overtaken: ShardStore = {
      ...store,
      async commitVisit(...args) {
        const result = await store.commitVisit(...args);
        if (others-- > 0) {
          await shard.fold();
          // What was put aside long ago, and goes back into the minute that is over.
          await putBack("redriven", NOON_MS);
          await shard.foldWaiting();
        }
        return result;
      },
    };
    await shard.fold({ store: overtaken });
    await shard.fold();
    await expectDevices(shard, { announced: DUE_DEVICES_MAX + 2, silent: DUE_DEVICES_MAX + 2 });
  });
});

/** A report that was put aside when it came in, and is put back now. */
async function putBack(device: string, receivedAtMs: number): Promise<void> {
  const report = { ...releaseOf("1.4.0"), device, event: "update_started" as const };
  shard.model.tell(report, receivedAtMs);
  const entry = encodeReportEntry({ receivedAtMs, reports: [{ ...report, atMs: receivedAtMs }] });
  await redis.xadd(reportStream(0), "*", ...entry);
}

describe("while reports wait", () => {
  it("they are folded first: an answer among them is no late return", async () => {
    await shard.tell(...each(names(3), "update_started"));
    await shard.fold();
    shard.nowMs = DUE_MS - 1;
    await shard.tell({ device: "till-0", event: "confirmed" }, { device: "till-1", event: "installed" });
    await shard.foldAt(DUE_MS + HOUR_MS);
    await expectDevices(shard, { silent: 1, returned_late: 0, confirmed: 1 });
  });

  it("also a whole backlog that takes many batches", async () => {
    await shard.tell(...each(["till-1"], "update_started"));
    await shard.fold();
    shard.nowMs = DUE_MS - HOUR_MS;
    await shard.tell(...each(names(6_000, "busy"), "active"));
    await shard.tell({ device: "till-1", event: "confirmed" });
    const { batches } = await shard.foldAt(DUE_MS);
    expect(batches).toBeGreaterThan(1);
    await expectDevices(shard, { silent: 0, returned_late: 0, confirmed: 1 });
  });

  it("no time passes for anybody: it is taken before the last look into the stream", async () => {
    await shard.tell(...each(["till-1"], "update_started"));
    await shard.fold();
    shard.nowMs = DUE_MS - 1;
    const store = shard.openStore();
    const readBatch: ShardStore["readBatch"] = async (position) => {
      const batch = await store.readBatch(position);
      shard.nowMs = DUE_MS;
      return batch;
    };
    await shard.fold({ store: { ...store, readBatch }, heardFromMs: () => Promise.resolve(undefined) });
    shard.nowMs = DUE_MS - 1;
    await shard.fold({ store: { ...store, readBatch } });
    expect((await shard.devices()).silent).toBe(0);
  });

  it("they wait again after a failover to a server that lacks the last fold; it is not looked at before", async () => {
    await shard.tell(...each(["till-1", "till-2"], "update_started"));
    await shard.fold();
    shard.nowMs = DUE_MS - 1;
    await shard.tell({ device: "till-1", event: "confirmed" });
    const older = await copyAll();
    await shard.fold();
    shard.nowMs = DUE_MS;
    const store = shard.openStore();
    let failovers = 1;
    const readBatch: ShardStore["readBatch"] = async (position) => {
      const batch = await store.readBatch(position);
      if (failovers-- > 0) await restoreAll(older);
      return batch;
    };
    await shard.fold({ store: { ...store, readBatch } });
    await expectDevices(shard, { silent: 1, returned_late: 0, confirmed: 1 });
  });
});

async function copyAll(): Promise<Map<string, Buffer>> {
  const keys = await redis.keys("*");
  return new Map(await Promise.all(keys.map(async (key) => [key, await redis.dumpBuffer(key)] as const)));
}

async function restoreAll(copies: ReadonlyMap<string, Buffer>): Promise<void> {
  await redis.flushall();
  for (const [key, bytes] of copies) await redis.restore(key, 0, bytes);
}
