// What the first of several processes of one program (`ingest.processes`, `agent.processes`) and its workers say to each
// other over IPC. Both are of the same release, started together: nothing of it is stored, and nobody else can send here.
import type { Readiness } from "../http-server.ts";
import type { MetricsReading } from "../metrics.ts";

export type ToWorker<Start, News = never> =
  /** What it works with, as the first process has it: a worker that is started again must not read another file. */
  | { readonly kind: "start"; readonly start: Start }
  /** What has changed of it since. */
  | { readonly kind: "news"; readonly news: News }
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
