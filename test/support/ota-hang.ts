// The story of an OTA server that takes connections and answers nothing, for seconds (test/e2e) or minutes (test/soak). Enters:
// how long. Leaves: what it took; expects that the agent goes on judging what is elsewhere, keeps its memory, goes on trying with
// its timeout and no faster, and moves each channel a single time when the server is back.
import { expect } from "vitest";
import { sleep } from "../../runtime/clock.ts";
import {
  AGENT_RSS_BYTES_MAX,
  CALM_APP,
  decisionsOf,
  expectRolledBackOnce,
  openAgentStage,
  untilRolledBack,
} from "./agent-stage.ts";
import { waitUntil } from "./wait-until.ts";

/** On a machine that is busy, for any number of apps. */
const ACTED_MS_MAX = 180_000;

export interface OtaHang {
  readonly hungMs: number;
  /** As in the configuration. */
  readonly otaTimeout: string;
  /** Apps on the server that hangs, one channel each: those that are decided before, and those that fail while it hangs. */
  readonly decided: number;
  readonly later: number;
}

export interface OtaHangResult {
  readonly rssBytes: number;
  /** Tries of the decisions that were made before it hung. */
  readonly attemptsLeast: number;
  readonly attemptsMax: number;
}

export async function tellOtaHang({ hungMs, otaTimeout, ...apps }: OtaHang): Promise<OtaHangResult> {
  const decided = Array.from({ length: apps.decided }, (_, index) => `com.acme.decided-${index}`);
  const later = Array.from({ length: apps.later }, (_, index) => `com.acme.later-${index}`);
  const all = [...decided, ...later];
  const stage = await openAgentStage({ apps: all, otaTimeout });
  try {
    const agent = await stage.startAgent();
    // Decided and not done: the server has told which version it offers, and does nothing yet.
    await stage.ota.setFaults([{ kind: "cut", times: 1_000_000 }]);
    await stage.failEach(decided);
    await waitUntil(
      async () => (await Promise.all(decided.map((app) => stage.ota.rollbacks(app)))).map((c) => c.length),
      (calls) => calls.every((count) => count > 0),
      ACTED_MS_MAX,
    );
    stage.ota.freeze();
    await stage.failEach([...later, CALM_APP]);
    await untilRolledBack(agent, [CALM_APP], ACTED_MS_MAX);
    await sleep(hungMs);
    const during = await decisionsOf(agent);
    expect(all.filter((app) => during.get(app)?.outcome?.kind !== undefined)).toEqual([]);
    expect((await fetch(`${agent.operationsUrl}/readyz`)).status).toBe(200);
    const rssBytes = agent.rssBytes();
    expect(rssBytes).toBeLessThan(AGENT_RSS_BYTES_MAX);
    stage.ota.thaw();
    await stage.ota.setFaults([]);
    const after = await untilRolledBack(agent, all, ACTED_MS_MAX);
    await expectRolledBackOnce(stage, all);
    const attempts = decided.map((app) => after.get(app)!.outcome!.attempts);
    expect(await agent.stop()).toBe(0);
    return { rssBytes, attemptsLeast: Math.min(...attempts), attemptsMax: Math.max(...attempts) };
  } finally {
    await stage.close();
  }
}
