// The page that `lastgood health` prints: totals, failures by reason, kinds of device, and the last hours.
// Enters: the agent's answer. Leaves: text of at most 80 columns. Pure.
import { alignColumns } from "./columns.ts";
import { LINE_CHARS_MAX, cut, formatCount, formatShare, formatTime, plain } from "./plain-text.ts";

type Counts = Readonly<Record<string, number>>;

interface Hours {
  readonly active: number;
  readonly crashed: number;
  readonly not_responding: number;
  /** Devices. */
  readonly first_crashed: number;
  readonly first_not_responding: number;
}

export interface HealthAnswer {
  readonly app: string;
  readonly channel: string;
  readonly version: string;
  readonly first_seen: string | null;
  readonly last_report: string | null;
  readonly devices: Counts;
  readonly hours: Hours;
  readonly strata: readonly {
    readonly stratum: Readonly<Record<string, string>> | string;
    readonly devices: Counts;
    readonly hours: Hours;
  }[];
  readonly reasons: readonly { readonly reason: string; readonly devices: number }[];
  readonly windows: readonly Window[];
}

interface Window {
  readonly start: string;
  readonly minutes: number;
  readonly devices: Counts;
  readonly hours: Hours;
}

const STRATA_SHOWN = 12;
const REASONS_SHOWN = 12;
const HOURS_SHOWN = 12;
const MINUTES_SHOWN = 60;
const BAR_CHARS = 24;
const REASON_CHARS = 36;
/** A kind of device is readable down to this, whatever the counts beside it need. */
const KIND_CHARS_LEAST = 8;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export function renderHealth(answer: HealthAnswer): string {
  const sections = [
    renderTotals(answer),
    renderReasons(answer.reasons),
    renderStrata(answer.strata),
    renderLastHours(answer.windows),
    renderLastMinutes(answer.windows),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function of(counts: Counts, outcome: string): number {
  return counts[outcome] ?? 0;
}

function renderTotals({
  app,
  channel,
  version,
  first_seen,
  last_report,
  devices,
  hours,
}: HealthAnswer): string[] {
  const tried = of(devices, "attempted");
  const begun = of(devices, "announced");
  const silent = of(devices, "silent");
  const share = (outcome: string): string =>
    `${formatCount(of(devices, outcome))} (${formatShare(of(devices, outcome), tried)})`;
  const recovered = of(devices, "recovered");
  const rows: [string, string][] = [
    ["tried", formatCount(tried)],
    ["confirmed", share("confirmed")],
    [
      "failed",
      `${share("failed")}${recovered === 0 ? "" : `, ${formatCount(recovered)} of them confirmed as well`}`,
    ],
    ["download failed", share("download_failed")],
    [
      "silent",
      `${formatCount(silent)} of ${formatCount(begun)} that said they began (${formatShare(silent, begun)})`,
    ],
    ["returned late", formatCount(of(devices, "returned_late"))],
    ["running now", formatCount(of(devices, "running"))],
    ...describeUse(hours),
  ];
  const times = [
    ...(first_seen === null ? [] : [`first report ${formatTime(first_seen)}`]),
    ...(last_report === null ? [] : [`newest ${formatTime(last_report)}`]),
  ];
  return [
    `${app} / ${channel} / ${version}`,
    `  ${times.join(", ")} (UTC)`,
    "",
    ...alignColumns(rows.map(([name, value]) => [`  ${name}`, value])),
  ];
}

/** Hours with the devices that they are of: one in a crash loop is no epidemic. */
function describeUse(hours: Hours): [string, string][] {
  const { active, crashed, first_crashed, not_responding, first_not_responding } = hours;
  if (active === 0) return [["crash rate", "no device has said that it runs this version"]];
  const rate = (bad: number, what: string): string =>
    `${formatShare(bad, active)}: ${what} ${formatCount(bad)} of ${formatCount(active)} device-hours`;
  const on = (devices: number): [string, string][] =>
    devices === 0 ? [] : [["", `on ${formatCount(devices)} ${devices === 1 ? "device" : "devices"}`]];
  const rows: [string, string][] = [["crash rate", rate(crashed, "crashes in")], ...on(first_crashed)];
  if (not_responding === 0) return rows;
  return [...rows, ["not responding", rate(not_responding, "in")], ...on(first_not_responding)];
}

function renderReasons(reasons: HealthAnswer["reasons"]): string[] {
  if (reasons.length === 0) return [];
  const most = Math.max(...reasons.map(({ devices }) => devices));
  const rows = reasons
    .slice(0, REASONS_SHOWN)
    .map(({ reason, devices }) => [
      `  ${cut(plain(reason), REASON_CHARS)}`,
      formatCount(devices),
      "█".repeat(Math.max(1, Math.round((BAR_CHARS * devices) / most))),
    ]);
  return [
    "Failures by reason, in devices",
    ...alignColumns(rows),
    ...andMore(reasons.length - REASONS_SHOWN, "reasons"),
  ];
}

function andMore(hidden: number, what: string): string[] {
  return hidden > 0 ? [`  and ${formatCount(hidden)} more ${what}: --json shows all`] : [];
}

function renderStrata(strata: HealthAnswer["strata"]): string[] {
  if (strata.every(({ stratum }) => stratum === "unknown")) return [];
  const told = strata.map(({ stratum }) => stratum);
  const fields = [
    ...new Set(told.flatMap((stratum) => (typeof stratum === "string" ? [] : Object.keys(stratum)))),
  ];
  const shown = strata.slice(0, STRATA_SHOWN);
  const counts = [
    ["tried", "failed", "silent", "running", "crash rate"],
    ...shown.map(({ devices, hours }) => countsOf(devices, hours)),
  ];
  const countChars = Math.max(...alignColumns(counts).map(({ length }) => length));
  const kindChars = Math.max(KIND_CHARS_LEAST, LINE_CHARS_MAX - 4 - countChars);
  const kinds = ["", ...shown.map(({ stratum }) => cut(plain(describeKind(stratum, fields)), kindChars))];
  const isCapped = told.includes("other");
  return [
    `Kinds of device${fields.length === 0 ? "" : `: ${fields.join(" / ")}`}`,
    ...alignColumns(counts.map((row, index) => [`  ${kinds[index]!}`, ...row])),
    ...andMore(strata.length - STRATA_SHOWN, "kinds"),
    ...(isCapped ? ["  other = more kinds than the app's strata.max tells apart"] : []),
  ];
}

function countsOf(devices: Counts, { active, crashed }: Hours): string[] {
  const [tried, failed] = [of(devices, "attempted"), of(devices, "failed")];
  return [
    formatCount(tried),
    tried === 0 ? formatCount(failed) : `${formatCount(failed)} (${formatShare(failed, tried)})`,
    formatCount(of(devices, "silent")),
    formatCount(of(devices, "running")),
    formatShare(crashed, active),
  ];
}

function describeKind(stratum: HealthAnswer["strata"][number]["stratum"], fields: readonly string[]): string {
  if (typeof stratum === "string") return stratum;
  return fields.map((field) => stratum[field] ?? "-").join(" / ");
}

/** The newest hours in which anything was tried or used. */
function renderLastHours(windows: readonly Window[]): string[] {
  const byHour = new Map<number, Window[]>();
  for (const window of windows) {
    const hour = Math.floor(Date.parse(window.start) / HOUR_MS);
    byHour.set(hour, [...(byHour.get(hour) ?? []), window]);
  }
  const hours = [...byHour].toSorted(([left], [right]) => left - right).slice(-HOURS_SHOWN);
  if (hours.length === 0) return ["No attempt and no use in the hours looked at: --hours looks further back"];
  const rows = hours.map(([hour, ofHour]) => {
    const sum = (outcome: string): string =>
      formatCount(ofHour.reduce((total, { devices }) => total + of(devices, outcome), 0));
    const sumHours = (use: keyof Hours): string =>
      formatCount(ofHour.reduce((total, each) => total + each.hours[use], 0));
    const outcomes = ["attempted", "confirmed", "failed", "silent"].map(sum);
    const start = formatTime(new Date(hour * HOUR_MS).toISOString()).slice(0, 16);
    return [`  ${start}`, ...outcomes, sumHours("active"), sumHours("crashed")];
  });
  const head = ["", "tried", "confirmed", "failed", "silent", "active", "crashed"];
  return [
    "By the hour of the attempt (UTC); active and crashed are device-hours",
    ...alignColumns([head, ...rows]),
    ...andMore(byHour.size - HOURS_SHOWN, "hours"),
  ];
}

/** A line for each minute up to the newest attempt; none once these windows have been rolled up. */
function renderLastMinutes(windows: readonly Window[]): string[] {
  const newest = windows.findLast(({ devices }) => of(devices, "attempted") > 0);
  if (newest === undefined || newest.minutes !== 1) return [];
  const last = Date.parse(newest.start) / MINUTE_MS;
  const minuteOf = ({ start }: Window): number => Date.parse(start) / MINUTE_MS;
  const shown = windows.filter(
    (window) => window.minutes === 1 && minuteOf(window) > last - MINUTES_SHOWN && minuteOf(window) <= last,
  );
  const series = (outcome: string): number[] => {
    const values = Array.from({ length: MINUTES_SHOWN }, () => 0);
    for (const window of shown)
      values[minuteOf(window) - last + MINUTES_SHOWN - 1]! += of(window.devices, outcome);
    return values;
  };
  const rows = ["attempted", "failed"].map((outcome) => {
    const values = series(outcome);
    const name = outcome === "attempted" ? "tried" : outcome;
    return [`  ${name}`, sparkline(values), formatCount(Math.max(...values))];
  });
  const clock = (minute: number): string => new Date(minute * MINUTE_MS).toISOString().slice(11, 16);
  return [
    `By the minute of the attempt, ${clock(last - MINUTES_SHOWN + 1)} to ${clock(last)} (UTC), and the most in a minute`,
    ...alignColumns(rows),
  ];
}

const SPARKS = Array.from("▁▂▃▄▅▆▇█");

/** One character a value, the largest one full; `·` = none. */
export function sparkline(values: readonly number[]): string {
  const most = Math.max(...values);
  return values
    .map((value) => (value <= 0 ? "·" : SPARKS[Math.ceil((SPARKS.length * value) / most) - 1]!))
    .join("");
}
