// What a command may know of the world outside: environment, folder, where to print. Commands get it as an
// argument, so that tests run them without a process of their own. Also the exit codes, which are a promise.
import type { Environment } from "../../runtime/config-file.ts";

export interface CliContext {
  readonly env: Environment;
  readonly workingDir: string;
  /** Without a line break: partial lines are allowed. */
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** The code with which the process ends when nothing is left to do. */
  readonly setExitCode: (code: ExitCode) => void;
}

export const EXIT_CODES = {
  ok: 0,
  /** Something did not work; the message says what to do. */
  failed: 1,
  /** The configuration has mistakes. */
  configuration: 2,
  /** Interrupted a second time: nothing was waited for. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

export function processContext(): CliContext {
  // A terminal that was closed must not end the stopping of children half-way.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  return {
    env: process.env,
    workingDir: process.cwd(),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    setExitCode: (code) => void (process.exitCode = code),
  };
}
