// A forged wave of failures on a real Redis, over four shards: reports of invented devices go in as those of a fleet do,
// are folded and evaluated, and the channel stays where it is; the same failures of devices that were known roll it back.
// `at` is what a forger says it is; only when ingest took a report in is ours.
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_COUNTING_RULES } from "../../agent/health/counting-rules.ts";
import { decodeDeviceState, encodeDeviceState } from "../../agent/health/device-state.ts";
import { DEVICE_BUCKETS } from "../../agent/health/device-table.ts";
import { COUNTS_LAYOUT, keepCountsLayout } from "../../agent/health/layout.ts";
import { deviceBucketKey } from "../../agent/health/shard-keys.ts";
import { createShardStore } from "../../agent/health/shard-store.ts";
import { evaluateChannel } from "../../agent/jobs/evaluate-channel.ts";
import { foldShard } from "../../agent/jobs/fold-shard.ts";
import { dropUnseenDevices } from "../../agent/jobs/retention.ts";
import { openStores } from "../../agent/pipeline.ts";
import type { Policy } from "../../agent/policy/policy.ts";
import type { OtaServer } from "../../agent/rollback/ota-server.ts";
import type { DeviceEvent, DeviceReport } from "../../ingest/contract/device-report.ts";
import { deviceDigest, shardOfDevice } from "../../ingest/contract/shard.ts";
import { LAYOUT_KEY } from "../../ingest/contract/stream-names.ts";
import { createStreamWriter } from "../../ingest/stream-writer.ts";
import { createLogger } from "../../runtime/logger.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, names } from "../support/test-shard.ts";
import { TILL, releaseOf, sampleGuards, samplePolicy, version } from "../support/verdicts.ts";

const SHARDS = 4;
/** The day on which 1.4.3 appears begins here. */
const TODAY_MS = Date.UTC(2026, 0, 31);
const NOON_MS = TODAY_MS + 12 * HOUR_MS;

let server: TestRedis;
let redis: Redis;
let nowMs: number;
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
  // Lastgood has listened for a week: somebody reported.
  await report(TODAY_MS - 7 * DAY_MS, ["watch-0"], { version: "1.4.2", events: ["confirmed"] });
});

interface Saying {
  readonly version?: string;
  readonly events?: readonly DeviceEvent[];
  /** What the devices claim; else it is when the report is received. */
  readonly at?: number;
  readonly model?: string;
}

/** Received at the time, which stays. By default: an attempt at 1.4.3 that fails. */
async function report(
  receivedAtMs: number,
  devices: readonly string[],
  { version: text = "1.4.3", events = ["update_started", "install_failed"], ...said }: Saying = {},
): Promise<void> {
  nowMs = receivedAtMs;
  const writer = createStreamWriter({ redis, shards: SHARDS, streamEntriesMax: 100_000, clock: () => nowMs });
  const reports = devices.flatMap((device) =>
    events.map((event): DeviceReport => ({ ...releaseOf(text), device, event, at: receivedAtMs, ...said })),
  );
  expect((await writer.write(reports)).kind).toBe("written");
  for (let shard = 0; shard < SHARDS; shard += 1)
    await foldShard({
      store: createShardStore({ redis, shard }),
      rules: DEFAULT_COUNTING_RULES,
      onChange: () => {},
      isStopping: () => false,
      nowMs: () => nowMs,
      heardFromMs: () => Promise.resolve(0),
    });
}

/** The fleet is heard of on the day before. */
function known(devices: readonly string[]): Promise<void> {
  return report(TODAY_MS - 1, devices, { version: "1.4.2", events: ["active"] });
}

const offered: Pick<OtaServer, "capabilities" | "readChannel" | "rollback"> = {
  capabilities: { rollback: true, pause: true },
  readChannel: () =>
    Promise.resolve({
      kind: "channel",
      state: {
        version: version("1.4.3"),
        releases: ["1.4.3", "1.4.2"].map((text) => ({
          version: version(text),
          releasedAt: "2026-01-31T00:00:00.000Z",
        })),
      },
    }),
  rollback: () => Promise.reject(new Error("evaluating must not act")),
};

interface Evaluated {
  readonly decided: number;
  readonly held: { readonly reason: string; readonly sentence: string } | undefined;
}

