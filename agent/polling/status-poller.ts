// The port to an OTA server that pushes nothing: its management API is read again and again for what devices told it.
// One file per make in this folder implements it. Enters: a cursor. Leaves: a page of reports with the cursor to go on
// from. The methods never throw for what a server or a network can do, and do not retry: whoever polls owns that.
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import type { Refused, Unavailable } from "../rollback/ota-server.ts";

export interface StatusPage {
  readonly kind: "page";
  /**
   * What devices told since the cursor. The same may come again (a page that was read and could not be kept, a row
   * that changed): each report carries the server's own time as `at` and an `id` that follows from what it says, so
   * that counting it twice changes nothing.
   */
  readonly reports: readonly DeviceReport[];
  /** Opaque to everybody else. */
  readonly cursor: string;
  /** Whether there is more to read at once; false = up to date. */
  readonly more: boolean;
}

export interface StatusPoller {
  /** The make, as configured under `ota_server.type`. */
  readonly type: string;
  /** `undefined` = from the beginning. */
  poll(cursor: string | undefined): Promise<StatusPage | Refused | Unavailable>;
}
