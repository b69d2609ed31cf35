// The `capgo` adapter against its double: the common contract on a plain channel and on one with a progressive rollout, then
// what only Capgo has: ids, two bundles on a channel, 400s for everything, reads that lag, pages that overlap.
import { afterEach, describe, expect, it } from "vitest";
import type { ChannelState, OtaServer, RollbackRequest } from "../../agent/rollback/ota-server.ts";
import { CAPGO_BUNDLES_AGE_MS_MAX } from "../../agent/rollback/servers/capgo.ts";
import { CAPGO_BUNDLES_MAX, CAPGO_BUNDLES_PER_PAGE } from "../../agent/rollback/servers/capgo-api.ts";
import { channelSchema, versionSchema } from "../../ingest/contract/release-key.ts";
import type { CapgoFault } from "../doubles/capgo.ts";
import { CAPGO_APP, CAPGO_CHANNEL, CAPGO_KEY, CAPGO_TIMEOUT_MS, startCapgo } from "../support/capgo.ts";
import type { TestCapgo } from "../support/capgo.ts";
import { startJsonDouble } from "../support/json-double.ts";
import { NEW, NEWER, OLD, OLDER, otaServerContract } from "./ota-server.ts";
import type { NeutralFault, OtaServerHarness } from "./ota-server.ts";
import { toWireFault } from "./wire-faults.ts";

function toFault(fault: NeutralFault): CapgoFault {
  return toWireFault(fault, {
    hangMs: CAPGO_TIMEOUT_MS * 2,
    anotherVersion: (version) => ({ kind: "another_bundle" as const, name: version }),
  });
}

function harnessWith(kind: "plain" | "rollout"): () => Promise<OtaServerHarness> {
  return async () => {
    const capgo = await startCapgo();
    const elsewhere = await startJsonDouble();
    const rollOut = (version: string): void => {
      capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, OLD);
      capgo.state.startRollout(CAPGO_APP, CAPGO_CHANNEL, version);
    };
    if (kind === "rollout") rollOut(NEW);
    return {
      server: capgo.adapter(),
      stranger: capgo.adapter({ apiKey: "another-capgo-key" }),
      key: CAPGO_KEY,
      publish(version) {
        capgo.state.addBundle(CAPGO_APP, version);
        if (kind === "rollout") return rollOut(version);
        capgo.state.clearRollout(capgo.state.channel(CAPGO_APP, CAPGO_CHANNEL));
        capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, version);
      },
      ...(kind === "plain" ? { readyToPause: () => rollOut(NEW) } : {}),
      fault: (call, fault) => capgo.fault(call === "read" ? "read" : "write", toFault(fault)),
      acts: capgo.acts,
      strayRequests: () => elsewhere.requests.length,
      elsewhere: elsewhere.url,
      stopServer: capgo.stop,
      async dispose() {
        await capgo.stop();
        await elsewhere.close();
      },
    };
  };
}

otaServerContract("capgo, plain channel", harnessWith("plain"));
otaServerContract("capgo, progressive rollout", harnessWith("rollout"));

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
  calls
    .filter(({ kind }) => kind === "write")
    .map(({ method, url, body }) => `${method} ${url} ${JSON.stringify(body)}`);
const detailOf = (answer: object): string => ("detail" in answer ? String(answer.detail) : "");
async function stateOf(server: OtaServer): Promise<ChannelState> {
  const answer = await server.readChannel(CAPGO_KEY);
  if (answer.kind !== "channel") throw new Error(answer.detail);
  return answer.state;
}
const versionsOf = ({ releases }: ChannelState): string[] => releases.map(({ version }) => version);

