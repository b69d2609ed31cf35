// The JSON of one report as it goes to `POST /v1/reports`, written from the documentation and not from
// the receiver's code: the demo is an outsider. Enters: a planned report and who sends it. Leaves: JSON.
import type { DeviceEvent, PlannedReport, Strata } from "./device.ts";

export interface WireReport extends Strata {
  readonly app: string;
  readonly channel: string;
  readonly device: string;
  readonly version: string;
  readonly event: DeviceEvent;
  readonly at?: string | number;
  readonly from?: string;
  readonly id?: string;
  readonly reason?: string;
  readonly crash?: { readonly fingerprint: string; readonly type: string };
}

export interface WireReportOptions {
  readonly app: string;
  readonly channel: string;
  readonly device: { readonly id: string; readonly strata: Strata };
  readonly version: string;
  readonly from: string | undefined;
  /** Time of the check-in that the plan counts from, epoch milliseconds. */
  readonly checkInAtMs: number;
  readonly planned: PlannedReport;
}

export function toWireReport({ planned, ...options }: WireReportOptions): WireReport {
  const atMs = Math.round(options.checkInAtMs + planned.occursAfterMs);
  return {
    app: options.app,
    channel: options.channel,
    device: options.device.id,
    version: options.version,
    event: planned.event,
    // Both forms that the interface takes are in use among real devices.
    ...(planned.hasTime ? { at: atMs % 2 === 0 ? atMs : new Date(atMs).toISOString() } : {}),
    ...(options.from === undefined ? {} : { from: options.from }),
    ...(planned.id === undefined ? {} : { id: planned.id }),
    ...(planned.reason === undefined ? {} : { reason: planned.reason }),
    ...(planned.crash === undefined ? {} : { crash: planned.crash }),
    ...options.device.strata,
  };
}
