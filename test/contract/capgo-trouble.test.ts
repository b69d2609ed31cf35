// The `capgo` adapter where Capgo makes it hard: reads that lag behind what was done, keys that are refused and an address
// that is locked out, 400s that mean 403 and 404, answers of another form. And what a device of the double is told.
import { afterEach, describe, expect, it } from "vitest";
import { settingsSchema } from "../../agent/config/schema.ts";
import { executeDecision } from "../../agent/rollback/execute.ts";
import type { Execution } from "../../agent/rollback/execute.ts";
import type { OtaServer, RollbackRequest } from "../../agent/rollback/ota-server.ts";
import { CAPGO_LOOK_EVERY_MS, CAPGO_STALE_MS_MAX } from "../../agent/rollback/servers/capgo.ts";
import { CAPGO_BUNDLES_BYTES_MAX } from "../../agent/rollback/servers/capgo-api.ts";
import {
  CAPGO_KEY_RESTS_MS_FIRST,
  CAPGO_KEY_RESTS_MS_MAX,
  createCapgoAuthBrake,
} from "../../agent/rollback/servers/capgo-auth-brake.ts";
import { createWatchedChannels } from "../../agent/watched-channels.ts";
import { CAPGO_FAILED_LOGINS_MAX, CAPGO_LOCKED_OUT_MS } from "../doubles/capgo.ts";
import { createCapgoDevice } from "../simulation/capgo-device.ts";
import { CAPGO_APP, CAPGO_CHANNEL, CAPGO_KEY, startCapgo } from "../support/capgo.ts";
import type { TestCapgo } from "../support/capgo.ts";
import { startJsonDouble } from "../support/json-double.ts";
import { sampleDecision } from "../support/verdicts.ts";
import { NEW, NEWER, OLD } from "./ota-server.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});
async function start(...args: Parameters<typeof startCapgo>): Promise<TestCapgo> {
  const capgo = await startCapgo(...args);
  cleanups.push(capgo.stop);
  return capgo;
}

const request: RollbackRequest = {
  decisionId: "rb_0123456789abcdef0123",
  ...CAPGO_KEY,
  from: NEW,
  to: OLD,
  reason: "8 % échouent",
};
const rowOf = ({ state }: TestCapgo) => state.channel(CAPGO_APP, CAPGO_CHANNEL);
const onChannel = (capgo: TestCapgo) => capgo.state.nameOf(CAPGO_APP, rowOf(capgo).versionId);
const writes = ({ calls }: TestCapgo): string[] =>
  calls.filter(({ kind }) => kind === "write").map(({ method, url, status }) => `${method} ${url} ${status}`);
const detailOf = (answer: object): string => ("detail" in answer ? String(answer.detail) : "");
const refusedLogins = ({ calls }: TestCapgo): number => calls.filter(({ status }) => status === 401).length;