async function evaluate(fields: Partial<Policy> = {}, knownDevicesLeast = 0.5): Promise<Evaluated> {
  let decided = 0;
  const stores = openStores(redis, SHARDS);
  await evaluateChannel(
    {
      key: TILL,
      policy: samplePolicy({ guards: sampleGuards({ knownDevicesLeast }), ...fields }),
      minimumVersion: undefined,
      server: offered as OtaServer,
    },
    {
      ...stores,
      onNews: () => Promise.resolve(),
      onDecision: () => Promise.resolve(void (decided += 1)),
      watchReplication: () => () => Promise.resolve(true),
      clock: () => nowMs,
      logger: createLogger({ name: "test", level: "silent" }),
    },
  );
  return { decided, held: [...(await stores.holds.list()).values()][0] };
}

const ROLLED_BACK: Evaluated = { decided: 1, held: undefined };
const held = (devices: string, share: string): object => ({
  decided: 0,
  held: {
    reason: "unknown_devices",
    sentence: expect.stringContaining(
      `Of ${devices} that failed to install or boot 1.4.3, ${share}`,
    ) as string,
  },
});

describe("1,000 devices fail on 1.4.3", () => {
  const forged = names(1_000, "forged");
  const fleet = names(1_000, "till");

  it("new ids: held, with the numbers, and without the guard it would be rolled back", async () => {
    await known(fleet);
    await report(NOON_MS, forged);
    expect(await evaluate()).toMatchObject(
      held("1,000 devices", "0 (0%) had been seen before the day on which 1.4.3 appeared"),
    );
    await report(NOON_MS + MINUTE_MS, ["till-0"]);
    expect(await evaluate()).toMatchObject(held("1,001 devices", "1 (0%)"));
    await report(NOON_MS + MINUTE_MS, ["till-1"]);
    expect((await evaluate({}, 0)).decided).toBe(1);
  });

  it("devices that were known: rolled back", async () => {
    await known(fleet);
    await report(NOON_MS, fleet);
    expect(await evaluate()).toEqual(ROLLED_BACK);
  });

  it("half of each: rolled back; one known device fewer: held, until a known one fails as well", async () => {
    await known(fleet);
    await report(NOON_MS, [...forged.slice(0, 500), ...fleet.slice(0, 499)]);
    expect(await evaluate()).toMatchObject(held("999 devices", "499 (49.9%)"));
    await report(NOON_MS + MINUTE_MS, [fleet[499]!]);
    expect(await evaluate()).toEqual(ROLLED_BACK);
  });

  it("a page is no exception: nobody is called for a forged wave", async () => {
    await report(NOON_MS, forged);
    expect(await evaluate({ action: "page" })).toMatchObject(held("1,000 devices", "0 (0%)"));
  });
});

describe("whoever forges can't become known after the release has appeared, or on the same day before", () => {
  const forged = names(300, "forged");

  it.each([
    ["in the same minute", NOON_MS, undefined],
    ["in the morning", TODAY_MS, undefined],
    ["with a clock that says last week", NOON_MS, TODAY_MS - 6 * DAY_MS],
    ["with a clock that says last year", NOON_MS, TODAY_MS - 365 * DAY_MS],
  ])("by talking about the old version first, %s", async (_when, receivedAtMs, at) => {
    const said = at === undefined ? {} : { at };
    await report(receivedAtMs, forged, { version: "1.4.2", events: ["confirmed", "active"], ...said });
    await report(NOON_MS, forged, said);
    expect(await evaluate()).toMatchObject(held("300 devices", "0 (0%)"));
  });

  it("nor on the days after, in shards that had not heard of the release", async () => {
    const first = "till-0";
    const shardOf = (device: string): number => shardOfDevice(deviceDigest(TILL.app, device), SHARDS);
    const elsewhere = names(400, "forged").filter((device) => shardOf(device) !== shardOf(first));
    await report(NOON_MS, [first], { events: ["update_started"] });
    await report(NOON_MS + HOUR_MS, elsewhere, { version: "1.4.2", events: ["active"] });
    await report(NOON_MS + 2 * DAY_MS, elsewhere);
    expect(await evaluate()).toMatchObject(held(`${elsewhere.length} devices`, "0 (0%)"));
  });
});

