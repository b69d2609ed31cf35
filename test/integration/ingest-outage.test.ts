// Ingest when things go wrong around it: Redis away, silent or full, a stream that nobody empties, and a
// stop in the middle of requests. Nothing is acknowledged that Redis does not hold, and all of it heals.
import { once } from "node:events";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { createIngestChecks, createOperationsApp } from "../../ingest/app.ts";
import { startIngest } from "../../ingest/ingest.ts";
import type { RunningIngest } from "../../ingest/ingest.ts";
import type { AppId, Channel } from "../../ingest/contract/release-key.ts";
import { BACKLOG_RECHECK_MS } from "../../ingest/stream-writer.ts";
import { createLogger } from "../../runtime/logger.ts";
import { createRegistry } from "../../runtime/metrics.ts";
import { closeRedis, createRedis, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import supertest from "supertest";
import {
  TILL_KEY,
  createTestIngest,
  manyReports,
  sampleOf,
  sampleReport,
  sendReports,
  storedEntries,
  storedReports,
} from "../support/ingest-app.ts";
import { waitUntil } from "../support/wait-until.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";

const logger = createLogger({ name: "test", level: "silent" });

let server: TestRedis;
let redis: Redis;

beforeEach(async () => {
  server = await startTestRedis();
  redis = createRedis({ url: server.url, role: "request", logger });
  await waitUntilReady(redis, 5_000);
});

afterEach(async () => {
  await closeRedis(redis);
  await server.stop();
});

describe("Redis", () => {
  test("away: 503 at once with Retry-After, and reports are taken again when it is back", async () => {
    const { app, registry } = createTestIngest({ redis });
    await sendReports(app, sampleReport({ device: "before" })).expect(202);
    await server.kill();
    const startedAt = performance.now();
    const refused = await sendReports(app, manyReports(3)).expect(503);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(refused.body).toMatchObject({ code: "redis_unavailable" });
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    expect(await sampleOf(registry, 'ota_ingest_reports_total{result="redis_unavailable"}')).toBe(3);
    // What needs no Redis is still answered with its own code.
    await sendReports(app, sampleReport({ event: "exploded" })).expect(400);

    server = await startTestRedis({ folder: server.folder });
    await waitUntilReady(redis, 5_000);
    await sendReports(app, sampleReport({ device: "after" })).expect(202);
    expect((await storedReports(redis)).map(({ device }) => device).toSorted()).toEqual(["after", "before"]);
  });

  test("connected but silent: 503 after the command's time limit, and it heals", async () => {
    const { app } = createTestIngest({ redis });
    const pid = Number(readFileSync(path.join(server.folder, "redis.pid"), "utf8"));
    process.kill(pid, "SIGSTOP");
    const refused = await Promise.resolve(sendReports(app, sampleReport()).expect(503)).finally(() =>
      process.kill(pid, "SIGCONT"),
    );
    expect(refused.body.code).toBe("redis_unavailable");
    // The silent connection is given up, and a new one made: that takes a moment.
    await waitUntil(
      async () => (await sendReports(app, sampleReport())).status,
      (status) => status === 202,
      2_000,
    );
  });

  test("refusing to write (out of memory): 503, nothing kept, and it heals", async () => {
    const { app } = createTestIngest({ redis });
    await redis.config("SET", "maxmemory-policy", "noeviction");
    await redis.config("SET", "maxmemory", "1");
    const refused = await sendReports(app, manyReports(10)).expect(503);
    expect(refused.body.code).toBe("redis_unavailable");
    expect(await storedEntries(redis)).toBe(0);
    await redis.config("SET", "maxmemory", "0");
    await sendReports(app, manyReports(10)).expect(202);
  });
});

describe("back-pressure", () => {
  test("a stream at its limit refuses, without touching it, until the agent has taken entries", async () => {
    let nowMs = 1_000_000;
    const { app, registry } = createTestIngest({
      redis,
      shards: 1,
      streamEntriesMax: 2,
      clock: () => nowMs,
    });
    await sendReports(app, sampleReport()).expect(202);
    await sendReports(app, sampleReport()).expect(202);
    const refused = await sendReports(app, manyReports(4)).expect(503);
    expect(refused.body).toMatchObject({ code: "backlog_full" });
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    expect(await storedEntries(redis, 1)).toBe(2);
    expect(await sampleOf(registry, 'ota_ingest_reports_total{result="backlog_full"}')).toBe(4);

    await redis.xtrim(reportStream(0), "MAXLEN", 1);
    nowMs += BACKLOG_RECHECK_MS - 1;
    await sendReports(app, sampleReport()).expect(503);
    nowMs += 1;
    await sendReports(app, sampleReport()).expect(202);
    await sendReports(app, sampleReport()).expect(503);
  });

  test("one full shard refuses the whole request before any shard is written", async () => {
    const { app } = createTestIngest({ redis, streamEntriesMax: 1 });
    await sendReports(app, sampleReport({ device: "till-0" })).expect(202);
    expect(await storedEntries(redis)).toBe(1);
    await sendReports(app, manyReports(100)).expect(503);
    expect(await storedEntries(redis)).toBe(1);
  });

  test("a clock that was set back does not keep a stream shut", async () => {
    let nowMs = 10_000_000;
    const { app } = createTestIngest({ redis, shards: 1, streamEntriesMax: 1, clock: () => nowMs });
    await sendReports(app, sampleReport()).expect(202);
    await redis.del(reportStream(0));
    nowMs -= 3_600_000;
    const answer = await sendReports(app, sampleReport());
    expect(answer.status).toBe(202);
  });
});

function startTestProcess(): Promise<RunningIngest> {
  return startIngest({
    settings: {
      dataDir: server.folder,
      redisUrl: undefined,
      replicaAcks: 0,
      shards: 1,
      logLevel: "silent",
      sentryDsn: undefined,
      ingest: {
        listen: { host: "127.0.0.1", port: 0 },
        operationsListen: { host: "127.0.0.1", port: 0 },
        bodyBytesMax: 1024 ** 2,
        streamEntriesMax: 1_000,
      },
      apps: new Map([
        ["com.acme.till" as AppId, { ingestKeys: [TILL_KEY], channels: new Set(["production" as Channel]) }],
      ]),
    },
    redisUrl: server.url,
    version: "0.0.0",
    logger,
  });
}

describe("stopping", () => {
  test("a request in flight is finished and its report kept; /readyz is 503 meanwhile", async () => {
    const ingest = await startTestProcess();
    expect((await fetch(`${ingest.operationsUrl}/readyz`)).status).toBe(200);
    const body = JSON.stringify(sampleReport());
    const { port } = new URL(ingest.url);
    const socket = connect(Number(port), "127.0.0.1");
    await once(socket, "connect");
    // Keep-alive, as devices and proxies do: the stop must not wait for this connection to time out.
    socket.write(
      `POST /v1/reports HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ${TILL_KEY}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
    );
    await untilInFlight(ingest);

    const startedAt = performance.now();
    const stopped = ingest.stop(10_000);
    const notReady = await fetch(`${ingest.operationsUrl}/readyz`);
    expect(notReady.status).toBe(503);
    expect(await notReady.json()).toMatchObject({ checks: { process: "stopping", redis: "ok" } });
    socket.write(body.slice(10));
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 202 /);
    await stopped;
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(await storedReports(redis, 1)).toHaveLength(1);
    await expect(fetch(`${ingest.url}/v1/reports`)).rejects.toThrow("fetch failed");
  });

  test("a request that never ends is cut at the deadline", async () => {
    const ingest = await startTestProcess();
    const socket = connect(Number(new URL(ingest.url).port), "127.0.0.1");
    socket.on("error", () => {});
    socket.write(
      `POST /v1/reports HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ${TILL_KEY}\r\n` +
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    );
    await untilInFlight(ingest);
    const startedAt = performance.now();
    await ingest.stop(300);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect(await storedEntries(redis, 1)).toBe(0);
  });

  test("a client that goes away in the middle is counted as aborted", async () => {
    const { app, registry } = createTestIngest({ redis });
    const listening = createServer(app).listen(0, "127.0.0.1");
    await once(listening, "listening");
    const socket = connect((listening.address() as { port: number }).port, "127.0.0.1");
    socket.write(
      `POST /v1/reports HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ${TILL_KEY}\r\n` +
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    );
    await expect.poll(() => sampleOf(registry, "ota_ingest_requests_in_flight")).toBe(1);
    socket.destroy();
    await expect
      .poll(() => sampleOf(registry, 'ota_ingest_requests_refused_total{code="request_aborted"}'))
      .toBe(1);
    await expect
      .poll(() =>
        sampleOf(
          registry,
          'http_server_request_duration_seconds_count{route="/v1/reports",method="POST",status_class="aborted"}',
        ),
      )
      .toBe(1);
    expect(await sampleOf(registry, "ota_ingest_requests_in_flight")).toBe(0);
    listening.close();
  });
});

async function untilInFlight(ingest: RunningIngest): Promise<void> {
  await expect
    .poll(async () => await (await fetch(`${ingest.operationsUrl}/metrics`)).text())
    .toMatch(/^ota_ingest_requests_in_flight 1$/m);
}

describe("the operations address", () => {
  test("is not ready while Redis is away, and alive all the same", async () => {
    const operations = createOperationsApp({
      registry: createRegistry({ process: "test", version: "0.0.0" }),
      checks: createIngestChecks({ redis, isDraining: () => false }),
      logger,
    });
    await supertest(operations).get("/readyz").expect(200);
    await server.kill();
    await expect.poll(() => redis.status).not.toBe("ready");
    const answer = await supertest(operations).get("/readyz").expect(503);
    expect(answer.body).toMatchObject({ status: "not_ready", checks: { redis: "not connected" } });
    await supertest(operations).get("/healthz").expect(200);
    server = await startTestRedis({ folder: server.folder });
    await waitUntilReady(redis, 5_000);
    await supertest(operations).get("/readyz").expect(200);
  });

  test("takes no reports", async () => {
    const operations = createOperationsApp({
      registry: createRegistry({ process: "test", version: "0.0.0" }),
      checks: createIngestChecks({ redis, isDraining: () => false }),
      logger,
    });
    const answer = await supertest(operations).post("/v1/reports").send({}).expect(404);
    expect(answer.body.code).toBe("not_found");
  });
});
