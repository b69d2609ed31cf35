// A whole fleet with Capgo's plugin after a release that does not boot, through ingest and the counting: devices that have
// healed post `download_fail` of the good version whenever they are used, and the good version stays clean
// (ota-systems 1.5, the worst case). Once with batches as the plugin sends them, once with every event by itself.
import { createServer } from "node:http";
import type { IncomingMessage, RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Registry } from "../../runtime/metrics.ts";
import { createCapgoDevice } from "../simulation/capgo-device.ts";
import type { CapgoDevice } from "../simulation/capgo-device.ts";
import { createTestIngest, sampleOf } from "../support/ingest-app.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, NOON_MS, createTestShard } from "../support/test-shard.ts";
import type { TestShard } from "../support/test-shard.ts";

const STORE = "4.0.0";
const GOOD = "4.2.6";
const BAD = "4.2.7";
const NEXT = "4.2.8";
const DEVICES = 300;
/** Requests at the same moment. */
const AT_ONCE = 25;

let redisServer: TestRedis;
let redis: Redis;
let shard: TestShard;
beforeAll(async () => {
  redisServer = await startTestRedis();
  redis = new Redis(redisServer.options);
});
afterAll(async () => {
  await redis.quit();
  await redisServer.stop();
});
beforeEach(async () => {
  await redis.flushall();
  shard = createTestShard(redis);
});

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
  }
});

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function jsonOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}

/** What Capgo offers, to whoever does not run it. */
async function listenUpdates(offered: () => string): Promise<string> {
  return await listen((request, response) => {
    void jsonOf(request).then((asked) => {
      const isCurrent = (asked as { version_name: string }).version_name === offered();
      const upToDate = {
        error: "no_new_version_available",
        message: "No new version available",
        kind: "up_to_date",
      };
      response.end(
        JSON.stringify(isCurrent ? upToDate : { version: offered(), url: "https://files.example/b.zip" }),
      );
    });
  });
}

/** In place of ingest: each event of a batch goes there by itself, as when the plugin's timer falls in between. */
async function listenSplitter(statsUrl: string): Promise<string> {
  return await listen((request, response) => {
    void jsonOf(request).then(async (events) => {
      for (const event of events as unknown[]) {
        const answer = await fetch(statsUrl, { method: "POST", body: JSON.stringify([event]) });
        expect([answer.status, await answer.json()]).toEqual([
          200,
          { status: "ok", results: [{ status: "ok", index: 0 }] },
        ]);
      }
      response.end("{}");
    });
  });
}

interface Fleet {
  readonly devices: readonly CapgoDevice[];
  readonly registry: Registry;
  offer(version: string): void;
  /** Every device once, a minute later. */
  foreground(): Promise<void>;
}

async function startFleet({ running, isSplit }: { running: string; isSplit: boolean }): Promise<Fleet> {
  let offered = running;
  const { app, registry } = createTestIngest({
    redis,
    shards: 1,
    streamEntriesMax: 1_000_000,
    clock: () => shard.nowMs,
    sources: { capgo: {} },
  });
  const ingestUrl = `${await listen(app)}/capgo/stats`;
  const statsUrl = isSplit ? await listenSplitter(ingestUrl) : ingestUrl;
  const updateUrl = await listenUpdates(() => offered);
  const devices = Array.from({ length: DEVICES }, () =>
    createCapgoDevice({
      appId: "com.acme.till",
      versionBuild: STORE,
      running,
      statsUrl,
      updateUrl,
      channel: "production",
      boots: (version) => version !== BAD,
      clock: () => shard.nowMs,
    }),
  );
  return {
    devices,
    registry,
    offer: (version) => void (offered = version),
    async foreground() {
      shard.nowMs += MINUTE_MS;
      for (let start = 0; start < devices.length; start += AT_ONCE) {
        const tookAll = await Promise.all(
          devices.slice(start, start + AT_ONCE).map((device) => device.foreground()),
        );
        expect(tookAll).not.toContain(false);
      }
    },
  };
}

const NOTHING_BAD = { failed: 0, download_failed: 0, install_failed: 0, reverted: 0, crashed: 0, silent: 0 };

test.each([
  ["in batches", false],
  ["one by one", true],
])(
  "healed devices blame the release that did not boot, and never the one that runs: events %s",
  async (_how, isSplit) => {
    const fleet = await startFleet({ running: GOOD, isSplit });
    await fleet.foreground();
    fleet.offer(BAD);
    await fleet.foreground();
    expect(fleet.devices.map((device) => device.running())).toEqual(fleet.devices.map(() => GOOD));
    // Each posts `download_fail` of GOOD, as long as BAD is offered.
    for (const laterMs of [MINUTE_MS, HOUR_MS, DAY_MS]) {
      shard.nowMs += laterMs;
      await fleet.foreground();
    }
    // And when nothing is known of them any more.
    await redis.del(...(await redis.keys("*:capgo:*")));
    await fleet.foreground();
    await fleet.foreground();
    const unattributed = 'ota_ingest_source_events_total{source="capgo",result="unattributed"}';
    expect(await sampleOf(fleet.registry, unattributed)).toBe(5 * DEVICES);

    await shard.fold();
    expect(await shard.devices(BAD)).toMatchObject({
      attempted: DEVICES,
      installed: DEVICES,
      reverted: DEVICES,
      failed: DEVICES,
      failed_announced: DEVICES,
      confirmed: 0,
      download_failed: 0,
      silent: 0,
    });
    expect(await shard.devices(GOOD)).toMatchObject({ ...NOTHING_BAD, attempted: 0, running: DEVICES });
  },
);

test("a device that falls back to the store build tells of no second set, and blames nobody else", async () => {
  const fleet = await startFleet({ running: STORE, isSplit: false });
  fleet.offer(BAD);
  await fleet.foreground();
  for (let time = 0; time < 3; time += 1) await fleet.foreground();
  await shard.fold();
  expect(await shard.devices(BAD)).toMatchObject({ attempted: DEVICES, reverted: DEVICES });
  expect(await shard.devices(STORE)).toMatchObject({ ...NOTHING_BAD, attempted: 0, running: DEVICES });
  // The next release is no way back, though the newest switch that is known is a revert.
  fleet.offer(NEXT);
  await fleet.foreground();
  await shard.fold();
  expect(await shard.devices(NEXT)).toMatchObject({
    attempted: DEVICES,
    installed: DEVICES,
    confirmed: DEVICES,
  });
});

test("after the rollback's next release all is well, and crashes are of what ran", async () => {
  const fleet = await startFleet({ running: GOOD, isSplit: false });
  fleet.offer(BAD);
  await fleet.foreground();
  fleet.offer(NEXT);
  await fleet.foreground();
  expect(fleet.devices.map((device) => device.running())).toEqual(fleet.devices.map(() => NEXT));
  for (const device of fleet.devices.slice(0, 7)) expect(await device.crash()).toBe(true);
  await shard.foldAt(NOON_MS + 2 * DAY_MS);
  expect(await shard.devices(NEXT)).toMatchObject({
    ...NOTHING_BAD,
    attempted: DEVICES,
    confirmed: DEVICES,
    running: DEVICES,
    crashed: 7,
  });
  expect(await shard.devices(BAD)).toMatchObject({ reverted: DEVICES, crashed: 0, silent: 0 });
  expect(await shard.devices(GOOD)).toMatchObject({ ...NOTHING_BAD, attempted: 0, running: 0 });
});
