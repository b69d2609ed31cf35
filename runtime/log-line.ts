// One line of a process's log in the form that people read on a terminal: JSON of our own (see logger.ts), or logfmt of
// Prometheus, Alertmanager and Grafana. Pure.

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof LEVELS)[number];

export interface HumanLine {
  readonly level: LogLevel;
  /** `12:03:04 agent warn: lost Redis, reconnecting (role=worker)` */
  readonly text: string;
  /** The message alone. */
  readonly message: string;
}

const NOT_SHOWN: ReadonlySet<string> = new Set([
  "level",
  "time",
  "pid",
  "name",
  "msg",
  "err",
  "hostname",
  "v",
  "ts",
  "t",
  "caller",
  "source",
]);

/** A line of neither form (a stack trace on stderr, say) counts as an error and is shown as it is. */
export function humanLogLine(name: string, line: string): HumanLine {
  const record = parseRecord(line) ?? parseLogfmt(line);
  if (record === undefined) return { level: "error", text: `${name}: ${shown(line)}`, message: shown(line) };
  const level = levelOf(record["level"]);
  const message = messageOf(record);
  const details = Object.entries(record)
    .filter(([key]) => !NOT_SHOWN.has(key))
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const at = record["time"] ?? record["ts"] ?? record["t"];
  const time = typeof at === "string" ? `${at.slice(11, 19)} ` : "";
  const suffix = details.length === 0 ? "" : ` (${details.join(", ")})`;
  return { level, text: shown(`${time}${name} ${level}: ${message}${suffix}`), message: shown(message) };
}

/** What devices or people wrote must not reach the terminal as a command. Tabs and line breaks stay. */
function shown(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]|\p{Cf}/gu, "?");
}

export function isAtLeast(level: LogLevel, least: LogLevel): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(least);
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** A name, and what it says: bare, or quoted with backslashes as in JSON. */
const LOGFMT_PAIR = /([\w.]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)/g;

/** How such a line begins, and how long it may be: a longer word than that would take seconds to look through. */
const LOGFMT_START = /^(?:ts|t|time|level|logger|caller)=/;
const LOGFMT_CHARS_MAX = 8_192;

/** Undefined for a line that is something else, or names no level. */
function parseLogfmt(line: string): Record<string, unknown> | undefined {
  if (line.length > LOGFMT_CHARS_MAX || !LOGFMT_START.test(line)) return undefined;
  const record: Record<string, unknown> = {};
  for (const [, name, text] of line.matchAll(LOGFMT_PAIR))
    record[name!] = text!.startsWith('"') ? unquoted(text!) : text;
  return record["level"] === undefined ? undefined : record;
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text.slice(1, -1);
  }
}

const LEVELS_OF_OTHERS: Readonly<Record<string, LogLevel>> = {
  warning: "warn",
  eror: "error",
  critical: "fatal",
  crit: "fatal",
  panic: "fatal",
};

/** A level that nobody knows is shown rather than hidden; a line without one is nothing special. */
function levelOf(told: unknown): LogLevel {
  if (typeof told !== "string") return "info";
  const name = told.toLowerCase();
  return LEVELS.find((known) => known === name) ?? LEVELS_OF_OTHERS[name] ?? "error";
}

function messageOf(record: Record<string, unknown>): string {
  const message = typeof record["msg"] === "string" ? record["msg"] : "";
  const error = record["err"];
  const told =
    typeof error === "object" && error !== null && "message" in error ? error.message : (error ?? "");
  const cause = typeof told === "string" ? told : "";
  if (message === "") return cause;
  return cause === "" || message.includes(cause) ? message : `${message}: ${cause}`;
}
