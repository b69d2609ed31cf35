// Devices that never come back from a reboot, at Mender: the server shows them as `rebooting` for ever and says nothing.
// A real agent that reads it hears them begin, misses them at the deadline, and puts the release back.
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { POLL_GAP_MS_LEAST } from "../../agent/polling/poll-source.ts";
import { LISTENING_KEY } from "../../ingest/contract/listening.ts";
import { sleep } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { createMenderDevice } from "../simulation/mender-device.ts";
import { agentSettings } from "../support/agent.ts";
import { startMender, withMender } from "../support/mender.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { waitUntil } from "../support/wait-until.ts";

const DEADLINE_MS = 5 * 60_000;
/** Time passes in steps: polls that are further apart than a gap would be two spells of listening. */
const STEP_MS = POLL_GAP_MS_LEAST - 10_000;
const DEVICES = 100;
const BRICKED = 20;

let server: TestRedis;
let redis: Redis;
let agent: RunningAgent;
/** All live so long ago, and then a little less. */
let agoMs = 3 * DEADLINE_MS;
const clock = (): number => Date.now() - agoMs;

beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
});
afterAll(async () => {
  await agent.stop(5_000);
  await redis.quit();
  await server.stop();
});

interface Decision {
  readonly version: string;
  readonly target: string;
  readonly sentence: string;
  readonly outcome: { readonly kind: string } | null;
}

async function get<T>(path: string): Promise<T> {
  return (await (await fetch(`${agent.url}${path}`)).json()) as T;
}
const decisions = async (): Promise<Decision[]> =>
  (await get<{ decisions: Decision[] }>("/v1/decisions")).decisions;

/** Ingest listens all the time, too. */
const beat = async (): Promise<unknown> =>
  redis.hset(LISTENING_KEY, { since: Date.now() - 10 * DEADLINE_MS, last: clock() });

interface Status {
  readonly channels: { releases: { version: string; devices: Record<string, number> }[] }[];
}
async function devicesOf(version: string): Promise<Record<string, number>> {
  const { channels } = await get<Status>("/v1/status");
  return channels[0]?.releases.find((release) => release.version === version)?.devices ?? {};
}

it("devices that stay in `rebooting` are silent at the deadline, and their release is rolled back", async () => {
  const mender = await startMender({ clock });
  const fleet = mender.state.addDevices(DEVICES).map((id, index) =>
    createMenderDevice({
      url: mender.url,
      id,
      deviceType: "till-mk2",
      running: "1.2.0",
      fateOf: (artifact) =>
        artifact === "1.4.0" && index < BRICKED ? { kind: "bricked" } : { kind: "success" },
    }),
  );
  mender.deploy("1.3.0");
  for (const device of fleet) await device.check();
  mender.deploy("1.4.0");
  const rules = [{ form: "limit", signal: "silence", limit: 0.02, deadlineMs: DEADLINE_MS }] as const;
  agent = await startAgent({
    settings: withMender(
      agentSettings([{ name: "till", otaUrl: mender.url, policy: { rules } }]),
      mender,
      /^(?<version>.+)$/u,
    ),
    redisUrl: server.url,
    version: "0.0.0",
    logger: createLogger({ name: "test", level: "silent" }),
    clock,
  });
  await beat();
  await waitUntil(
    () => devicesOf("1.3.0"),
    ({ confirmed }) => confirmed === DEVICES,
  );
  for (const device of fleet) await device.check();
  await waitUntil(
    () => devicesOf("1.4.0"),
    ({ announced, confirmed }) => announced === DEVICES && confirmed === DEVICES - BRICKED,
  );
  expect(await decisions()).toEqual([]);

  // So many polls that the deadline and the minute after it pass, each of them heard.
  for (let passedMs = 0; passedMs < DEADLINE_MS + 120_000; passedMs += STEP_MS) {
    agoMs -= STEP_MS;
    await beat();
    const at = mender.calls.length;
    await waitUntil(
      () => mender.calls.length,
      (count) => count >= at + 2,
    );
    await sleep(300);
  }
  const [decision] = await waitUntil(decisions, ([newest]) => newest?.outcome?.kind === "applied");
  expect(decision).toMatchObject({ version: "1.4.0", target: "1.3.0" });
  expect(decision!.sentence).toContain("fell silent");
  // One shard after the other is looked at; the decision did not wait for the last.
  const devices = await waitUntil(
    () => devicesOf("1.4.0"),
    ({ silent }) => silent === BRICKED,
  );
  expect(devices).toMatchObject({ failed: 0 });
  const [, bad, repair] = mender.state.deployments;
  expect(bad).toMatchObject({
    status: "finished",
    counters: { success: DEVICES - BRICKED, aborted: BRICKED },
  });
  // The bricked are told too: should one come back, it finds the good artifact waiting.
  expect(repair!.deviceList).toHaveLength(DEVICES);
}, 90_000);
