// What the agent rests on fails while it watches: an OTA server that hangs, an Alertmanager that is away, a configuration file
// that is broken, a SIGTERM in the middle of folding. Real processes throughout; what is elsewhere goes on, nothing is lost.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { LISTENING_KEY } from "../../ingest/contract/listening.ts";
import { sleep } from "../../runtime/clock.ts";
import { createTestFleet } from "../support/agent.ts";
import type { TestFleet } from "../support/agent.ts";
import {
  AGENT_RSS_BYTES_MAX,
  BAD_VERSION,
  CALM_APP,
  GOOD_VERSION,
  LOADED_APP,
  decisionsOf,
  openAgentStage,
  untilRolledBack,
} from "../support/agent-stage.ts";
import type { AgentStage } from "../support/agent-stage.ts";
import { PAGES_TOLD, tellAlertmanagerAway } from "../support/alertmanager-away.ts";
import { createFleet, expectCountedByAgent } from "../support/fault-stage.ts";
import { tellOtaHang } from "../support/ota-hang.ts";
import type { PartProcess } from "../support/part-process.ts";
import { waitUntil } from "../support/wait-until.ts";

/** In which a process has surely seen that its clock jumped, and looked for silence by it. */
const CLOCK_SEEN_MS = 500;

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

describe("the agent's clock jumps by an hour, forth and back, while reports come in", () => {
  const DEADLINE_MS = 5 * 60_000;
  const HOUR_MS = 3_600_000;
  const OWING = 20;

  test("counts are exact, no device is silent before its time, and those that are silent are acted on in time", async () => {
    stage = await openAgentStage({ rules: "{ signal: silence, limit: 2%, deadline: 5m }" });
    const clock = path.join(stage.folder, "clock");
    writeFileSync(clock, "0");
    const [ingest, agent] = await Promise.all([
      stage.startIngestBeside(),
      stage.startAgent({
        nodeArgs: ["--import", path.resolve(import.meta.dirname, "../support/shift-clock.mjs")],
        env: { SHIFT_CLOCK: clock },
      }),
    ]);
    const startedAtMs = Date.now();
    // A third of the devices that tried the calm app's new version began it, and say nothing more.
    const tried = { version: BAD_VERSION };
    await report(stage, { ...tried, devices: [1, OWING], events: ["update_started"], isSilent: true });
    await report(stage, { ...tried, devices: [OWING + 1, 60], events: ["confirmed"] });
    const fleet = createFleet(ingest);
    const stop = fleet.reportAllTheTime();
    const folded = async (): Promise<number> => (await agent.sample("ota_folded_reports_total")) ?? 0;
    const silent = (): Promise<number | undefined> =>
      agent.sample(`ota_silent_devices{app="${CALM_APP}",channel="production",version="${BAD_VERSION}"}`);
    for (const shiftMs of [HOUR_MS, 0, -HOUR_MS, 0]) {
      writeFileSync(clock, String(shiftMs));
      await sleep(CLOCK_SEEN_MS);
      const before = await folded();
      await waitUntil(folded, (reports) => reports > before + 200);
      expect((await silent()) ?? 0).toBe(0);
      expect((await decisionsOf(agent)).has(CALM_APP)).toBe(false);
    }
    await stop();
    expect([...fleet.answers.keys()]).toEqual(["202"]);
    // None of them is silent: the model knows no deadline.
    await expectCountedByAgent(stage, fleet, LOADED_APP);
    // From here on time goes by as it should: we listened all along, and the deadline is over.
    expect(await ingest.stop()).toBe(0);
    const passedMs = 2 * DEADLINE_MS;
    await stage.redis.hset(LISTENING_KEY, { since: startedAtMs, last: Date.now() + passedMs });
    writeFileSync(clock, String(passedMs));
    await sleep(CLOCK_SEEN_MS);
    // A word of each shard: after folding the agent looks at once, and else every few seconds.
    const others = { version: GOOD_VERSION, events: ["active"] } as const;
    await report(stage, { ...others, devices: [100, 140] });
    await waitUntil(silent, (devices) => devices === OWING);
    // To an OTA server whose clock is right, what is signed by this one is too new: held back, until the clocks agree.
    writeFileSync(clock, "0");
    await sleep(CLOCK_SEEN_MS);
    await report(stage, { ...others, devices: [200, 240] });
    const decision = (await untilRolledBack(agent, [CALM_APP], 40_000)).get(CALM_APP);
    expect(decision).toMatchObject({ version: BAD_VERSION });
    expect(agent.rssBytes()).toBeLessThan(AGENT_RSS_BYTES_MAX);
  });

  async function report(
    on: AgentStage,
    told: Omit<Parameters<TestFleet["report"]>[0], "app">,
  ): Promise<void> {
    const fleet = await createTestFleet(on.server().url);
    await fleet.report({ app: CALM_APP, ...told });
    fleet.close();
  }
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
