// The main job at full size: 20,000 devices; three seeds with a bad release, three with only good ones,
// and one where the agent is killed in the middle. Prints the figures of each run.
import { describe, expect, it } from "vitest";
import type { DemoReport } from "../simulation/demo-timeline.ts";
import { runDemoAsExpected } from "../support/run-demo.ts";

function summarise({ options, rollback, bad_release: bad, reports }: DemoReport): string {
  const what =
    rollback === null
      ? `no rollback, ${bad.failed} of ${bad.attempted} failed`
      : `rolled back after ${rollback.exposed_at_decision} devices (${rollback.failures} failed), ` +
        `${rollback.exposed_in_the_end} in the end, answer ${rollback.last_report_to_answer_ms} ms after the last needed report`;
  return `seed ${options.seed}, bad rate ${options.badRatio}: ${what}; ${reports.acknowledged} reports\n`;
}

async function run(...flags: readonly string[]): Promise<DemoReport> {
  const report = await runDemoAsExpected(...flags);
  process.stdout.write(summarise(report));
  return report;
}

describe("the demo with 20,000 devices", () => {
  it.each([1, 2, 3])("rolls the bad release back, seed %i", async (seed) => {
    const report = await run("--seed", `${seed}`);
    expect(report).toMatchObject({ rolled_back: true, good_release_stayed: true, books_agree: true });
  });

  it.each([1, 2, 3])("leaves only good releases alone, seed %i", async (seed) => {
    const report = await run("--seed", `${seed}`, "--bad-rate", "1%");
    expect(report).toMatchObject({ rolled_back: false, good_release_stayed: true, books_agree: true });
  });

  it("rolls the bad release back although the agent is killed in the middle", async () => {
    const report = await run("--seed", "4", "--kill-agent");
    expect(report).toMatchObject({ rolled_back: true, good_release_stayed: true, books_agree: true });
    expect(report.rollback?.decided_after_kill).toBe(true);
    expect(report.timeline.some(({ text }) => text.includes("the agent is back"))).toBe(true);
  });
});
