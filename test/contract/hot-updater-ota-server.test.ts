// The `hot_updater` adapter under the common contract and under the traps that only this make has: each against its double,
// and against the real `@hot-updater/server` in this process. Devices are asked as well: what they are sent to is what counts.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ANSWER_BYTES_MAX } from "../../agent/rollback/http-call.ts";
import type { ChannelState, OtaServer, RollbackRequest } from "../../agent/rollback/ota-server.ts";
import {
  HOT_UPDATER_ENABLED_ENOUGH,
  HOT_UPDATER_PAGES_MAX,
} from "../../agent/rollback/servers/hot-updater.ts";
import { HOT_UPDATER_PAGE_BUNDLES } from "../../agent/rollback/servers/hot-updater-api.ts";
import { ALL_COHORTS } from "../../agent/rollback/servers/hot-updater-targets.ts";
import { channelSchema } from "../../ingest/contract/release-key.ts";
import { createHotUpdaterDouble } from "../doubles/hot-updater.ts";
import type { HotUpdaterHandler, HotUpdaterRecord } from "../doubles/hot-updater.ts";
import {
  HOT_UPDATER_BASE_PATH,
  HOT_UPDATER_KEY,
  bundleId,
  bundleRecord,
  hotUpdaterServer,
  startHotUpdaterFront,
} from "../support/hot-updater.ts";
import type { HotUpdaterFault, HotUpdaterFront } from "../support/hot-updater.ts";
import { startJsonDouble } from "../support/json-double.ts";
import { startRealHotUpdater } from "../support/real-hot-updater.ts";
import type { RealHotUpdater } from "../support/real-hot-updater.ts";
import { otaServerContract } from "./ota-server.ts";
import type { NeutralFault, OtaServerHarness } from "./ota-server.ts";

const key = HOT_UPDATER_KEY;
const OLDER = bundleId(1);
const OLD = bundleId(2);
const NEW = bundleId(3);
const NEWER = bundleId(4);
const OPTIONS = { basePath: HOT_UPDATER_BASE_PATH, routes: { bundles: true } };

interface Backend {
  readonly make: string;
  /** PostgreSQL in WebAssembly on a busy machine answers in some 10 ms; a garbage collection may take longer. */
  readonly timeoutMs: number;
  /** With no bundle in it. */
  readonly fresh: () => Promise<HotUpdaterHandler>;
}

let real: RealHotUpdater;
beforeAll(async () => void (real = await startRealHotUpdater(OPTIONS)));
afterAll(async () => real.close());

const BACKENDS: readonly Backend[] = [
  {
    make: "hot_updater, the double",
    timeoutMs: 500,
    fresh: () => Promise.resolve(createHotUpdaterDouble(OPTIONS).handler),
  },
  {
    make: "hot_updater, the real @hot-updater/server 0.36.3",
    timeoutMs: 1_500,
    async fresh() {
      await real.empty();
      return real.handler;
    },
  },
];

const fronts: HotUpdaterFront[] = [];
afterEach(async () => {
  for (const front of fronts.splice(0)) await front.stop();
});

async function start({ fresh }: Backend, ...records: readonly HotUpdaterRecord[]): Promise<HotUpdaterFront> {
  const front = await startHotUpdaterFront(await fresh());
  fronts.push(front);
  await front.put(...records);
  return front;
}

async function stateOf(server: OtaServer): Promise<ChannelState> {
  const answer = await server.readChannel(key);
  if (answer.kind !== "channel") throw new Error(answer.detail);
  return answer.state;
}

const versionsOf = ({ releases }: ChannelState): string[] => releases.map(({ version }) => version);
const detailOf = (answer: object): string => ("detail" in answer ? String(answer.detail) : "");
const request = (fields: Partial<RollbackRequest> = {}): RollbackRequest => ({
  decisionId: "rb_1",
  ...key,
  from: NEW,
  to: OLD,
  reason: "8 % échouent",
  ...fields,
});
/** Ids of the bundles that were asked to be disabled, in their order. */
const disabledBy = ({ calls }: HotUpdaterFront): string[] =>
  calls.filter(({ method }) => method === "PATCH").map(({ path }) => path.split("/").at(-1)!);