describe("reads that lag behind", () => {
  /** As the worker runs it: `NEW` to `OLD`, decided by evidence. */
  const carryOut = (
    server: OtaServer,
    fields: Parameters<typeof sampleDecision>[1] = {},
  ): Promise<Execution> =>
    executeDecision(sampleDecision(NEW, { ...CAPGO_KEY, ...fields }), server, {
      wasAsked: false,
      onAsk: () => Promise.resolve(undefined),
    });

  it("by 60 seconds: the executor waits until it shows, and acts once", async () => {
    const capgo = await start();
    capgo.lag(60_000);
    expect(await carryOut(capgo.adapter())).toMatchObject({
      kind: "ended",
      outcome: { kind: "applied", versionSeen: OLD },
    });
    expect(capgo.waitedMs()).toBe(60_000);
    expect(writes(capgo)).toEqual(["PUT /bundle 200"]);
  });

  it("not at all: it does not wait", async () => {
    const capgo = await start();
    expect(await carryOut(capgo.adapter())).toMatchObject({ outcome: { kind: "applied" } });
    expect(capgo.waitedMs()).toBe(0);
  });

  it("as long as is waited for, to the last look; a moment longer, and it is tried again, not failed", async () => {
    const atEdge = await start();
    atEdge.lag(CAPGO_STALE_MS_MAX);
    expect(await atEdge.adapter().rollback(request)).toEqual({ kind: "done", version: OLD });
    const beyond = await start();
    beyond.lag(CAPGO_STALE_MS_MAX + 1);
    const server = beyond.adapter();
    const execution = await carryOut(server);
    expect(execution).toMatchObject({ kind: "try_again" });
    expect(detailOf(execution)).toBe(
      "Capgo said that it put the channel on 1.3.0, but the channel still shows what it was (looked at for up to 1 min 6 s)",
    );
    expect(beyond.waitedMs()).toBe(CAPGO_STALE_MS_MAX);
    beyond.pass(CAPGO_LOOK_EVERY_MS);
    expect(await carryOut(server)).toMatchObject({ outcome: { kind: "already_applied" } });
    expect(writes(beyond)).toEqual(["PUT /bundle 200"]);
  });

  it("the second of two at once waits as well, and does not act on what lags", async () => {
    const capgo = await start();
    capgo.lag(10_000);
    const server = capgo.adapter();
    const answers = await Promise.all([server.rollback(request), server.rollback(request)]);
    expect(answers).toEqual([
      { kind: "done", version: OLD },
      { kind: "done", version: OLD },
    ]);
    expect(writes(capgo)).toEqual(["PUT /bundle 200"]);
  });

  it("a pause is waited for as well", async () => {
    const capgo = await start();
    capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, OLD);
    capgo.state.startRollout(CAPGO_APP, CAPGO_CHANNEL, NEW);
    capgo.pass(60_000);
    capgo.lag(60_000);
    expect(await carryOut(capgo.adapter(), { action: "pause", target: null })).toMatchObject({
      outcome: { kind: "applied", detail: "The channel is paused." },
    });
    expect(rowOf(capgo)).toMatchObject({
      rolloutPauseReason: expect.stringMatching(/20 of 100/),
      rolloutBps: 1_000,
    });
    expect(writes(capgo)).toEqual(["POST /channel 200"]);
  });

  it("somebody promotes another bundle right after the act: that is what is told", async () => {
    const capgo = await start();
    const server = capgo.adapter();
    capgo.beforeCall(({ method }) => {
      if (method !== "PUT") return;
      capgo.beforeCall(() => {
        capgo.beforeCall(undefined);
        capgo.release(NEWER);
      });
    });
    expect(await server.rollback(request)).toEqual({ kind: "done", version: NEWER });
    expect(onChannel(capgo)).toBe(NEWER);
  });

  it("somebody takes the channel off all bundles right after the act: it is looked at again", async () => {
    const capgo = await start();
    capgo.beforeCall(({ method }) => {
      if (method !== "PUT") return;
      capgo.beforeCall(() => capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, null));
    });
    const answer = await capgo.adapter().rollback(request);
    expect(answer.kind).toBe("unavailable");
    expect(detailOf(answer)).toContain("the channel has no bundle now");
  });
});

