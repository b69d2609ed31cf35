// A whole agent for tests, on a real Redis: settings with an app per OTA server, a fleet that reports
// through ingest's own stream writer, and the simulated OTA server behind a real port.
import type { Server } from "node:http";
import express from "express";
import type { RequestHandler } from "express";
import { OBSERVABILITY_OFF } from "../../agent/config/observability.ts";
import type { Operator, Settings } from "../../agent/config/schema.ts";
import { STRATA_MAX_DEFAULT } from "../../agent/health/counting-rules.ts";
import { flagOf, isAttempt } from "../../agent/health/outcomes.ts";
import { STRATUM_FIELDS } from "../../agent/health/stratum.ts";
import type { Policy } from "../../agent/policy/policy.ts";
import { BODY_BYTES_MAX_DEFAULT } from "../../ingest/contract/settings.ts";
import type { DeviceEvent, DeviceReport } from "../../ingest/contract/device-report.ts";
import type { AppId, Channel, Version } from "../../ingest/contract/release-key.ts";
import { createStreamWriter } from "../../ingest/stream-writer.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { Clock } from "../../runtime/clock.ts";
import { createRedis, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { createLogger } from "../../runtime/logger.ts";
import { createSimulatedOtaServer } from "../simulation/ota-server.ts";
import type { SimulatedOtaServer } from "../simulation/ota-server.ts";
import { samplePolicy } from "./verdicts.ts";

export const AGENT_TEST_SHARDS = 4;
export const OTA_SECRET = "example-ota-secret";
const CHANNEL = "production" as Channel;

export interface TestApp {
  readonly name: string;
  readonly otaUrl: string;
  readonly policy?: Partial<Policy>;
  readonly minimumVersion?: string;
  readonly timeoutMs?: number;
}

/** Settings with a policy of its own for each app, named after it. */
export function agentSettings(apps: readonly TestApp[], operators: readonly Operator[] = []): Settings {
  return {
    dataDir: "/nonexistent",
    redisUrl: undefined,
    replicaAcks: 0,
    shards: AGENT_TEST_SHARDS,
    logLevel: "silent",
    sentryDsn: undefined,
    ingest: {
      listen: { host: "127.0.0.1", port: 0 },
      operationsListen: { host: "127.0.0.1", port: 0 },
      bodyBytesMax: BODY_BYTES_MAX_DEFAULT,
      streamEntriesMax: 100_000,
    },
    agent: { listen: { host: "127.0.0.1", port: 0 }, operators, trustedProxies: [], processes: 1 },
    retention: { devicesMs: 90 * 24 * 3_600_000 },
    externalUrl: undefined,
    alertmanager: undefined,
    grafana: undefined,
    summary: undefined,
    observability: OBSERVABILITY_OFF,
    apps: new Map(apps.map((app) => [app.name as AppId, appSettings(app)])),
    policies: new Map(apps.map(({ name, policy }) => [name, samplePolicy({ name, ...policy })])),
  };
}

function appSettings({ name, otaUrl, minimumVersion, timeoutMs = 2_000 }: TestApp) {
  return {
    ingestKeys: ["example-ingest-key"],
    otaServer: { type: "http" as const, url: otaUrl, secret: OTA_SECRET, timeoutMs },
    channels: new Map([
      [CHANNEL, { policyName: name, minimumVersion: minimumVersion as Version | undefined }],
    ]),
    strata: { by: STRATUM_FIELDS, max: STRATA_MAX_DEFAULT },
  };
}

export interface TestOtaServer extends SimulatedOtaServer {
  readonly url: string;
  close(): Promise<void>;
}

/** `before` sees each request first. */
export async function startOtaServer(
  options: { readonly port?: number; readonly before?: (ota: SimulatedOtaServer) => RequestHandler } = {},
): Promise<TestOtaServer> {
  const ota = createSimulatedOtaServer({ secret: OTA_SECRET, clock: systemClock });
  const app = express();
  if (options.before !== undefined) app.use(options.before(ota));
  app.use(ota.express);
  const server = await new Promise<Server>((resolve) => {
    const listening = app.listen(options.port ?? 0, "127.0.0.1", () => resolve(listening));
  });
  const { port } = server.address() as { port: number };
  return {
    ...ota,
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export interface TestFleet {
  /**
   * Reports of devices `first` to `last` of one app, each with all of the events; an attempt is announced by
   * `update_started` first, unless the fleet is silent.
   */
  report(told: {
    readonly app: string;
    readonly version: string;
    readonly devices: readonly [first: number, last: number];
    readonly events: readonly DeviceEvent[];
    readonly isSilent?: boolean;
  }): Promise<void>;
  write(reports: readonly DeviceReport[]): Promise<"written" | "backlog_full" | "redis_unavailable">;
  close(): void;
}

/** `clock` is the one of ingest: when reports are received. */
export async function createTestFleet(redisUrl: string, clock: Clock = systemClock): Promise<TestFleet> {
  const redis: Redis = createRedis({
    url: redisUrl,
    role: "request",
    logger: createLogger({ name: "test", level: "silent" }),
  });
  await waitUntilReady(redis, 5_000);
  const writer = createStreamWriter({
    redis,
    shards: AGENT_TEST_SHARDS,
    streamEntriesMax: 100_000,
    clock,
  });
  const write: TestFleet["write"] = async (reports) => (await writer.write(reports)).kind;
  return {
    write,
    async report({ app, version, devices: [first, last], events, isSilent = false }) {
      const told = isSilent ? events : announced(events);
      const reports: DeviceReport[] = [];
      for (let device = first; device <= last; device += 1)
        for (const event of told)
          reports.push({
            app: app as AppId,
            channel: CHANNEL,
            device: `device-${device}`,
            version: version as Version,
            event,
          });
      const kind = await write(reports);
      if (kind !== "written") throw new Error(`reports were not taken: ${kind}`);
    },
    close: () => redis.disconnect(),
  };
}

function announced(events: readonly DeviceEvent[]): readonly DeviceEvent[] {
  const isAnnounced = events.includes("update_started") || !events.some((event) => isAttempt(flagOf(event)));
  return isAnnounced ? events : ["update_started", ...events];
}