describe.each(BACKENDS)("$make", (backend) => {
  const toFault = (fault: NeutralFault, front: HotUpdaterFront): HotUpdaterFault => {
    switch (fault.kind) {
      case "server_error":
        return { kind: "error", status: 500 };
      case "hangs":
        return { kind: "late", ms: backend.timeoutMs * 2 };
      case "acts_but_answer_is_lost":
        return { kind: "lost_answer" };
      case "garbage_answer":
        return { kind: "garbage" };
      case "oversize_answer":
        return { kind: "oversize", bytes: ANSWER_BYTES_MAX + 1 };
      case "rate_limited":
      case "redirect":
        return fault;
      case "sets_another_version":
        // Somebody disables the target at the same moment: the channel is then on the one below.
        return { kind: "meanwhile", act: () => front.patch(OLD, { enabled: false }) };
      default:
        return fault satisfies never;
    }
  };

  otaServerContract(
    backend.make,
    async (): Promise<OtaServerHarness> => {
      const front = await start(backend, ...[OLDER, OLD, NEW].map((id) => bundleRecord(id)));
      const elsewhere = await startJsonDouble();
      const { timeoutMs } = backend;
      return {
        server: hotUpdaterServer(front.url, { timeoutMs }),
        stranger: hotUpdaterServer(front.url, { timeoutMs, authorization: "Bearer nobody-knows-this" }),
        key,
        publish: (version) => front.put(bundleRecord(version)),
        fault: (call, fault) => front.fault(call === "read" ? "GET" : "PATCH", toFault(fault, front)),
        acts: () => front.calls.filter(({ method, status }) => method === "PATCH" && status === 200).length,
        strayRequests: () => elsewhere.requests.length,
        elsewhere: elsewhere.url,
        stopServer: front.stop,
        async dispose() {
          await front.stop();
          await elsewhere.close();
        },
      };
    },
    { older: OLDER, old: OLD, new: NEW, newer: NEWER, neverReleased: bundleId(9) },
  );

  describe("the cascade: devices go to the newest enabled bundle below, whatever that is", () => {
    it("all that is enabled in between is disabled first, the oldest first, the bad one last", async () => {
      const front = await start(
        backend,
        bundleRecord(bundleId(1)),
        bundleRecord(bundleId(2), { rolloutCohortCount: 0 }),
        bundleRecord(bundleId(3), { rolloutCohortCount: 100 }),
        bundleRecord(bundleId(4)),
      );
      const server = hotUpdaterServer(front.url);
      expect(versionsOf(await stateOf(server))).toEqual([bundleId(4), bundleId(1)]);
      const seen: string[] = [];
      for (const next of [2, 3])
        front.fault("PATCH", {
          kind: "meanwhile",
          act: async () =>
            void seen.push(`${next}: ${await front.check({ bundleId: bundleId(4), cohort: "7" })}`),
        });
      const answer = await server.rollback(request({ from: bundleId(4), to: bundleId(1) }));
      expect(answer).toEqual({ kind: "done", version: bundleId(1) });
      expect(disabledBy(front)).toEqual([bundleId(2), bundleId(3), bundleId(4)]);
      // Nobody is moved before all that lies in between is out of the way.
      expect(seen).toEqual(["2: nothing", "3: nothing"]);
      expect(await front.check({ bundleId: bundleId(4), cohort: "7" })).toBe(`ROLLBACK ${bundleId(1)}`);
      expect(await front.check({ bundleId: bundleId(1), cohort: "7" })).toBe("nothing");
    });

    it("without that, devices do go to a halted bundle, and from there once more", async () => {
      const front = await start(
        backend,
        bundleRecord(bundleId(1)),
        bundleRecord(bundleId(2), { rolloutCohortCount: 0 }),
        bundleRecord(bundleId(3), { enabled: false }),
      );
      expect(await front.check({ bundleId: bundleId(3), cohort: "7" })).toBe(`ROLLBACK ${bundleId(2)}`);
      expect(await front.check({ bundleId: bundleId(2), cohort: "7" })).toBe(`ROLLBACK ${bundleId(1)}`);
    });

    it("a run that was cut off goes on with what is left", async () => {
      const front = await start(backend, ...[1, 2, 3, 4].map((hour) => bundleRecord(bundleId(hour))));
      const server = hotUpdaterServer(front.url);
      const asked = request({ from: bundleId(4), to: bundleId(1) });
      front.fault("PATCH", { kind: "lost_answer" });
      expect(await server.rollback(asked)).toMatchObject({ kind: "unavailable" });
      expect((await stateOf(server)).version).toBe(bundleId(4));
      expect(await server.rollback(asked)).toEqual({ kind: "done", version: bundleId(1) });
      expect(disabledBy(front)).toEqual([bundleId(2), bundleId(3), bundleId(4)]);
    });

    it("whoever publishes in the middle has the last word, and is told what was done until then", async () => {
      const front = await start(backend, ...[1, 2, 3].map((hour) => bundleRecord(bundleId(hour))));
      front.fault("PATCH", { kind: "meanwhile", act: () => front.put(bundleRecord(bundleId(4))) });
      const answer = await hotUpdaterServer(front.url).rollback(request({ to: bundleId(1) }));
      expect([answer.kind, detailOf(answer)]).toEqual([
        "stale",
        `the channel offers ${bundleId(4)}, not ${bundleId(3)}; until then ${bundleId(2)} had been disabled`,
      ]);
      expect(disabledBy(front)).toEqual([bundleId(2)]);
    });

    it("whoever publishes at the last step is no result of ours", async () => {
      const front = await start(backend, ...[1, 2, 3].map((hour) => bundleRecord(bundleId(hour))));
      front.fault("PATCH", { kind: "meanwhile", act: () => front.put(bundleRecord(bundleId(4))) });
      expect(await hotUpdaterServer(front.url).rollback(request())).toMatchObject({
        kind: "stale",
        detail: expect.stringContaining(`until then ${bundleId(3)} had been disabled`) as string,
      });
    });

    it("when all below is disabled at that moment too, it says where devices are now", async () => {
      const front = await start(backend, bundleRecord(OLD), bundleRecord(NEW));
      front.fault("PATCH", { kind: "meanwhile", act: () => front.patch(OLD, { enabled: false }) });
      const answer = await hotUpdaterServer(front.url).rollback(request());
      expect([answer.kind, detailOf(answer)]).toEqual([
        "refused",
        expect.stringMatching(/JavaScript in the store binary; enable a good bundle/),
      ]);
    });
  });

  describe("what is a target", () => {
    const refusal = async (front: HotUpdaterFront): Promise<string> => {
      const server = hotUpdaterServer(front.url);
      expect(versionsOf(await stateOf(server))).toEqual([NEW, OLDER]);
      const answer = await server.rollback(request());
      expect([answer.kind, disabledBy(front)]).toEqual(["refused", []]);
      return detailOf(answer);
    };

    it.each([
      ["a disabled one", { enabled: false }, /is disabled: enable it first/],
      ["a halted one", { rolloutCohortCount: 0 }, /rolled out to 0 of 1000 cohorts/],
      ["one short of all cohorts", { rolloutCohortCount: ALL_COHORTS - 1 }, /999 of 1000 cohorts/],
    ])("%s is none", async (_what, fields, words) => {
      const front = await start(backend, bundleRecord(OLDER), bundleRecord(OLD, fields), bundleRecord(NEW));
      expect(await refusal(front)).toMatch(words);
    });

    it("one for another app version is none, and stays enabled for the devices that it is for", async () => {
      const front = await start(
        backend,
        bundleRecord(OLDER, { targetAppVersion: "*" }),
        bundleRecord(OLD, { targetAppVersion: "1.x" }),
        bundleRecord(NEW, { targetAppVersion: ">=2.0.0 <3.0.0" }),
      );
      expect(await refusal(front)).toMatch(
        /is for app version 1\.x, and .* for app version >=2\.0\.0 <3\.0\.0/,
      );
      const server = hotUpdaterServer(front.url);
      expect(await server.rollback(request({ to: OLDER }))).toEqual({ kind: "done", version: OLDER });
      // The newest enabled bundle is now the one for 1.x; the channel is still that of 2.x, until 1.x gets a newer one.
      expect((await stateOf(server)).version).toBe(OLDER);
      expect(await front.check({ bundleId: NEW, appVersion: "2.4.0" })).toBe(`ROLLBACK ${OLDER}`);
      expect(await front.check({ bundleId: OLD, appVersion: "1.4.0" })).toBe("nothing");
    });

    it("one with another fingerprint is none, though it names the same app version", async () => {
      const fields = { targetAppVersion: null };
      const front = await start(
        backend,
        bundleRecord(OLDER, { ...fields, fingerprintHash: "print-a" }),
        bundleRecord(OLD, { ...fields, fingerprintHash: "print-b" }),
        bundleRecord(NEW, { ...fields, fingerprintHash: "print-a" }),
      );
      expect(await refusal(front)).toMatch(/fingerprint print-b/);
      await hotUpdaterServer(front.url).rollback(request({ to: OLDER }));
      expect(disabledBy(front)).toEqual([NEW]);
      expect(await front.check({ bundleId: NEW, fingerprintHash: "print-a" })).toBe(`ROLLBACK ${OLDER}`);
    });

    it("none is one below a bundle that would have to go, and is for more devices than the target", async () => {
      const front = await start(
        backend,
        bundleRecord(OLDER, { targetAppVersion: "2.x" }),
        bundleRecord(OLD, { targetAppVersion: "1.x || 2.0.x" }),
        bundleRecord(NEW, { targetAppVersion: "2.x" }),
      );
      const server = hotUpdaterServer(front.url);
      expect(versionsOf(await stateOf(server))).toEqual([NEW]);
      expect(detailOf(await server.rollback(request({ to: OLDER })))).toMatch(/devices that it does not fit/);
      expect(disabledBy(front)).toEqual([]);
    });

    it("devices of a named cohort take only what names it: else they would fall to the built-in bundle", async () => {
      const named = { rolloutCohortCount: 0, targetCohorts: ["beta"] };
      const front = await start(
        backend,
        bundleRecord(OLDER, { targetCohorts: ["Beta", "qa"] }),
        bundleRecord(OLD),
        bundleRecord(NEW, named),
      );
      expect(await front.check({ bundleId: OLD, cohort: "beta" })).toBe(`UPDATE ${NEW}`);
      expect(await refusal(front)).toMatch(/does not name the cohort beta/);
      await front.patch(NEW, { enabled: false });
      await front.patch(OLDER, { targetCohorts: null });
      expect(await front.check({ bundleId: OLD, cohort: "beta" })).toBe(`ROLLBACK ${OLDER}`);
      expect(await front.check({ bundleId: OLDER, cohort: "beta" })).toMatch(/^ROLLBACK 00000000-0000-0000/);
    });

    it("nothing is one where nothing enabled is lower: the built-in bundle is never chosen", async () => {
      const front = await start(backend, bundleRecord(OLD, { enabled: false }), bundleRecord(NEW));
      expect(versionsOf(await stateOf(hotUpdaterServer(front.url)))).toEqual([NEW]);
    });
  });

  describe("what the channel offers", () => {
    it("is the newest that somebody is offered: not a halted one, but a canary", async () => {
      const front = await start(backend, bundleRecord(OLD), bundleRecord(NEW, { rolloutCohortCount: 0 }));
      const server = hotUpdaterServer(front.url);
      expect((await stateOf(server)).version).toBe(OLD);
      await front.patch(NEW, { rolloutCohortCount: 1 });
      expect((await stateOf(server)).version).toBe(NEW);
      await front.patch(NEW, { rolloutCohortCount: 0, targetCohorts: ["qa"] });
      expect((await stateOf(server)).version).toBe(NEW);
    });

    it("is what devices of the newest app version are offered; if none, what the next ones are", async () => {
      const front = await start(
        backend,
        bundleRecord(OLD, { targetAppVersion: "1.x" }),
        bundleRecord(NEW, { targetAppVersion: "2.x" }),
        bundleRecord(NEWER, { targetAppVersion: "3.x", enabled: false }),
      );
      const server = hotUpdaterServer(front.url);
      expect((await stateOf(server)).version).toBe(NEW);
      await front.patch(NEW, { enabled: false });
      expect((await stateOf(server)).version).toBe(OLD);
      await front.patch(NEWER, { enabled: true });
      expect((await stateOf(server)).version).toBe(NEWER);
    });

    it("is nothing where all are disabled: a rollback is stale then", async () => {
      const front = await start(backend, bundleRecord(NEW, { enabled: false }));
      const server = hotUpdaterServer(front.url);
      expect(await stateOf(server)).toEqual({ version: null, releases: [] });
      expect(await server.rollback(request())).toMatchObject({ kind: "stale" });
    });

    it("is of one platform and one channel", async () => {
      const front = await start(
        backend,
        bundleRecord(OLD),
        bundleRecord(NEW),
        bundleRecord(bundleId(4), { platform: "android" }),
        bundleRecord(bundleId(5), { channel: "beta" }),
      );
      expect(versionsOf(await stateOf(hotUpdaterServer(front.url)))).toEqual([NEW, OLD]);
      await hotUpdaterServer(front.url).rollback(request());
      expect(disabledBy(front)).toEqual([NEW]);
    });

    it("tells content that is published again as the same, also where the first one was disabled", async () => {
      const content = { fileHash: "hash-of-content" };
      const front = await start(
        backend,
        bundleRecord(OLD),
        bundleRecord(NEW, { ...content, enabled: false }),
        bundleRecord(NEWER, content),
      );
      const { releases } = await stateOf(hotUpdaterServer(front.url));
      expect(releases).toEqual([
        { version: NEWER, releasedAt: "2026-09-01T04:00:00.000Z", sameAs: [NEW] },
        { version: OLD, releasedAt: "2026-09-01T02:00:00.000Z" },
      ]);
    });

    it("is found behind pages of disabled ones, and enough enabled ones end the reading", async () => {
      const page = HOT_UPDATER_PAGE_BUNDLES;
      const hours = Array.from({ length: 3 * page }, (_, index) => index + 1);
      const front = await start(
        backend,
        ...hours.map((hour) => bundleRecord(bundleId(hour), { enabled: hour <= 2 * page })),
      );
      const { version, releases } = await stateOf(hotUpdaterServer(front.url));
      expect([version, releases.length]).toEqual([bundleId(2 * page), HOT_UPDATER_ENABLED_ENOUGH]);
      expect(front.calls.length).toBe(2);
    });
  });
});

