// Ingest as several processes (`ingest.processes`), from dist/: killed, stopped, cut off from Redis. What was acknowledged is
// counted, and what /metrics says is what the fleet was told.
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFleet, expectNothingLost, openFaultStage, untilDrained } from "../support/fault-stage.ts";
import type { FaultStage, Fleet } from "../support/fault-stage.ts";
import { childrenOf, isGone } from "../support/part-process.ts";
import type { PartProcess } from "../support/part-process.ts";
import { waitUntil } from "../support/wait-until.ts";

const PROCESSES = 2;
const ACCEPTED = 'ota_ingest_reports_total{result="accepted"}';

let stage: FaultStage;
let ingest: PartProcess;

beforeEach(async () => {
  stage = await openFaultStage();
});
afterEach(() => stage.close());

const startAll = async (more = ""): Promise<void> => {
  ingest = await stage.startIngest({ settings: `processes: ${PROCESSES}${more}` });
};

const acknowledgedBy = (fleet: Fleet, least: number) => (): Promise<number> =>
  waitUntil(
    () => fleet.acknowledged.size,
    (acknowledged) => acknowledged > least,
  );

interface Ready {
  readonly status: string;
  readonly checks: Readonly<Record<string, string>>;
}

async function readiness(): Promise<Ready> {
  return (await (await fetch(`${ingest.operationsUrl}/readyz`)).json()) as Ready;
}

describe("while all is well", () => {
  test("all workers serve one address, and one /metrics counts what all of them took", async () => {
    await startAll();
    expect(childrenOf(ingest)).toHaveLength(PROCESSES);
    const fleet = createFleet(ingest);
    const stop = fleet.reportAllTheTime();
    await acknowledgedBy(fleet, 1_000)();
    await stop();
    expect(await ingest.sample(ACCEPTED)).toBe(fleet.acknowledged.size);
    const requests =
      'http_server_request_duration_seconds_count{route="/v1/reports",method="POST",status_class="2xx"}';
    expect(await ingest.sample(requests)).toBe(fleet.answers.get("202"));
    expect(await readiness()).toEqual({
      status: "ready",
      checks: { redis: "ok", process: "ok", workers: "ok" },
    });
    await expectNothingLost(stage, fleet);
  });

  test("more connections than all may have are closed, and counted", async () => {
    const each = 3;
    await startAll(`, limits: { connections: ${each} }`);
    const { hostname, port } = new URL(ingest.url);
    const sockets: Socket[] = [];
    let closed = 0;
    for (let index = 0; index < 5 * PROCESSES * each; index += 1)
      sockets.push(
        connect({ host: hostname, port: Number(port) })
          .on("error", () => {})
          .on("close", () => (closed += 1)),
      );
    const beyond = sockets.length - PROCESSES * each;
    await waitUntil(
      () => ingest.sample('ota_connections_dropped_total{listener="ingest"}'),
      (dropped) => dropped === beyond,
    );
    expect(
      await waitUntil(
        () => closed,
        (count) => count >= beyond,
      ),
    ).toBe(beyond);
    for (const socket of sockets) socket.destroy();
  });
});

