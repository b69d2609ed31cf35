// The `mender` adapter against its double: the common contract, with what goes wrong at the abort and at the deployment
// that repairs; then what only Mender has: two acts in the right order, devices that were told, names that make it once.
import { describe, expect, it } from "vitest";
import type { RollbackRequest } from "../../agent/rollback/ota-server.ts";
import {
  MENDER_DEVICES_PER_REPAIR_MAX,
  MENDER_LIST_READINGS_MAX,
  MENDER_RELEASE_AGE_MS_MAX,
} from "../../agent/rollback/servers/mender.ts";
import { MENDER_PER_PAGE } from "../../agent/rollback/servers/mender-api.ts";
import type { MenderCallKind, MenderFault } from "../doubles/mender.ts";
import { createMenderDevice } from "../simulation/mender-device.ts";
import type { MenderDevice } from "../simulation/mender-device.ts";
import { startJsonDouble } from "../support/json-double.ts";
import { MENDER_KEY, MENDER_TIMEOUT_MS, menderServer, startMenderWithHistory } from "../support/mender.ts";
import type { TestMender } from "../support/mender.ts";
import { NEW, NEWER, OLD, OLDER, otaServerContract } from "./ota-server.ts";
import type { NeutralFault, OtaServerHarness } from "./ota-server.ts";
import { toWireFault } from "./wire-faults.ts";

const key = MENDER_KEY;

function toFault(fault: NeutralFault): MenderFault {
  return toWireFault(fault, {
    hangMs: MENDER_TIMEOUT_MS * 2,
    anotherVersion: (version) => ({ kind: "another_artifact" as const, name: version }),
  });
}

/** `acts` of a rollback are deployments made, and those of a pause are aborts: the double's own state tells. */
function harnessWith(faultsOfRollback: "create" | "abort"): () => Promise<OtaServerHarness> {
  return async () => {
    const { mender } = await startMenderWithHistory();
    const elsewhere = await startJsonDouble();
    const server = menderServer(mender);
    const made = mender.state.deployments.length;
    let published = 0;
    let isPausing = false;
    return {
      server: {
        ...server,
        pause(asked) {
          isPausing = true;
          return server.pause(asked);
        },
      },
      stranger: menderServer(mender, { token: "another-mender-token" }),
      key,
      publish(version) {
        published += 1;
        mender.deploy(version);
      },
      fault(call, fault) {
        const onRollback = fault.kind === "sets_another_version" ? "create" : faultsOfRollback;
        const on = call === "read" ? "read" : call === "pause" ? "abort" : onRollback;
        mender.fault(on, toFault(fault));
      },
      acts: () =>
        isPausing
          ? mender.state.deployments.filter(({ counters }) => counters.aborted > 0).length
          : mender.state.deployments.length - made - published,
      strayRequests: () => elsewhere.requests.length,
      elsewhere: elsewhere.url,
      stopServer: () => mender.stop(),
      async dispose() {
        await mender.stop();
        await elsewhere.close();
      },
    };
  };
}

otaServerContract("mender, trouble at the abort", harnessWith("abort"));
otaServerContract("mender, trouble at the deployment that repairs", harnessWith("create"));

const request: RollbackRequest = {
  decisionId: "rb_0123456789abcdef0123",
  ...key,
  from: NEW,
  to: OLD,
  reason: "8 % échouent",
};

const callsOf = (mender: TestMender, ...kinds: MenderCallKind[]): string[] =>
  mender.calls
    .filter(({ kind }) => kinds.includes(kind as MenderCallKind))
    .map(({ kind, status }) => `${kind} ${status}`);
const repairsOf = ({ state }: TestMender) =>
  state.deployments.filter(({ name }) => name.startsWith("Lastgood"));
const detailOf = (answer: object): string => ("detail" in answer ? String(answer.detail) : "");

