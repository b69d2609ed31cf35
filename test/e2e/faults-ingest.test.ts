// The ingest process dies, is stopped, or stands on a disk that takes no more, while it is the only one that has the reports:
// what was acknowledged is counted after the next start, and what was not is never called so.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sleep } from "../../runtime/clock.ts";
import {
  INGEST_RSS_BYTES_MAX,
  createFleet,
  expectNothingLost,
  openFaultStage,
  untilDrained,
} from "../support/fault-stage.ts";
import type { FaultStage } from "../support/fault-stage.ts";
import type { PartProcess } from "../support/part-process.ts";
import { waitUntil } from "../support/wait-until.ts";

const HOUR_MS = 3_600_000;

let stage: FaultStage;

beforeEach(async () => {
  stage = await openFaultStage();
});

afterEach(async () => {
  await stage.close();
});

function segments(): string[] {
  return readdirSync(path.join(stage.folder, "data", "spool"), { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".spool"),
  );
}

describe("killed (SIGKILL)", () => {
  test("right after a 202 that only the disk stands for: counted after the next start", async () => {
    const ingest = await stage.startIngest();
    const fleet = createFleet(ingest);
    await stage.killRedis();
    const stop = fleet.reportAllTheTime();
    await waitUntil(
      () => fleet.acknowledged.size,
      (acknowledged) => acknowledged > 500,
    );
    await ingest.kill();
    await stop();
    expect(segments()).not.toEqual([]);
    await stage.restartRedis();
    const next = await stage.startIngest();
    await untilDrained(next);
    expect(segments()).toEqual([]);
    await expectNothingLost(stage, fleet);
  });

  test("again and again while it drains: some of it comes twice, and changes no count", async () => {
    let ingest = await stage.startIngest();
    const fleet = createFleet(ingest);
    await stage.killRedis();
    while (fleet.acknowledged.size < 3_000) expect(await fleet.send(1)).toBe("202");
    await stage.restartRedis();
    for (let kill = 0; kill < 3; kill += 1) {
      await waitUntil(
        () => ingest.sample('ota_ingest_spool_reports_total{result="drained"}'),
        (reports) => (reports ?? 0) > 0,
      );
      await ingest.kill();
      ingest = await stage.startIngest();
      fleet.retarget(ingest);
    }
    await untilDrained(ingest);
    const { repeated } = await expectNothingLost(stage, fleet);
    expect(repeated).toBeGreaterThan(0);
  });

  test("one of two: the one that starts next takes over what the dead one left, and not what the living one has", async () => {
    const [one, other] = [await stage.startIngest(), await stage.startIngest()];
    const [fleet, othersFleet] = [createFleet(one), createFleet(other)];
    await stage.killRedis();
    expect(await fleet.send(10)).toBe("202");
    await one.kill();
    expect(segments()).toEqual([path.join("0", "000000000001.spool")]);
    await stage.restartRedis();
    const next = await stage.startIngest();
    await untilDrained(next);
    expect(await othersFleet.send(10)).toBe("202");
    expect(next.log()).toContain("the spool holds reports of an earlier run");
    await expectNothingLost(stage, fleet);
  });
});

describe("stopped (SIGTERM) under load", () => {
  test.each([
    ["while Redis takes reports", async () => {}],
    ["while Redis is away", () => stage.killRedis()],
  ])("%s: nothing in flight is lost, and it ends in order", async (_, begin) => {
    const ingest = await stage.startIngest();
    const fleet = createFleet(ingest);
    await begin();
    const stop = fleet.reportAllTheTime(16);
    await waitUntil(
      () => fleet.acknowledged.size,
      (acknowledged) => acknowledged > 300,
    );
    expect(await ingest.stop()).toBe(0);
    await stop();
    expect([...fleet.answers.keys()].filter((answer) => answer !== "unanswered")).toEqual(["202"]);
    if (!(await isRedisUp())) await stage.restartRedis();
    await untilDrained(await stage.startIngest());
    await expectNothingLost(stage, fleet);
  });
});

async function isRedisUp(): Promise<boolean> {
  return await Promise.race([stage.redis.ping().then(() => true), sleep(1_000).then(() => false)]);
}

describe("a clock that jumps by an hour, forth and back, while reports come in", () => {
  test.each([
    ["and Redis takes them", async () => {}],
    ["and the spool holds them", () => stage.killRedis()],
  ])("%s: each is taken, kept once, and drained", async (_, begin) => {
    const clock = path.join(stage.folder, "clock");
    writeFileSync(clock, "0");
    const ingest = await stage.startIngest({
      nodeArgs: ["--import", path.resolve(import.meta.dirname, "../support/shift-clock.mjs")],
      env: { SHIFT_CLOCK: clock },
    });
    const fleet = createFleet(ingest);
    await begin();
    const stop = fleet.reportAllTheTime();
    for (const shiftMs of [HOUR_MS, 0, -HOUR_MS, 0]) {
      writeFileSync(clock, String(shiftMs));
      await sleep(400);
      const before = fleet.acknowledged.size;
      await waitUntil(
        () => fleet.acknowledged.size,
        (now) => now > before,
      );
    }
    await stop();
    if (!(await isRedisUp())) await stage.restartRedis();
    await untilDrained(ingest);
    expect([...fleet.answers.keys()]).toEqual(["202"]);
    // An hour back, what devices call now is in our future: so the jumps did happen.
    expect(await ingest.sample('ota_ingest_clock_skew_total{direction="future"}')).toBeGreaterThan(0);
    expect(ingest.rssBytes()).toBeLessThan(INGEST_RSS_BYTES_MAX);
    await expectNothingLost(stage, fleet);
  });
});

describe("a disk that takes no more", () => {
  /** Blocks of 1,024 bytes that a file may have: what a process with a limit gets is EFBIG, in the middle of a write. */
  const FILE_BLOCKS_MAX = 64;

  test("a limit on file sizes: told apart byte by byte, and never a crash", async () => {
    const ingest = await stage.startIngest({ shell: `ulimit -f ${FILE_BLOCKS_MAX};` });
    await expectHonestDisk(ingest);
  });

  test.runIf(process.getuid?.() === 0)("a full file system (tmpfs, as root): ENOSPC", async () => {
    const folder = path.join(stage.folder, "small");
    mkdirSync(folder);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]);
    try {
      const ingest = await stage.startIngest({ spool: `{ dir: ${folder} }` });
      await expectHonestDisk(ingest);
      expect(ingest.log()).toContain("ENOSPC");
      await ingest.stop();
    } finally {
      execFileSync("umount", [folder]);
    }
  });

  /** Said once for the whole outage. What a process says arrives after its answers may. */
  const DISK_COMPLAINT = "the spool can't be written: look at the disk";

  async function expectHonestDisk(ingest: PartProcess): Promise<void> {
    const fleet = createFleet(ingest);
    await stage.killRedis();
    await waitUntil(
      () => fleet.send(100),
      (answer) => answer === "redis_unavailable",
    );
    expect(fleet.acknowledged.size).toBeGreaterThan(100);
    await waitUntil(
      () => Promise.resolve(ingest.log()),
      (log) => log.includes(DISK_COMPLAINT),
    );
    expect(ingest.log().split(DISK_COMPLAINT)).toHaveLength(2);
    expect(ingest.child.exitCode).toBe(null);
    await stage.restartRedis();
    await waitUntil(
      () => fleet.send(),
      (answer) => answer === "202",
    );
    await untilDrained(ingest);
    expect(ingest.rssBytes()).toBeLessThan(INGEST_RSS_BYTES_MAX);
    await expectNothingLost(stage, fleet);
  }
});
