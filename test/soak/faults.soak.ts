// The faults of test/e2e/faults-*.test.ts for longer, under load: Redis frozen for 60 s; then away for 60 s while ingest is
// killed again and again. In the end every acknowledged report is counted, exactly, and memory stayed bounded. Then an OTA
// server that hangs, and an Alertmanager that is away, for minutes, with timeouts as they are by default.
import { afterEach, beforeEach, expect, it } from "vitest";
import { sleep } from "../../runtime/clock.ts";
import {
  INGEST_RSS_BYTES_MAX,
  createFleet,
  expectNothingLost,
  openFaultStage,
  untilDrained,
} from "../support/fault-stage.ts";
import { PAGES_TOLD, tellAlertmanagerAway } from "../support/alertmanager-away.ts";
import type { FaultStage } from "../support/fault-stage.ts";
import { tellOtaHang } from "../support/ota-hang.ts";
import { waitUntil } from "../support/wait-until.ts";

const OUTAGE_MS = 60_000;
const DRAINED_MS_MAX = 240_000;
const KILLS = 5;

let stage: FaultStage;

beforeEach(async () => {
  stage = await openFaultStage();
});

afterEach(async () => {
  await stage.close();
});

it("Redis frozen for 60 s under load", async () => {
  const ingest = await stage.startIngest();
  const fleet = createFleet(ingest);
  const stop = fleet.reportAllTheTime(16);
  await sleep(2_000);
  stage.freezeRedis();
  await sleep(OUTAGE_MS);
  stage.thawRedis();
  await sleep(5_000);
  await stop();
  await untilDrained(ingest, DRAINED_MS_MAX);
  expect([...fleet.answers.keys()]).toEqual(["202"]);
  expect(ingest.rssBytes()).toBeLessThan(INGEST_RSS_BYTES_MAX);
  const counted = await expectNothingLost(stage, fleet);
  process.stdout.write(
    `faults: frozen for 60 s: ${JSON.stringify(counted)}, ${ingest.rssBytes()} bytes of RSS\n`,
  );
}, 600_000);

it("Redis away for 60 s, and ingest killed each time that it drains", async () => {
  let ingest = await stage.startIngest();
  const fleet = createFleet(ingest);
  const stop = fleet.reportAllTheTime(16);
  await sleep(2_000);
  await stage.killRedis();
  await sleep(OUTAGE_MS);
  await stage.restartRedis();
  for (let kill = 0; kill < KILLS; kill += 1) {
    await waitUntil(
      () => ingest.sample('ota_ingest_spool_reports_total{result="drained"}'),
      (reports) => (reports ?? 0) > 0,
    );
    await ingest.kill();
    ingest = await stage.startIngest();
    fleet.retarget(ingest);
  }
  await stop();
  await untilDrained(ingest, DRAINED_MS_MAX);
  expect(ingest.rssBytes()).toBeLessThan(INGEST_RSS_BYTES_MAX);
  const counted = await expectNothingLost(stage, fleet);
  expect(counted.repeated).toBeGreaterThan(0);
  process.stdout.write(`faults: killed ${KILLS} times: ${JSON.stringify(counted)}\n`);
}, 600_000);

it("an OTA server that hangs for three minutes: tried again, not stormed, and moved once", async () => {
  // More channels than an agent evaluates at once.
  const result = await tellOtaHang({ hungMs: 180_000, otaTimeout: "10s", decided: 10, later: 70 });
  // A try ends after 10 s at the latest, and the next one comes 15 s later at the earliest, but for the first few.
  expect(result.attemptsLeast).toBeGreaterThan(5);
  expect(result.attemptsMax).toBeLessThan(40);
  process.stdout.write(`faults: OTA server hung for 180 s: ${JSON.stringify(result)}\n`);
}, 900_000);

it("Alertmanager hangs for a minute and is gone for two: each page is told once when it is back", async () => {
  expect(await tellAlertmanagerAway({ hungMs: 60_000, goneMs: 120_000 })).toEqual(PAGES_TOLD);
}, 600_000);
