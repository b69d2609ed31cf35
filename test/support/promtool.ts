// Debian's promtool, as a person would run it. Enters: its arguments. Leaves: what it printed, and whether it was content.
import { spawn } from "node:child_process";
import { once } from "node:events";

const HOW_TO_GET = "install it (Debian, Ubuntu: apt-get install prometheus), as .ci/run and npm test do";

export interface PromtoolAnswer {
  readonly isContent: boolean;
  readonly output: string;
}

export function promtool(...args: readonly string[]): Promise<PromtoolAnswer> {
  return promtoolOn("", ...args);
}

/** `input`: what it reads on its standard input. */
export async function promtoolOn(input: string, ...args: readonly string[]): Promise<PromtoolAnswer> {
  const child = spawn("promtool", args, { stdio: ["pipe", "pipe", "pipe"] });
  // A promtool that is not there, or has read enough, closes it first.
  child.stdin.on("error", () => {}).end(input);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  const [code] = (await once(child, "close").catch((error: unknown) => {
    throw new Error(`promtool does not run; ${HOW_TO_GET}`, { cause: error });
  })) as [number | null];
  return { isContent: code === 0, output };
}
