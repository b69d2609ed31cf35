// The native builds of a release's devices, as far as counts tell. Pure. Enters: a release's totals by stratum. Leaves:
// the lowest build.
import { compareVersions } from "../../ingest/contract/release-key.ts";
import type { ReleaseDetail } from "./health-window.ts";
import { STRATUM_ALL, STRATUM_FIELDS, STRATUM_OTHER, STRATUM_UNKNOWN, parseStratum } from "./stratum.ts";

const WITHOUT_FIELDS: readonly string[] = [STRATUM_UNKNOWN, STRATUM_ALL, STRATUM_OTHER];
const NATIVE_VERSION = STRATUM_FIELDS.indexOf("native_version");

/**
 * Undefined as soon as one device did not tell its build: it may be the lowest. So few devices that tell a build where
 * the others do not, honest or not, keep no rollback from the fleet.
 */
export function lowestNativeBuildOf({ strata }: Pick<ReleaseDetail, "strata">): string | undefined {
  let lowest: string | undefined;
  for (const [text, { devices }] of strata) {
    if (devices.attempted === 0 && devices.running === 0 && devices.active === 0) continue;
    const build = WITHOUT_FIELDS.includes(text) ? "" : (parseStratum(text)[NATIVE_VERSION] ?? "");
    if (build === "") return undefined;
    if (lowest === undefined || compareVersions(build, lowest) < 0) lowest = build;
  }
  return lowest;
}