describe("what is told to people", () => {
  const backend = BACKENDS[0]!;

  it("a channel that the configuration does not name, and one that the server has nothing of", async () => {
    const front = await start(backend, bundleRecord(NEW));
    const server = hotUpdaterServer(front.url);
    const read = async (channel: string): Promise<string> =>
      detailOf(await server.readChannel({ ...key, channel: channelSchema.parse(channel) }));
    expect(await read("beta")).toMatch(/add beta: \{ channel: <its name there>, platform: ios or android \}/);
    expect(await read("production-android")).toMatch(/no bundle of the channel "production" for android/);
  });

  it("a server without its bundles routes, or another base path: 404 with the remedy", async () => {
    const { handler } = createHotUpdaterDouble({ basePath: HOT_UPDATER_BASE_PATH });
    const front = await startHotUpdaterFront(handler);
    fronts.push(front);
    const answer = await hotUpdaterServer(front.url).readChannel(key);
    expect([answer.kind, detailOf(answer)]).toEqual([
      "refused",
      expect.stringMatching(/404: Not found; .*routes: \{ bundles: true \}.*base path/),
    ]);
  });

  it("a proxy that drops the query takes no bundle of another platform or channel into the list", async () => {
    const { handler } = createHotUpdaterDouble(OPTIONS);
    const front = await startHotUpdaterFront((asked) => {
      const plain = asked.method === "GET" ? asked.url.replace(/\?.*/, "") : asked.url;
      return handler(new Request(plain, asked));
    });
    fronts.push(front);
    await front.put(
      bundleRecord(OLD),
      bundleRecord(NEW),
      bundleRecord(bundleId(4), { platform: "android" }),
      bundleRecord(bundleId(5), { channel: "beta" }),
    );
    expect(versionsOf(await stateOf(hotUpdaterServer(front.url)))).toEqual([NEW, OLD]);
  });

  it("what the deployer's own authentication refuses", async () => {
    const front = await start(backend, bundleRecord(NEW));
    const answer = await hotUpdaterServer(front.url, { authorization: "Bearer wrong" }).readChannel(key);
    expect(detailOf(answer)).toMatch(/401: Unauthorized; check ota_server\.headers/);
  });

  it("400 is refused, 500 is tried again, both with the server's words", async () => {
    const front = await start(backend, ...[OLDER, OLD, NEW].map((id) => bundleRecord(id)));
    const server = hotUpdaterServer(front.url);
    front.fault("PATCH", { kind: "error", status: 400, body: { error: "Bundle id mismatch" } });
    expect(await server.rollback(request())).toMatchObject({
      kind: "refused",
      detail: expect.stringContaining("400: Bundle id mismatch") as string,
    });
    const message = "connection to the database lost";
    front.fault("PATCH", { kind: "error", status: 500, body: { error: "Internal server error", message } });
    expect(await server.rollback(request())).toMatchObject({
      kind: "unavailable",
      detail: expect.stringContaining(`500: ${message}`) as string,
    });
  });

  it("a bundle that was deleted meanwhile is out of the way like a disabled one", async () => {
    const front = await start(backend, ...[1, 2, 3].map((hour) => bundleRecord(bundleId(hour))));
    front.fault("GET", {
      kind: "meanwhile",
      act: async () => void (await front.ask("DELETE", `/api/bundles/${bundleId(2)}`)),
    });
    const answer = await hotUpdaterServer(front.url).rollback(request({ to: bundleId(1) }));
    expect(answer).toEqual({ kind: "done", version: bundleId(1) });
    expect(front.calls.map(({ method, status }) => `${method} ${status}`)).toEqual([
      "GET 200",
      "PATCH 500",
      "GET 200",
      "PATCH 200",
      "GET 200",
    ]);
  });

  it("a server that says it did and did not is not asked for ever", async () => {
    const front = await start(backend, bundleRecord(OLD), bundleRecord(NEW));
    front.fault("PATCH", { kind: "meanwhile", act: () => front.patch(NEW, { enabled: true }) });
    expect(await hotUpdaterServer(front.url).rollback(request())).toMatchObject({
      kind: "unavailable",
      detail: expect.stringContaining("still lists it as enabled") as string,
    });
    expect(disabledBy(front)).toEqual([NEW]);
  });

  it("an enabled bundle whose id has no time in it, and nothing but disabled ones in all that is read", async () => {
    const odd = "ffffffff-0000-4000-8000-000000000000";
    const front = await start(backend, bundleRecord(NEW), bundleRecord(odd));
    const server = hotUpdaterServer(front.url);
    expect(detailOf(await server.readChannel(key))).toMatch(/no UUIDv7 \(ffffffff-.*disable it/);
    await front.patch(odd, { enabled: false });
    expect((await stateOf(server)).version).toBe(NEW);
    const all = HOT_UPDATER_PAGES_MAX * HOT_UPDATER_PAGE_BUNDLES;
    const hours = Array.from({ length: all - 1 }, (_, index) => index + 10);
    await front.put(...hours.map((hour) => bundleRecord(bundleId(hour), { enabled: false })));
    // The odd one is the newest of all, and NEW the one that comes after the last page.
    expect(detailOf(await server.readChannel(key))).toMatch(/none of the newest 500 bundles .* is enabled/);
    await front.ask("DELETE", `/api/bundles/${odd}`);
    expect((await stateOf(server)).version).toBe(NEW);
  });

  it("the deployer's headers are sent, and none of the secret is in a message", async () => {
    const front = await start(backend, bundleRecord(NEW));
    await stateOf(hotUpdaterServer(front.url));
    expect(front.calls[0]!.headers).toMatchObject({
      accept: "application/json",
      "user-agent": "lastgood/0.0.0",
    });
  });
});
