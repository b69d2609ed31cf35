// Folding: what a batch of reports changes. Pure. Enters: the reports of a batch in stream order, the
// states of their devices and the shard's tables, as they stand at the cursor. Leaves: a FoldPlan, the whole
// of what one atomic commit changes (shard-store.ts): nothing else moves a count.
import type { AcceptedReport } from "../../ingest/contract/report-entry.ts";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { CountingRules } from "./counting-rules.ts";
import { countDevices, emptyPlan } from "./fold-plan.ts";
import type { FoldPlan, RefusedReport } from "./fold-plan.ts";
import type { NumberedReport } from "./device-record.ts";
import type { DeviceName, StateOf } from "./device-table.ts";
import type { ReleaseRecord } from "./device-state.ts";
import { dropRecord, findRoom, openDevice, tellDevice } from "./open-device.ts";
import type { OpenDevice, Orders } from "./open-device.ts";
import { flagOf, isFailure } from "./outcomes.ts";
import type { ReleaseDelta } from "./release-delta.ts";
import { claimReason, claimRelease, claimStratum, growTables, textWithoutApp } from "./shard-tables.ts";
import type { GrowingTable, GrowingTables, ShardTables } from "./shard-tables.ts";
import { NO_STRATUM, STRATUM_OTHER, formatStratum, mergeStratum, parseStratum } from "./stratum.ts";
import type { Stratum } from "./stratum.ts";

/** A report with the name its device has in the shard. */
export interface FoldableReport extends DeviceName {
  readonly report: AcceptedReport;
  readonly receivedAtMs: number;
}

export interface FoldInput {
  readonly reports: readonly FoldableReport[];
  readonly tables: ShardTables;
  readonly stateOf: StateOf;
  readonly rules: CountingRules;
}

export function fold({ reports, tables, stateOf, rules }: FoldInput): FoldPlan {
  const growing = growTables(tables);
  const orders = ordersOf(growing);
  const strata = createStrata(growing, rules);
  const releaseTextOf = createReleaseTexts();
  const devices = new Map<string, OpenDevice | undefined>();
  const plan = emptyPlan();
  const refused: RefusedReport[] = [];
  for (const foldable of reports) {
    const { report, receivedAtMs, bucket, field } = foldable;
    // The field starts with the four bytes that the bucket follows from, so it names the device alone.
    if (!devices.has(field))
      devices.set(field, openDevice(bucket, field, stateOf(bucket, field), report.device));
    const device = devices.get(field);
    if (device === undefined) {
      refused.push({ report, receivedAtMs, reason: "unreadable_device_state" });
      continue;
    }
    const releaseText = releaseTextOf(report);
    const place = findPlace(device, { foldable, releaseText, growing });
    if (place.kind === "refused") {
      refused.push({ report, receivedAtMs, reason: place.reason });
      continue;
    }
    const { release } = place;
    const numbered: NumberedReport = {
      report,
      receivedAtMs,
      release,
      stratum: strata.numberOf(device.records.get(release)?.stratum ?? 0, report),
      reason: reasonOf(report, growing),
    };
    const { before, after } = tellDevice(device, numbered, orders);
    noteTimes(plan.deltaOf(releaseText), { before, after, receivedAtMs });
  }
  const opened = [...devices.values()].filter((device) => device !== undefined);
  return countDevices(plan, { devices: opened, refused, growing, rules });
}

/** The text of a report's release: made once for many, because thousands of reports in a row are of the same few. */
function createReleaseTexts(): (report: AcceptedReport) => string {
  const byVersion = new Map<
    string,
    { readonly app: string; readonly channel: string; readonly text: string }
  >();
  return (report) => {
    const { app, channel, version } = report;
    const last = byVersion.get(version);
    if (last !== undefined && last.app === app && last.channel === channel) return last.text;
    const text = formatReleaseKey(report);
    byVersion.set(version, { app, channel, text });
    return text;
  };
}

