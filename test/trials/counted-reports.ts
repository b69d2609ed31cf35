// The same promise with everything that the wire does to reports, through the real folding: reports come twice and
// three times, hours late and in any order; devices that fail try again and report it again; failures answer first; a
// part of the fleet never says when it begins. Looked at after every report that comes in.
import type { Random } from "../simulation/random.ts";
import { historyOf } from "../../agent/health/release-history.ts";
import type { ReleaseHistory } from "../../agent/health/release-history.ts";
import type { HealthWindow } from "../../agent/health/health-window.ts";
import { hasUnannouncedFailures, unsettledOf } from "../../agent/health/settled-counts.ts";
import { judge } from "../../agent/judge/judge.ts";
import type { RuleToJudge } from "../../agent/judge/rule-to-judge.ts";
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { createMemoryShard } from "../unit/agent/health/memory-shard.ts";
import type { MemoryShard, Told } from "../unit/agent/health/memory-shard.ts";
import { falseShare } from "./at-the-limit.ts";
import { exponential } from "./chance.ts";
import { percent } from "./experiment.ts";
import type { Case, Experiment, Row } from "./experiment.ts";
import { BASELINE, CANDIDATE } from "./fleet-beside-fleet.ts";

const START_MS = Date.UTC(2026, 0, 5, 6);
const MINUTE_MS = 60_000;
const LIMIT = 0.05;
const BUDGET = 0.01;
const DEVICES = 40;
const RULES: readonly RuleToJudge[] = [
  { form: "limit", signal: "update_failure", limit: LIMIT },
  { form: "worse_than_baseline", signal: "update_failure", allowance: { ratio: 1.5, points: 0 } },
];

interface Wire {
  readonly copiesMax: number;
  /** Minutes that a report is late, on average; of a tenth of them, 60 times as many. */
  readonly lateMinutes: number;
  readonly retries: number;
  readonly announcedShare: number;
}

/** What one device tells of its update, as it happens. */
function storyOf(
  random: Random,
  device: string,
  { version, rate, wire }: { version: string; rate: number; wire: Wire },
): Told[] {
  const beganMs = START_MS + Math.floor(random.between(0, 90 * MINUTE_MS));
  const announces = random.chance(wire.announcedShare);
  const at = (event: Told["event"], minutes: number): Told => ({
    event,
    device,
    version,
    atMs: beganMs + Math.floor(minutes * MINUTE_MS),
  });
  const begun = announces ? [at("update_started", 0)] : [];
  if (!random.chance(rate)) return [...begun, at("confirmed", 2 + exponential(random, 8))];
  const tries = Array.from({ length: 1 + wire.retries }, (_, attempt) => [
    ...(announces ? [at("update_started", attempt * 4)] : []),
    at("install_failed", attempt * 4 + 0.2),
  ]).flat();
  return [...tries, ...(random.chance(0.5) ? [at("confirmed", wire.retries * 4 + 6)] : [])];
}

/** As it comes in: copies, each late by chance. */
function received(random: Random, story: readonly Told[], { copiesMax, lateMinutes }: Wire): Told[] {
  return story.flatMap((told) =>
    Array.from({ length: 1 + Math.floor(random.between(0, copiesMax)) }, (): Told => {
      const late = exponential(random, lateMinutes) * (random.chance(0.1) ? 60 : 1);
      return { ...told, receivedAtMs: told.atMs! + Math.floor(late * MINUTE_MS) };
    }),
  );
}

function watch(random: Random, wire: Wire): number {
  const storiesOf = (version: string, devices: number, rate: number): Told[] =>
    Array.from({ length: devices }, (_, device) => {
      const story = storyOf(random, `${version}-${device}`, { version, rate, wire });
      return received(random, story, wire);
    }).flat();
  const reports = [
    ...storiesOf(CANDIDATE.version, DEVICES, LIMIT),
    ...storiesOf(BASELINE.version, 2 * DEVICES, LIMIT / 1.5),
  ].toSorted((left, right) => left.receivedAtMs! - right.receivedAtMs!);
  const shard = createMemoryShard();
  for (const [index, report] of reports.entries()) {
    shard.fold(report);
    if (lookAt(shard, report.receivedAtMs!) === "failing") return index + 1;
  }
  // What time alone makes due.
  return lookAt(shard, reports.at(-1)!.receivedAtMs! + 30 * MINUTE_MS) === "failing"
    ? reports.length
    : Number.NaN;
}

function lookAt(shard: MemoryShard, nowMs: number): string {
  const counts = shard.counts();
  const ofCandidate = counts[formatReleaseKey(CANDIDATE)];
  if (ofCandidate === undefined) return "nothing";
  const { devices } = ofCandidate;
  const windows = windowsOf(counts, CANDIDATE);
  const unsettled = unsettledOf({ devices, windows: hasUnannouncedFailures(devices) ? windows : [], nowMs });
  const besideIt = counts[formatReleaseKey(BASELINE)];
  return judge({
    release: CANDIDATE,
    devices,
    history: historyOf(CANDIDATE, windows),
    baseline: {
      versions: besideIt === undefined ? [] : [BASELINE.version],
      histories: besideIt === undefined ? [] : [historyIn(counts, BASELINE)],
      running: besideIt?.devices.running ?? 0,
    },
    rules: RULES,
    falseRollbackBudget: BUDGET,
    unsettled,
    nowMs,
  }).kind;
}

type Counts = ReturnType<MemoryShard["counts"]>;

function historyIn(counts: Counts, release: ReleaseKey): ReleaseHistory {
  return historyOf(release, windowsOf(counts, release));
}

function windowsOf(counts: Counts, release: ReleaseKey): HealthWindow[] {
  return Object.entries(counts[formatReleaseKey(release)]!.windows).map(([name, tally]) => ({
    slotMinute: Number.parseInt(name, 10),
    slotMinutes: 1,
    stratum: name.slice(name.indexOf(" ") + 1),
    ...tally,
  }));
}

const PLAIN: Wire = { copiesMax: 1, lateMinutes: 0.05, retries: 0, announcedShare: 1 };
const LINES: readonly { readonly name: string; readonly wire: Wire }[] = [
  { name: "as it happens, once", wire: PLAIN },
  { name: "each report one to three times", wire: { ...PLAIN, copiesMax: 3 } },
  { name: "late by minutes, a tenth of them by hours", wire: { ...PLAIN, lateMinutes: 3 } },
  { name: "failing devices try four times", wire: { ...PLAIN, retries: 3 } },
  { name: "a third never announces", wire: { ...PLAIN, announcedShare: 0.67 } },
  { name: "all of it at once", wire: { copiesMax: 3, lateMinutes: 3, retries: 3, announcedShare: 0.67 } },
];

export const counted: Experiment = {
  name: "counted",
  title: "The same, through the real folding: duplicates, late reports, retries, failures that answer first",
  about:
    "40 devices that fail exactly at the limit of 5%, beside 80 that fail for two thirds of that (1.5x is allowed); failures answer within seconds, good installs after minutes. Reports are folded by the code of the agent, and judged after every one. Budget 1%.",
  columns: ["reports come", "rolled back", "upper bound", "budget"],
  cases: LINES.map(({ name, wire }): Case => ({
    name,
    share: 0.35,
    run: (random) => ({ accused: watch(random, wire) }),
  })),
  rowsOf: (found) =>
    LINES.map(({ name }): Row => [name, ...falseShare(found.get(name)!, "accused"), percent(BUDGET)]),
};
