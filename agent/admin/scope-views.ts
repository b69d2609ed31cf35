// What the operator API shows of an incident's scope: how many devices stand where with a version, by channel, kind of
// device and time, and which they are. Names are snake_case and a promise to users. Enters: what the health store holds
// of the version on each channel. Leaves: JSON. Pure.
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { byOutcome, inTurns } from "../health/examples.ts";
import type { ExampleOutcome } from "../health/examples.ts";
import { NO_DEVICE_HOURS, startOf } from "../health/health-window.ts";
import type { DeviceHours, HealthWindow, ReleaseDetail, ReleaseHealth } from "../health/health-window.ts";
import type { Outcome } from "../health/outcomes.ts";
import type { ReleaseExamples } from "../health/stored-examples.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";
import { briefsOf, isRolledBack } from "./decision-brief.ts";
import { byText, viewStratum } from "./stratum-view.ts";
import { timeOrNull, viewHours } from "./views.ts";

/** Outcomes that say how far an incident reaches, in the order in which they are shown. */
export const SCOPE_OUTCOMES = [
  "attempted",
  "running",
  "confirmed",
  "failed",
  "download_failed",
  "crashed",
  "not_responding",
  "silent",
  "recovered",
  "returned_late",
] as const satisfies readonly Outcome[];
type ScopeCounts = Record<(typeof SCOPE_OUTCOMES)[number], number>;
/** Who is worst off comes first. */
const BAD_OUTCOMES = ["failed", "download_failed", "crashed", "not_responding", "silent"] as const;

/** All that is kept of the version on one channel. */
export interface ChannelScope {
  readonly release: ReleaseKey;
  readonly health: ReleaseHealth;
  readonly detail: ReleaseDetail;
  /** By time; strata summed. */
  readonly windows: readonly HealthWindow[];
  readonly examples: ReleaseExamples;
}

export interface ScopeInput {
  readonly app: string;
  readonly version: string;
  readonly nowMs: number;
  /** At least one. */
  readonly channels: readonly ChannelScope[];
  readonly decisions: readonly DecisionRecord[];
  /** Ids are pseudonyms of devices: not everybody who may read counts may see them. */
  readonly ids: "shown" | "hidden";
}

export function viewScope({
  app,
  version,
  nowMs,
  channels,
  decisions,
  ids,
}: ScopeInput): Record<string, unknown> {
  const totals = sumCounts(channels.map(({ health }) => health.devices));
  return {
    app,
    version,
    at: new Date(nowMs).toISOString(),
    devices: totals,
    hours: viewHours(sumHours(channels.map(({ health }) => health.hours))),
    channels: channels.map((channel) => viewChannel(channel, decisions)),
    strata: viewStrata(channels),
    ...viewTime(channels.flatMap(({ windows }) => windows)),
    examples: ids === "hidden" ? null : viewExamples(channels, totals),
  };
}

function viewChannel(
  { release, health }: ChannelScope,
  decisions: readonly DecisionRecord[],
): Record<string, unknown> {
  const briefs = briefsOf(decisions, release);
  return {
    channel: release.channel,
    first_seen: timeOrNull(health.firstReportAtMs),
    last_report: timeOrNull(health.lastReportAtMs),
    last_failure: timeOrNull(health.lastFailureAtMs),
    devices: sumCounts([health.devices]),
    hours: viewHours(health.hours),
    rolled_back: isRolledBack(briefs),
    decisions: briefs,
  };
}

type Counts = Readonly<Record<Outcome, number>>;

function sumCounts(all: readonly Counts[]): ScopeCounts {
  const sums: Partial<ScopeCounts> = {};
  for (const outcome of SCOPE_OUTCOMES) sums[outcome] = all.reduce((sum, counts) => sum + counts[outcome], 0);
  return sums as ScopeCounts;
}

function sumHours(all: readonly DeviceHours[]): DeviceHours {
  return all.reduce(
    (sum, hours) => ({
      active: sum.active + hours.active,
      crashed: sum.crashed + hours.crashed,
      notResponding: sum.notResponding + hours.notResponding,
      firstCrashed: sum.firstCrashed + hours.firstCrashed,
      firstNotResponding: sum.firstNotResponding + hours.firstNotResponding,
    }),
    NO_DEVICE_HOURS,
  );
}

/** Most devices in trouble first, then most attempts. */
function viewStrata(channels: readonly ChannelScope[]): Record<string, unknown>[] {
  const byStratum = new Map<string, { devices: Counts; hours: DeviceHours }[]>();
  for (const { detail } of channels)
    for (const [text, counts] of detail.strata) {
      const known = byStratum.get(text);
      if (known === undefined) byStratum.set(text, [counts]);
      else known.push(counts);
    }
  return [...byStratum]
    .map(([text, all]) => ({
      text,
      devices: sumCounts(all.map(({ devices }) => devices)),
      hours: sumHours(all.map(({ hours }) => hours)),
    }))
    .toSorted(
      (left, right) =>
        badOf(right.devices) - badOf(left.devices) ||
        right.devices.attempted - left.devices.attempted ||
        byText(left.text, right.text),
    )
    .map(({ text, devices, hours }) => ({ stratum: viewStratum(text), devices, hours: viewHours(hours) }));
}

function badOf(devices: ScopeCounts): number {
  return BAD_OUTCOMES.reduce((sum, outcome) => sum + devices[outcome], 0);
}

/** Lengths of a step of time, in minutes: the shortest that needs at most so many steps, and holds whole windows. */
const STEP_MINUTES = [1, 5, 60, 24 * 60] as const;
const STEPS_MAX = 168;

function viewTime(windows: readonly HealthWindow[]): Record<string, unknown> {
  const stepMinutes = stepOf(windows);
  const steps = new Map<number, HealthWindow[]>();
  for (const window of windows) {
    const start = startOf(window.slotMinute, stepMinutes);
    const step = steps.get(start);
    if (step === undefined) steps.set(start, [window]);
    else step.push(window);
  }
  const time = [...steps]
    .toSorted(([left], [right]) => left - right)
    .map(([start, ofStep]) => ({
      start: new Date(start * 60_000).toISOString(),
      devices: withoutZeros(sumCounts(ofStep.map(({ devices }) => devices))),
      hours: viewHours(sumHours(ofStep.map(({ hours }) => hours))),
    }));
  return { step_minutes: stepMinutes, time };
}

function stepOf(windows: readonly HealthWindow[]): number {
  let [first, end, longest] = [Infinity, 0, 1];
  for (const { slotMinute, slotMinutes } of windows) {
    first = Math.min(first, slotMinute);
    end = Math.max(end, slotMinute + slotMinutes);
    longest = Math.max(longest, slotMinutes);
  }
  const minutes = Math.max(0, end - first);
  const fitting = STEP_MINUTES.find((step) => step >= longest && minutes <= step * STEPS_MAX);
  return fitting ?? STEP_MINUTES.at(-1)!;
}

function withoutZeros(counts: ScopeCounts): Partial<ScopeCounts> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}

/** On several channels in turns, so that the largest does not stand for all. */
function viewExamples(
  channels: readonly ChannelScope[],
  totals: ScopeCounts,
): Record<ExampleOutcome, Record<string, unknown>> {
  return byOutcome((outcome) => ({
    named_by: outcome === "silent" ? "digest" : "id",
    of: totals[outcome],
    devices: inTurns(channels.map(({ examples }) => examples[outcome])),
  }));
}
