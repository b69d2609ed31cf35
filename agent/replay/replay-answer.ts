// What a replay tells, beside what did happen. Field names are a promise to users. Pure. Enters: replayed releases, what
// was decided about them, their counts as of now. Leaves: JSON; the same replay twice gives the same bits.
import type { Policy } from "../policy/policy.ts";
import type { ChannelFacts, PastDecision, ReleaseFacts } from "./channel-facts.ts";
import { devicesExposed } from "./replay-channel.ts";
import type { ReplayedDecision, ReplayedHold, ReplayedRelease } from "./replay-channel.ts";
import type { ReplaySteps, StepSpan } from "./replay-steps.ts";

/**
 * `same` = within the resolution. `before` = it had been acted on before the replay begins. The others as their names say.
 */
export type ComparedActs =
  | "same"
  | "sooner"
  | "later"
  | "only_replayed"
  | "only_happened"
  | "neither"
  | "before";

export interface ReleaseAnswer {
  readonly version: string;
  readonly first_seen: string;
  /** Devices that have tried the release until now. */
  readonly devices: number;
  /** At the end of the replay. */
  readonly verdict: { readonly kind: string; readonly reason: string; readonly sentence: string } | null;
  readonly over_threshold_at: string | null;
  readonly replayed: ReplayedAnswer | null;
  readonly holds: readonly HoldAnswer[];
  readonly happened: HappenedAnswer | null;
  readonly difference: DifferenceAnswer;
}

export interface ReplayedAnswer {
  readonly action: string;
  readonly mode: string;
  readonly target: string | null;
  readonly at: string;
  readonly sentence: string;
  readonly devices: number;
  /** How fine windows are there, in minutes: it would have been so much sooner at most. */
  readonly resolution_minutes: number;
}

export interface HappenedAnswer {
  readonly decision_id: string;
  readonly action: string;
  readonly mode: string;
  readonly target: string | null;
  readonly at: string;
  readonly devices: number;
  readonly outcome: string | null;
}

export interface HoldAnswer {
  readonly reason: string;
  readonly guard: string;
  readonly sentence: string;
  readonly since: string;
  /** Null = to the end. */
  readonly until: string | null;
}

export interface DifferenceAnswer {
  readonly acts: ComparedActs;
  /** Of the replay's act to the one that happened; negative = sooner. Null unless there are both. */
  readonly minutes: number | null;
  /** Devices exposed by the replay, less those that really were; negative = fewer. */
  readonly devices: number;
}

export interface ChannelAnswer {
  readonly app: string;
  readonly channel: string;
  readonly policy: string;
  readonly resolution: readonly {
    readonly since: string;
    readonly until: string;
    readonly minutes: number;
  }[];
  readonly steps: number;
  /** Newest first. */
  readonly releases: readonly ReleaseAnswer[];
  /** Releases that were not looked at because there are too many: those that were not reported about for longest. */
  readonly releases_left_out: number;
}

export interface ReplayAnswer {
  readonly since: string;
  readonly until: string;
  readonly channels: readonly ChannelAnswer[];
  /** Channels for which the file has no policy. */
  readonly not_replayed: readonly {
    readonly app: string;
    readonly channel: string;
    readonly policy: string;
  }[];
  readonly assumptions: readonly { readonly code: string; readonly sentence: string }[];
}

export interface ChannelReplay {
  readonly policy: Policy;
  readonly facts: ChannelFacts;
  readonly steps: ReplaySteps;
  /** Oldest first. */
  readonly replayed: readonly ReplayedRelease[];
}

export function answerOf({ policy, facts, steps, replayed }: ChannelReplay): ChannelAnswer {
  const byVersion = new Map(facts.releases.map((each) => [each.health.release.version, each]));
  const answers = replayed.map((release) =>
    releaseAnswer(release, { facts: byVersion.get(release.version)!, decisions: facts.decisions, steps }),
  );
  return {
    ...facts.key,
    policy: policy.name,
    resolution: steps.spans.map(({ sinceMinute, untilMinute, minutes }) => ({
      since: timeOf(sinceMinute * 60_000),
      until: timeOf(untilMinute * 60_000),
      minutes,
    })),
    steps: steps.minutes.length,
    releases: answers.toReversed(),
    releases_left_out: facts.others.length,
  };
}

