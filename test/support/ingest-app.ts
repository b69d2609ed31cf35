// The ingest app for tests, on a real Redis: two apps with keys of their own and one key that both share.
import type { RequestListener } from "node:http";
import supertest from "supertest";
import { createIngestApp } from "../../ingest/app.ts";
import type { DeviceAuthSettings } from "../../ingest/contract/device-auth.ts";
import { BODY_BYTES_MAX_DEFAULT } from "../../ingest/contract/settings.ts";
import type { RequestsPerSecond } from "../../ingest/contract/settings.ts";
import type { AppId, Channel } from "../../ingest/contract/release-key.ts";
import { sourcesSchema } from "../../ingest/contract/sources.ts";
import type { IngestAppSettings } from "../../ingest/config.ts";
import { decodeReportEntry } from "../../ingest/contract/report-entry.ts";
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { Clock } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { createRegistry } from "../../runtime/metrics.ts";
import type { Registry } from "../../runtime/metrics.ts";
import type { Redis } from "../../runtime/redis.ts";
import type { ErrorReporter } from "../../runtime/sentry.ts";

export const TILL_KEY = "till-ingest-key";
export const KIOSK_KEY = "kiosk-ingest-key";
export const SHARED_KEY = "key-of-both-apps";
export const TEST_SHARDS = 4;

export interface TestIngestOptions {
  readonly redis: Redis;
  readonly bodyBytesMax?: number;
  readonly streamEntriesMax?: number;
  readonly requestsPerSecond?: RequestsPerSecond;
  readonly shards?: number;
  readonly replicaAcks?: number;
  readonly clock?: Clock;
  readonly errorReporter?: ErrorReporter;
  /** Of the till; the kiosk's devices prove nothing. */
  readonly deviceAuth?: DeviceAuthSettings;
  /** Of the till, as in the file. */
  readonly sources?: Record<string, unknown>;
  readonly kioskSources?: Record<string, unknown>;
  readonly onClose?: (close: () => Promise<void>) => void;
  readonly onTurnedAway?: () => void;
}

export function createTestIngest(options: TestIngestOptions): { app: RequestListener; registry: Registry } {
  const registry = createRegistry({ process: "test", version: "0.0.0" });
  const app = createIngestApp({
    settings: {
      ingest: {
        listen: { host: "127.0.0.1", port: 0 },
        operationsListen: { host: "127.0.0.1", port: 0 },
        bodyBytesMax: options.bodyBytesMax ?? BODY_BYTES_MAX_DEFAULT,
        streamEntriesMax: options.streamEntriesMax ?? 1_000,
        ...(options.requestsPerSecond === undefined ? {} : { requestsPerSecond: options.requestsPerSecond }),
      },
      shards: options.shards ?? TEST_SHARDS,
      replicaAcks: options.replicaAcks ?? 0,
      apps: new Map([
        configured("com.acme.till", [TILL_KEY, SHARED_KEY], ["production", "beta", "production-ios"], {
          deviceAuth: options.deviceAuth,
          sources: sourcesSchema.parse(options.sources),
        }),
        configured("com.acme.kiosk", [KIOSK_KEY, SHARED_KEY], ["stable"], {
          sources: sourcesSchema.parse(options.kioskSources),
        }),
      ]),
    },
    redis: options.redis,
    registry,
    clock: options.clock ?? systemClock,
    logger: createLogger({ name: "test", level: "silent" }),
    errorReporter: options.errorReporter ?? { capture: () => {}, flush: () => Promise.resolve() },
    ...(options.onClose === undefined ? {} : { onClose: options.onClose }),
    ...(options.onTurnedAway === undefined ? {} : { onTurnedAway: options.onTurnedAway }),
  });
  return { app, registry };
}

function configured(
  app: string,
  ingestKeys: string[],
  channels: string[],
  more: Pick<IngestAppSettings, "deviceAuth" | "sources">,
): [AppId, IngestAppSettings] {
  return [app as AppId, { ingestKeys, channels: new Set(channels as Channel[]), ...more }];
}

/** A good report; `fields` replace or add, and undefined takes away. */
export function sampleReport(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    app: "com.acme.till",
    channel: "production",
    device: "till-1",
    version: "1.4.0",
    event: "confirmed",
    ...fields,
  };
}

export interface Sent {
  /** Undefined sends no credentials; left out, the key of the till. */
  readonly key?: string | undefined;
  readonly type?: string;
  readonly encoding?: string;
  /** Further headers, such as a device's token. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** POSTs the body as it is: text, bytes, or any value as JSON. */
export function sendReports(app: RequestListener, body: unknown, sent: Sent = {}): supertest.Test {
  const { type = "application/json", encoding } = sent;
  const key = "key" in sent ? sent.key : TILL_KEY;
  let test = supertest(app).post("/v1/reports").set("Content-Type", type);
  if (key !== undefined) test = test.set("Authorization", `Bearer ${key}`);
  if (encoding !== undefined) test = test.set("Content-Encoding", encoding);
  for (const [name, value] of Object.entries(sent.headers ?? {})) test = test.set(name, value);
  const isRaw = Buffer.isBuffer(body) || typeof body === "string";
  const bytes = Buffer.from(isRaw ? body : JSON.stringify(body));
  // Without this supertest would write the buffer out as JSON.
  return test.serialize((value: unknown) => value as string).send(bytes);
}

export function toNdjson(lines: readonly unknown[]): string {
  return lines.map((line) => JSON.stringify(line)).join("\n");
}

/** Good reports of as many devices. */
export function manyReports(count: number): Record<string, unknown>[] {
  return Array.from({ length: count }, (_, index) => sampleReport({ device: `till-${index}` }));
}

/** A report whose JSON has exactly this many bytes: unknown fields are ignored, so one of them fills up. */
export function reportOfBytes(bytes: number): string {
  const empty = JSON.stringify(sampleReport({ ignored: "" }));
  return JSON.stringify(sampleReport({ ignored: "x".repeat(bytes - empty.length) }));
}

/** Everything that the shards' streams hold, decoded; throws where an entry can't be decoded. */
export async function storedReports(redis: Redis, shards = TEST_SHARDS): Promise<AcceptedReport[]> {
  const reports: AcceptedReport[] = [];
  for (let shard = 0; shard < shards; shard += 1)
    for (const [, fields] of await redis.xrange(reportStream(shard), "-", "+")) {
      const decoded = decodeReportEntry(fields);
      if (decoded.kind === "undecodable") throw new Error(decoded.reason);
      reports.push(...decoded.entry.reports);
    }
  return reports;
}

/** Entries over all shards. */
export async function storedEntries(redis: Redis, shards = TEST_SHARDS): Promise<number> {
  const lengths = await Promise.all(
    Array.from({ length: shards }, (_, shard) => redis.xlen(reportStream(shard))),
  );
  return lengths.reduce((sum, length) => sum + length, 0);
}

/** The value of one sample in the exposition, such as `ota_ingest_reports_total{result="accepted"}`. */
export async function sampleOf(registry: Registry, sample: string): Promise<number | undefined> {
  const line = (await registry.metrics()).split("\n").find((text) => text.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length + 1));
}
