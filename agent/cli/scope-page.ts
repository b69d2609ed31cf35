// The page that `lastgood scope` prints: totals, channels, kinds of device, the course of time, and a few devices of
// each outcome. Enters: the agent's answer. Leaves: text of at most 80 columns. Pure.
import { EXAMPLE_OUTCOMES } from "../health/examples.ts";
import type { ExampleOutcome } from "../health/examples.ts";
import { alignColumns } from "./columns.ts";
import { sparkline } from "./health-page.ts";
import {
  LINE_CHARS_MAX,
  cut,
  formatCount,
  formatShare,
  formatTime,
  plain,
  wrapText,
  wrapWords,
} from "./plain-text.ts";

type Counts = Readonly<Record<string, number>>;

interface Hours {
  readonly active: number;
  readonly crashed: number;
}

export interface ScopeAnswer {
  readonly app: string;
  readonly version: string;
  readonly at: string;
  readonly devices: Counts;
  readonly hours: Hours;
  readonly channels: readonly {
    readonly channel: string;
    readonly first_seen: string | null;
    readonly devices: Counts;
    readonly rolled_back: boolean;
    readonly decisions: readonly {
      readonly id: string;
      readonly at: string;
      readonly action: string;
      readonly mode: string;
      readonly target: string | null;
      readonly outcome: string | null;
    }[];
  }[];
  readonly strata: readonly {
    readonly stratum: Readonly<Record<string, string>> | string;
    readonly devices: Counts;
  }[];
  readonly step_minutes: number;
  readonly time: readonly { readonly start: string; readonly devices: Counts; readonly hours: Hours }[];
  /** Null for who may not see them. */
  readonly examples: Readonly<
    Record<
      ExampleOutcome,
      { readonly named_by: string; readonly of: number; readonly devices: readonly string[] }
    >
  > | null;
}

const STRATA_SHOWN = 10;
const CHANNELS_SHOWN = 10;
const STEPS_SHOWN = 48;
const IDS_SHOWN = 3;
const ID_CHARS = 20;
const NAME_CHARS_LEAST = 6;
/** Where the text begins beside a time, and beside the name of an outcome. */
const TIME_COLUMN = 20;
const NAME_COLUMN = 21;
const MINUTE_MS = 60_000;

