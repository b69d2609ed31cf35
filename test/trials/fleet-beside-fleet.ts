// A release that goes out beside its baseline, told report by report, with a look of the judge after every one. Enters:
// how both fare. Leaves: what the judge said first that mattered.
import type { Random } from "../simulation/random.ts";
import { judge } from "../../agent/judge/judge.ts";
import type { RuleToJudge } from "../../agent/judge/rule-to-judge.ts";
import type { Verdict } from "../../agent/judge/verdict.ts";
import type { AppId, Channel, ReleaseKey, Version } from "../../ingest/contract/release-key.ts";
import { exponential } from "./chance.ts";
import { createCountedRelease } from "./counted-release.ts";
import type { CountedRelease } from "./counted-release.ts";

const START_MINUTE = Date.UTC(2026, 0, 5, 6) / 60_000;
const HOUR_MINUTES = 60;
const DEADLINE_MINUTES = 6 * HOUR_MINUTES;

export function releaseOf(version: string): ReleaseKey {
  return { app: "com.acme.till" as AppId, channel: "production" as Channel, version: version as Version };
}

export const CANDIDATE = releaseOf("1.5.0");
export const BASELINE = releaseOf("1.4.0");

/** A kind of device. */
export interface Kind {
  readonly model: string;
  /** Of the devices that take the candidate up, and of the baseline's. */
  readonly candidateShare: number;
  readonly baselineShare: number;
  /** How much more often it fails and crashes than others, on any version. */
  readonly worse: number;
}

export interface Fares {
  readonly devices: number;
  readonly failureRate: number;
  /** Minutes until a device that came through answers, on average. */
  readonly answerMinutes: number;
  /** Share of devices that never answer. */
  readonly silentShare: number;
  /** Crashes of a device per hour of use. */
  readonly crashRate: number;
}

export interface FleetTrial {
  readonly candidate: Fares;
  readonly baseline: Fares;
  readonly kinds: readonly Kind[];
  /** Share of devices that crash in every hour of use, on any version. */
  readonly loopShare: number;
  /** Crashes and failures follow the time of day: this much up and down. */
  readonly rhythm: number;
  /** Both begin within so many hours, and are watched for so long. */
  readonly rolloutHours: number;
  readonly watchHours: number;
  readonly rules: readonly RuleToJudge[];
  readonly budget: number;
}

interface Happening {
  readonly minute: number;
  readonly apply: () => void;
  /** A clean report of the candidate only lowers the evidence against it: no look after one can be the first to accuse. */
  readonly clears?: true;
}

/** Reports until the verdict is failing; NaN = never. And devices that had tried by then. */
export function watchFleet(
  random: Random,
  trial: FleetTrial,
): { readonly looks: number; readonly exposed: number } {
  const candidate = createCountedRelease(CANDIDATE);
  const baseline = createCountedRelease(BASELINE);
  const happenings = [
    ...happeningsOf(random, trial, { release: candidate, fares: trial.candidate, share: "candidateShare" }),
    ...happeningsOf(random, trial, { release: baseline, fares: trial.baseline, share: "baselineShare" }),
  ].toSorted((left, right) => left.minute - right.minute);
  for (const [index, { minute, apply, clears }] of happenings.entries()) {
    apply();
    if (clears === true) continue;
    const verdict = look(candidate, baseline, { ...trial, minute });
    if (verdict.kind === "failing") return { looks: index + 1, exposed: candidate.devices.attempted };
  }
  return { looks: Number.NaN, exposed: Number.NaN };
}

export function look(
  candidate: CountedRelease,
  baseline: CountedRelease,
  {
    rules,
    budget,
    minute,
  }: { readonly rules: readonly RuleToJudge[]; readonly budget: number; readonly minute: number },
): Verdict {
  return judge({
    release: CANDIDATE,
    devices: candidate.devices,
    history: candidate.history(),
    baseline: {
      versions: [BASELINE.version],
      histories: [baseline.history()],
      running: baseline.devices.running,
    },
    rules,
    falseRollbackBudget: budget,
    nowMs: minute * 60_000,
  });
}

