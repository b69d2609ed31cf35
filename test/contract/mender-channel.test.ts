// What a channel is at Mender, which knows none: whose deployments are its own, which of them says what it offers, which
// releases it can go back to; and what is made of answers that are no success or not as documented.
import { afterEach, describe, expect, it } from "vitest";
import type { MenderTarget } from "../../agent/config/ota-servers/mender.ts";
import type { ChannelState } from "../../agent/rollback/ota-server.ts";
import { MENDER_HISTORY_PAGES_MAX } from "../../agent/rollback/servers/mender.ts";
import type { MenderOtaServerOptions } from "../../agent/rollback/servers/mender.ts";
import { MENDER_PER_PAGE } from "../../agent/rollback/servers/mender-api.ts";
import { MENDER_RELEASES_MAX, repairName } from "../../agent/rollback/servers/mender-history.ts";
import { channelSchema } from "../../ingest/contract/release-key.ts";
import type { Channel, Version } from "../../ingest/contract/release-key.ts";
import { startJsonDouble } from "../support/json-double.ts";
import type { JsonDouble } from "../support/json-double.ts";
import { MENDER_KEY as key, menderServer, startMender } from "../support/mender.ts";
import type { TestMender } from "../support/mender.ts";

type Options = Partial<MenderOtaServerOptions>;

async function stateOf(mender: TestMender, options: Options = {}): Promise<ChannelState> {
  const answer = await menderServer(mender, options).readChannel(key);
  if (answer.kind !== "channel") throw new Error(answer.detail);
  return answer.state;
}
const versionsOf = ({ releases }: ChannelState): string[] => releases.map(({ version }) => version);
const detailOf = (answer: object): string => ("detail" in answer ? String(answer.detail) : "");
const mapped = (target: MenderTarget): Options => ({ channels: new Map([[key.channel, target]]) });

/** A fleet of ten in the group `production`, each of which has taken every artifact. */
async function startWith(
  ...artifacts: readonly string[]
): Promise<{ mender: TestMender; devices: readonly string[] }> {
  const mender = await startMender();
  const devices = mender.state.addDevices(10);
  for (const artifact of artifacts) {
    mender.deploy(artifact);
    for (const device of devices) mender.report(device, "downloading", "success");
    mender.passMs(60_000);
  }
  return { mender, devices };
}

describe("whose deployments a channel's are", () => {
  it("are those to the group of its name, or to the group that is configured", async () => {
    const { mender } = await startWith("1.0.0");
    const [other] = mender.state.addDevices(2, { group: "stores" });
    mender.deploy("2.0.0", { group: "stores" });
    mender.report(other!, "downloading");
    expect((await stateOf(mender)).version).toBe("1.0.0");
    expect((await stateOf(mender, mapped({ kind: "group", group: "stores" }))).version).toBe("2.0.0");
  });

  it("are, for all devices, those that name no group", async () => {
    const { mender, devices } = await startWith("1.0.0");
    mender.deploy("3.0.0", { devices: devices.slice(0, 4) });
    mender.report(devices[0]!, "downloading");
    expect((await stateOf(mender)).version).toBe("1.0.0");
    const all = await stateOf(mender, mapped({ kind: "all_devices" }));
    expect([all.version, versionsOf(all)]).toEqual(["3.0.0", ["3.0.0"]]);
  });

  it("are not somebody's trial on one device of the group, unless the group is one device", async () => {
    const { mender, devices } = await startWith("1.0.0");
    const trial = mender.deploy("1.1.0-trial", { devices: [devices[0]!] });
    mender.report(devices[0]!, "downloading", "success");
    expect(trial.groups).toEqual(["production"]);
    const state = await stateOf(mender);
    expect([state.version, versionsOf(state)]).toEqual(["1.0.0", ["1.0.0"]]);
    const [lonely] = mender.state.addDevices(1, { group: "lab" });
    mender.deploy("4.0.0", { group: "lab" });
    mender.report(lonely!, "downloading");
    expect((await stateOf(mender, mapped({ kind: "group", group: "lab" }))).version).toBe("4.0.0");
  });

  it("are, with a pattern, those of the app's own artifacts", async () => {
    const { mender, devices } = await startWith("till-1.0.0", "till-1.1.0", "os-2026.11");
    const till = await stateOf(mender, { artifact: /^till-(?<version>.+)$/u });
    expect([till.version, versionsOf(till)]).toEqual(["1.1.0", ["1.1.0", "1.0.0"]]);
    const os = await stateOf(mender, { artifact: /^os-(?<version>.+)$/u });
    expect(os.version).toBe("2026.11");
    const server = menderServer(mender, { artifact: /^till-(?<version>.+)$/u });
    const [from, to] = ["1.1.0", "1.0.0"] as [Version, Version];
    const answer = await server.rollback({ decisionId: "rb_1", ...key, from, to, reason: "" });
    expect(answer).toEqual({ kind: "done", version: "1.0.0" });
    expect(mender.state.deployments.at(-1)).toMatchObject({
      artifactName: "till-1.0.0",
      deviceList: { length: devices.length },
    });
  });

  it("are not deployments of a configuration, nor artifacts with a name that no version can have", async () => {
    const { mender, devices } = await startWith("1.0.0", "a b c");
    mender.state.addArtifact("9.9.9");
    mender.state.create({
      name: "settings",
      artifactName: "9.9.9",
      group: "production",
      type: "configuration",
    });
    mender.report(devices[0]!, "downloading");
    expect((await stateOf(mender)).version).toBe("1.0.0");
  });

  it("are Lastgood's own repairs of this very channel of this app", async () => {
    const { mender, devices } = await startWith("1.0.0", "1.1.0");
    const repair = (channel: string, to: string): void => {
      const [from, target] = ["1.1.0", to] as [Version, Version];
      const of = { ...key, channel: channelSchema.parse(channel), decisionId: "rb_1", from, to: target };
      const name = repairName(of, { part: 1, parts: 1 });
      mender.state.addArtifact(to);
      mender.state.create({ name, artifactName: to, devices: [devices[0]!] });
      mender.report(devices[0]!, "downloading", "success");
    };
    repair("staging", "0.9.0");
    expect((await stateOf(mender)).version).toBe("1.1.0");
    repair("production", "1.0.0");
    const state = await stateOf(mender);
    // It brings back a release, it does not release it anew.
    expect([state.version, versionsOf(state)]).toEqual(["1.0.0", ["1.1.0", "1.0.0"]]);
  });
});

