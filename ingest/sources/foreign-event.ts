// What one event of another system says, before anybody has looked at Redis: drafts of native reports, or why there are
// none. Leaves: the form in which every mapping file answers.
import type { DeviceEvent } from "../contract/device-report.ts";
import type { SourceResult } from "../metrics.ts";

/** What is known of a crash; each is left out where nobody said it. */
export interface CrashWords {
  readonly type?: string | undefined;
  readonly message?: string | undefined;
  readonly fingerprint?: string | undefined;
}

/** A native report without its app; names are still as the device sent them, and checked later (checkDraft). */
export interface ReportDraft {
  readonly channel: string;
  readonly device: string;
  readonly version: string;
  readonly event: DeviceEvent;
  /** As native reports have it; left out = the time it came in. */
  readonly at?: unknown;
  readonly from?: string | undefined;
  readonly id?: string | undefined;
  readonly reason?: string | undefined;
  readonly crash?: CrashWords | undefined;
  readonly platform?: string | undefined;
  readonly model?: string | undefined;
  readonly os_version?: string | undefined;
  readonly native_version?: string | undefined;
}

export type ForeignEvent =
  /** At least one. */
  | { readonly kind: "drafts"; readonly drafts: readonly ReportDraft[] }
  /** Understood, and nothing to count. */
  | { readonly kind: "nothing"; readonly result: Extract<SourceResult, "no_outcome" | "unattributed"> }
  /** `detail` says what to send instead. */
  | {
      readonly kind: "wrong";
      readonly result: Extract<SourceResult, "invalid" | "unknown_kind">;
      readonly detail: string;
    };

export function drafts(...reports: readonly ReportDraft[]): ForeignEvent {
  return { kind: "drafts", drafts: reports };
}

export function nothing(result: Extract<SourceResult, "no_outcome" | "unattributed">): ForeignEvent {
  return { kind: "nothing", result };
}

export function invalid(detail: string): ForeignEvent {
  return { kind: "wrong", result: "invalid", detail };
}
