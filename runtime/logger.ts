// The log of a process: JSON lines on stdout (pino), level as a word, secrets redacted. Levels are a
// promise: error = a person must act now; warn = healed by itself but worth knowing; info = a handful of
// lines in a healthy day; one line per decision, never one per report.
import { pino } from "pino";
import type { Logger } from "pino";

export type { Logger };

const SECRET_PATHS = [
  "authorization",
  "token",
  "secret",
  "ingest_keys",
  "headers.authorization",
  "req.headers.authorization",
];

export interface LoggerOptions {
  readonly name: string;
  /** trace | debug | info | warn | error | silent */
  readonly level?: string | undefined;
}

export function createLogger({ name, level = "info" }: LoggerOptions): Logger {
  return pino({
    name,
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRET_PATHS, censor: "[redacted]" },
  });
}
