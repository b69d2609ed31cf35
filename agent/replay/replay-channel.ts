// The replay of one channel: what a policy would have done, step by step, with the same judge and the same decisions as
// live. Pure; a generator, so that whoever runs it may let others have their turn between steps. Read it top to bottom.
// Enters: a policy, all that is stored of the channel, the steps. Leaves: per release, what would have happened.
//
// Each step does what evaluating the channel does (jobs/evaluate-channel.ts): releases whose counts changed are judged,
// those that wait are judged again, and what fails is decided on, with the acts of the replay itself as the past.
import type { Version } from "../../ingest/contract/release-key.ts";
import { dayOf } from "../health/device-record.ts";
import { hasUnannouncedFailures, settledMinute } from "../health/settled-counts.ts";
import { WINDOW_RETENTION_DAYS } from "../health/health-window.ts";
import { OUTCOMES, toOutcomeCounts } from "../health/outcomes.ts";
import type { Outcome, OutcomeCounts } from "../health/outcomes.ts";
import type { ReleaseHistory } from "../health/release-history.ts";
import { DAY_MINUTES } from "../health/release-history.ts";
import { BASELINE_BEFORE_MINUTES, chooseBaseline } from "../judge/baseline-choice.ts";
import { isSettled, judgeInputOf } from "../judge/judge-input.ts";
import { NO_BASELINE, judge } from "../judge/judge.ts";
import type { Baseline } from "../judge/judge.ts";
import { withKnownDevices } from "../judge/known-devices.ts";
import type { Verdict } from "../judge/verdict.ts";
import { PASSING_REASONS } from "../policy/decision.ts";
import type { RollbackDecision } from "../policy/decision.ts";
import { decide, isToDecide } from "../policy/decide.ts";
import type { Policy } from "../policy/policy.ts";
import { silenceDeadlineMsOf } from "../policy/silence-deadline.ts";
import type { PastRollback, Situation } from "../policy/situation.ts";
import { channelViewAt, devicesThen } from "./channel-at.ts";
import { actsBefore, releasesInOrder } from "./channel-facts.ts";
import type { ChannelFacts, KnownRelease, ReleaseFacts } from "./channel-facts.ts";
import { createHistoryCuts } from "./cut-history.ts";
import type { HistoryCuts, ReleaseCut } from "./cut-history.ts";

/** Holds of a release that are told, at most: the first ones. */
export const REPLAY_HOLDS_MAX = 20;

export interface ReplayInput {
  readonly policy: Policy;
  readonly facts: ChannelFacts;
  /** Minutes since the epoch, in order. */
  readonly steps: readonly number[];
}

type Act = Exclude<RollbackDecision, { readonly kind: "none" | "hold" }>;

export interface ReplayedDecision {
  readonly atMs: number;
  readonly action: Act["kind"];
  readonly mode: Act["mode"];
  readonly target: Version | null;
  readonly sentence: string;
  /** Devices that had tried the release by then. */
  readonly devices: number;
}

export interface ReplayedHold {
  readonly reason: string;
  readonly guard: string;
  readonly sentence: string;
  readonly sinceMs: number;
  /** Undefined = to the end. */
  readonly untilMs: number | undefined;
}

export interface ReplayedRelease {
  readonly version: Version;
  /** At the end; undefined for one of which nothing was known by then. */
  readonly verdict: Verdict | undefined;
  readonly overThresholdMs: number | undefined;
  readonly decision: ReplayedDecision | undefined;
  readonly holds: readonly ReplayedHold[];
  /** Whether the release had had its rollback before the replay begins. */
  readonly wasActedBefore: boolean;
}

export interface ReplayProgress {
  readonly step: number;
  readonly steps: number;
}

/** One yield after each hour that is cut, each verdict and each step. */
export function* replayChannel(input: ReplayInput): Generator<ReplayProgress, readonly ReplayedRelease[]> {
  const { steps } = input;
  const replay = openReplay(input);
  for (const [index, minute] of steps.entries()) {
    const progress = { step: index + 1, steps: steps.length };
    const isLast = index === steps.length - 1;
    const present = replay.releases.filter(({ known }) => known.sinceMs <= minute * 60_000);
    for (const release of present) {
      const going = release.cuts.goTo(minute);
      let gone = going.next();
      for (; gone.done !== true; gone = going.next()) yield progress;
      release.cut = gone.value;
    }
    countDevices(present);
    const judged: Followed[] = [];
    for (const release of present) {
      if (!(isLast || isDue(release))) continue;
      judgeAt(replay, release, minute);
      judged.push(release);
      yield progress;
    }
    for (const release of judged) decideAt(replay, release, minute);
    yield progress;
  }
  return replay.releases.map(toReplayed);
}

