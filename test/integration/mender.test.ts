// Mender from end to end: a simulated fleet speaks Mender's device API to the double; two real agents on a real Redis
// read from the management API what devices told, judge, and put the bad artifact's devices back by the same API.
import { afterAll, beforeAll, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { sleep } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { createMenderDevice } from "../simulation/mender-device.ts";
import type { MenderCheck, MenderDevice, MenderFate } from "../simulation/mender-device.ts";
import { agentSettings } from "../support/agent.ts";
import { startMender, withMender } from "../support/mender.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { waitUntil } from "../support/wait-until.ts";

const APP = "till";
const DEVICES = 200;
/** The first 120 of the fleet ask while 1.4.0 is deployed; the last 20 of these are in the middle when it is aborted. */
const ASKED = 120;
const IN_THE_MIDDLE = 20;
const BRICKED = 99;

let redis: TestRedis;
let agents: RunningAgent[] = [];

beforeAll(async () => void (redis = await startTestRedis()));
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.stop(5_000)));
  await redis.stop();
});

/** A quarter does not come up with 1.4.0, one never comes back from its reboot. */
function fateOf(index: number, artifact: string): MenderFate {
  if (artifact !== "till-1.4.0") return { kind: "success" };
  if (index === BRICKED) return { kind: "bricked" };
  return index % 4 === 0 ? { kind: "failure", substate: "ArtifactCommit_Enter_00" } : { kind: "success" };
}

/** Twenty at a time: as a fleet does, and no more connections than a machine has. */
async function checkAll(devices: readonly MenderDevice[], until?: "rebooting"): Promise<MenderCheck[]> {
  const checks: MenderCheck[] = [];
  for (let first = 0; first < devices.length; first += 20)
    checks.push(
      ...(await Promise.all(devices.slice(first, first + 20).map((device) => device.check(until)))),
    );
  return checks;
}

function tally(checks: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const check of checks) counts[check] = (counts[check] ?? 0) + 1;
  return counts;
}

interface Release {
  readonly version: string;
  readonly devices: Record<string, number>;
  readonly condemned: boolean;
}
interface Status {
  readonly channels: { current_version: string | null; releases: Release[] }[];
}
interface Decision {
  readonly id: string;
  readonly version: string;
  readonly target: string;
  readonly outcome: { kind: string; version_seen: string | null } | null;
}

async function get<T>(path: string): Promise<T> {
  const response = await fetch(`${agents[0]!.url}${path}`);
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

async function releaseOf(version: string): Promise<Release | undefined> {
  const { channels } = await get<Status>("/v1/status");
  return channels[0]?.releases.find((release) => release.version === version);
}

it("reads what devices told a Mender server, aborts the bad deployment and brings the devices back", async () => {
  const mender = await startMender({ clock: Date.now });
  const fleet = mender.state.addDevices(DEVICES).map((id, index) =>
    createMenderDevice({
      url: mender.url,
      id,
      deviceType: "till-mk2",
      running: "till-1.2.0",
      fateOf: (artifact) => fateOf(index, artifact),
    }),
  );
  mender.deploy("till-1.3.0");
  expect(tally(await checkAll(fleet))).toEqual({ installed: DEVICES });
  const settings = withMender(
    agentSettings([{ name: APP, otaUrl: mender.url }]),
    mender,
    /^till-(?<version>.+)$/u,
  );
  const logger = createLogger({ name: "test", level: "silent" });
  agents = await Promise.all(
    [1, 2].map(() => startAgent({ settings, redisUrl: redis.url, version: "0.0.0", logger })),
  );
  const before = await waitUntil(
    () => releaseOf("1.3.0"),
    (release) => release?.devices["confirmed"] === DEVICES,
  );
  expect(before!.devices).toMatchObject({ announced: DEVICES, running: DEVICES, failed: 0 });

  // Nobody hears of it while it happens: the server's management is down, and the agents try again until it is not.
  mender.setDown(true);
  const bad = mender.deploy("till-1.4.0");
  const middle = fleet.slice(ASKED - IN_THE_MIDDLE, ASKED);
  expect(tally(await checkAll(middle, "rebooting"))).toEqual({ in_the_middle: IN_THE_MIDDLE });
  const done = tally(await checkAll(fleet.slice(0, ASKED - IN_THE_MIDDLE)));
  expect(done).toEqual({ failed: 25, installed: 74, bricked: 1 });
  mender.setDown(false);

  const [decision] = await waitUntil(
    async () => (await get<{ decisions: Decision[] }>("/v1/decisions")).decisions,
    (decisions) => decisions.length > 0 && decisions.every(({ outcome }) => outcome !== null),
    30_000,
  );
  expect(decision).toMatchObject({
    version: "1.4.0",
    target: "1.3.0",
    outcome: { kind: "applied", version_seen: "1.3.0" },
  });
  // The 21 that had not ended were cut off; the 80 that had not asked never hear of it.
  expect(bad).toMatchObject({ status: "finished", counters: { success: 74, failure: 25, aborted: 21 } });
  const [first, , repair, ...others] = mender.state.deployments;
  expect([first!.artifactName, repair!.artifactName, others]).toEqual(["till-1.3.0", "till-1.3.0", []]);
  expect(repair!.name).toContain(decision!.id);
  expect(new Set(repair!.deviceList)).toEqual(new Set(fleet.slice(0, ASKED).map(({ id }) => id)));

  // What a device runs is told to the second: no device installs twice within one.
  await sleep(1_000);
  // In the middle: refused with 409, and back on what they ran; then all ask once more.
  expect(tally(await checkAll(middle))).toEqual({ aborted: IN_THE_MIDDLE });
  expect(tally(await checkAll(fleet))).toEqual({ installed: 74, nothing: 125, bricked: 1 });
  expect(tally(fleet.map((device) => device.running()))).toEqual({ "till-1.3.0": DEVICES });
  expect(repair!.counters).toMatchObject({ success: 74, "already-installed": 45, pending: 0 });

  // And the agents hear of it: nobody runs 1.4.0 any more.
  const after = await waitUntil(
    () => releaseOf("1.4.0"),
    (release) => release?.devices["running"] === 0 && release.devices["confirmed"] === 74,
  );
  expect(after).toMatchObject({ condemned: true });
  expect(after!.devices).toMatchObject({ confirmed: 74, reverted: 25, failed: 25 });
  // Those in the middle had announced it, if it was read before the abort took their word away.
  expect([ASKED - 21, ASKED]).toContain(after!.devices["announced"]);
  expect((await get<Status>("/v1/status")).channels[0]!.current_version).toBe("1.3.0");
  expect((await get<{ decisions: Decision[] }>("/v1/decisions")).decisions).toHaveLength(1);
}, 90_000);
