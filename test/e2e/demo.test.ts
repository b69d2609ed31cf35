// The main job end to end, as a user sees it: real processes, public interfaces, a small fleet.
import { describe, expect, it } from "vitest";
import { runDemo, runDemoAsExpected } from "../support/run-demo.ts";

const SMALL_FLEET = ["--devices", "3000", "--rollout-seconds", "8"];

describe("npm run demo", () => {
  it("rolls a bad release back, counts exactly, and survives SIGKILL of the agent in the middle", async () => {
    const report = await runDemoAsExpected(
      ...SMALL_FLEET,
      "--bad-rate",
      "20%",
      "--kill-agent",
      "--seed",
      "11",
    );
    expect(report).toMatchObject({
      expectation: "rollback",
      rolled_back: true,
      good_release_stayed: true,
      books_agree: true,
      faults: [],
    });
    expect(report.timeline.some(({ text }) => text.includes("killed with SIGKILL"))).toBe(true);
    expect(report.rollback?.to).toBe("1.5.0");
    expect(report.rollback?.evidence_log10).toBeGreaterThanOrEqual(report.rollback!.threshold_log10);
    expect(report.rollback?.sentence).not.toBe("");
    expect(report.good_release.attempted).toBe(3_000);
    // Reports were really sent: the books agree about something.
    expect(report.books["1.6.0"]?.attempted).toBeGreaterThan(100);
  });

  it("leaves releases within the limit alone", async () => {
    const report = await runDemoAsExpected(...SMALL_FLEET, "--bad-rate", "1%", "--seed", "12");
    expect(report).toMatchObject({ expectation: "no_rollback", rolled_back: false, rollback: null });
    expect(report).toMatchObject({ good_release_stayed: true, books_agree: true, faults: [] });
    expect(report.bad_release.attempted).toBeGreaterThan(2_900);
    expect(report.bad_release.running_at_end).toBeGreaterThan(2_800);
  });

  it("says what is wrong with a flag and starts nothing", async () => {
    const run = await runDemo("--bad-rate", "eight");
    expect(run.exitCode).toBe(2);
    expect(run.progress).toContain("write a share such as 8% or 0.08");
    expect((await runDemo("--devices", "99")).exitCode).toBe(2);
  });
});