/** A release on its way through the replay. */
interface Followed {
  readonly facts: ReleaseFacts;
  readonly known: KnownRelease;
  readonly cuts: HistoryCuts;
  /** What the windows do not hold any more. */
  readonly dropped: OutcomeCounts;
  readonly wasActedBefore: boolean;
  cut: ReleaseCut | undefined;
  devices: OutcomeCounts;
  /** What was judged last. */
  judged: ReleaseCut | undefined;
  verdict: Verdict | undefined;
  isSettled: boolean;
  overThresholdMs: number | undefined;
  decision: ReplayedDecision | undefined;
  hold: ReplayedHold | undefined;
  holds: ReplayedHold[];
}

interface Replay {
  readonly policy: Policy;
  readonly facts: ChannelFacts;
  readonly silenceDeadlineMs: number;
  /** Oldest first, those without counts among them. */
  readonly order: readonly KnownRelease[];
  /** Oldest first. */
  readonly releases: readonly Followed[];
  readonly condemned: Set<string>;
  readonly acted: Set<string>;
  /** Newest first. */
  readonly pastRollbacks: PastRollback[];
}

function openReplay({ policy, facts, steps }: ReplayInput): Replay {
  const silenceDeadlineMs = silenceDeadlineMsOf(policy);
  const order = releasesInOrder(facts);
  const past = actsBefore(facts.decisions, {
    beforeMs: (steps[0] ?? 0) * 60_000,
    action: policy.action,
  });
  const untilMinute = steps.at(-1) ?? 0;
  const byVersion = new Map(facts.releases.map((each) => [each.health.release.version, each]));
  const releases = order.flatMap((known): Followed[] => {
    const ofRelease = byVersion.get(known.version);
    if (ofRelease === undefined) return [];
    return [
      {
        facts: ofRelease,
        known,
        cuts: createHistoryCuts(ofRelease.windows, Math.ceil(silenceDeadlineMs / 60_000)),
        dropped: droppedCounts(ofRelease, untilMinute),
        wasActedBefore: past.acted.has(known.version),
        cut: undefined,
        devices: toOutcomeCounts([]),
        judged: undefined,
        verdict: undefined,
        isSettled: true,
        overThresholdMs: undefined,
        decision: undefined,
        hold: undefined,
        holds: [],
      },
    ];
  });
  return { policy, facts, silenceDeadlineMs, order, releases, ...past };
}

/** Windows of long ago were dropped; the totals still have their counts, and those of devices that never tried. */
function droppedCounts({ health, windows }: ReleaseFacts, untilMinute: number): OutcomeCounts {
  const none = toOutcomeCounts([]);
  const retained = untilMinute - WINDOW_RETENTION_DAYS * DAY_MINUTES;
  if (health.firstReportAtMs >= retained * 60_000) return none;
  const dropped: Record<Outcome, number> = { ...none };
  for (const outcome of OUTCOMES) {
    const held = windows.reduce((sum, { devices }) => sum + devices[outcome], 0);
    dropped[outcome] = Math.max(0, health.devices[outcome] - held);
  }
  return dropped;
}

/** What carries no time follows from what all releases of the channel show. */
function countDevices(present: readonly Followed[]): void {
  const takers = present.map(({ facts, cut, dropped }) => ({
    now: facts.health.devices,
    byThen: addCounts(cut!.devices, dropped),
    isUsed: cut!.isUsed,
  }));
  devicesThen(takers).forEach((then, index) => {
    present[index]!.devices = { ...takers[index]!.byThen, ...then };
  });
}

function addCounts(left: OutcomeCounts, right: OutcomeCounts): OutcomeCounts {
  const sums: Record<Outcome, number> = { ...left };
  for (const outcome of OUTCOMES) sums[outcome] += right[outcome];
  return sums;
}

/** As live: when counts changed, when time alone may have changed the verdict, and when what held it back may be over. */
function isDue({
  cut,
  judged,
  verdict,
  isSettled: settled,
  hold,
  decision,
  wasActedBefore,
}: Followed): boolean {
  if (decision !== undefined || wasActedBefore) return false;
  if (verdict === undefined || cut !== judged || !settled) return true;
  return hold !== undefined && (PASSING_REASONS as ReadonlySet<string>).has(hold.reason);
}

function judgeAt(replay: Replay, release: Followed, minute: number): void {
  const { facts, cut, devices } = release;
  const nowMs = minute * 60_000;
  const input = judgeInputOf({
    health: { release: facts.health.release, devices, silenceDeadlineMs: replay.silenceDeadlineMs },
    history: historyOf(release),
    baseline: baselineAt(replay, release, minute),
    young: hasUnannouncedFailures(devices) ? cut!.windowsSince(settledMinute(nowMs)) : [],
    policy: replay.policy,
    nowMs,
  });
  const { contacts = new Map(), health } = facts;
  const listeningMs = Math.min(...replay.order.map(({ sinceMs }) => sinceMs));
  release.verdict = withKnownDevices(judge(input), {
    contacts,
    releaseDay: dayOf(health.firstReportAtMs),
    listeningDay: dayOf(listeningMs),
  });
  release.isSettled = isSettled(input);
  release.judged = cut;
  if (release.verdict.kind === "failing") release.overThresholdMs ??= nowMs;
}

