// Examples of devices on a real Redis: they come with the counts, in one commit or not at all; a repeated report adds
// nobody; a list ends at its bound; who is silent no more is not shown; and they go with their release.
import { expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { nameDevice } from "../../agent/health/device-table.ts";
import { EXAMPLES_RETENTION_SECONDS, byOutcome, examplesPerShard } from "../../agent/health/examples.ts";
import { examplesKey } from "../../agent/health/shard-keys.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import type { ReleaseExamples } from "../../agent/health/stored-examples.ts";
import { foldShard, planOf } from "../../agent/jobs/fold-shard.ts";
import { dropUnseenDevices } from "../../agent/jobs/retention.ts";
import { SHARDS_DEFAULT } from "../../ingest/contract/stream-names.ts";
import type { Redis } from "../../runtime/redis.ts";
import { useShardForEach } from "../support/shard-for-each.ts";
import { DAY_MS, DUE_MS, HOUR_MS, NOON_MS, each, expectDevices, names } from "../support/test-shard.ts";
import type { TestShard } from "../support/test-shard.ts";
import { TILL, releaseOf } from "../support/verdicts.ts";

let redis: Redis;
let shard: TestShard;
useShardForEach((...opened) => ([redis, shard] = opened));

/** Outcomes that somebody stands in. */
async function examples(version = "1.4.0"): Promise<Partial<ReleaseExamples>> {
  const all = await shard.health.readExamples(releaseOf(version));
  return Object.fromEntries(Object.entries(all).filter(([, devices]) => devices.length > 0));
}

function digestOf(device: string): string {
  return Buffer.from(nameDevice(TILL.app, device).field, "latin1").toString("hex");
}

/** The list of 1.4.0, which is the first release of the shard. */
function list(): Promise<Buffer | null> {
  return redis.getBuffer(examplesKey(0, 1));
}

it("whom counts name, by outcome, in the order in which they came", async () => {
  await shard.tell(
    { device: "till-1", event: "reverted" },
    { device: "till-2", event: "download_failed" },
    { device: "till-3", event: "crashed" },
    { device: "till-4", event: "not_responding" },
    { device: "till-5", event: "confirmed" },
    { device: "till-6", event: "install_failed" },
    { device: "till-9", event: "reverted", ...releaseOf("1.3.0") },
  );
  await shard.fold();
  await shard.tell({ device: "till-1", event: "confirmed" }, { device: "tïll-7", event: "reverted" });
  await shard.fold();
  expect(await examples()).toEqual({
    failed: ["till-1", "till-6", "tïll-7"],
    download_failed: ["till-2"],
    crashed: ["till-3"],
    not_responding: ["till-4"],
    recovered: ["till-1"],
  });
  expect(await examples("1.3.0")).toEqual({ failed: ["till-9"] });
  expect(await shard.health.readExamples(releaseOf("9.9.9"))).toEqual(byOutcome(() => []));
  await expectDevices(shard, { failed: 3, download_failed: 1, crashed: 1, not_responding: 1, recovered: 1 });
});

it("a report that comes again adds nobody, in the same batch or another", async () => {
  const told = each(names(5), "reverted");
  await shard.tell(...told, ...told);
  await shard.fold();
  const before = await list();
  await shard.tell(...told.toReversed(), ...each(names(5), "install_failed"));
  await shard.fold();
  expect(await list()).toEqual(before);
  expect(await examples()).toEqual({ failed: names(5) });
});

it("a list ends at the bound of a shard, and the counts go on", async () => {
  const max = examplesPerShard(SHARDS_DEFAULT);
  await shard.tell(...each(names(max - 1), "reverted"));
  await shard.fold();
  expect((await examples()).failed?.length).toBe(max - 1);
  await shard.tell(...each(names(3, "late"), "reverted"));
  await shard.fold();
  expect((await examples()).failed).toEqual([...names(max - 1), "late-0"]);
  const full = await list();
  await shard.tell(...each(names(3, "later"), "reverted"));
  await shard.fold();
  expect(await list()).toEqual(full);
  await expectDevices(shard, { failed: max + 5 });
});

it("a store of fewer shards keeps more in each", async () => {
  await shard.tell(...each(names(1_001), "reverted"));
  const store = createShardStore({ redis, shard: 0, examplesMax: examplesPerShard(1) });
  await foldShard({
    store,
    rules: DEFAULT_COUNTING_RULES,
    onChange: () => {},
    isStopping: () => false,
    nowMs: () => shard.nowMs,
    heardFromMs: () => Promise.resolve(0),
  });
  expect((await examples()).failed).toEqual(names(1_000));
});

it("of two agents that have read the same one wins: nobody is named twice, nobody is missing", async () => {
  await shard.tell(...each(names(2), "reverted"));
  const stores = [shard.openStore(), shard.openStore()];
  const read = await Promise.all(
    stores.map(async (store) => {
      const batch = (await store.readBatch(await store.readPosition()))!;
      return { batch, plan: await planOf(batch, { store, rules: DEFAULT_COUNTING_RULES }) };
    }),
  );
  expect(await stores[0]!.commitBatch(read[0]!.batch, read[0]!.plan)).toBe("committed");
  const committed = await list();
  // It was read before, so its head of the list is the old one: nothing of it is written.
  expect(await stores[1]!.commitBatch(read[1]!.batch, read[1]!.plan)).toBe("conflict");
  expect(await list()).toEqual(committed);
  await shard.tell({ device: "till-2", event: "reverted" }, { device: "till-1", event: "reverted" });
  await shard.fold();
  expect(await examples()).toEqual({ failed: names(3) });
  await expectDevices(shard, { failed: 3 });
});

it("who is silent is named by digest until it is heard of again, and then by id", async () => {
  await shard.tell(...each(names(2), "installed"));
  await shard.fold();
  expect(await list()).toBeNull();
  await shard.foldAt(DUE_MS);
  expect(await examples()).toEqual({ silent: names(2).map(digestOf) });
  const view = await shard.health.readDeviceByDigest(digestOf("till-1"));
  expect(view).toEqual(await shard.health.readDevice(TILL.app, "till-1"));
  expect(view?.lastSeenAtMs).toBe(NOON_MS);
  expect(await shard.health.readDeviceByDigest("0".repeat(16))).toBeUndefined();

  await shard.tell({ device: "till-1", event: "confirmed" });
  await shard.fold();
  expect(await examples()).toEqual({ silent: [digestOf("till-0")], returned_late: ["till-1"] });
  await expectDevices(shard, { silent: 1, returned_late: 1 });
});

it("a device that left and came back counts anew, and is named once", async () => {
  await shard.tell({ device: "till-1", event: "reverted" }, { device: "till-2", event: "reverted" });
  await shard.fold();
  shard.nowMs = NOON_MS + 91 * DAY_MS;
  const left = await dropUnseenDevices({
    redis,
    store: shard.openStore(),
    nowMs: shard.nowMs,
    retentionMs: 90 * DAY_MS,
    isStopping: () => false,
  });
  expect(left).toBe(2);
  await shard.tell({ device: "till-2", event: "reverted" });
  await shard.fold();
  expect((await shard.devices()).failed).toBe(3);
  expect(await examples()).toEqual({ failed: ["till-1", "till-2"] });
});

it("a list goes with its release, and by itself when nothing has come to it for as long as windows stay", async () => {
  await shard.tell({ device: "till-1", event: "reverted" });
  await shard.fold();
  expect(await redis.ttl(examplesKey(0, 1))).toBeGreaterThan(EXAMPLES_RETENTION_SECONDS - 60);
  expect(EXAMPLES_RETENTION_SECONDS).toBe((90 * DAY_MS) / 1_000);
  shard.nowMs += HOUR_MS;
  await shard.tell({ device: "till-1", event: "active", ...releaseOf("1.5.0") });
  await shard.fold();
  const store = shard.openStore();
  expect(await store.retireReleases((await store.readPosition()).revision, TILL)).toBe("committed");
  expect(await list()).toBeNull();
  expect(await examples()).toEqual({});
});

it("the channels of a version are found by app and version alone", async () => {
  const beta = { channel: "beta" as typeof TILL.channel };
  await shard.tell(
    { device: "till-1", event: "active" },
    { device: "till-2", event: "active", ...beta },
    { device: "till-2", event: "active", ...releaseOf("11.4.0") },
    {
      device: "till-2",
      event: "active",
      ...releaseOf("1.4.0", { ...TILL, app: "com.acme" as typeof TILL.app }),
    },
  );
  await shard.fold();
  const found = await shard.health.findReleases(TILL.app, "1.4.0");
  expect(found).toEqual([{ ...releaseOf("1.4.0"), ...beta }, releaseOf("1.4.0")]);
});
