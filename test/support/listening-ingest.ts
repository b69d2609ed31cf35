// Ingest with `sources.sentry` (or another source), listening on 127.0.0.1 for real SDKs, on a real Redis whose one shard
// can be counted. Leaves: its address, what it stored, and what the agent counts of it.
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { ReleaseHealth } from "../../agent/health/health-window.ts";
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";
import { createLogger } from "../../runtime/logger.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { closeRedis, createRedis, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { createTestIngest, storedReports } from "./ingest-app.ts";
import type { TestIngestOptions } from "./ingest-app.ts";
import { startTestRedis } from "./redis.ts";
import type { TestRedis } from "./redis.ts";
import { createTestShard } from "./test-shard.ts";
import { releaseOf } from "./verdicts.ts";

export interface ListeningIngest {
  /** `http://127.0.0.1:<port>`; changes with each start. */
  url(): string;
  registry(): Registry;
  readonly redis: () => Redis;
  start(options: Partial<TestIngestOptions>): Promise<void>;
  stored(): Promise<AcceptedReport[]>;
  /** Events of the source by what became of them; those that are 0 left out. */
  results(source: string): Promise<Record<string, number>>;
  /** What the agent counts of a version of the till on `production`, now. */
  counted(version: string): Promise<ReleaseHealth>;
}

export async function connectTo({ url }: TestRedis): Promise<Redis> {
  const connection = createRedis({
    url,
    role: "request",
    logger: createLogger({ name: "test", level: "silent" }),
  });
  await waitUntilReady(connection, 5_000);
  return connection;
}

/** A Redis for all tests of a file, and a connection to it as ingest has one. */
export function useIngestRedis(): () => Redis {
  let server: TestRedis;
  let redis: Redis;
  beforeAll(async () => {
    server = await startTestRedis();
    redis = await connectTo(server);
  });
  afterAll(async () => {
    await closeRedis(redis);
    await server.stop();
  });
  return () => redis;
}

export function useListeningIngest(defaults: Partial<TestIngestOptions>): ListeningIngest {
  let redisServer: TestRedis;
  let redis: Redis;
  let server: Server | undefined;
  let registry: Registry;
  let closes: (() => Promise<void>)[] = [];

  async function stop(): Promise<void> {
    const stopping = server;
    if (stopping === undefined) return;
    stopping.closeAllConnections();
    await new Promise<void>((resolve) => void stopping.close(() => resolve()));
    await Promise.all(closes.map((close) => close()));
    server = undefined;
  }

  async function start(options: Partial<TestIngestOptions>): Promise<void> {
    await stop();
    closes = [];
    const made = createTestIngest({
      redis,
      shards: 1,
      streamEntriesMax: 100_000,
      onClose: (close) => void closes.push(close),
      ...defaults,
      ...options,
    });
    ({ registry } = made);
    server = createServer(made.app);
    await new Promise<void>((resolve) => void server!.listen(0, "127.0.0.1", resolve));
  }

  beforeAll(async () => {
    redisServer = await startTestRedis();
    redis = await connectTo(redisServer);
  });
  afterAll(async () => {
    await closeRedis(redis);
    await redisServer.stop();
  });
  beforeEach(async () => {
    await redis.flushall();
    await start({});
  });
  afterEach(stop);

  return {
    url: () => `http://127.0.0.1:${(server!.address() as AddressInfo).port}`,
    registry: () => registry,
    redis: () => redis,
    start,
    stored: () => storedReports(redis, 1),
    async results(source) {
      const sample = /^ota_ingest_source_events_total\{source="([a-z_]+)",result="([a-z_]+)"\} (\d+)$/gm;
      const found = [...(await registry.metrics()).matchAll(sample)];
      return Object.fromEntries(
        found.flatMap(([, name, result, value]) =>
          name === source && value !== "0" ? [[result!, Number(value)]] : [],
        ),
      );
    },
    async counted(version) {
      const shard = createTestShard(redis);
      shard.nowMs = Date.now();
      await shard.fold();
      return await shard.health.readRelease(releaseOf(version));
    },
  };
}