describe("what a channel offers", () => {
  it("is not a deployment that was aborted before any device was told", async () => {
    const { mender, devices } = await startWith("1.0.0");
    mender.state.abort(mender.deploy("1.1.0"));
    const state = await stateOf(mender);
    expect([state.version, versionsOf(state), state.paused]).toEqual(["1.0.0", ["1.0.0"], undefined]);
    const told = mender.deploy("1.2.0");
    mender.report(devices[0]!, "downloading");
    mender.state.abort(told);
    expect(await stateOf(mender)).toMatchObject({ version: "1.2.0", paused: true });
  });

  it("is told as paused once aborted, as not paused while it runs, and not at all once it ended by itself", async () => {
    const { mender, devices } = await startWith("1.0.0");
    expect((await stateOf(mender)).paused).toBeUndefined();
    const running = mender.deploy("1.1.0");
    expect(await stateOf(mender)).toMatchObject({ version: "1.1.0", paused: false });
    mender.report(devices[0]!, "downloading", "success");
    mender.state.abort(running);
    // Nothing was cut off: one had ended, and nine were never told.
    expect(running.counters.aborted).toBe(0);
    expect(await stateOf(mender)).toMatchObject({ version: "1.1.0", paused: true });
  });

  it("is found behind other deployments, up to so many pages", async () => {
    const { mender } = await startWith("1.0.0");
    const [other] = mender.state.addDevices(1, { group: "other" });
    const fill = (count: number): void => {
      for (let index = 0; index < count; index += 1) mender.deploy("7.0.0", { devices: [other!] });
    };
    const most = MENDER_PER_PAGE * MENDER_HISTORY_PAGES_MAX;
    fill(most - 1);
    expect((await stateOf(mender)).version).toBe("1.0.0");
    fill(1);
    const answer = await menderServer(mender).readChannel(key);
    expect(answer).toMatchObject({ kind: "refused" });
    expect(detailOf(answer)).toMatch(/no deployment to the group "production".*correct ota_server\.channels/);
  });

  it.each([
    [MENDER_RELEASES_MAX, MENDER_RELEASES_MAX],
    [MENDER_RELEASES_MAX + 3, MENDER_RELEASES_MAX],
  ])("of %i releases, tells %i, newest first", async (count, told) => {
    const names = Array.from({ length: count }, (_, index) => `1.${index}.0`);
    const { mender } = await startWith(...names);
    expect(versionsOf(await stateOf(mender))).toEqual(names.toReversed().slice(0, told));
  });

  it("lists a release that was deployed again by somebody as the newest", async () => {
    const { mender } = await startWith("1.0.0", "1.1.0", "1.0.0");
    const state = await stateOf(mender);
    expect([state.version, versionsOf(state)]).toEqual(["1.0.0", ["1.0.0", "1.1.0"]]);
  });
});

