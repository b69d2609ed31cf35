// What the operator API shows of counts: one release with everything that is kept of it, and one device.
// Names are snake_case and a promise to users. Enters: what the health store holds. Leaves: JSON. Pure.
import { compareVersions, parseReleaseKey } from "../../ingest/contract/release-key.ts";
import { ANSWER_BIN_MINUTES } from "../health/answer-bins.ts";
import type { DeviceView, HealthWindow, ReleaseDetail, ReleaseHealth } from "../health/health-window.ts";
import { OUTCOMES } from "../health/outcomes.ts";
import { STRATUM_ALL } from "../health/stratum.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";
import { briefsOf, isRolledBack } from "./decision-brief.ts";
import { storyOf, viewTimes } from "./device-story.ts";
import { byText, viewStratum } from "./stratum-view.ts";
import { timeOrNull, viewHours } from "./views.ts";

/** Without its windows, which may be too many for one object. */
export function viewReleaseDetail(health: ReleaseHealth, detail: ReleaseDetail): Record<string, unknown> {
  return {
    ...health.release,
    first_seen: timeOrNull(health.firstReportAtMs),
    last_report: timeOrNull(health.lastReportAtMs),
    last_failure: timeOrNull(health.lastFailureAtMs),
    devices: health.devices,
    hours: viewHours(health.hours),
    strata: viewStrata(detail),
    reasons: viewReasons(detail),
  };
}

/** Most attempts first; what only ran the release, by how many run it. */
function viewStrata({ strata }: ReleaseDetail): Record<string, unknown>[] {
  return [...strata]
    .toSorted(
      ([leftText, { devices: left }], [rightText, { devices: right }]) =>
        right.attempted - left.attempted || right.running - left.running || byText(leftText, rightText),
    )
    .map(([text, { devices, hours }]) => ({ stratum: viewStratum(text), devices, hours: viewHours(hours) }));
}

function viewReasons({ reasons }: ReleaseDetail): Record<string, unknown>[] {
  return [...reasons]
    .toSorted(([left, fewer], [right, more]) => more - fewer || byText(left, right))
    .map(([reason, devices]) => ({ reason, devices }));
}

/** Devices and times to answer that are not 0. The sum of all strata names none. */
export function viewWindow(window: HealthWindow): Record<string, unknown> {
  const { slotMinute, slotMinutes, stratum, devices, hours, answered } = window;
  return {
    start: new Date(slotMinute * 60_000).toISOString(),
    minutes: slotMinutes,
    ...(stratum === STRATUM_ALL ? {} : { stratum: viewStratum(stratum) }),
    devices: Object.fromEntries(Object.entries(devices).filter(([, count]) => count !== 0)),
    hours: viewHours(hours),
    answered: Object.fromEntries(
      answered.flatMap((count, bin) => (count === 0 ? [] : [[String(ANSWER_BIN_MINUTES[bin]), count]])),
    ),
  };
}

/** Newest version of each channel first; and all of it in order of time. */
export function viewDevice(view: DeviceView, decisions: readonly DecisionRecord[]): Record<string, unknown> {
  const { lastSeenAtMs, running, runningToldAtMs, releases, times } = view;
  const told = [...releases]
    .map(([text, counts]) => ({
      release: parseReleaseKey(text),
      counts,
      known: times.get(text)!,
      briefs: briefsOf(decisions, parseReleaseKey(text)),
    }))
    .toSorted(
      ({ release: left }, { release: right }) =>
        (left.channel === right.channel ? 0 : byText(left.channel, right.channel)) ||
        compareVersions(right.version, left.version),
    );
  return {
    last_seen: timeOrNull(lastSeenAtMs),
    running: running === undefined ? null : { channel: running.channel, version: running.version },
    running_told: timeOrNull(runningToldAtMs),
    releases: told.map(({ release: { channel, version }, counts, known, briefs }) => ({
      channel,
      version,
      outcomes: OUTCOMES.filter((outcome) => counts[outcome] !== 0),
      ...viewTimes(known),
      rolled_back: isRolledBack(briefs),
      decisions: briefs,
    })),
    story: storyOf(view, decisions),
  };
}