describe("a key that Capgo does not know", () => {
  it("an hour of tries, channels that are looked at all the time, three agents: never locked out", async () => {
    const capgo = await start();
    const agents = [1, 2, 3].map(() => capgo.adapter({ apiKey: "revoked-key" }));
    for (let seconds = 0; seconds < 3_600; seconds += 5) {
      for (const agent of agents) {
        expect(await agent.rollback(request)).toMatchObject({ kind: "refused" });
        expect(await agent.readChannel(CAPGO_KEY)).toMatchObject({ kind: "refused" });
      }
      capgo.pass(5_000);
    }
    expect(refusedLogins(capgo)).toBeLessThanOrEqual(3 * 12);
    expect(capgo.calls.filter(({ status }) => status === 429)).toEqual([]);
    expect(await capgo.adapter().readChannel(CAPGO_KEY)).toMatchObject({ kind: "channel" });
  });

  it("says what to check, and until when it is not tried again", async () => {
    const capgo = await start();
    const answer = await capgo.adapter({ apiKey: "revoked-key" }).readChannel(CAPGO_KEY);
    expect(answer).toEqual({
      kind: "refused",
      detail:
        "GET /channel answered 401: invalid apikey; check ota_server.api_key: Capgo does not know it (this key is not tried again for 30.0 s: Capgo locks an address out after 20 refused log-ins)",
    });
  });

  it("rests to the millisecond, twice as long each time, up to its longest", async () => {
    const capgo = await start();
    const server = capgo.adapter({ apiKey: "revoked-key" });
    const asks = async (): Promise<number> => {
      await server.readChannel(CAPGO_KEY);
      return refusedLogins(capgo);
    };
    expect(await asks()).toBe(1);
    const rests = [1, 2, 4, 8, 16].map((times) => times * CAPGO_KEY_RESTS_MS_FIRST);
    for (const [turn, restMs] of [...rests, CAPGO_KEY_RESTS_MS_MAX, CAPGO_KEY_RESTS_MS_MAX].entries()) {
      capgo.pass(restMs - 1);
      expect(await asks()).toBe(turn + 1);
      capgo.pass(1);
      expect(await asks()).toBe(turn + 2);
    }
    // A clock that was set back does not keep it from being tried.
    capgo.pass(-1_000);
    expect(await asks()).toBe(9);
  });

  it("many channels at once ask once, whichever app they are of; another key is not held back", async () => {
    const capgo = await start();
    const brake = createCapgoAuthBrake(capgo.clock);
    const servers = Array.from({ length: 30 }, () => capgo.adapter({ apiKey: "revoked-key", brake }));
    const answers = await Promise.all(servers.map((server) => server.readChannel(CAPGO_KEY)));
    expect(new Set(answers.map(({ kind }) => kind))).toEqual(new Set(["refused"]));
    expect(refusedLogins(capgo)).toBe(1);
    expect(await capgo.adapter({ brake }).readChannel(CAPGO_KEY)).toMatchObject({ kind: "channel" });
  });

  it("apps of one configuration share what is known of their key", async () => {
    const capgo = await start();
    const app = { ingest_keys: ["example-ingest-key"], channels: { production: { policy: "p" } } };
    const ota_server = { type: "capgo", url: capgo.url, api_key: "revoked-key" };
    const settings = settingsSchema.parse({
      apps: { [CAPGO_APP]: { ...app, ota_server }, "com.acme.scale": { ...app, ota_server } },
      policies: { p: { rules: [{ signal: "update_failure", limit: "5%" }] } },
    });
    const channels = createWatchedChannels({
      settings: () => settings,
      clock: capgo.clock,
      version: "0.1.0",
    });
    expect(channels.all.map(({ server }) => server.type)).toEqual(["capgo", "capgo"]);
    const answers = await Promise.all(channels.all.map(({ key, server }) => server.readChannel(key)));
    expect(answers.map(({ kind }) => kind)).toEqual(["refused", "refused"]);
    expect(refusedLogins(capgo)).toBe(1);
    expect(channels.all[0]!.server).not.toBe(channels.all[1]!.server);
  });

  it("a key that was good: requests under way are refused together, and that is one refusal", async () => {
    const capgo = await start();
    const server = capgo.adapter();
    const refuse = (times: number): void => {
      for (let turn = 0; turn < times; turn += 1)
        capgo.fault("read", { kind: "error", status: 401, body: { error: "invalid_apikey" } });
    };
    await server.readChannel(CAPGO_KEY);
    refuse(8);
    const answers = await Promise.all(Array.from({ length: 8 }, () => server.readChannel(CAPGO_KEY)));
    expect(answers.map(({ kind }) => kind)).toEqual(Array.from({ length: 8 }, () => "refused"));
    expect(refusedLogins(capgo)).toBe(8);
    capgo.pass(CAPGO_KEY_RESTS_MS_FIRST);
    expect(await server.readChannel(CAPGO_KEY)).toMatchObject({ kind: "channel" });
    // It was good in between: its next rest is a first one again.
    refuse(1);
    expect(await server.readChannel(CAPGO_KEY)).toMatchObject({ kind: "refused" });
    capgo.pass(CAPGO_KEY_RESTS_MS_FIRST);
    expect(await server.readChannel(CAPGO_KEY)).toMatchObject({ kind: "channel" });
  });

  it("works again after its rest, when Capgo knows it again", async () => {
    const capgo = await start();
    const server = capgo.adapter();
    expect(await server.readChannel(CAPGO_KEY)).toMatchObject({ kind: "channel" });
    capgo.fault("read", {
      kind: "error",
      status: 401,
      body: { error: "invalid_apikey", message: "Invalid" },
    });
    expect(await server.rollback(request)).toMatchObject({ kind: "refused" });
    expect(await server.rollback(request)).toMatchObject({ kind: "refused" });
    capgo.pass(CAPGO_KEY_RESTS_MS_FIRST);
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
  });

  it("an address that somebody else locked out: nothing is sent until Capgo said", async () => {
    const capgo = await start();
    for (let turn = 0; turn < CAPGO_FAILED_LOGINS_MAX; turn += 1) await fetch(`${capgo.url}/channel`);
    const server = capgo.adapter();
    expect(await server.readChannel(CAPGO_KEY)).toMatchObject({ kind: "unavailable", retryAfterMs: 600_000 });
    const calls = capgo.calls.length;
    capgo.pass(60_000);
    expect(await server.rollback(request)).toMatchObject({ kind: "unavailable", retryAfterMs: 540_000 });
    expect(capgo.calls).toHaveLength(calls);
    capgo.pass(CAPGO_LOCKED_OUT_MS);
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
  });
});

