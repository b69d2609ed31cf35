// Histories for the bench of judging: a release beside its baseline, for so many days and kinds of device, as
// folding keeps them (5-minute slots for two days, hours before). Enters: sizes. Leaves: what the judge is asked.
import { ANSWER_BINS } from "../../agent/health/answer-bins.ts";
import type { HealthWindow } from "../../agent/health/health-window.ts";
import { toOutcomeCounts } from "../../agent/health/outcomes.ts";
import type { HistoryDay, HistoryHour, ReleaseHistory } from "../../agent/health/release-history.ts";
import type { JudgeInput } from "../../agent/judge/judge.ts";
import type { RuleToJudge } from "../../agent/judge/rule-to-judge.ts";
import type { AppId, Channel, ReleaseKey, Version } from "../../ingest/contract/release-key.ts";
import { createRandom } from "../simulation/random.ts";
import type { Random } from "../simulation/random.ts";

const HOUR_MINUTES = 60;
const DAY_MINUTES = 24 * HOUR_MINUTES;
const FINE_HOURS = 48;
const START_MINUTE = Date.UTC(2026, 0, 1) / 60_000;
const DEVICES_PER_CELL = 20;
const FAILURE_RATE = 0.02;
const CRASH_RATE = 0.005;

export const BENCH_RULES: readonly RuleToJudge[] = [
  { form: "limit", signal: "update_failure", limit: 0.05 },
  { form: "worse_than_baseline", signal: "update_failure", allowance: { ratio: 1.5, points: 0 } },
  { form: "worse_than_baseline", signal: "crash", allowance: { ratio: 2, points: 0 } },
  { form: "limit", signal: "silence", limit: 0.02, deadlineMs: 6 * 3_600_000 },
  {
    form: "worse_than_baseline",
    signal: "silence",
    allowance: { ratio: 1.5, points: 0 },
    deadlineMs: 6 * 3_600_000,
  },
];

function releaseOf(version: string): ReleaseKey {
  return { app: "com.acme.till" as AppId, channel: "production" as Channel, version: version as Version };
}

export function benchInput({ days, strata }: { readonly days: number; readonly strata: number }): JudgeInput {
  const candidate = makeHistory("1.5.0", { days, strata });
  const baseline = makeHistory("1.4.0", { days, strata });
  const devices = days * 24 * strata * DEVICES_PER_CELL;
  return {
    release: candidate.release,
    devices: {
      ...toOutcomeCounts([]),
      attempted: devices,
      announced: devices,
      confirmed: Math.floor(devices * (1 - FAILURE_RATE)),
      failed: Math.floor(devices * FAILURE_RATE),
      active: devices,
      running: devices,
    },
    history: candidate,
    baseline: { versions: [baseline.release.version], histories: [baseline], running: devices },
    rules: BENCH_RULES,
    falseRollbackBudget: 0.01,
    nowMs: (START_MINUTE + days * DAY_MINUTES) * 60_000,
  };
}

function makeHistory(version: string, { days, strata }: { days: number; strata: number }): ReleaseHistory {
  const random = createRandom("judged-history", version);
  const made: HistoryDay[] = Array.from({ length: days }, (_, day) => ({
    dayMinute: START_MINUTE + day * DAY_MINUTES,
    hours: Array.from({ length: 24 }, (_hour, hour): HistoryHour => {
      const hourMinute = START_MINUTE + day * DAY_MINUTES + hour * HOUR_MINUTES;
      const slots = day * 24 + hour >= days * 24 - FINE_HOURS ? 12 : 1;
      return { hourMinute, windows: makeWindows(random, { hourMinute, slots, strata }) };
    }),
  }));
  return { release: releaseOf(version), days: made };
}

function makeWindows(
  random: Random,
  { hourMinute, slots, strata }: { hourMinute: number; slots: number; strata: number },
): HealthWindow[] {
  return Array.from({ length: slots * strata }, (_, cell) => {
    const slot = Math.floor(cell / strata);
    const failed = random.chance(FAILURE_RATE * DEVICES_PER_CELL) ? 1 : 0;
    const active = slot === 0 ? DEVICES_PER_CELL * 5 : 0;
    const crashed = slot === 0 && random.chance(CRASH_RATE * active) ? 1 : 0;
    return {
      slotMinute: hourMinute + (slot * HOUR_MINUTES) / slots,
      slotMinutes: HOUR_MINUTES / slots,
      stratum: JSON.stringify(["android", `till-${String(cell % strata).padStart(2, "0")}`, "", ""]),
      devices: {
        ...toOutcomeCounts([]),
        attempted: DEVICES_PER_CELL,
        announced: DEVICES_PER_CELL,
        confirmed: DEVICES_PER_CELL - failed,
        failed,
        failed_announced: failed,
      },
      hours: { active, crashed, notResponding: 0, firstCrashed: crashed, firstNotResponding: 0 },
      answered: Array.from({ length: ANSWER_BINS }, (_bin, bin) => (bin === 2 ? DEVICES_PER_CELL : 0)),
    };
  });
}

/** The newest hour with one more failure in so many of its cells: new objects where something changed, as the reader makes them. */
export function withChangedHour(input: JudgeInput, cells: number): JudgeInput {
  const day = input.history.days.at(-1)!;
  const hour = day.hours.at(-1)!;
  const windows = hour.windows.map((window, index) =>
    index < cells ? { ...window, devices: { ...window.devices, failed_announced: 1 } } : window,
  );
  const days = [
    ...input.history.days.slice(0, -1),
    { ...day, hours: [...day.hours.slice(0, -1), { ...hour, windows }] },
  ];
  return { ...input, history: { ...input.history, days } };
}