type Place =
  | { readonly kind: "found"; readonly release: number }
  | { readonly kind: "refused"; readonly reason: RefusedReport["reason"] };

function findPlace(
  device: OpenDevice,
  {
    foldable: { report, receivedAtMs },
    releaseText,
    growing,
  }: { foldable: FoldableReport; releaseText: string; growing: GrowingTables },
): Place {
  const known = growing.releases.find(releaseText);
  if (known !== undefined && device.records.has(known)) return { kind: "found", release: known };
  // Asked first: what a device may not have must not take a place in the channel's table either.
  const room = findRoom(device, report, receivedAtMs);
  if (room.kind === "full") return { kind: "refused", reason: "too_many_releases_on_device" };
  const release = known ?? claimRelease(growing, report);
  if (release === undefined) return { kind: "refused", reason: "too_many_releases_on_channel" };
  if (room.kind === "in_place_of") dropRecord(device, room.release);
  return { kind: "found", release };
}

function reasonOf({ event, reason, app }: AcceptedReport, growing: GrowingTables): number {
  if (reason === undefined || reason === "" || !isFailure(flagOf(event))) return 0;
  return claimReason(growing, app, asStored(reason));
}

/** As Redis gives it back: half of a surrogate pair has no UTF-8, and would be a new text to every reader of the table. */
function asStored(text: string): string {
  return Buffer.from(text, "utf8").toString("utf8");
}

interface Strata {
  /** The number of a device's stratum with what a report tells of it added; 0 = nothing told. */
  numberOf(known: number, report: AcceptedReport): number;
}

function createStrata(growing: GrowingTables, rules: CountingRules): Strata {
  const parsed = new Map<number, Stratum | typeof STRATUM_OTHER>([[0, NO_STRATUM]]);
  const stratumOf = (number: number): Stratum | typeof STRATUM_OTHER => {
    let stratum = parsed.get(number);
    if (stratum === undefined) {
      const row = growing.strata.textOf(number);
      // The state is newer than the tables: another agent has committed, so this plan will not be, whatever it says.
      const text = row === undefined ? STRATUM_OTHER : textWithoutApp(row);
      parsed.set(number, (stratum = text === STRATUM_OTHER ? STRATUM_OTHER : parseStratum(text)));
    }
    return stratum;
  };
  return {
    numberOf(known, report) {
      const stratum = stratumOf(known);
      // What the device told is not known any more: it stays where it is.
      if (stratum === STRATUM_OTHER) return known;
      const merged = mergeStratum(stratum, report, rules.strataOf(report.app));
      if (merged === stratum) return known;
      const strataMax = rules.strataMaxOf(report.app);
      return claimStratum(growing, { app: report.app, text: formatStratum(merged), strataMax });
    },
  };
}

/** By text, not by number: numbers depend on which report came first. */
function ordersOf({ releases, reasons }: GrowingTables): Orders {
  const byText =
    (table: GrowingTable) =>
    (left: number, right: number): boolean =>
      left !== right && (table.textOf(left) ?? "") < (table.textOf(right) ?? "");
  return { releases: byText(releases), reasons: byText(reasons) };
}

/** A failure is new only the first time it is told: a repeat is no "newest needed report". */
function noteTimes(
  delta: ReleaseDelta,
  {
    before,
    after,
    receivedAtMs,
  }: { before: ReleaseRecord | undefined; after: ReleaseRecord; receivedAtMs: number },
): void {
  if (delta.firstReportAtMs === 0 || receivedAtMs < delta.firstReportAtMs)
    delta.firstReportAtMs = receivedAtMs;
  delta.lastReportAtMs = Math.max(delta.lastReportAtMs, receivedAtMs);
  if (isFailure(after.flags & ~(before?.flags ?? 0)))
    delta.lastFailureAtMs = Math.max(delta.lastFailureAtMs, receivedAtMs);
}