describe("a worker is killed", () => {
  test("while reports come in: another takes its place, nothing acknowledged is lost, and no counter falls", async () => {
    await startAll();
    const fleet = createFleet(ingest);
    const stop = fleet.reportAllTheTime();
    await acknowledgedBy(fleet, 500)();
    const [first] = childrenOf(ingest);
    const before = (await ingest.sample(ACCEPTED))!;
    process.kill(first!, "SIGKILL");
    await waitUntil(
      () => childrenOf(ingest),
      (pids) => pids.length === PROCESSES && !pids.includes(first!),
    );
    const readings = [before];
    await acknowledgedBy(fleet, fleet.acknowledged.size + 500)();
    readings.push((await ingest.sample(ACCEPTED))!);
    await waitUntil(readiness, ({ checks }) => checks["workers"] === "ok");
    await stop();
    readings.push((await ingest.sample(ACCEPTED))!);
    expect(readings).toEqual(readings.toSorted((one, other) => one - other));
    expect(ingest.log()).toContain("died: it is started again");
    await expectNothingLost(stage, fleet);
  });

  test("between two scrapes of nothing new: what it had counted stays counted, to the last report", async () => {
    await startAll();
    const fleet = createFleet(ingest);
    const stop = fleet.reportAllTheTime();
    await acknowledgedBy(fleet, 500)();
    await stop();
    expect(await ingest.sample(ACCEPTED)).toBe(fleet.acknowledged.size);
    for (const pid of childrenOf(ingest)) {
      process.kill(pid, "SIGKILL");
      // The other one keeps the port, which is any that was free.
      await waitUntil(
        () => childrenOf(ingest),
        (pids) => pids.length === PROCESSES && !pids.includes(pid),
      );
      await waitUntil(readiness, ({ checks }) => checks["workers"] === "ok");
      expect(await ingest.sample(ACCEPTED)).toBe(fleet.acknowledged.size);
    }
    expect(await fleet.send(7)).toBe("202");
    expect(await ingest.sample(ACCEPTED)).toBe(fleet.acknowledged.size);
  });

  test("told to end by itself (SIGTERM): its last reports are counted, and it is replaced", async () => {
    await startAll();
    const fleet = createFleet(ingest);
    for (let sent = 0; sent < 20; sent += 1) expect(await fleet.send(3)).toBe("202");
    const pids = childrenOf(ingest);
    // Never scraped until then.
    for (const pid of pids) process.kill(pid, "SIGTERM");
    await waitUntil(
      () => childrenOf(ingest).filter((pid) => !pids.includes(pid)),
      (fresh) => fresh.length === PROCESSES,
    );
    expect(await ingest.sample(ACCEPTED)).toBe(fleet.acknowledged.size);
  });
});

describe("stopped (SIGTERM)", () => {
  test("while Redis takes reports: nothing in flight is lost, and nobody is left over", async () => {
    await startAll();
    const fleet = createFleet(ingest);
    const stop = fleet.reportAllTheTime();
    await acknowledgedBy(fleet, 500)();
    const pids = childrenOf(ingest);
    expect(await ingest.stop()).toBe(0);
    await stop();
    expect(pids.filter((pid) => !isGone(pid))).toEqual([]);
    await expectNothingLost(stage, fleet);
  });

  test("all of them at once, as a terminal or a container's runtime does it", async () => {
    await startAll();
    const fleet = createFleet(ingest);
    const stop = fleet.reportAllTheTime();
    await acknowledgedBy(fleet, 500)();
    const pids = childrenOf(ingest);
    for (const pid of pids) process.kill(pid, "SIGINT");
    expect(await ingest.stop()).toBe(0);
    await stop();
    expect(pids.filter((pid) => !isGone(pid))).toEqual([]);
    await expectNothingLost(stage, fleet);
  });
});

test("a hang-up (SIGHUP) to all of them ends none", async () => {
  await startAll();
  const pids = childrenOf(ingest);
  for (const pid of [ingest.child.pid!, ...pids]) process.kill(pid, "SIGHUP");
  await waitUntil(
    () => ingest.log(),
    (log) => log.includes("start it anew to change them"),
  );
  expect(await createFleet(ingest).send(3)).toBe("202");
  expect(childrenOf(ingest)).toEqual(pids);
});

test("the first process is killed: no worker lives on", async () => {
  await startAll();
  const pids = childrenOf(ingest);
  await ingest.kill();
  const left = await waitUntil(
    () => pids.filter((pid) => !isGone(pid)),
    (alive) => alive.length === 0,
  );
  expect(left).toEqual([]);
});

test("Redis is away: each worker has a folder of the spool, and all of it is drained", async () => {
  await startAll();
  const fleet = createFleet(ingest);
  await stage.killRedis();
  const stop = fleet.reportAllTheTime();
  await acknowledgedBy(fleet, 500)();
  await stop();
  const folders = readdirSync(path.join(stage.folder, "data", "spool"));
  expect(folders).toHaveLength(PROCESSES);
  expect(await ingest.sample("ota_ingest_spooling")).toBe(1);
  expect((await readiness()).status).toBe("ready");
  await stage.restartRedis();
  await untilDrained(ingest);
  await expectNothingLost(stage, fleet);
});
