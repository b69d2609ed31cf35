// The benches as a developer runs them, with a fleet so small that only whether they work can be seen: that
// every report was folded, and that what memory is used for adds up. No time and no size is asserted.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { distPath } from "../support/run-demo.ts";

async function run(bench: string, ...flags: readonly string[]): Promise<string> {
  const main = distPath(`test/bench/${bench}.js`);
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...flags]);
  return stdout;
}

interface MemoryResult {
  readonly profile: string;
  readonly devices: number;
  readonly reports: number;
  readonly before: { readonly usedBytes: number };
  readonly after: { readonly usedBytes: number };
  readonly bytesPerDevice: number;
  readonly use: {
    readonly kinds: Readonly<Record<string, { readonly keys: number; readonly bytes: number }>>;
    readonly restBytes: number;
  };
}

it("bench:memory prints bytes per device, and what they are used for", async () => {
  const text = await run("memory", "--devices", "100", "--profile", "first-contact", "--json");
  const [result, ...others] = JSON.parse(text) as MemoryResult[];
  expect(others).toEqual([]);
  const { before, after, bytesPerDevice, use } = result!;
  expect(result).toMatchObject({ profile: "first-contact", devices: 100, reports: 300 });
  expect(bytesPerDevice).toBeGreaterThan(0);
  expect(bytesPerDevice * 100).toBeCloseTo(after.usedBytes - before.usedBytes, 3);
  const kinds = Object.values(use.kinds).reduce((sum, { bytes }) => sum + bytes, 0);
  // What Redis does by itself between two looks is not of any kind.
  expect(Math.abs(kinds + use.restBytes - (after.usedBytes - before.usedBytes))).toBeLessThan(4_096);
  expect(use.kinds["devices"]?.keys).toBeGreaterThan(10);
  expect(use.kinds["windows"]?.keys).toBe(16);
  // Every deadline is over, and has left the index.
  expect(use.kinds["deadlines"]?.keys).toBe(0);
});

it("bench:fold prints times, beside those of reading alone", async () => {
  const table = await run("fold", "--reports", "2000", "--devices", "50,100");
  const rows = table.split("\n").slice(2, 4);
  expect(rows.map((row) => row.split("|")[1])).toEqual([" 50 ", " 100 "]);
  expect(table).not.toContain("NaN");
});

it("bench:judge prints times, beside those of judging from scratch", async () => {
  const table = await run("judge", "--days", "3", "--strata", "2", "--times", "5");
  expect(table).toMatch(/^3 days, 2 kinds of device, 5 rules\n/);
  expect(
    table.split("\n").filter((row) => /^\| (from scratch|nothing|one cell|every cell)/.test(row)),
  ).toHaveLength(4);
  expect(table).not.toContain("NaN");
});

interface SpeedResult {
  readonly single: readonly {
    readonly server: string;
    readonly requestsPerSecond: { readonly median: number };
    readonly ratio: { readonly median: number };
    readonly cpuUs: { readonly median: number };
    readonly failed: number;
  }[];
  readonly batches: readonly { readonly ratio: { readonly median: number }; readonly failed: number }[];
  readonly "end-to-end": readonly { readonly acknowledged: number; readonly failed: number }[];
}

it("bench prints figures of each part, beside their references, and nothing failed", async () => {
  const parts = ["--only", "single,batches,end-to-end"];
  const text = await run("speed", ...parts, "--seconds", "1", "--rounds", "1", "--json");
  const { single, batches, "end-to-end": endToEnd } = JSON.parse(text) as SpeedResult;
  expect(single.map(({ server }) => server)).toEqual(["bare node:http", "Express", "ingest"]);
  expect(single[0]!.ratio.median).toBe(1);
  for (const { requestsPerSecond, cpuUs, failed } of single) {
    expect(requestsPerSecond.median).toBeGreaterThan(0);
    expect(cpuUs.median).toBeGreaterThan(0);
    expect(failed).toBe(0);
  }
  expect(batches.map(({ failed }) => failed)).toEqual([0, 0, 0]);
  for (const { ratio } of batches) expect(ratio.median).toBeGreaterThan(0);
  expect(endToEnd.length).toBeGreaterThan(1);
  for (const { acknowledged, failed } of endToEnd) {
    expect(acknowledged).toBeGreaterThan(0);
    expect(failed).toBe(0);
  }
});

it("bench refuses a part that there is not", async () => {
  await expect(run("speed", "--only", "everything")).rejects.toThrow("there are single, batches");
});

it("bench:scrape prints a scrape beside the same bytes from a bare server", async () => {
  const text = await run(
    "scrape",
    "--apps",
    "2",
    "--channels",
    "2",
    "--versions",
    "3",
    "--scrapes",
    "2",
    "--json",
  );
  const result = JSON.parse(text) as {
    series: number;
    measurements: readonly { medianMs: number; p95Ms: number; ratio: number }[];
  };
  // 12 releases with their counts at least.
  expect(result.series).toBeGreaterThan(12 * 21);
  expect(result.measurements).toHaveLength(5);
  for (const { medianMs, p95Ms, ratio } of result.measurements) {
    expect([medianMs > 0, p95Ms >= medianMs, ratio > 0]).toEqual([true, true, true]);
  }
});
