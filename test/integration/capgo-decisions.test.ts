// What is decided about a channel of Capgo, on a real Redis, with the double of its server: which release it goes back to
// where Capgo lists all that the app ever had, and what a native build has to do with it.
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import { readChannelView } from "../../agent/jobs/channel-view.ts";
import { gatherSituation } from "../../agent/jobs/decide-on.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import { OFFERED_MAX } from "../../agent/journal/summary-store.ts";
import { openStores } from "../../agent/pipeline.ts";
import type { Stores } from "../../agent/pipeline.ts";
import { decide } from "../../agent/policy/decide.ts";
import type { RollbackDecision } from "../../agent/policy/decision.ts";
import type { Situation } from "../../agent/policy/situation.ts";
import type { OtaServer } from "../../agent/rollback/ota-server.ts";
import type { Version } from "../../ingest/contract/release-key.ts";
import { encodeReportEntry } from "../../ingest/contract/report-entry.ts";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { CAPGO_APP, CAPGO_CHANNEL, CAPGO_KEY, startCapgo } from "../support/capgo.ts";
import type { TestCapgo } from "../support/capgo.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { failingVerdict, samplePolicy, version } from "../support/verdicts.ts";

let server: TestRedis;
let redis: Redis;
let stores: Stores;
let capgo: TestCapgo;
let ota: OtaServer;
beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
});
afterAll(async () => {
  await redis.quit();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  stores = openStores(redis, 1);
  capgo = await startCapgo();
  ota = capgo.adapter();
});
afterEach(() => capgo.stop());

const see = () =>
  readChannelView({ key: CAPGO_KEY, server: ota }, { summaries: stores.summaries, clock: capgo.clock });

/** As when reports arrive: the channel is looked at after each release. */
async function releaseAndSee(...texts: string[]): Promise<void> {
  for (const text of texts) {
    capgo.pass(60_000);
    capgo.release(text);
    await see();
  }
}

async function situationOf(text: string): Promise<Situation> {
  const release = { ...CAPGO_KEY, version: version(text) };
  const { situation } = await gatherSituation(
    { key: CAPGO_KEY, policy: samplePolicy(), minimumVersion: undefined, server: ota },
    { verdict: failingVerdict({ release }), cause: "evidence" },
    { ...stores, clock: capgo.clock },
  );
  return situation;
}

const decideOn = async (text: string): Promise<RollbackDecision> => decide(await situationOf(text));