describe("what Capgo refuses", () => {
  it.each([
    ["no right to read", { may: [] }, "check ota_server.app_id, and that the API key may read"],
    ["a key of another app", { may: ["app.read"], appIds: ["com.acme.other"] }, "check ota_server.app_id"],
  ] as const)("%s, a 400", async (_name, key, told) => {
    const capgo = await start({ limited: key });
    const answer = await capgo.adapter({ apiKey: "limited" }).readChannel(CAPGO_KEY);
    expect(answer.kind).toBe("refused");
    expect(detailOf(answer)).toContain(told);
  });

  it("a key that may only look changes nothing, and says what it lacks", async () => {
    const capgo = await start({ viewer: { may: ["app.read"] } });
    const answer = await capgo.adapter({ apiKey: "viewer" }).rollback(request);
    expect(answer.kind).toBe("refused");
    expect(detailOf(answer)).toMatch(
      /^PUT \/bundle answered 400: .*may read and change this app's channels$/,
    );
    expect(onChannel(capgo)).toBe(NEW);
  });

  it("a target that is deleted between looking and acting", async () => {
    const capgo = await start();
    capgo.beforeCall(({ method }) => {
      if (method === "PUT") capgo.state.apps.get(CAPGO_APP)!.bundles.forEach((each) => (each.deleted = true));
    });
    expect(await capgo.adapter().rollback(request)).toMatchObject({
      kind: "refused",
      detail: "PUT /bundle answered 400: cannot find version (cannot_find_version)",
    });
  });

  it("a pause of a whole channel: a rollout is what can be paused", async () => {
    const capgo = await start();
    const answer = await capgo.adapter().pause({ ...request, version: NEW });
    expect(answer).toMatchObject({ kind: "refused" });
    expect(detailOf(answer)).toContain("Capgo can only pause a progressive rollout: set action: rollback");
    expect(writes(capgo)).toEqual([]);
  });

  it("a channel on a bundle that no report can name", async () => {
    const capgo = await start();
    capgo.release("1.5 of May");
    const answer = await capgo.adapter().readChannel(CAPGO_KEY);
    expect(answer.kind).toBe("refused");
    expect(detailOf(answer)).toContain('the channel is on "1.5 of May"');
  });
});

