// What the agent rests on fails while it watches: an OTA server that hangs, an Alertmanager that is away, a configuration file
// that is broken, a SIGTERM in the middle of folding. Real processes throughout; what is elsewhere goes on, nothing is lost.
import { writeFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import {
  AGENT_RSS_BYTES_MAX,
  CALM_APP,
  LOADED_APP,
  openAgentStage,
  untilRolledBack,
} from "../support/agent-stage.ts";
import type { AgentStage } from "../support/agent-stage.ts";
import { PAGES_TOLD, tellAlertmanagerAway } from "../support/alertmanager-away.ts";
import { createFleet, expectCountedByAgent } from "../support/fault-stage.ts";
import { tellOtaHang } from "../support/ota-hang.ts";
import type { PartProcess } from "../support/part-process.ts";
import { waitUntil } from "../support/wait-until.ts";

let stage: AgentStage | undefined;

afterEach(async () => {
  await stage?.close();
  stage = undefined;
});

test("an OTA server that takes connections and never answers: others are judged, its channels move once when it is back", async () => {
  const { attemptsLeast } = await tellOtaHang({ hungMs: 1_500, otaTimeout: "500ms", decided: 2, later: 3 });
  expect(attemptsLeast).toBeGreaterThan(1);
});

test("Alertmanager hangs, then is gone: rollbacks go on, and its pages arrive when it is back", async () => {
  expect(await tellAlertmanagerAway({ hungMs: 1_500, goneMs: 1_500 })).toEqual(PAGES_TOLD);
});

describe("a configuration file with a mistake, reloaded (SIGHUP) under load", () => {
  test("by agent and ingest: the settings of before go on, the log and a metric say so, no report is turned away", async () => {
    stage = await openAgentStage();
    const [ingest, agent] = await Promise.all([stage.startIngestBeside(), stage.startAgent()]);
    const fleet = createFleet(ingest);
    const stop = fleet.reportAllTheTime();
    await untilAcknowledged(fleet, 300);
    expect(await agent.sample("ota_config_reload_success")).toBe(1);
    // The second mistake is one of YAML itself; by the first the file would do nothing where it did something before.
    for (const broken of [stage.configText.replace("limit: 5%", "limit: 500%"), `${stage.configText}\n- [`]) {
      writeFileSync(stage.configFile, broken);
      await reload(agent, ingest);
      await waitUntil(
        () => agent.sample("ota_config_reload_success"),
        (success) => success === 0,
      );
      await untilAcknowledged(fleet, fleet.acknowledged.size + 300);
    }
    expect(agent.log()).toMatch(
      /the configuration file has mistakes, the settings stay as they were: .*both\.yaml:\d+:\d+: /,
    );
    // The limit of before is in force.
    await stage.failEach([CALM_APP]);
    await untilRolledBack(agent, [CALM_APP]);
    writeFileSync(stage.configFile, stage.configText);
    await reload(agent, ingest);
    await waitUntil(
      () => agent.sample("ota_config_reload_success"),
      (success) => success === 1,
    );
    await stop();
    expect([...fleet.answers.keys()]).toEqual(["202"]);
    expect([ingest.child.exitCode, agent.child.exitCode]).toEqual([null, null]);
    expect(ingest.log()).toContain("ingest takes its settings when it starts");
    await expectCountedByAgent(stage, fleet, LOADED_APP);
    expect(agent.rssBytes()).toBeLessThan(AGENT_RSS_BYTES_MAX);
  });
});

test("the agent stopped (SIGTERM) under load, again and again: it ends in order, and the next one's counts are exact", async () => {
  stage = await openAgentStage();
  const ingest = await stage.startIngestBeside();
  const fleet = createFleet(ingest);
  const stop = fleet.reportAllTheTime();
  for (let times = 0; times < 2; times += 1) {
    const agent = await stage.startAgent();
    const folded = async (): Promise<number> => (await agent.sample("ota_folded_reports_total")) ?? 0;
    const before = await folded();
    await waitUntil(folded, (reports) => reports > before);
    expect(await agent.stop()).toBe(0);
  }
  await stop();
  expect([...fleet.answers.keys()]).toEqual(["202"]);
  const last = await stage.startAgent();
  await expectCountedByAgent(stage, fleet, LOADED_APP);
  expect(last.rssBytes()).toBeLessThan(AGENT_RSS_BYTES_MAX);
});

async function untilAcknowledged(fleet: ReturnType<typeof createFleet>, reports: number): Promise<void> {
  await waitUntil(
    () => fleet.acknowledged.size,
    (acknowledged) => acknowledged >= reports,
  );
}

async function reload(...parts: readonly PartProcess[]): Promise<void> {
  for (const { child } of parts) child.kill("SIGHUP");
}
