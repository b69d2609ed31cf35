// What the first process of an ingest with several (`ingest.processes`) and its workers say to each other over IPC. Both
// are of the same release, started together: nothing of it is stored, and nobody else can send here.
import type { Readiness } from "../../runtime/http-server.ts";
import type { MetricsReading } from "../../runtime/metrics.ts";
import type { RedisAddress } from "../../runtime/redis.ts";
import type { IngestProcessSettings } from "../config.ts";

export type ToWorker =
  /** Settings as the first process read them: a worker that is started again later must not read another file. */
  | {
      readonly kind: "start";
      readonly settings: IngestProcessSettings;
      readonly redisUrl: RedisAddress;
      readonly version: string;
    }
  | { readonly kind: "ask"; readonly question: number; readonly what: "metrics" | "checks" }
  | { readonly kind: "stop" };

export type FromWorker =
  | { readonly kind: "hello" }
  | { readonly kind: "ready"; readonly urls: Readonly<Record<string, string>> }
  | { readonly kind: "metrics"; readonly question: number | "last"; readonly reading: MetricsReading }
  | { readonly kind: "checks"; readonly question: number; readonly checks: WorkerChecks };

export type WorkerChecks = Readonly<Record<string, Readiness>>;

export function isMessage(message: unknown): message is { readonly kind: string } {
  return typeof message === "object" && message !== null && "kind" in message;
}