describe("answers of another form", () => {
  async function answering(body: (path: string) => unknown, status = 200): Promise<OtaServer> {
    const capgo = await start();
    const json = await startJsonDouble();
    cleanups.push(() => json.close());
    json.answer(({ path }) => ({ status, body: body(path) }));
    return capgo.adapter({ url: json.url });
  }
  const channel = { id: 1, version: { id: 2, name: NEW } };

  it.each([
    ["a list for a channel", () => []],
    ["a channel without its version", () => ({ id: 1 })],
    ["bundles that are no list", (path: string) => (path.startsWith("/channel") ? channel : { data: [] })],
    [
      "a bundle without its time",
      (path: string) => (path.startsWith("/channel") ? channel : [{ id: 2, name: NEW }]),
    ],
  ])("%s is unavailable, with what is amiss", async (_name, body) => {
    const answer = await (await answering(body)).readChannel(CAPGO_KEY);
    expect(answer.kind).toBe("unavailable");
    expect(detailOf(answer)).toContain("answered 200 but not as Capgo does: ");
  });

  it("an older Capgo without rollouts: a plain channel, on which the rule for native builds holds", async () => {
    const server = await answering((path) =>
      path.startsWith("/channel") ? channel : [{ id: 2, name: NEW, created_at: "2026-01-30T12:00:00+00:00" }],
    );
    expect(await server.readChannel(CAPGO_KEY)).toEqual({
      kind: "channel",
      state: {
        version: NEW,
        offered: [NEW],
        releases: [{ version: NEW, releasedAt: "2026-01-30T12:00:00+00:00" }],
        pausable: false,
        refusesBelowNativeBuild: true,
      },
    });
  });

  it("a page of bundles is read up to its own limit, which is above the usual one", async () => {
    const row = (bytes: number) => [
      { id: 2, name: NEW, created_at: "2026-01-30T12:00:00+00:00", native_packages: "x".repeat(bytes) },
    ];
    const emptyBytes = JSON.stringify(row(0)).length;
    const sized = (bytes: number) =>
      answering((path) => (path.startsWith("/channel") ? channel : row(bytes - emptyBytes)));
    expect(await (await sized(CAPGO_BUNDLES_BYTES_MAX)).readChannel(CAPGO_KEY)).toMatchObject({
      kind: "channel",
    });
    expect(await (await sized(CAPGO_BUNDLES_BYTES_MAX + 1)).readChannel(CAPGO_KEY)).toMatchObject({
      kind: "unavailable",
    });
  });
});

