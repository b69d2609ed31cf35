// An agent of several processes (`agent.processes`), from dist/: killed, stopped, reloaded under load. What was acknowledged is
// counted once, and whoever looks at the agent sees one.
import { writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LOADED_APP, openAgentStage } from "../support/agent-stage.ts";
import type { AgentStage } from "../support/agent-stage.ts";
import { createFleet, expectCountedByAgent } from "../support/fault-stage.ts";
import type { Fleet } from "../support/fault-stage.ts";
import { childrenOf, isGone } from "../support/part-process.ts";
import type { PartProcess } from "../support/part-process.ts";
import { cpuTicksOf } from "../support/process-time.ts";
import { waitUntil } from "../support/wait-until.ts";

const PROCESSES = 3;
/** The agent folds as well. */
const BESIDE = PROCESSES - 1;
/** CPU time that some thousand reports take, in clock ticks; a process that only waits takes none. */
const FOLDING_TICKS_LEAST = 3;

let stage: AgentStage;
let agent: PartProcess;
let fleet: Fleet;
let stopReporting: () => Promise<void>;

beforeEach(async () => {
  stage = await openAgentStage({ agentSettings: `processes: ${PROCESSES}` });
  const ingest = await stage.startIngestBeside();
  agent = await stage.startAgent();
  await waitUntil(folding, (state) => state === "ok");
  fleet = createFleet(ingest);
  stopReporting = fleet.reportAllTheTime();
});
afterEach(async () => {
  await stopReporting();
  await stage.close();
});

async function untilFolded(more: number): Promise<void> {
  const folded = async (): Promise<number> => (await agent.sample("ota_folded_reports_total")) ?? 0;
  const before = await folded();
  await waitUntil(folded, (reports) => reports >= before + more);
}

async function folding(): Promise<string> {
  const ready = (await (await fetch(`${agent.url}/readyz`)).json()) as { checks: Record<string, string> };
  return ready.checks["folding"]!;
}

test("one is killed while it folds: another takes its place, each report counts once, no counter falls", async () => {
  expect(childrenOf(agent)).toHaveLength(BESIDE);
  expect(await folding()).toBe("ok");
  const ticksAtFirst = childrenOf(agent).map(cpuTicksOf);
  await untilFolded(3_000);
  const [dying, other] = childrenOf(agent);
  const ticks = childrenOf(agent).map((pid, index) => cpuTicksOf(pid) - ticksAtFirst[index]!);
  expect(Math.min(...ticks)).toBeGreaterThanOrEqual(FOLDING_TICKS_LEAST);

  const cpuSeconds = (): Promise<number | undefined> => agent.sample("process_cpu_seconds_total");
  const readings = [await cpuSeconds()];
  process.kill(dying!, "SIGKILL");
  await waitUntil(
    () => childrenOf(agent),
    (pids) => pids.length < BESIDE,
  );
  readings.push(await cpuSeconds());
  await waitUntil(
    () => childrenOf(agent),
    (pids) => pids.length === BESIDE && pids.includes(other!) && !pids.includes(dying!),
  );
  await waitUntil(folding, (state) => state === "ok");
  readings.push(await cpuSeconds());
  expect(readings).toEqual(readings.toSorted((left, right) => left! - right!));
  expect(agent.log()).toMatch(/fold process [23] died: it is started again/);

  await stopReporting();
  expect([...fleet.answers.keys()]).toEqual(["202"]);
  await expectCountedByAgent(stage, fleet, LOADED_APP);
});

test("stopped (SIGTERM) while all fold: it ends in order, nobody is left over, and the next one's counts are exact", async () => {
  await untilFolded(500);
  const beside = childrenOf(agent);
  expect(await agent.stop()).toBe(0);
  expect(beside.map(isGone)).toEqual([true, true]);
  expect(agent.log()).not.toContain("did not stop in time");
  agent = await stage.startAgent();
  await stopReporting();
  await expectCountedByAgent(stage, fleet, LOADED_APP);
});

test("one hangs (SIGSTOP): /readyz tells it soon, the others fold, and it ends with the agent", async () => {
  const [frozen] = childrenOf(agent);
  process.kill(frozen!, "SIGSTOP");
  await waitUntil(folding, (state) => state.includes("1 of 2 fold beside the agent"));
  expect(await agent.stop()).toBe(0);
  await waitUntil(
    () => isGone(frozen!),
    (gone) => gone,
  );
  agent = await stage.startAgent();
  await stopReporting();
  await expectCountedByAgent(stage, fleet, LOADED_APP);
});

test("the agent killed (SIGKILL): those beside it end by themselves", async () => {
  const beside = childrenOf(agent);
  await agent.kill();
  const gone = await waitUntil(
    () => beside.map(isGone),
    (all) => all.every(Boolean),
  );
  expect(gone).toEqual([true, true]);
});

test("the file changes: all of them go on with the new settings, and how many there are is said to wait for a restart", async () => {
  writeFileSync(
    stage.configFile,
    stage.configText.replace("limit: 5%", "limit: 6%").replace(`processes: ${PROCESSES}`, "processes: 1"),
  );
  agent.child.kill("SIGHUP");
  const told = (log: string): number =>
    log.split("a fold process has the settings that are in force now").length - 1;
  await waitUntil(
    () => agent.log(),
    (log) => told(log) === BESIDE,
  );
  // All of them write to one pipe: whose line comes first is chance.
  const restart = "not applied before Lastgood is started anew: agent.processes";
  expect(
    await waitUntil(
      () => agent.log(),
      (log) => log.includes(restart),
    ),
  ).toContain(restart);
  expect(childrenOf(agent)).toHaveLength(BESIDE);
  await untilFolded(300);
});