describe("answers that are not as they should be", () => {
  const cleanups: JsonDouble[] = [];
  afterEach(async () => {
    for (const each of cleanups.splice(0)) await each.close();
  });
  const answering = async (status: number, body: unknown) => {
    const double = await startJsonDouble();
    cleanups.push(double);
    double.answer(() => ({ status, body }));
    const mender = { url: double.url, nowMs: () => 0 } as unknown as TestMender;
    return menderServer(mender).readChannel(key);
  };
  const entry = {
    id: "0c13a0e6-6b63-475d-8260-ee42a590e8ff",
    name: "release",
    artifact_name: "1.0.0",
    created: "2026-11-01T10:00:00.123456789Z",
    status: "inprogress",
    groups: ["production"],
    phases: [{ batch_size: 10 }],
  };

  it.each([
    [401, "refused", /401: why; check ota_server\.token: a personal access token/],
    [403, "refused", /403: why; give the token's user a role/],
    [404, "refused", /404: why; check ota_server\.url/],
    [500, "unavailable", /500: why/],
    [503, "unavailable", /503: why/],
    [204, "unavailable", /204/],
  ])("%i is %s, with the server's words and what to do", async (status, kind, detail) => {
    const answer = await answering(status, { error: "why", request_id: "r1" });
    expect(answer).toMatchObject({ kind });
    expect(detailOf(answer)).toMatch(detail);
  });

  it.each([
    ["no list", { deployments: [] }],
    ["a list of something else", [{ id: 1 }, "x"]],
  ])("%s is not taken", async (_name, body) => {
    const answer = await answering(200, body);
    expect(answer).toMatchObject({ kind: "unavailable" });
    expect(detailOf(answer)).toMatch(/not as a Mender server does: \S+/);
  });

  it("an odd entry is passed over, fields that nobody knows are fine, and null is an empty list", async () => {
    const answer = await answering(200, [{ id: 1 }, entry]);
    expect(answer).toMatchObject({ kind: "channel", state: { version: "1.0.0", paused: false } });
    const empty = menderServer({ url: "http://mender.invalid", nowMs: () => 0 } as unknown as TestMender, {
      fetch: () => Promise.resolve(new Response("null")),
    });
    expect(detailOf(await empty.readChannel(key))).toMatch(/Mender has no deployment to the group/);
  });

  it("is asked with the token, by name", async () => {
    const seen: Headers[] = [];
    const mender = await startMender();
    await menderServer(mender, {
      productVersion: "0.9.0",
      fetch: (input, init) => {
        seen.push(new Headers(init?.headers));
        return fetch(input, init);
      },
    }).readChannel({ ...key, channel: "x" as Channel });
    expect(Object.fromEntries(seen[0]!)).toMatchObject({
      authorization: "Bearer example-mender-token",
      "user-agent": "lastgood/0.9.0",
    });
  });
});

describe("the double", () => {
  const call = async (mender: TestMender, method: string, path: string, body?: unknown): Promise<Response> =>
    fetch(`${mender.url}/api/management/v1/deployments/deployments${path}`, {
      method,
      headers: { Authorization: "Bearer example-mender-token", "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  it("answers 201 with a Location and no body, 400 for devices and all devices, 409 twice, 422 without artifact", async () => {
    const { mender, devices } = await startWith("1.0.0");
    const body = { name: "n", artifact_name: "1.0.0", devices };
    const created = await call(mender, "POST", "", body);
    expect([created.status, await created.text()]).toEqual([201, ""]);
    expect(created.headers.get("location")).toMatch(
      /^\/api\/management\/v1\/deployments\/deployments\/[0-9a-f-]{36}$/,
    );
    expect((await call(mender, "POST", "", body)).status).toBe(409);
    expect((await call(mender, "POST", "", { ...body, all_devices: true })).status).toBe(400);
    expect((await call(mender, "POST", "", { ...body, artifact_name: "none" })).status).toBe(422);
    expect(
      (await call(mender, "POST", "/group/production", { name: "g", artifact_name: "1.0.0" })).status,
    ).toBe(201);
  });

  it("answers 400 to an abort with another status, and aborts all the same", async () => {
    const { mender } = await startWith("1.0.0");
    const { id } = mender.deploy("1.1.0");
    expect((await call(mender, "PUT", `/${id}/status`, { status: "success" })).status).toBe(400);
    expect(mender.state.find(id)!.status).toBe("finished");
    expect((await call(mender, "PUT", `/${id}/status`, { status: "aborted" })).status).toBe(422);
    expect((await call(mender, "PUT", "/no-uuid/status", { status: "aborted" })).status).toBe(400);
  });

  it("counts in all 13 counters, and lets them move after a device has ended", async () => {
    const { mender, devices } = await startWith("1.0.0");
    const deployment = mender.deploy("1.1.0");
    mender.report(devices[0]!, "downloading", "success");
    const counters = await (await call(mender, "GET", `/${deployment.id}/statistics`)).json();
    expect(Object.keys(counters as object)).toHaveLength(13);
    expect(counters).toMatchObject({ success: 1, failure: 0, pending: 0 });
    expect(mender.state.setStatus(devices[0]!, deployment.id, { status: "failure" })).toBe("done");
    const list = await call(mender, "POST", "/statistics/list", { deployment_ids: [deployment.id] });
    expect(await list.json()).toMatchObject([{ id: deployment.id, stats: { success: 0, failure: 1 } }]);
  });
});