function happeningsOf(
  random: Random,
  trial: FleetTrial,
  side: {
    readonly release: CountedRelease;
    readonly fares: Fares;
    readonly share: "candidateShare" | "baselineShare";
  },
): Happening[] {
  const end = START_MINUTE + trial.watchHours * HOUR_MINUTES;
  const happenings = Array.from({ length: side.fares.devices }, () => deviceOf(random, trial, side)).flat();
  return happenings.filter(({ minute }) => minute < end);
}

/** All that one device does, each report with its minute. */
function deviceOf(
  random: Random,
  trial: FleetTrial,
  {
    release,
    fares,
    share,
  }: { release: CountedRelease; fares: Fares; share: "candidateShare" | "baselineShare" },
): Happening[] {
  const kind = pickKind(random, trial.kinds, share);
  const stratum = JSON.stringify(["", kind.model, "", ""]);
  const minute = START_MINUTE + Math.floor(random.between(0, trial.rolloutHours * HOUR_MINUTES));
  const attempt = { minute, stratum };
  const clears = share === "candidateShare" ? ({ clears: true } as const) : {};
  const happenings: Happening[] = [{ minute, apply: () => release.attempt(minute, stratum), ...clears }];
  const tide = 1 + trial.rhythm * Math.sin((2 * Math.PI * minute) / (24 * HOUR_MINUTES));
  if (random.chance(fares.silentShare)) {
    const dueMinute = minute + DEADLINE_MINUTES + 1;
    return [...happenings, { minute: dueMinute, apply: () => release.silent(attempt) }];
  }
  const fails = random.chance(Math.min(1, fares.failureRate * kind.worse * tide));
  // Failures answer first; they speak for how fast devices come back as well, so both go by the same mean.
  const after = Math.floor(exponential(random, fares.answerMinutes * (fails ? 0.5 : 1)));
  const answered = minute + after;
  happenings.push({
    minute: answered,
    apply: () => release.answer(attempt, answered, fails ? "failed" : "confirmed"),
    ...(fails ? {} : clears),
  });
  return fails
    ? happenings
    : [...happenings, ...useOf(random, trial, { release, fares, kind, stratum, since: answered, clears })];
}

function useOf(
  random: Random,
  { loopShare, rhythm, watchHours }: FleetTrial,
  {
    release,
    fares,
    kind,
    stratum,
    since,
    clears,
  }: {
    release: CountedRelease;
    fares: Fares;
    kind: Kind;
    stratum: string;
    since: number;
    clears: Pick<Happening, "clears">;
  },
): Happening[] {
  const happenings: Happening[] = [];
  const isLooping = random.chance(loopShare);
  let which: "first" | "again" = "first";
  const firstHour = since - (since % HOUR_MINUTES) + HOUR_MINUTES;
  for (let hour = firstHour; hour < START_MINUTE + watchHours * HOUR_MINUTES; hour += HOUR_MINUTES) {
    if (!random.chance(0.7)) continue;
    const minute = hour + random.between(0, HOUR_MINUTES);
    happenings.push({ minute, apply: () => release.use(hour, stratum), ...clears });
    const tide = 1 + rhythm * Math.sin((2 * Math.PI * hour) / (24 * HOUR_MINUTES));
    if (!isLooping && !random.chance(Math.min(1, fares.crashRate * kind.worse * tide))) continue;
    const told = which;
    happenings.push({ minute, apply: () => release.crash(hour, stratum, told) });
    which = "again";
  }
  return happenings;
}

function pickKind(random: Random, kinds: readonly Kind[], share: "candidateShare" | "baselineShare"): Kind {
  let rest = random.next();
  for (const kind of kinds) {
    rest -= kind[share];
    if (rest < 0) return kind;
  }
  return kinds.at(-1)!;
}