describe("going back at Capgo", () => {
  it("sets the earlier bundle by ids, with the key alone, and touches nothing else", async () => {
    const capgo = await start({ least: { may: ["app.read", "channel.promote_bundle"] } });
    expect(await capgo.adapter({ apiKey: "least" }).rollback(request)).toEqual({
      kind: "done",
      version: OLD,
    });
    const old = capgo.state.apps.get(CAPGO_APP)!.bundles.find(({ name }) => name === OLD)!;
    expect(writes(capgo)).toEqual([
      `PUT /bundle {"app_id":"${CAPGO_APP}","version_id":${old.id},"channel_id":${rowOf(capgo).id}}`,
    ]);
    expect(onChannel(capgo)).toBe(OLD);
  });

  it("from a rollout to what the channel had: ends the rollout, and leaves the channel's bundle alone", async () => {
    const capgo = await start();
    capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, OLD);
    capgo.state.startRollout(CAPGO_APP, CAPGO_CHANNEL, NEW);
    expect(await capgo.adapter().rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(writes(capgo)).toEqual([
      `POST /channel {"app_id":"${CAPGO_APP}","channel":"${CAPGO_CHANNEL}","rollback":true}`,
    ]);
    expect(rowOf(capgo)).toMatchObject({ rolloutVersionId: null, rolloutEnabled: false, rolloutBps: 0 });
  });

  it("from a rollout past what the channel had: sets the bundle first, then ends the rollout; cut off, it goes on", async () => {
    const capgo = await start();
    capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, OLD);
    capgo.state.startRollout(CAPGO_APP, CAPGO_CHANNEL, NEW);
    const server = capgo.adapter();
    capgo.fault("write", { kind: "error", status: 500 }, "/channel");
    const further = { ...request, to: OLDER };
    expect(await server.rollback(further)).toMatchObject({ kind: "unavailable" });
    expect(await stateOf(server)).toMatchObject({ version: NEW, offered: [NEW, OLDER] });
    expect(await server.rollback(further)).toEqual({ kind: "done", version: OLDER });
    expect(onChannel(capgo)).toBe(OLDER);
    expect(rowOf(capgo).rolloutVersionId).toBeNull();
  });

  it("where the bad bundle is the channel's and its own rollout: both are ended", async () => {
    const capgo = await start();
    capgo.state.startRollout(CAPGO_APP, CAPGO_CHANNEL, NEW);
    expect(await stateOf(capgo.adapter())).toMatchObject({ version: NEW, offered: [NEW], pausable: true });
    expect(await capgo.adapter().rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(onChannel(capgo)).toBe(OLD);
    expect(rowOf(capgo).rolloutVersionId).toBeNull();
  });

  it("leaves a rollout that nobody gets alone", async () => {
    const capgo = await start();
    capgo.state.addBundle(CAPGO_APP, NEWER);
    capgo.state.startRollout(CAPGO_APP, CAPGO_CHANNEL, NEWER, 0);
    expect((await stateOf(capgo.adapter())).offered).toEqual([NEW]);
    expect(await capgo.adapter().rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(capgo.state.nameOf(CAPGO_APP, rowOf(capgo).rolloutVersionId)).toBe(NEWER);
  });

  it("a rollout that Capgo paused by itself is paused: its reason is not written over", async () => {
    const capgo = await start();
    capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, OLD);
    capgo.state.startRollout(CAPGO_APP, CAPGO_CHANNEL, NEW);
    Object.assign(rowOf(capgo), { rolloutPausedAtMs: capgo.clock(), rolloutPauseReason: "auto_pause" });
    const server = capgo.adapter();
    expect(await server.pause({ ...request, version: NEW })).toEqual({ kind: "done", version: NEW });
    expect(writes(capgo)).toEqual([]);
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
  });

  it("two decisions at once on one channel: the second one sees what the first one did", async () => {
    const capgo = await start();
    const server = capgo.adapter();
    const answers = await Promise.all([
      server.rollback(request),
      server.rollback({ ...request, decisionId: "rb_other", to: OLDER }),
    ]);
    expect(answers).toMatchObject([{ kind: "done", version: OLD }, { kind: "stale" }]);
    expect(capgo.acts()).toBe(1);
  });

  it("never makes a channel of a name that is not there", async () => {
    const capgo = await start();
    const server = capgo.adapter({ channels: new Map([[channelSchema.parse("production"), "Prodution"]]) });
    for (const answer of [
      await server.readChannel(CAPGO_KEY),
      await server.rollback(request),
      await server.pause({ ...request, version: NEW }),
    ]) {
      expect(answer.kind).toBe("refused");
      expect(detailOf(answer)).toContain(
        `Capgo has no channel Prodution of ${CAPGO_APP}: name it under ota_server.channels`,
      );
    }
    expect(writes(capgo)).toEqual([]);
    expect(capgo.state.apps.get(CAPGO_APP)!.channels).toHaveLength(1);
  });
});