function releaseAnswer(
  release: ReplayedRelease,
  {
    facts: { health },
    decisions,
    steps,
  }: {
    readonly facts: ReleaseFacts;
    readonly decisions: readonly PastDecision[];
    readonly steps: ReplaySteps;
  },
): ReleaseAnswer {
  const { version, verdict, overThresholdMs, decision, holds } = release;
  const devices = devicesExposed(health.devices);
  const happened = happenedTo(version, decisions);
  return {
    version,
    first_seen: timeOf(health.firstReportAtMs),
    devices,
    verdict:
      verdict === undefined
        ? null
        : { kind: verdict.kind, reason: verdict.reason, sentence: verdict.sentence },
    over_threshold_at: overThresholdMs === undefined ? null : timeOf(overThresholdMs),
    replayed: decision === undefined ? null : replayedAnswer(decision, steps.spans),
    holds: holds.map(holdAnswer),
    happened: happened === undefined ? null : happenedAnswer(happened),
    difference: differenceOf(release, { happened, devices, spans: steps.spans }),
  };
}

/** The first that touched anything; else the first there was. */
function happenedTo(version: string, decisions: readonly PastDecision[]): PastDecision | undefined {
  const own = decisions.filter((decision) => decision.version === version);
  return own.find(({ mode }) => mode !== "shadow") ?? own[0];
}

function replayedAnswer(decision: ReplayedDecision, spans: readonly StepSpan[]): ReplayedAnswer {
  const { action, mode, target, atMs, sentence, devices } = decision;
  return {
    action,
    mode,
    target,
    at: timeOf(atMs),
    sentence,
    devices,
    resolution_minutes: minutesAt(spans, atMs),
  };
}

function happenedAnswer({ id, action, mode, target, atMs, devices, outcome }: PastDecision): HappenedAnswer {
  return { decision_id: id, action, mode, target, at: timeOf(atMs), devices, outcome };
}

function holdAnswer({ reason, guard, sentence, sinceMs, untilMs }: ReplayedHold): HoldAnswer {
  return {
    reason,
    guard,
    sentence,
    since: timeOf(sinceMs),
    until: untilMs === undefined ? null : timeOf(untilMs),
  };
}

/** A release that nothing is done about exposes all the devices that have taken it up until now. */
function differenceOf(
  { decision, wasActedBefore }: ReplayedRelease,
  {
    happened,
    devices,
    spans,
  }: {
    readonly happened: PastDecision | undefined;
    readonly devices: number;
    readonly spans: readonly StepSpan[];
  },
): DifferenceAnswer {
  if (wasActedBefore) return { acts: "before", minutes: null, devices: 0 };
  const exposed = (decision?.devices ?? devices) - (happened?.devices ?? devices);
  if (decision === undefined || happened === undefined) {
    const acts =
      decision !== undefined ? "only_replayed" : happened === undefined ? "neither" : "only_happened";
    return { acts, minutes: null, devices: exposed };
  }
  const minutes = Number(((decision.atMs - happened.atMs) / 60_000).toFixed(1));
  const isSame = Math.abs(minutes) <= minutesAt(spans, decision.atMs);
  const acts = isSame ? "same" : minutes < 0 ? "sooner" : "later";
  return { acts, minutes, devices: exposed };
}

/** How fine windows are at this time. */
function minutesAt(spans: readonly StepSpan[], atMs: number): number {
  const minute = atMs / 60_000;
  const span = spans.find(({ sinceMinute, untilMinute }) => minute > sinceMinute && minute <= untilMinute);
  return (span ?? spans[0])?.minutes ?? 0;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** What a replay takes for granted, or cannot know; each said with the answer. */
export const REPLAY_ASSUMPTIONS = [
  {
    code: "same_reports",
    sentence:
      "Devices report what they really reported: after an act of the replay alone, fewer would have; where the replay does not act and Lastgood did, more would have.",
  },
  {
    code: "window_ends",
    sentence:
      "Counts are looked at where stored windows end, so an act may really come up to one window sooner or later; `resolution` says how long windows are.",
  },
  {
    code: "failures_answer_first",
    sentence:
      "That a device had answered is known to a span of its age, not which answer it was: failures are taken to have answered first. Failed downloads, and devices that failed after they had confirmed, count from the time they began.",
  },
  {
    code: "late_reports",
    sentence:
      "A report that was kept on the device and came late counts from when it happened, not from when Lastgood heard of it.",
  },
  {
    code: "running_follows",
    sentence:
      "How many devices ran a release carries no time: whoever confirmed a release is taken to have left the newest one before it, and a device that was only used to have been there from the first hour of use on.",
  },
  {
    code: "silence_as_counted",
    sentence:
      "Devices are silent from the policy's deadline on; with a shorter deadline than the one they were counted with, those who came back in between are not known.",
  },
  {
    code: "channel_follows",
    sentence:
      "The channel is taken to offer its newest release that devices had reported about, or what the replay went back to. Releases that no device reported about are not known, nor what people did at the OTA server.",
  },
  {
    code: "nothing_in_the_way",
    sentence:
      "Freezes, absolutions and alerts are not replayed; what asks for approval is taken to be approved, and the OTA server to do everything, at once; a budget of rollbacks over all channels counts those of the one channel.",
  },
] as const;