export function renderScope(answer: ScopeAnswer): string {
  const sections = [
    renderTotals(answer),
    renderChannels(answer.channels),
    renderDecisions(answer.channels),
    renderStrata(answer.strata),
    renderTime(answer),
    renderExamples(answer),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function of(counts: Counts, outcome: string): number {
  return counts[outcome] ?? 0;
}

function renderTotals({ app, version, at, devices, hours, channels }: ScopeAnswer): string[] {
  const tried = of(devices, "attempted");
  const share = (outcome: string): string =>
    `${formatCount(of(devices, outcome))} (${formatShare(of(devices, outcome), tried)})`;
  const count = (outcome: string): string => formatCount(of(devices, outcome));
  const rows: [string, string][] = [
    ["ever tried it", formatCount(tried)],
    ["run it now", count("running")],
    ["confirmed", share("confirmed")],
    ["failed", share("failed")],
    ["  recovered", `${count("recovered")} of them confirmed it as well`],
    ["download failed", share("download_failed")],
    [
      "crashed",
      `${count("crashed")}, in ${formatCount(hours.crashed)} of ${formatCount(hours.active)} device-hours of use`,
    ],
    ["not responding", count("not_responding")],
    ["silent", share("silent")],
    ["  returned late", `${count("returned_late")} were silent, and came back`],
  ];
  const where = channels.length === 1 ? `on ${channels[0]!.channel}` : `on ${channels.length} channels`;
  return [
    `${app} / ${plain(version)}`,
    `  ${where}, as of ${formatTime(at)} (UTC), in devices`,
    "",
    ...alignColumns(rows.map(([name, value]) => [`  ${name}`, value])),
  ];
}

const COLUMNS = ["tried", "run it", "failed", "crashed", "silent", "came back"] as const;

function cellsOf(devices: Counts, shares: "with_shares" | "without"): string[] {
  const [tried, failed] = [of(devices, "attempted"), of(devices, "failed")];
  return [
    formatCount(tried),
    formatCount(of(devices, "running")),
    tried === 0 || shares === "without"
      ? formatCount(failed)
      : `${formatCount(failed)} (${formatShare(failed, tried)})`,
    formatCount(of(devices, "crashed")),
    formatCount(of(devices, "silent")),
    formatCount(of(devices, "recovered") + of(devices, "returned_late")),
  ];
}

/** Names are cut so that the counts beside them fit; of millions of devices shares are left out. */
function tableOf(rows: readonly { readonly name: string; readonly devices: Counts }[]): string[] {
  const cellsWith = (shares: "with_shares" | "without"): string[][] => [
    [...COLUMNS],
    ...rows.map(({ devices }) => cellsOf(devices, shares)),
  ];
  const charsOf = (cells: readonly string[][]): number =>
    Math.max(...alignColumns(cells).map(({ length }) => length));
  const withShares = cellsWith("with_shares");
  const fits = charsOf(withShares) <= LINE_CHARS_MAX - 4 - NAME_CHARS_LEAST;
  const cells = fits ? withShares : cellsWith("without");
  const cellChars = charsOf(cells);
  const nameChars = Math.max(NAME_CHARS_LEAST, LINE_CHARS_MAX - 4 - cellChars);
  const names = ["", ...rows.map(({ name }) => cut(plain(name), nameChars))];
  return alignColumns(cells.map((row, index) => [`  ${names[index]!}`, ...row]));
}

function andMore(hidden: number, what: string): string[] {
  return hidden > 0 ? [`  and ${formatCount(hidden)} more ${what}: --json shows all`] : [];
}

function renderChannels(channels: ScopeAnswer["channels"]): string[] {
  if (channels.length < 2) return [];
  const rows = channels.slice(0, CHANNELS_SHOWN).map(({ channel, devices }) => ({ name: channel, devices }));
  return [
    "Channels; a device that was on two of them counts on both",
    ...tableOf(rows),
    ...andMore(channels.length - CHANNELS_SHOWN, "channels"),
  ];
}

function renderDecisions(channels: ScopeAnswer["channels"]): string[] {
  const lines = channels.flatMap(({ channel, decisions }) =>
    decisions.flatMap(({ id, at, action, mode, target, outcome }) => {
      const act = action === "rollback" && target !== null ? `rollback to ${plain(target)}` : action;
      const ended = mode === "shadow" ? "shadow mode, nothing was done" : (outcome ?? "under way");
      const text = wrapText(`${channel}: ${act}: ${ended}`, LINE_CHARS_MAX - TIME_COLUMN);
      return [...text, `lastgood explain ${id}`].map((line, index) =>
        index === 0
          ? `  ${formatTime(at).slice(0, 16)}`.padEnd(TIME_COLUMN) + line
          : " ".repeat(TIME_COLUMN) + line,
      );
    }),
  );
  return lines.length === 0 ? [] : ["Decisions (UTC)", ...lines];
}

function renderStrata(strata: ScopeAnswer["strata"]): string[] {
  if (strata.every(({ stratum }) => stratum === "unknown")) return [];
  const fields = [
    ...new Set(strata.flatMap(({ stratum }) => (typeof stratum === "string" ? [] : Object.keys(stratum)))),
  ];
  const rows = strata.slice(0, STRATA_SHOWN).map(({ stratum, devices }) => ({
    name: typeof stratum === "string" ? stratum : fields.map((field) => stratum[field] ?? "-").join(" / "),
    devices,
  }));
  return [
    `Kinds of device${fields.length === 0 ? "" : `: ${fields.join(" / ")}`}`,
    ...tableOf(rows),
    ...andMore(strata.length - STRATA_SHOWN, "kinds"),
  ];
}

const SERIES = [
  ["tried", ({ devices }) => of(devices, "attempted")],
  ["failed", ({ devices }) => of(devices, "failed")],
  ["no download", ({ devices }) => of(devices, "download_failed")],
  ["silent", ({ devices }) => of(devices, "silent")],
  ["crashed hours", ({ hours }) => hours.crashed],
] as const satisfies readonly (readonly [string, (step: ScopeAnswer["time"][number]) => number])[];

/** The newest steps; a device stands in the one of its attempt, a crash in the hour in which it was. */
function renderTime({ step_minutes, time }: ScopeAnswer): string[] {
  const stepMs = step_minutes * MINUTE_MS;
  const indexOf = (start: string): number => Math.floor(Date.parse(start) / stepMs);
  const lastStep = time.at(-1);
  if (lastStep === undefined)
    return ["Nothing was tried or used in the hours looked at: --hours looks further back"];
  const last = indexOf(lastStep.start);
  const first = Math.max(indexOf(time[0]!.start), last - STEPS_SHOWN + 1);
  const rows = SERIES.flatMap(([name, valueOf]) => {
    const values = Array.from({ length: last - first + 1 }, () => 0);
    for (const step of time) {
      const index = indexOf(step.start) - first;
      if (index >= 0) values[index]! += valueOf(step);
    }
    const most = Math.max(...values);
    return most === 0 ? [] : [[`  ${name}`, sparkline(values), `at most ${formatCount(most)}`]];
  });
  const clock = (index: number): string => formatTime(new Date(index * stepMs).toISOString()).slice(0, 16);
  return [
    `By the time of the attempt, in steps of ${sayStep(step_minutes)} from ${clock(first)} (UTC)`,
    ...alignColumns(rows),
  ];
}

function sayStep(minutes: number): string {
  if (minutes === 24 * 60) return "a day";
  if (minutes === 60) return "an hour";
  return minutes === 1 ? "a minute" : `${minutes} minutes`;
}

function renderExamples({ app, version, examples }: ScopeAnswer): string[] {
  if (examples === null) return ["Which devices they are is shown to the roles operator and admin."];
  const lines = EXAMPLE_OUTCOMES.flatMap((outcome) => {
    const { of: total, devices, named_by } = examples[outcome];
    if (devices.length === 0) return [];
    const shown = devices.slice(0, IDS_SHOWN).map((device) => cut(plain(device), ID_CHARS));
    const more = total > shown.length ? ["…"] : [];
    const [first = "", ...rest] = wrapWords([...shown, ...more], NAME_COLUMN);
    const name = `  ${outcome}${named_by === "digest" ? " (digests)" : ""}`;
    return [name.padEnd(NAME_COLUMN) + first, ...rest.map((line) => " ".repeat(NAME_COLUMN) + line)];
  });
  if (lines.length === 0) return [];
  return [
    "Which devices",
    ...lines,
    `  All that are kept: lastgood scope ${app} ${plain(version)} --ids OUTCOME`,
  ];
}
