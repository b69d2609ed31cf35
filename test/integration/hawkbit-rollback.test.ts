// The whole way with hawkBit: devices that speak DDI to it and to nobody else, a bad distribution set rolled out in groups,
// and Lastgood, which reads what they told from the management API, judges, stops the rollout and assigns the earlier set.
import { setTimeout as sleepMs } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ActionRow } from "../doubles/hawkbit-state.ts";
import { createHawkbitDevice } from "../simulation/hawkbit-device.ts";
import type { HawkbitDevice } from "../simulation/hawkbit-device.ts";
import { HAWKBIT_FILTER, HAWKBIT_SET, addTargets, rollOut, startHawkbit } from "../support/hawkbit.ts";
import type { TestHawkbit } from "../support/hawkbit.ts";
import { startLastgood } from "../support/lastgood.ts";
import type { TestLastgood } from "../support/lastgood.ts";
import { waitUntil } from "../support/wait-until.ts";

const DEVICES = 120;
const GROUPS = 3;
/** Every fourth device can't boot the bad set. */
const BAD_EVERY = 4;
const BAD = "1.4.0";
/** The default of guards.min_devices. */
const MIN_DEVICES = 5;
/** Of the first group, and switched off while the bad set is handed out: none of them is one that fails. */
const AWAY = [1, 2, 3];

let hawkbit: TestHawkbit;
let lastgood: TestLastgood;
let fleet: HawkbitDevice[];

beforeAll(async () => {
  hawkbit = await startHawkbit({ clock: () => Date.now() });
  lastgood = await startLastgood(`
apps:
  com.acme.till:
    ingest_keys: [example-ingest-key]
    ota_server:
      type: hawkbit
      url: "${hawkbit.url}"
      username: admin
      password: example-password
      distribution_set: ${HAWKBIT_SET}
      channels: { production: { targets: "${HAWKBIT_FILTER}" } }
      poll_every: 1s
    channels: { production: { policy: standard } }
policies:
  standard: { rules: [{ signal: update_failure, limit: 5% }] }
`);
  const targets = addTargets(hawkbit, DEVICES);
  fleet = targets.map(({ controllerId }, index) =>
    createHawkbitDevice({
      url: hawkbit.url,
      controllerId,
      boots: (version) => version !== BAD || index % BAD_EVERY !== 0,
    }),
  );
});

afterAll(async () => {
  await lastgood.stop();
  await hawkbit.stop();
});

async function pollAll(): Promise<void> {
  await Promise.all(fleet.map((device) => device.poll()));
  hawkbit.state.tick();
}

describe("a bad distribution set at hawkBit", () => {
  it("is stopped after its first group, and the earlier set is assigned to who had it", async () => {
    rollOut(hawkbit, "1.3.0", hawkbit.state.targets);
    await pollAll();
    expect(fleet.every((device) => device.running() === "1.3.0")).toBe(true);
    await waitUntil(
      () => lastgood.operator.release("com.acme.till", "1.3.0"),
      (release) => release?.devices["confirmed"] === DEVICES,
    );
    const rollout = rollOut(hawkbit, BAD, hawkbit.state.targets, { groups: GROUPS });
    // The devices of the first group get it; the scheduler stands still, as it would for two seconds.
    await Promise.all(fleet.filter((_, index) => !AWAY.includes(index)).map((device) => device.poll()));
    const decision = await lastgood.operator.untilDecision(
      "com.acme.till",
      ({ outcome }) => outcome !== null && outcome.kind === "applied",
    );
    expect(decision).toMatchObject({ version: BAD, target: "1.3.0", outcome: { version_seen: "1.3.0" } });
    // As soon as it is sure, be it before the last of them has been read.
    const seen = decision.evidence.devices["install_failed"] ?? 0;
    expect([seen >= MIN_DEVICES, seen <= DEVICES / GROUPS / BAD_EVERY]).toEqual([true, true]);
    // What a device runs is told by the newest of its reports, to the second: going back in the same one proves nothing.
    await sleepMs(1_000);
    const isOfBad = ({ set, active }: ActionRow): boolean => active && set.version === BAD;
    const open = hawkbit.state.actions.filter(isOfBad);
    expect(open.map(({ status }) => status)).toEqual(AWAY.map(() => "canceling"));
    await pollAll();
    // They never ran it: they agree to the cancellation, and take the repair.
    expect(open.map(({ status }) => status)).toEqual(AWAY.map(() => "canceled"));
    expect(rollout.status).toBe("stopped");
    expect(rollout.groups.map(({ isStarted }) => isStarted)).toEqual([true, false, false]);
    await pollAll();
    expect(fleet.every((device) => device.running() === "1.3.0")).toBe(true);
    expect(hawkbit.state.targets.filter(({ assigned }) => assigned?.version === BAD)).toEqual([]);
    const failed = hawkbit.state.actions.filter(
      ({ set, status }) => set.version === BAD && status === "error",
    );
    const release = await waitUntil(
      () => lastgood.operator.release("com.acme.till", BAD),
      (found) => found?.devices["running"] === 0 && found.devices["install_failed"] === failed.length,
    );
    expect(release).toMatchObject({ condemned: true });
  });
});