function historyOf({ facts, cut }: Followed, sinceMinute = 0): ReleaseHistory {
  return {
    release: facts.health.release,
    days: cut!.days.filter(({ dayMinute }) => dayMinute + DAY_MINUTES > sinceMinute),
  };
}

function baselineAt({ releases, condemned }: Replay, release: Followed, minute: number): Baseline {
  const firstDay = release.cut!.days[0];
  if (firstDay === undefined) return NO_BASELINE;
  const live = releases
    .filter(
      (each) =>
        each !== release &&
        each.known.sinceMs <= minute * 60_000 &&
        each.cut!.lastMinute >= firstDay.dayMinute,
    )
    .toReversed()
    .toSorted((left, right) => right.cut!.lastMinute - left.cut!.lastMinute)
    .map((followed) => ({ ...followed.known, followed }));
  const chosen = chooseBaseline(live, release.known, condemned).map(({ followed }) => followed);
  if (chosen.length === 0) return NO_BASELINE;
  const sinceMinute = firstDay.dayMinute - BASELINE_BEFORE_MINUTES;
  return {
    versions: chosen.map(({ known }) => known.version),
    histories: chosen.map((each) => historyOf(each, sinceMinute)),
    running: chosen.reduce((sum, { devices }) => sum + devices.running, 0),
  };
}

function decideAt(replay: Replay, release: Followed, minute: number): void {
  const verdict = release.verdict!;
  if (release.decision !== undefined || release.wasActedBefore) return;
  const decision = isToDecide(verdict) ? decide(situationAt(replay, verdict, minute)) : undefined;
  if (decision?.kind === "hold") {
    keepHold(release, decision, minute);
    return;
  }
  endHold(release, minute);
  if (decision !== undefined && decision.kind !== "none") keepAct(replay, release, { decision, minute });
}

/** What the guards may look at, as it would have been. What nobody knows any more (freezes, or what the OTA server went by) is not in it. */
function situationAt(replay: Replay, verdict: Verdict, minute: number): Situation {
  const { policy, facts, order, releases, condemned, acted, pastRollbacks } = replay;
  const versions = (kind: Verdict["kind"]): Set<string> =>
    new Set(releases.filter((each) => each.verdict?.kind === kind).map(({ known }) => known.version));
  const nowMs = minute * 60_000;
  return {
    channelKey: facts.key,
    nowMs,
    policy,
    minimumVersion: facts.minimumVersion,
    verdict,
    channel: channelViewAt(order, pastRollbacks, nowMs),
    cause: "evidence",
    capabilities: { rollback: true, pause: true },
    condemned,
    rolledBack: acted,
    failing: versions("failing"),
    healthy: versions("healthy"),
    rejected: new Set(),
    pastRollbacks,
    overallRollbacksMs: pastRollbacks.filter(({ by }) => by === "lastgood").map(({ atMs }) => atMs),
    freezes: [],
  };
}

function keepHold(
  release: Followed,
  { reason, guard, sentence }: Extract<RollbackDecision, { kind: "hold" }>,
  minute: number,
): void {
  if (release.hold?.reason === reason) return;
  endHold(release, minute);
  release.hold = { reason, guard, sentence, sinceMs: minute * 60_000, untilMs: undefined };
}

function endHold(release: Followed, minute: number): void {
  if (release.hold !== undefined && release.holds.length < REPLAY_HOLDS_MAX)
    release.holds.push({ ...release.hold, untilMs: minute * 60_000 });
  release.hold = undefined;
}

function keepAct(
  replay: Replay,
  release: Followed,
  { decision, minute }: { readonly decision: Act; readonly minute: number },
): void {
  const atMs = minute * 60_000;
  const target = "target" in decision ? decision.target : null;
  const { kind: action, mode, sentence } = decision;
  const { version } = release.known;
  release.decision = { atMs, action, mode, target, sentence, devices: devicesExposed(release.devices) };
  if (mode === "shadow") return;
  replay.condemned.add(version);
  replay.acted.add(version);
  if (target !== null)
    replay.pastRollbacks.unshift({ from: version, to: target, as: target, atMs, by: "lastgood" });
}

/** Where devices report their use alone, nobody is known to have tried. */
export function devicesExposed({ attempted, active }: Pick<OutcomeCounts, "attempted" | "active">): number {
  return attempted === 0 ? active : attempted;
}

function toReplayed({
  known,
  verdict,
  overThresholdMs,
  decision,
  hold,
  holds,
  wasActedBefore,
}: Followed): ReplayedRelease {
  const open = hold !== undefined && holds.length < REPLAY_HOLDS_MAX ? [hold] : [];
  return {
    version: known.version,
    verdict,
    overThresholdMs,
    decision,
    holds: [...holds, ...open],
    wasActedBefore,
  };
}
