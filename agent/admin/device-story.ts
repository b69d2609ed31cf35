// One device's story: what it attempted, answered, crashed on and runs, and what was decided about those versions, in
// order of time. Enters: what is known of the device, and the decisions. Leaves: JSON. Pure.
//
// What is kept of a device are flags and a few times, not its reports (device-state.ts). So each line says how exact
// its time is; and an answer stands where the first one came, with all outcomes there are by now.
import { parseReleaseKey } from "../../ingest/contract/release-key.ts";
import type { DeviceTimes, DeviceView } from "../health/health-window.ts";
import type { Outcome, OutcomeCounts } from "../health/outcomes.ts";
import type { DecisionRecord } from "../rollback/decision-record.ts";
import { briefsOf, sayBrief } from "./decision-brief.ts";
import { viewStratum } from "./stratum-view.ts";
import { timeOrNull } from "./views.ts";

export const STORY_KINDS = [
  "attempted",
  "answered",
  "crashed",
  "not_responding",
  "used",
  "decision",
  "silent",
  "runs",
  "heard",
] as const;
export type StoryKind = (typeof STORY_KINDS)[number];

export interface StoryLine {
  /** RFC 3339. */
  readonly at: string;
  /** The time is that of the second, minute or hour in which it was. */
  readonly within: "second" | "minute" | "hour";
  readonly what: StoryKind;
  /** Null in a line about no release in particular. */
  readonly channel: string | null;
  readonly version: string | null;
  /** For people. */
  readonly text: string;
}

/** Oldest first; what stands at one moment in the order of STORY_KINDS. */
export function storyOf(view: DeviceView, decisions: readonly DecisionRecord[]): StoryLine[] {
  const lines = [...view.releases].flatMap(([text, outcomes]) => {
    const release = parseReleaseKey(text);
    const { channel, version } = release;
    const about = { channel, version };
    const decided = briefsOf(decisions, release).map((brief) =>
      at(Date.parse(brief.at), {
        ...about,
        within: "second",
        what: "decision",
        text: sayBrief(`${version} on ${channel}`, brief),
      }),
    );
    const did = linesOf(about, outcomes, view.times.get(text)!);
    return [...did, ...silenceOf(view, about, outcomes), ...decided];
  });
  return [...lines, ...endOf(view)]
    .toSorted(
      (left, right) =>
        left.orderMs - right.orderMs ||
        STORY_KINDS.indexOf(left.line.what) - STORY_KINDS.indexOf(right.line.what),
    )
    .map(({ line }) => line);
}

/** A line at the time by which it is put in order. */
interface OrderedLine {
  readonly line: StoryLine;
  readonly orderMs: number;
}

function at(ms: number, line: Omit<StoryLine, "at">): OrderedLine {
  return { line: { at: new Date(ms).toISOString(), ...line }, orderMs: ms };
}

interface About {
  readonly channel: string;
  readonly version: string;
}

function linesOf(about: About, outcomes: OutcomeCounts, times: DeviceTimes): OrderedLine[] {
  const name = `${about.version} on ${about.channel}`;
  const { attemptedAtMs, answeredAtMs, firstCrashAtMs, firstNotRespondingAtMs, lastUsedAtMs, hours } = times;
  const inMinute = (ms: number, what: StoryKind, text: string): OrderedLine[] =>
    ms === 0 ? [] : [at(ms, { within: "minute", what, ...about, text })];
  // Of an hour only its begin is known: what the device did with a version in it comes after it took that version up.
  const inHour = (ms: number, what: StoryKind, text: string): OrderedLine[] => {
    const takenUpMs = Math.max(attemptedAtMs, answeredAtMs);
    const orderMs = takenUpMs - ms < HOUR_MS ? Math.max(ms, takenUpMs) : ms;
    return ms === 0 ? [] : [{ ...at(ms, { within: "hour", what, ...about, text }), orderMs }];
  };
  const attempt = outcomes.announced === 1 ? `began to update to ${name}` : `tried to update to ${name}`;
  const hoursOf = (count: number): string =>
    count === 0 ? "" : `; in ${count} ${count === 1 ? "hour" : "hours"} of its last 7 days of use`;
  return [
    ...inMinute(attemptedAtMs, "attempted", attempt),
    ...inMinute(answeredAtMs, "answered", `${name}: ${sayAnswer(outcomes, times)}`),
    ...inHour(firstCrashAtMs, "crashed", `first crash of ${name}${hoursOf(hours.crashed)}`),
    ...inHour(
      firstNotRespondingAtMs,
      "not_responding",
      `did not respond on ${name} for the first time${hoursOf(hours.notResponding)}`,
    ),
    // Of what it runs, the newest word says the same.
    ...(outcomes.running === 1 ? [] : inHour(lastUsedAtMs, "used", `last use of ${name}`)),
  ];
}

const HOUR_MS = 3_600_000;

const ANSWERS = [
  ["download_failed", "download failed"],
  ["install_failed", "installation failed"],
  ["reverted", "went back by itself"],
  ["confirmed", "confirmed"],
  ["recovered", "recovered from its failure"],
  ["returned_late", "was silent, and came back"],
] as const satisfies readonly (readonly [Outcome, string])[];

function sayAnswer(outcomes: OutcomeCounts, { reasons }: DeviceTimes): string {
  const told = ANSWERS.filter(([outcome]) => outcomes[outcome] === 1).map(([, words]) => words);
  const said = told.length === 0 ? "in use for the first time" : told.join("; ");
  return reasons.length === 0 ? said : `${said}; why: ${reasons.join(", ")}`;
}

/** It has been silent since its newest word, which was about this release. */
function silenceOf(
  { lastSeenAtMs }: DeviceView,
  { channel, version }: About,
  { silent }: OutcomeCounts,
): OrderedLine[] {
  if (silent === 0) return [];
  const text = `silent since: it never told how ${version} on ${channel} went`;
  return [at(lastSeenAtMs, { within: "second", what: "silent", channel, version, text })];
}

function endOf({ lastSeenAtMs, running, runningToldAtMs }: DeviceView): OrderedLine[] {
  const nothing = { channel: null, version: null };
  const heard = at(lastSeenAtMs, { within: "second", what: "heard", ...nothing, text: "last heard of" });
  if (running === undefined) return [heard];
  const { channel, version } = running;
  const text = `newest word that it runs ${version} on ${channel}`;
  return [at(runningToldAtMs, { within: "second", what: "runs", channel, version, text }), heard];
}

/** When it did what with one release, beside its outcomes. */
export function viewTimes(times: DeviceTimes): Record<string, unknown> {
  const { attemptedAtMs, answeredAtMs, firstCrashAtMs, firstNotRespondingAtMs, lastUsedAtMs } = times;
  return {
    attempted_at: timeOrNull(attemptedAtMs),
    answered_at: timeOrNull(answeredAtMs),
    first_crash_hour: timeOrNull(firstCrashAtMs),
    first_not_responding_hour: timeOrNull(firstNotRespondingAtMs),
    last_used_hour: timeOrNull(lastUsedAtMs),
    recent_hours: {
      active: times.hours.active,
      crashed: times.hours.crashed,
      not_responding: times.hours.notResponding,
    },
    stratum: viewStratum(times.stratum),
    reasons: times.reasons,
  };
}
