// A vitest reporter that ends the output with one plain line, `12 passed, 0 failed, 1 skipped`, which
// scripts and CI can read whatever vitest's own summary looks like. Enters: the results of a run. Leaves:
// the line on stdout, as the last thing the process writes.
import { writeSync } from "node:fs";

/** What the line needs to know of a run; vitest's TestModule has all of it. */
export interface TestedModule {
  readonly children: { allTests(): Iterable<TestedCase> };
  /** Errors outside tests: the file did not load, or a hook failed. */
  errors(): readonly unknown[];
}
interface TestedCase {
  result(): { readonly state: "passed" | "failed" | "skipped" | "pending" };
}

export function closingLineOf(modules: readonly TestedModule[], unhandledErrors: readonly unknown[]): string {
  const count = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 };
  for (const module of modules) {
    for (const test of module.children.allTests()) count[test.result().state] += 1;
    count.failed += module.errors().length;
  }
  // A test that never ended has not passed.
  return `${count.passed} passed, ${count.failed + count.pending} failed, ${count.skipped} skipped`;
}

export interface ClosingLineReporter {
  onTestRunEnd(modules: readonly TestedModule[], unhandledErrors: readonly unknown[]): void;
}

export function closingLine(): ClosingLineReporter {
  let line: string | undefined;
  return {
    onTestRunEnd(modules, unhandledErrors) {
      // Other reporters still write after this; at `exit` they are done, and only a synchronous write gets out.
      if (line === undefined) process.once("exit", () => void writeSync(1, `\n${line}\n`));
      line = closingLineOf(modules, unhandledErrors);
    },
  };
}