describe("which release is gone back to", () => {
  it("none that was never on the channel, however new: a beta, or one that was only uploaded", async () => {
    await see();
    capgo.pass(1_000);
    capgo.state.addBundle(CAPGO_APP, "1.5.0-beta.1");
    await releaseAndSee("1.5.0");
    expect(await decideOn("1.5.0")).toMatchObject({ kind: "rollback", target: "1.4.0" });
  });

  it("what the channel had before, even where that was uploaded later", async () => {
    await see();
    capgo.pass(1_000);
    capgo.state.addBundle(CAPGO_APP, "1.5.0");
    await releaseAndSee("1.4.1");
    capgo.pass(1_000);
    capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, "1.5.0");
    expect(await decideOn("1.5.0")).toMatchObject({ kind: "rollback", target: "1.4.1" });
  });

  it("nothing at first: what the channel had before Lastgood came, nobody tells", async () => {
    expect(await decideOn("1.4.0")).toMatchObject({ kind: "hold", reason: "no_good_target" });
  });

  it("not what somebody left by hand: neither from what they put back, nor later", async () => {
    await releaseAndSee("1.5.0", "1.6.0");
    capgo.pass(1_000);
    capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, "1.5.0");
    await see();
    expect(await decideOn("1.5.0")).toMatchObject({ kind: "hold", reason: "no_good_target" });
    await releaseAndSee("1.7.0");
    expect(await decideOn("1.7.0")).toMatchObject({ kind: "rollback", target: "1.5.0" });
  });

  it("what was left and is put on the channel again is a target again", async () => {
    await releaseAndSee("1.5.0", "1.6.0");
    for (const text of ["1.5.0", "1.6.0"]) {
      capgo.pass(1_000);
      capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, text);
      await see();
    }
    await releaseAndSee("1.7.0");
    expect(await decideOn("1.7.0")).toMatchObject({ kind: "rollback", target: "1.6.0" });
  });

  it("of a rollout what the others get, seen for the first time together with it", async () => {
    capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, "1.3.0");
    capgo.state.startRollout(CAPGO_APP, CAPGO_CHANNEL, "1.4.0");
    expect(await decideOn("1.4.0")).toMatchObject({ kind: "rollback", target: "1.3.0" });
  });

  it("of a second rollout what the others get, and not the first rollout", async () => {
    capgo.state.setVersion(CAPGO_APP, CAPGO_CHANNEL, "1.3.0");
    capgo.state.startRollout(CAPGO_APP, CAPGO_CHANNEL, "1.4.0");
    await see();
    capgo.pass(1_000);
    capgo.state.addBundle(CAPGO_APP, "1.4.1");
    capgo.state.startRollout(CAPGO_APP, CAPGO_CHANNEL, "1.4.1");
    expect(await decideOn("1.4.1")).toMatchObject({ kind: "rollback", target: "1.3.0" });
  });

  it("one that was deleted since is passed over", async () => {
    await see();
    await releaseAndSee("1.5.0", "1.6.0");
    capgo.state.apps.get(CAPGO_APP)!.bundles.find(({ name }) => name === "1.5.0")!.deleted = true;
    capgo.pass(60_000);
    expect(await decideOn("1.6.0")).toMatchObject({ kind: "rollback", target: "1.4.0" });
  });

  it("people may still choose any that Capgo has", async () => {
    const view = await see();
    if (view.kind !== "known") throw new Error(view.detail);
    expect(view.had).toEqual(["1.4.0"]);
    expect(view.releases.map((release) => release.version)).toEqual(["1.4.0", "1.3.0", "1.2.0"]);
  });

  it("as many are remembered as are named, the newest of them", async () => {
    const names = Array.from({ length: OFFERED_MAX + 1 }, (_, index) => version(`3.0.${index}`));
    const note = (last: number): Promise<Version[]> =>
      stores.summaries.noteOffered(CAPGO_KEY, [names[last]!], 1_000 + last);
    let seen: Version[] = [];
    for (let last = 0; last < OFFERED_MAX; last += 1) seen = await note(last);
    expect(seen).toHaveLength(OFFERED_MAX);
    expect(seen.at(-1)).toBe("3.0.0");
    seen = await note(OFFERED_MAX);
    expect(seen).toHaveLength(OFFERED_MAX);
    expect([seen[0], seen.at(-1)]).toEqual([`3.0.${OFFERED_MAX}`, "3.0.1"]);
    // Seen again, it is no newer for that; gone back to, what came after it has been left.
    expect(await note(OFFERED_MAX)).toEqual(seen);
    expect(await note(50)).toEqual(seen.slice(seen.indexOf(names[50]!)));
  });
});

describe("the native build", () => {
  /** So many devices took 1.5.0 up, on these builds. */
  async function report(...builds: (string | undefined)[]): Promise<void> {
    const reports = builds.map((native, index) => ({
      ...CAPGO_KEY,
      version: version("1.5.0"),
      device: `device-${index}`,
      event: "update_started" as const,
      atMs: capgo.clock(),
      platform: "android",
      ...(native === undefined ? {} : { native_version: native }),
    }));
    await redis.xadd(reportStream(0), "*", ...encodeReportEntry({ receivedAtMs: capgo.clock(), reports }));
    await foldShard({
      store: createShardStore({ redis, shard: 0 }),
      rules: DEFAULT_COUNTING_RULES,
      onChange: () => {},
      isStopping: () => false,
      nowMs: capgo.clock,
      heardFromMs: () => Promise.resolve(0),
    });
  }
  beforeEach(async () => {
    await see();
    await releaseAndSee("1.5.0");
  });

  it("of the devices on the release is in the situation, and a target below all of them is refused", async () => {
    await report("1.10.0", "1.4.1", "1.4.1");
    expect((await situationOf("1.5.0")).lowestNativeBuild).toBe("1.4.1");
    expect(await decideOn("1.5.0")).toMatchObject({
      kind: "hold",
      guard: "good_target",
      reason: "target_below_native_build",
    });
  });

  it("one device that would take it is enough", async () => {
    await report("1.10.0", "1.4.0");
    expect(await decideOn("1.5.0")).toMatchObject({ kind: "rollback", target: "1.4.0" });
  });

  it("is not looked at where Capgo does not go by it, nor where a device did not tell its own", async () => {
    await report("1.10.0");
    capgo.state.channel(CAPGO_APP, CAPGO_CHANNEL).underNative = false;
    expect((await situationOf("1.5.0")).lowestNativeBuild).toBeUndefined();
    expect(await decideOn("1.5.0")).toMatchObject({ kind: "rollback", target: "1.4.0" });
    capgo.state.channel(CAPGO_APP, CAPGO_CHANNEL).underNative = true;
    await report("1.10.0", undefined);
    expect((await situationOf("1.5.0")).lowestNativeBuild).toBeUndefined();
  });
});
