// Exactness under violence at full size: while a fleet of 50,000 devices reports, the agent is killed at 30
// random instants and Redis twice; two agents run at the same time for a while. Prints its progress.
import { expect, it } from "vitest";
import { expectExactCounts } from "../support/fold-crash.ts";

it("counts stay exact while 50,000 devices report, agents die and Redis restarts", async () => {
  const report = await expectExactCounts({
    seed: Number(process.env["SEED"] ?? 1),
    devices: 50_000,
    requests: 3_000,
    kills: 30,
    redisKills: 2,
    lifeMsMax: 4_000,
    frozenMs: 8_000,
    onProgress: (line) => process.stdout.write(`fold-crash: ${line}\n`),
  });
  process.stdout.write(`fold-crash: ${JSON.stringify(report)}\n`);
  expect(report.killsAtWork).toBeGreaterThanOrEqual(10);
  expect(report.commitsLost).toBeGreaterThan(0);
  expect(report.silentInTheStorm).toBeGreaterThan(0);
}, 1_800_000);