describe("a device that is known", () => {
  const fleet = names(100, "till");

  it("has left the table for the retention: it comes back as a new one", async () => {
    await report(TODAY_MS - 40 * DAY_MS, fleet, { version: "1.4.2", events: ["active"] });
    for (let shard = 0; shard < SHARDS; shard += 1)
      await dropUnseenDevices({
        redis,
        store: createShardStore({ redis, shard }),
        nowMs: TODAY_MS,
        retentionMs: 30 * DAY_MS,
        isStopping: () => false,
      });
    await report(NOON_MS, fleet);
    expect(await evaluate()).toMatchObject(held("100 devices", "0 (0%)"));
  });

  it("stays known however long ago it was first heard of, and whatever is heard of it since", async () => {
    await report(TODAY_MS - 800 * DAY_MS, fleet, { version: "0.9.0", events: ["confirmed"] });
    await report(TODAY_MS - HOUR_MS, fleet, { version: "1.4.2", events: ["active"] });
    await report(NOON_MS, fleet);
    expect(await evaluate()).toEqual(ROLLED_BACK);
  });

  it("was known before days were kept (layout 3): it is known to every release, and an older version refuses to start", async () => {
    await known(fleet);
    await forgetFirstDays();
    await redis.hset(LAYOUT_KEY, "counts", "3");
    await keepCountsLayout(redis, SHARDS);
    expect(await redis.hget(LAYOUT_KEY, "counts")).toBe(COUNTS_LAYOUT);
    expect(COUNTS_LAYOUT).toBe("4");
    await report(NOON_MS, [...fleet, ...names(99, "forged")]);
    expect(await evaluate()).toEqual(ROLLED_BACK);
  });
});

/** As the version before wrote them. */
async function forgetFirstDays(): Promise<void> {
  for (let shard = 0; shard < SHARDS; shard += 1)
    for (let bucket = 0; bucket < DEVICE_BUCKETS; bucket += 1) {
      const key = deviceBucketKey(shard, bucket);
      for (const field of await redis.hkeysBuffer(key)) {
        const bytes = (await redis.hgetBuffer(key, field))!;
        const state = decodeDeviceState(bytes);
        expect(state.firstDay).toBeGreaterThan(0);
        const older = encodeDeviceState({ ...state, firstDay: undefined });
        expect(older.length).toBe(bytes.length - 1);
        await redis.hset(key, field, older);
      }
    }
}

it("kinds of device are asked on their own: failures elsewhere lend a forged model no credit", async () => {
  const fleet = names(3_000, "till");
  await known(fleet);
  await report(NOON_MS, fleet, { events: ["update_started", "confirmed"], model: "till-8" });
  await report(NOON_MS, fleet.slice(0, 60), { events: ["install_failed"], model: "till-8" });
  await report(NOON_MS, names(50, "forged"), { model: "till-9" });
  expect(await evaluate()).toMatchObject({
    decided: 0,
    held: {
      reason: "unknown_devices",
      sentence: expect.stringContaining("Of 50 devices (model=till-9)") as string,
    },
  });
});

it("what is silent accuses as devices do: new ids that begin and say nothing more move nothing", async () => {
  const deadlineMs = 6 * HOUR_MS;
  const rules: Policy["rules"] = [{ form: "limit", signal: "silence", limit: 0.02, deadlineMs }];
  await known(names(100, "till"));
  const begun = { events: ["update_started"] } as const;
  await report(NOON_MS, [...names(100, "forged"), ...names(99, "till")], begun);
  await report(NOON_MS + deadlineMs + MINUTE_MS, ["till-99"], { version: "1.4.2", events: ["active"] });
  expect(await evaluate({ rules })).toMatchObject({
    held: { sentence: expect.stringContaining("Of 199 devices that fell silent") as string },
  });
  await report(nowMs, ["forged-0"], { events: ["confirmed"] });
  expect(await evaluate({ rules })).toEqual(ROLLED_BACK);
});

it("a new installation: nobody can be known, the hold says so, and the next day's release is judged", async () => {
  await redis.flushall();
  const fleet = names(100, "till");
  await report(NOON_MS, fleet);
  const first = await evaluate();
  expect(first).toMatchObject(held("100 devices", "0 (0%)"));
  expect(first.held!.sentence).toContain("Lastgood itself began to listen on 2026-01-31");
  await report(NOON_MS + DAY_MS, fleet, { version: "1.4.4" });
  const summaries = openStores(redis, SHARDS).summaries;
  await evaluate();
  const { verdict } = (await summaries.read(releaseOf("1.4.4")))!;
  expect(verdict.accusing[0]!.knownDevices).toMatchObject({ devices: 100, known: 100 });
});

it("a forged wave does not keep an alert of the user's own from being answered", async () => {
  await known(names(100, "till"));
  await report(NOON_MS, names(1_000, "forged"));
  expect(await evaluate()).toMatchObject({ decided: 0, held: { reason: "unknown_devices" } });
  const request = { alertname: "TillErrors", action: "rollback", sentence: "Checkout fails." } as const;
  const since = new Date(nowMs).toISOString();
  await openStores(redis, SHARDS).alerts.fire({ release: releaseOf("1.4.3"), ...request, since });
  expect(await evaluate()).toEqual(ROLLED_BACK);
});