describe("what is a target at Capgo", () => {
  it("no deleted bundle, none without files, none that no report can name, and never builtin", async () => {
    const capgo = await start();
    capgo.state.apps.get(CAPGO_APP)!.bundles.find(({ name }) => name === OLD)!.deleted = true;
    capgo.state.addBundle(CAPGO_APP, "1.3.1", { r2Path: null });
    capgo.state.addBundle(CAPGO_APP, "1.3.2 beta");
    capgo.state.addBundle(CAPGO_APP, "builtin");
    const server = capgo.adapter();
    expect(versionsOf(await stateOf(server))).toEqual([NEW, OLDER]);
    for (const to of [OLD, "1.3.1", "builtin"].map((text) => versionSchema.parse(text))) {
      const answer = await server.rollback({ ...request, to });
      expect(answer.kind).toBe("refused");
      expect(detailOf(answer)).toContain(
        `Capgo has no bundle ${to} of ${CAPGO_APP} that a channel can be set to`,
      );
    }
    expect(writes(capgo)).toEqual([]);
  });

  it("a channel on builtin offers nothing, and nothing is rolled back there", async () => {
    const capgo = await start();
    capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, null);
    const server = capgo.adapter();
    expect(await stateOf(server)).toMatchObject({ version: null, offered: [] });
    expect(await server.rollback(request)).toMatchObject({ kind: "stale" });
  });

  it("says what the channel offers, and does not claim that all bundles were on it", async () => {
    const capgo = await start();
    capgo.state.addBundle(CAPGO_APP, "2.0.0-beta.1");
    const server = capgo.adapter();
    expect(await stateOf(server)).toMatchObject({ version: NEW, offered: [NEW], pausable: false });
    expect(versionsOf(await stateOf(server))).toEqual(["2.0.0-beta.1", NEW, OLD, OLDER]);
    capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, OLDER);
    capgo.state.startRollout(CAPGO_APP, CAPGO_CHANNEL, NEW);
    const state = await stateOf(server);
    expect(state).toMatchObject({ version: NEW, offered: [NEW, OLDER], pausable: true, paused: false });
    // What the others get comes next, whatever was uploaded in between.
    expect(versionsOf(state)).toEqual(["2.0.0-beta.1", NEW, OLDER, OLD]);
  });

  it("a bundle that is deleted while its channel still has it is told, and is no target", async () => {
    const capgo = await start();
    capgo.state.apps.get(CAPGO_APP)!.bundles.find(({ name }) => name === NEW)!.deleted = true;
    const server = capgo.adapter();
    expect(versionsOf(await stateOf(server))).toEqual([NEW, OLD, OLDER]);
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
  });

  it.each([true, false])(
    "tells whether devices are refused what is below their native build: %s",
    async (rule) => {
      const capgo = await start();
      rowOf(capgo).underNative = rule;
      expect((await stateOf(capgo.adapter())).refusesBelowNativeBuild).toBe(rule);
    },
  );
});

describe("pages of bundles", () => {
  const upload = (capgo: TestCapgo, count: number): void => {
    for (let each = 1; each <= count; each += 1) {
      capgo.pass(1_000);
      capgo.state.addBundle(CAPGO_APP, `2.0.0-beta.${each}`);
    }
  };
  const pages = ({ calls }: TestCapgo): (string | null)[] =>
    calls
      .filter(({ url }) => url.startsWith("/bundle?"))
      .map(({ url }) => new URL(url, "http://x").searchParams.get("page"));

  it.each([
    // A page that is not full is the last one.
    [CAPGO_BUNDLES_PER_PAGE - 4, ["0"]],
    // A full one may be: the empty page after it is a 400.
    [CAPGO_BUNDLES_PER_PAGE - 3, ["0", "1"]],
    [CAPGO_BUNDLES_PER_PAGE - 2, ["0", "1"]],
    // Page 1 brings 500 rows, so all are there; only the next one is short enough to tell.
    [2 * CAPGO_BUNDLES_PER_PAGE, ["0", "1", "2"]],
  ])("with %i bundles more each is listed once, in %j", async (more, asked) => {
    const capgo = await start();
    upload(capgo, more);
    const versions = versionsOf(await stateOf(capgo.adapter()));
    expect(versions).toHaveLength(3 + more);
    expect(new Set(versions).size).toBe(3 + more);
    expect(versions.slice(-3)).toEqual([NEW, OLD, OLDER]);
    expect(pages(capgo)).toEqual(asked);
  });

  it("looks at the newest bundles alone where there are very many", async () => {
    const capgo = await start();
    upload(capgo, CAPGO_BUNDLES_MAX - 2);
    const server = capgo.adapter();
    const versions = versionsOf(await stateOf(server));
    expect(versions).toHaveLength(CAPGO_BUNDLES_MAX);
    expect(versions.slice(-2)).toEqual([NEW, OLD]);
    expect(pages(capgo)).toEqual(["0", "1"]);
    expect(await server.rollback({ ...request, to: OLDER })).toMatchObject({ kind: "refused" });
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
  });

  it("are read once a minute, and at once for a release that is not among them or before acting", async () => {
    const capgo = await start();
    const server = capgo.adapter();
    const readings = async (): Promise<number> => {
      await stateOf(server);
      return pages(capgo).length;
    };
    expect(await readings()).toBe(1);
    capgo.pass(CAPGO_BUNDLES_AGE_MS_MAX - 1);
    expect(await readings()).toBe(1);
    capgo.pass(1);
    expect(await readings()).toBe(2);
    capgo.release(NEWER);
    expect(await readings()).toBe(3);
    await server.rollback({ ...request, from: NEWER });
    expect(pages(capgo)).toHaveLength(4);
  });
});
