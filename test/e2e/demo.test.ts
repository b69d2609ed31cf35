// The main job end to end, as a user sees it: real processes, public interfaces, a small fleet.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { untilProcessGone } from "../../runtime/pid-file.ts";
import { distPath, runDemo, runDemoAsExpected } from "../support/run-demo.ts";

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
    expect(report.rollback?.decided_after_kill).toBe(true);
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

  it.each([
    ["SIGINT", 130],
    ["SIGKILL", null],
  ] as const)("leaves nothing running when it is ended by %s", async (signal, exitCode) => {
    const folder = mkdtempSync(join(tmpdir(), "lastgood-ended-"));
    const demo = spawn(process.execPath, [distPath("test/simulation/demo.js"), ...SMALL_FLEET], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, TMPDIR: folder },
    });
    const ended = new Promise<number | null>((resolve) => void demo.once("close", resolve));
    await untilPrinted(demo.stdout, "1.5.0 is published");
    const pids = pidsUnder(folder);
    expect(pids).toHaveLength(4);
    demo.kill(signal);
    expect(await ended).toBe(exitCode);
    for (const pid of pids) expect(await untilProcessGone(pid, 20_000)).toBe(true);
    // Only a demo that was killed has no time to clean up behind itself.
    expect(readdirSync(folder)).toHaveLength(signal === "SIGINT" ? 0 : 1);
    rmSync(folder, { recursive: true, force: true });
  });

  it("says what is wrong with a flag and starts nothing", async () => {
    const run = await runDemo("--bad-rate", "eight");
    expect(run.exitCode).toBe(2);
    expect(run.progress).toContain("write a share such as 8% or 0.08");
    expect((await runDemo("--devices", "99")).exitCode).toBe(2);
  });
});

function untilPrinted(output: Readable, words: string): Promise<void> {
  let text = "";
  return new Promise((resolve, reject) => {
    output.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.includes(words)) resolve();
    });
    output.once("end", () => reject(new Error(`it ended without printing "${words}":\n${text}`)));
  });
}

/** Everything that Lastgood runs in the one demo that has its folder here. */
function pidsUnder(folder: string): number[] {
  const run = join(folder, readdirSync(folder)[0]!, "data", "run");
  const files = readdirSync(run).filter((name) => name.endsWith(".pid"));
  return files.map((name) => Number(readFileSync(join(run, name), "utf8")));
}