describe("devices of the double", () => {
  const ask = async (capgo: TestCapgo, fields: object = {}): Promise<Record<string, unknown>> => {
    const response = await fetch(`${capgo.url}/updates`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        app_id: CAPGO_APP,
        device_id: "00000000-0000-0000-0000-000000000001",
        version_name: NEW,
        version_build: "1.0.0",
        is_emulator: false,
        is_prod: true,
        platform: "android",
        plugin_version: "8.51.23",
        defaultChannel: CAPGO_CHANNEL,
        ...fields,
      }),
    });
    return { status: response.status, ...((await response.json()) as object) };
  };

  it("get what the channel was rolled back to, and those below whose native build it is do not", async () => {
    const capgo = await start();
    expect(await ask(capgo)).toMatchObject({ kind: "up_to_date", error: "no_new_version_available" });
    await capgo.adapter().rollback(request);
    expect(await ask(capgo)).toMatchObject({ status: 200, version: OLD, checksum: `sha-of-${OLD}` });
    expect(await ask(capgo, { version_build: OLD })).toMatchObject({ version: OLD });
    expect(await ask(capgo, { version_build: "1.3.1" })).toMatchObject({
      kind: "blocked",
      error: "disable_auto_update_under_native",
      version: OLD,
    });
    rowOf(capgo).underNative = false;
    expect(await ask(capgo, { version_build: "1.3.1" })).toMatchObject({ version: OLD });
  });

  it("are told what else stands in the way, by its kind", async () => {
    const capgo = await start();
    expect(await ask(capgo, { defaultChannel: "nowhere" })).toMatchObject({
      kind: "failed",
      error: "no_channel",
    });
    expect(await ask(capgo, { app_id: "com.acme.other" })).toMatchObject({
      status: 429,
      error: "on_premise_app",
    });
    rowOf(capgo).android = false;
    expect(await ask(capgo, { version_name: OLD })).toMatchObject({
      kind: "blocked",
      error: "disabled_platform_android",
    });
    rowOf(capgo).android = true;
    capgo.state.apps.get(CAPGO_APP)!.bundles.forEach((each) => (each.deleted = true));
    expect(await ask(capgo, { version_name: OLD })).toMatchObject({ kind: "failed", error: "no_bundle" });
    capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, null);
    expect(await ask(capgo)).toMatchObject({
      kind: "up_to_date",
      error: "already_on_builtin",
      version: "builtin",
    });
  });

  it("of a rollout: a part gets it, no more of them once it is paused, none once it is ended", async () => {
    const capgo = await start();
    capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, OLD);
    capgo.state.startRollout(CAPGO_APP, CAPGO_CHANNEL, NEW, 5_000);
    const devices = Array.from(
      { length: 60 },
      (_, index) => `00000000-0000-0000-0000-${String(index).padStart(12, "0")}`,
    );
    const offeredTo = (version_name: string): Promise<unknown[]> =>
      Promise.all(
        devices.map(async (device_id) => (await ask(capgo, { device_id, version_name }))["version"]),
      );
    const count = async (version_name: string, wanted: string): Promise<number> =>
      (await offeredTo(version_name)).filter((version) => version === wanted).length;
    const chosen = await count("1.2.0", NEW);
    expect(chosen).toBeGreaterThan(10);
    expect(chosen).toBeLessThan(50);
    const server = capgo.adapter();
    expect(await server.pause({ ...request, version: NEW })).toEqual({ kind: "done", version: NEW });
    expect(await count("1.2.0", OLD)).toBe(60);
    // Who has it keeps it: nothing else is offered.
    expect(await count(NEW, OLD)).toBe(0);
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(await count(NEW, OLD)).toBe(60);
  });

  it("go back when they next come to the foreground, as the simulated device does", async () => {
    const capgo = await start();
    const stats = await startJsonDouble();
    cleanups.push(() => stats.close());
    const device = createCapgoDevice({
      appId: CAPGO_APP,
      versionBuild: "1.0.0",
      running: NEW,
      statsUrl: stats.url,
      updateUrl: `${capgo.url}/updates`,
      channel: CAPGO_CHANNEL,
      boots: () => true,
      clock: capgo.clock,
    });
    await device.foreground();
    expect(device.running()).toBe(NEW);
    await capgo.adapter().rollback(request);
    await device.foreground();
    expect(device.running()).toBe(OLD);
  });
});

describe("the double's own traps", () => {
  const call = async (capgo: TestCapgo, method: string, path: string, body?: object) => {
    const response = await fetch(`${capgo.url}${path}`, {
      method,
      headers: { "Content-Type": "application/json", authorization: "example-capgo-key" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  it("makes a channel of a typo, answers 500 for an unknown version, and 400 for an empty page", async () => {
    const capgo = await start();
    const app_id = CAPGO_APP;
    expect(
      await call(capgo, "POST", "/channel", { app_id, channel: "Prodution", rollback: true }),
    ).toMatchObject({ status: 200 });
    expect(capgo.state.apps.get(CAPGO_APP)!.channels.map(({ name }) => name)).toEqual([
      CAPGO_CHANNEL,
      "Prodution",
    ]);
    expect(
      await call(capgo, "POST", "/channel", { app_id, channel: CAPGO_CHANNEL, version: "9.9.9" }),
    ).toMatchObject({
      status: 500,
      body: { error: "unknown_error" },
    });
    expect(await call(capgo, "GET", `/bundle?app_id=${app_id}&page=1`)).toMatchObject({
      status: 400,
      body: { error: "cannot_get_bundle" },
    });
    expect(await call(capgo, "GET", `/channel?app_id=${app_id}&channel=nowhere`)).toMatchObject({
      status: 400,
      body: { error: "cannot_find_version" },
    });
  });

  it("rollback ends a rollout, does not move the channel, and is ok when there is none", async () => {
    const capgo = await start();
    const asked = { app_id: CAPGO_APP, channel: CAPGO_CHANNEL, rollback: true };
    expect(await call(capgo, "POST", "/channel", asked)).toEqual({ status: 200, body: { status: "ok" } });
    expect(onChannel(capgo)).toBe(NEW);
  });
});
