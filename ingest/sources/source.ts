// What every system that reports in its own words gives to ingest, and gets from it. A system is one folder (or file)
// here: it serves its own routes, answers exactly what its devices expect, and turns what they say into DeviceReports.
import type { RequestHandler, Router } from "express";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Registry } from "../../runtime/metrics.ts";
import type { Redis } from "../../runtime/redis.ts";
import type { IngestAppSettings } from "../config.ts";
import { deviceReportSchema } from "../contract/device-report.ts";
import type { DeviceReport } from "../contract/device-report.ts";
import type { AppId } from "../contract/release-key.ts";
import type { KeepReports } from "../keep-reports.ts";
import type { IngestMetrics, SourceResult } from "../metrics.ts";

export interface SourceDeps {
  readonly apps: ReadonlyMap<AppId, IngestAppSettings>;
  readonly bodyBytesMax: number;
  readonly shards: number;
  /** A connection of the role `request`: it fails fast when Redis is away. */
  readonly redis: Redis;
  readonly registry: Registry;
  readonly keepReports: KeepReports;
  /**
   * Stand first on routes that take reports, and before `authenticate`; never on update checks: those bring the rollback to the
   * device.
   */
  readonly limit: readonly RequestHandler[];
  /** To be called when good reports are turned away before `keepReports` saw them. */
  readonly noteTurnedAway: () => void;
  readonly metrics: IngestMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of what has to end before the process does. */
  readonly onClose: (close: () => Promise<void>) => void;
}

export type CreateSourceRouter = (deps: SourceDeps) => Router;

export type SourceCheck =
  | { readonly kind: "good"; readonly report: DeviceReport }
  | { readonly kind: "bad"; readonly result: Extract<SourceResult, "invalid" | "unknown_channel"> };

/**
 * Whether what a system's event was turned into is a report like any other: names that no release, device or channel
 * can have stop here. `draft` is in the form of a native report (design 3.1).
 */
export function checkDraft(draft: unknown, app: IngestAppSettings): SourceCheck {
  const parsed = deviceReportSchema.safeParse(draft);
  if (!parsed.success) return { kind: "bad", result: "invalid" };
  if (!app.channels.has(parsed.data.channel)) return { kind: "bad", result: "unknown_channel" };
  return { kind: "good", report: parsed.data };
}
