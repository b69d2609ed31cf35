// Runs the demo as a user does, as a process, and reads its JSON result. Needs the build in dist/, which
// `npm test` and `npm run test:soak` make first. When the demo fails, its progress and the tails of the
// logs that it prints become part of the error.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { DemoReport } from "../simulation/demo-timeline.ts";

export interface DemoRun {
  readonly exitCode: number | null;
  /** Undefined when the demo failed before it had a result. */
  readonly report: DemoReport | undefined;
  /** What a person would have seen; for messages. */
  readonly progress: string;
}

export function distPath(relative: string): string {
  const file = fileURLToPath(new URL(`../../dist/${relative}`, import.meta.url));
  if (!existsSync(file)) throw new Error(`${file} is missing: run "npm run build" first`);
  return file;
}

export function runDemo(...flags: readonly string[]): Promise<DemoRun> {
  return new Promise((resolve, reject) => {
    const demo = spawn(process.execPath, [distPath("test/simulation/demo.js"), "--json", ...flags], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let result = "";
    let progress = "";
    demo.stdout.setEncoding("utf8").on("data", (chunk: string) => void (result += chunk));
    demo.stderr.setEncoding("utf8").on("data", (chunk: string) => void (progress += chunk));
    demo.once("error", reject);
    demo.once("close", (exitCode) => {
      const report = result === "" ? undefined : (JSON.parse(result) as DemoReport);
      resolve({ exitCode, report, progress });
    });
  });
}

/** The result of a demo that must have ended as expected; everything it printed when it did not. */
export async function runDemoAsExpected(...flags: readonly string[]): Promise<DemoReport> {
  const { exitCode, report, progress } = await runDemo(...flags);
  if (exitCode !== 0 || report === undefined)
    throw new Error(
      `demo ${flags.join(" ")} ended with ${exitCode}\n${report?.faults.join("\n") ?? ""}\n${progress}`,
    );
  return report;
}