describe("going back at Mender", () => {
  it("aborts first, then deploys the earlier artifact to the devices that were told", async () => {
    const { mender, devices } = await startMenderWithHistory();
    const bad = mender.state.deployments.at(-1)!;
    expect(await menderServer(mender).rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(callsOf(mender, "abort", "create")).toEqual(["abort 204", "create 201"]);
    expect(bad).toMatchObject({ status: "finished", counters: { success: 3, failure: 1, aborted: 2 } });
    const [repair] = repairsOf(mender);
    expect(repair).toMatchObject({
      artifactName: OLD,
      name: "Lastgood rollback rb_0123456789abcdef0123 (com.acme.till/production): 1.4.0 -> 1.3.0",
      groups: undefined,
    });
    // The one that asked and said nothing yet may have begun; the four that never asked have not heard of it.
    expect([...repair!.deviceList].toSorted()).toEqual(devices.slice(0, 6).toSorted());
  });

  it("brings the devices back: who has it installs, who was cut off rolls back, the others download nothing", async () => {
    const { mender, devices } = await startMenderWithHistory();
    mender.deploy(NEWER);
    const fleet = devices.map((id, index): MenderDevice =>
      createMenderDevice({
        url: mender.url,
        id,
        deviceType: "till-mk2",
        running: OLD,
        fateOf: (artifact) =>
          artifact === NEWER && index === 1
            ? { kind: "failure", substate: "ArtifactCommit_Enter_00" }
            : { kind: "success" },
      }),
    );
    // Whoever is in the middle of 1.4.0 in the double's history ends it first, so all are new to 1.5.0.
    mender.state.abort(mender.state.deployments.at(-2)!);
    const first = [await fleet[0]!.check(), await fleet[1]!.check(), await fleet[2]!.check("rebooting")];
    expect(first).toEqual(["installed", "failed", "in_the_middle"]);
    const server = menderServer(mender);
    expect(await server.rollback({ ...request, from: NEWER })).toEqual({ kind: "done", version: OLD });
    expect(await fleet[2]!.check()).toBe("aborted");
    expect(await Promise.all(fleet.map((device) => device.check()))).toEqual([
      "installed",
      ...Array<string>(9).fill("nothing"),
    ]);
    expect(fleet.map((device) => device.running())).toEqual(Array(10).fill(OLD));
    expect(repairsOf(mender)[0]!.counters).toMatchObject({ success: 1, "already-installed": 2 });
    expect(repairsOf(mender)[0]!.status).toBe("finished");
  });

  it("aborts every running deployment of the bad artifact, and repairs the devices of all", async () => {
    const { mender, devices } = await startMenderWithHistory();
    mender.state.abort(mender.state.deployments.at(-1)!);
    mender.deploy(NEW);
    mender.report(devices[7]!, "downloading", "success");
    mender.deploy(NEW);
    mender.report(devices[8]!, "downloading");
    expect(await menderServer(mender).rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(callsOf(mender, "abort", "create")).toEqual(["abort 204", "abort 204", "create 201"]);
    const told = [...devices.slice(0, 6), devices[7]!, devices[8]!];
    expect([...repairsOf(mender)[0]!.deviceList].toSorted()).toEqual(told.toSorted());
  });

  it("has nothing to abort when the deployment has ended, and goes on when it ends in this moment", async () => {
    for (const endsWhen of ["before", "meanwhile"]) {
      const { mender } = await startMenderWithHistory();
      const end = (): void => mender.state.abort(mender.state.deployments.at(-1)!);
      if (endsWhen === "before") end();
      else mender.beforeCall(({ kind }) => void (kind === "abort" && end()));
      expect(await menderServer(mender).rollback(request)).toEqual({ kind: "done", version: OLD });
      expect(callsOf(mender, "abort")).toEqual(endsWhen === "before" ? [] : ["abort 422"]);
      expect(repairsOf(mender)).toHaveLength(1);
    }
  });

  it("reaches devices that have had the release since long before it was accused", async () => {
    const { mender, devices } = await startMenderWithHistory();
    const server = menderServer(mender);
    await server.rollback(request);
    const next = { ...request, decisionId: "rb_second", from: OLD, to: OLDER };
    expect(await server.rollback(next)).toEqual({ kind: "done", version: OLDER });
    expect(repairsOf(mender).map(({ deviceList }) => deviceList.length)).toEqual([6, 10]);
    expect([...repairsOf(mender)[1]!.deviceList].toSorted()).toEqual(devices.toSorted());
  });

  it("makes it once when two agents act at the same time", async () => {
    const { mender } = await startMenderWithHistory();
    const answers = await Promise.all([1, 2].map(() => menderServer(mender).rollback(request)));
    expect(answers).toEqual([1, 2].map(() => ({ kind: "done", version: OLD })));
    expect(repairsOf(mender)).toHaveLength(1);
  });

  it("makes it once when one agent is asked twice at once, and devices are back before the second try", async () => {
    const { mender } = await startMenderWithHistory();
    // Then the server sees no conflict: only who looked first knows.
    mender.beforeCall(({ kind }) => {
      if (kind === "create") for (const repair of repairsOf(mender)) mender.state.abort(repair);
    });
    const server = menderServer(mender);
    const answers = await Promise.all([server.rollback(request), server.rollback(request)]);
    expect(answers).toEqual([1, 2].map(() => ({ kind: "done", version: OLD })));
    expect(repairsOf(mender)).toHaveLength(1);
  });

  it("takes a 409 for a deployment that is there already", async () => {
    const { mender } = await startMenderWithHistory();
    let isSecond = false;
    // Another agent's deployment arrives in the moment before ours.
    mender.beforeCall(({ kind, body }) => {
      if (kind !== "create" || isSecond) return;
      isSecond = true;
      const { name, devices } = body as { name: string; devices: string[] };
      mender.state.create({ name, artifactName: OLD, devices });
    });
    expect(await menderServer(mender).rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(callsOf(mender, "create")).toEqual(["create 409"]);
    expect(repairsOf(mender)).toHaveLength(1);
  });

  it("gives way to somebody who deploys at the same moment", async () => {
    const { mender } = await startMenderWithHistory();
    mender.beforeCall(({ kind }) => {
      if (kind === "create") mender.deploy(NEWER);
    });
    const server = menderServer(mender);
    const answer = await server.rollback(request);
    expect(answer).toMatchObject({ kind: "stale" });
    expect(detailOf(answer)).toMatch(/1\.5\.0 was deployed to the channel at the same moment/);
    expect(repairsOf(mender)).toMatchObject([{ status: "finished" }]);
    expect(await server.readChannel(key)).toMatchObject({ state: { version: NEWER, paused: false } });
  });

  it("goes on after a crash between the abort and the deployment, at once or after a pause", async () => {
    const { mender } = await startMenderWithHistory();
    mender.state.abort(mender.state.deployments.at(-1)!);
    const server = menderServer(mender);
    expect(await server.readChannel(key)).toMatchObject({ state: { version: NEW, paused: true } });
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
  });

  it("is refused, with nothing aborted, when the artifact has been deleted from the server", async () => {
    const { mender } = await startMenderWithHistory();
    const server = menderServer(mender);
    expect(await server.readChannel(key)).toMatchObject({
      state: { releases: [{ version: NEW }, { version: OLD }, { version: OLDER }] },
    });
    const at = mender.state.artifacts.findIndex(({ name }) => name === OLD);
    mender.state.artifacts.splice(at, 1);
    // A part of a name is no name.
    mender.state.addArtifact(`${OLD}-rc1`);
    const answer = await server.rollback(request);
    expect(answer).toMatchObject({ kind: "refused" });
    expect(detailOf(answer)).toMatch(
      /artifact 1\.3\.0 is not on the Mender server any more: upload it again/,
    );
    expect(callsOf(mender, "abort", "create")).toEqual([]);
    mender.passMs(MENDER_RELEASE_AGE_MS_MAX - 1);
    expect(await server.readChannel(key)).toMatchObject({ state: { releases: { length: 3 } } });
    mender.passMs(1);
    const after = await server.readChannel(key);
    expect(after).toMatchObject({ state: { releases: [{ version: NEW }, { version: OLDER }] } });
  });

  it("is refused when the server takes back the artifact after the abort", async () => {
    const { mender } = await startMenderWithHistory();
    mender.beforeCall(({ kind }) => void (kind === "create" && mender.state.artifacts.splice(0)));
    const answer = await menderServer(mender).rollback(request);
    expect(answer).toMatchObject({ kind: "refused" });
    expect(detailOf(answer)).toMatch(
      /422: No artifact for the deployment; .* are aborted, but those that have it keep it: deploy 1\.3\.0 to them/,
    );
  });
});

describe("a repair of many devices", () => {
  const startLarge = async (count: number): Promise<TestMender> => {
    const { mender } = await startMenderWithHistory();
    const many = mender.state.addDevices(count, { group: "many" });
    for (const artifact of [OLD, NEW]) {
      mender.deploy(artifact, { group: "many" });
      for (const device of many) mender.report(device, "downloading", "success");
    }
    return mender;
  };
  const channels = new Map([[key.channel, { kind: "group" as const, group: "many" }]]);

  it.each([
    [MENDER_DEVICES_PER_REPAIR_MAX, 1],
    [MENDER_DEVICES_PER_REPAIR_MAX + 1, 2],
  ])("%i devices are %i deployments, and each device is in one of them", async (count, parts) => {
    const mender = await startLarge(count);
    const server = menderServer(mender, { channels, timeoutMs: 5_000 });
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
    const repairs = repairsOf(mender);
    expect(repairs).toHaveLength(parts);
    const told = repairs.flatMap(({ deviceList }) => deviceList);
    expect([told.length, new Set(told).size]).toEqual([count, count]);
  });

  it("counts as made only with all its parts, and a second try makes those that are missing", async () => {
    const mender = await startLarge(MENDER_DEVICES_PER_REPAIR_MAX + 1);
    const server = menderServer(mender, { channels, timeoutMs: 5_000 });
    let creates = 0;
    mender.beforeCall(({ kind }) => {
      if (kind !== "create") return;
      creates += 1;
      if (creates === 2) mender.fault("create", { kind: "error", status: 502 });
    });
    expect(await server.rollback(request)).toMatchObject({ kind: "unavailable" });
    expect(repairsOf(mender)).toHaveLength(1);
    expect(await server.readChannel(key)).toMatchObject({ state: { version: NEW } });
    // A device that leaves in between moves nobody else from one part to the other.
    const all = new Set(mender.state.deployments.at(-2)!.rows.keys());
    for (const { rows } of mender.state.deployments) rows.delete(repairsOf(mender)[0]!.deviceList[0]!);
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
    const told = repairsOf(mender).flatMap(({ deviceList }) => deviceList);
    expect(repairsOf(mender)).toHaveLength(2);
    expect([told.length, new Set(told)]).toEqual([MENDER_DEVICES_PER_REPAIR_MAX + 1, all]);
  });

  it("misses no device whose entry moves while the list is read", async () => {
    const mender = await startLarge(2 * MENDER_PER_PAGE);
    const bad = mender.state.deployments.at(-1)!;
    const last = [...bad.rows.keys()].toSorted().at(-1)!;
    let isMoved = false;
    mender.beforeCall(({ url }) => {
      if (isMoved || !url.includes("/devices/list") || !url.includes("page=2&")) return;
      isMoved = true;
      // The server does not guard transitions: from the end of the list to its beginning, which has been read.
      mender.state.setStatus(last, bad.id, { status: "failure" });
    });
    const server = menderServer(mender, { channels, timeoutMs: 5_000 });
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(isMoved).toBe(true);
    expect(repairsOf(mender)[0]!.deviceList).toContain(last);
    expect(repairsOf(mender)[0]!.deviceList).toHaveLength(2 * MENDER_PER_PAGE);
  });
});

describe("a list that never stands still", () => {
  it("is read so many times, and what was seen of it is repaired", async () => {
    const { mender } = await startMenderWithHistory();
    const bad = mender.state.deployments.at(-1)!;
    let readings = 0;
    mender.beforeCall(({ url }) => {
      if (!url.includes("/devices/list")) return;
      readings += 1;
      // Counted by the server, and gone when it is listed: each time another one.
      mender.fault("read", { kind: "total", count: 100 + readings });
    });
    expect(await menderServer(mender).rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(readings).toBe(MENDER_LIST_READINGS_MAX);
    expect(repairsOf(mender)[0]!.deviceList).toHaveLength(bad.rows.size);
  });
});

describe("pausing at Mender", () => {
  it("is an abort: who has it keeps it, who is in the middle rolls back, nobody else gets it", async () => {
    const { mender, devices } = await startMenderWithHistory();
    const server = menderServer(mender);
    const pauseRequest = { ...request, version: NEW };
    expect(await server.pause(pauseRequest)).toEqual({ kind: "done", version: NEW });
    expect(await server.readChannel(key)).toMatchObject({ state: { version: NEW, paused: true } });
    expect(mender.state.next(devices[9]!, { artifactName: OLD, deviceType: "till-mk2" })).toEqual({
      kind: "none",
    });
    const bad = mender.state.deployments.at(-1)!;
    expect(mender.state.setStatus(devices[4]!, bad.id, { status: "success" })).toBe("conflict");
    expect(bad.rows.get(devices[0]!)?.status).toBe("success");
    expect(repairsOf(mender)).toEqual([]);
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
  });

  it("leaves nothing to pause when no device had been told: the channel is on what it was before", async () => {
    const { mender } = await startMenderWithHistory();
    mender.deploy(NEWER);
    const server = menderServer(mender);
    expect(await server.pause({ ...request, version: NEWER })).toMatchObject({ kind: "stale" });
    expect(mender.state.deployments.at(-1)!.status).toBe("finished");
    expect(await server.readChannel(key)).toMatchObject({ state: { version: NEW } });
  });
});
