// Where reports go: to Redis while it takes them, to the disk while it does not, shard by shard; and back again, whatever was
// written meanwhile. Redis is a list here that can be away; everything else is real, on a disk in memory.
import { afterEach, describe, expect, test } from "vitest";
import type { DeviceReport } from "../../../../ingest/contract/device-report.ts";
import { decodeReportEntry } from "../../../../ingest/contract/report-entry.ts";
import { deviceDigest, shardOfDevice } from "../../../../ingest/contract/shard.ts";
import type { EntriesByShard } from "../../../../ingest/entry-appender.ts";
import { openSpool } from "../../../../ingest/spool/spool.ts";
import { createSpoolingWriter } from "../../../../ingest/spool/spooling-writer.ts";
import type { SpoolingWriter } from "../../../../ingest/spool/spooling-writer.ts";
import type { AppendOutcome } from "../../../../ingest/stream-writer.ts";
import { createLogger } from "../../../../runtime/logger.ts";
import { createSpoolDisk } from "../../../support/spool-disk.ts";
import type { SpoolDisk } from "../../../support/spool-disk.ts";
import { waitUntil } from "../../../support/wait-until.ts";

const SHARDS = 4;
const NOW_MS = 1_790_000_000_000;
const AWAY: AppendOutcome = { kind: "redis_unavailable", cause: new Error("connection refused") };

interface Stage {
  readonly writer: SpoolingWriter;
  readonly disk: SpoolDisk;
  /** Shards that take nothing. */
  readonly away: Map<number, AppendOutcome>;
  /** The next so many times that entries are offered, an error is thrown that no writer should throw. */
  breakDown(times: number): void;
  /** Times that entries were offered to each shard. */
  readonly asked: number[];
  /** Devices that Redis has. */
  readonly devices: () => string[];
  readonly spooled: () => number;
  readonly tally: Map<string, number>;
}

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function createStage({
  disk = createSpoolDisk(),
  bytesMax = 1024 ** 2,
  shards = SHARDS,
} = {}): Promise<Stage> {
  const logger = createLogger({ name: "test", level: "silent" });
  const spool = await openSpool({
    folder: "/spool",
    bytesMax,
    shards,
    clock: () => NOW_MS,
    logger,
    files: disk.files,
  });
  const away = new Map<number, AppendOutcome>();
  const asked = Array.from({ length: SHARDS }, () => 0);
  const stored: string[] = [];
  const tally = new Map<string, number>();
  let spooled = 0;
  let breakdowns = 0;
  const append = async (entries: EntriesByShard): Promise<AppendOutcome> => {
    await Promise.resolve();
    for (const shard of entries.keys()) asked[shard]! += 1;
    if (breakdowns > 0) {
      breakdowns -= 1;
      throw new TypeError("not a function");
    }
    for (const shard of entries.keys()) {
      const outcome = away.get(shard);
      if (outcome !== undefined) return outcome;
    }
    for (const fields of [...entries.values()].flat()) stored.push(...devicesIn(fields));
    return { kind: "appended" };
  };
  const writer = createSpoolingWriter({
    spool,
    append,
    appendAlone: append,
    shards,
    metrics: {
      reports: {
        inc: ({ result }: { result: string }, by = 1) =>
          void tally.set(result, (tally.get(result) ?? 0) + by),
      },
      drainErrors: { inc: () => void tally.set("failed rounds", (tally.get("failed rounds") ?? 0) + 1) },
      damaged: { inc: (by = 1) => void tally.set("damaged", (tally.get("damaged") ?? 0) + by) },
    } as unknown as Parameters<typeof createSpoolingWriter>[0]["metrics"],
    clock: () => NOW_MS,
    logger,
    onSpooled: () => void (spooled += 1),
  });
  stops.push(() => writer.stop());
  return {
    writer,
    disk,
    away,
    breakDown: (times) => void (breakdowns = times),
    asked,
    devices: () => stored,
    spooled: () => spooled,
    tally,
  };
}

function devicesIn(fields: readonly string[]): string[] {
  const decoded = decodeReportEntry(fields);
  if (decoded.kind === "undecodable") throw new Error(decoded.reason);
  expect(decoded.entry.receivedAtMs).toBe(NOW_MS);
  return decoded.entry.reports.map(({ device }) => device);
}

/** A report of a device of that shard. */
function reportFor(shard: number, nth = 0): DeviceReport {
  const names = Array.from({ length: 400 }, (_, index) => `till-${index}`);
  const device = names.filter((name) => shardOfDevice(deviceDigest("acme", name), SHARDS) === shard)[nth]!;
  return {
    app: "acme",
    channel: "production",
    version: "1.0.0",
    event: "confirmed",
    device,
  } as unknown as DeviceReport;
}

const all = (nth = 0): DeviceReport[] => [0, 1, 2, 3].map((shard) => reportFor(shard, nth));
const awayEverywhere = (stage: Stage): void =>
  [0, 1, 2, 3, 4, 5, 6, 7].forEach((shard) => stage.away.set(shard, AWAY));
const names = (reports: readonly DeviceReport[]): string[] => reports.map(({ device }) => device).toSorted();

describe("while Redis takes reports", () => {
  test("the disk is not touched", async () => {
    const { writer, disk, devices } = await createStage();
    expect(await writer.write(all())).toMatchObject({ kind: "written", skews: { none: 4 } });
    expect(devices().toSorted()).toEqual(names(all()));
    expect(disk.names()).toEqual([]);
    expect([writer.isBehind(), writer.outage()]).toEqual([false, undefined]);
  });

  test("a full stream is the sender's business", async () => {
    const { writer, away, disk } = await createStage();
    away.set(2, { kind: "backlog_full", shard: 2 });
    expect(await writer.write(all())).toEqual({ kind: "backlog_full", shard: 2 });
    expect(disk.names()).toEqual([]);
  });
});

describe("while Redis is away", () => {
  test("reports are written to disk, without asking Redis for each; when it is back it gets all of them", async () => {
    const stage = await createStage();
    const { writer, asked, devices, tally } = stage;
    awayEverywhere(stage);
    for (let nth = 0; nth < 10; nth += 1) expect((await writer.write(all(nth))).kind).toBe("written");
    expect(asked).toEqual([1, 1, 1, 1]);
    expect([writer.isBehind(), writer.outage()?.kind, stage.spooled()]).toEqual([true, "kept", 10]);
    writer.start();
    await waitUntil(
      () => asked[0]!,
      (times) => times > 1,
    );
    stage.away.clear();
    await waitUntil(
      () => writer.isBehind(),
      (isBehind) => !isBehind,
    );
    expect(devices().toSorted()).toEqual(names(Array.from({ length: 10 }, (_, nth) => all(nth)).flat()));
    expect([...tally]).toEqual([
      ["kept", 40],
      ["drained", 40],
    ]);
    expect([writer.outage(), stage.disk.names()]).toEqual([undefined, []]);
  });

  test("the disk full, or failing: Redis is asked once more, and the sender told no", async () => {
    const stage = await createStage({ bytesMax: 400 });
    awayEverywhere(stage);
    expect((await stage.writer.write([reportFor(0)])).kind).toBe("written");
    expect(await stage.writer.write(all())).toEqual({ kind: "spool_full" });
    expect(stage.writer.outage()).toEqual({ kind: "turned_away", detail: "the spool is full" });
    const failing = await createStage();
    awayEverywhere(failing);
    failing.disk.fail("sync", "EIO");
    expect(await failing.writer.write(all())).toEqual(AWAY);
    expect([failing.spooled(), failing.writer.isBehind()]).toEqual([0, false]);
  });

  test("an error that nobody foresaw ends a round of the drain, is counted, and the next one sends what is left", async () => {
    const stage = await createStage();
    awayEverywhere(stage);
    await stage.writer.write([reportFor(0), reportFor(0, 1)]);
    stage.away.clear();
    stage.breakDown(2);
    stage.writer.start();
    await waitUntil(
      () => stage.writer.isBehind(),
      (isBehind) => !isBehind,
    );
    expect(stage.devices()).toEqual([reportFor(0).device, reportFor(0, 1).device]);
    expect(stage.tally.get("failed rounds")).toBe(2);
    expect(stage.disk.names()).toEqual([]);
  });

  test("stopped while the drain waits after an error: it ends at once, and what is on disk stays", async () => {
    const stage = await createStage();
    awayEverywhere(stage);
    await stage.writer.write(all());
    stage.breakDown(Infinity);
    stage.writer.start();
    await waitUntil(
      () => stage.tally.get("failed rounds") ?? 0,
      (rounds) => rounds > 0,
    );
    await stage.writer.stop();
    expect([stage.writer.isBehind(), stage.devices()]).toEqual([true, []]);
    const next = await createStage({ disk: stage.disk.powerLoss() });
    next.writer.start();
    await waitUntil(
      () => next.writer.isBehind(),
      (isBehind) => !isBehind,
    );
    expect(next.devices().toSorted()).toEqual(names(all()));
  });

  test("what an earlier run left is drained too, whether or not anything comes in", async () => {
    const before = await createStage();
    awayEverywhere(before);
    await before.writer.write(all());
    const { writer, devices } = await createStage({ disk: before.disk.powerLoss() });
    expect(writer.isBehind()).toBe(true);
    writer.start();
    await waitUntil(
      () => writer.isBehind(),
      (isBehind) => !isBehind,
    );
    expect(devices().toSorted()).toEqual(names(all()));
  });
});

describe("of a cluster that lost a server", () => {
  test("the other shards go on, also those in the spool behind what is for the lost one", async () => {
    const stage = await createStage();
    const { writer, away, devices, asked } = stage;
    away.set(0, AWAY);
    expect((await writer.write(all(0))).kind).toBe("written");
    writer.start();
    // All four are known as away by now: the drain finds out that three are not.
    await waitUntil(
      () => devices().length,
      (count) => count === 3,
    );
    const askedBefore = asked[1]!;
    expect((await writer.write([reportFor(1, 1)])).kind).toBe("written");
    expect([asked[1], devices()]).toEqual([
      askedBefore + 1,
      expect.arrayContaining([reportFor(1, 1).device]),
    ]);
    expect((await writer.write([reportFor(0, 1)])).kind).toBe("written");
    expect(writer.isBehind()).toBe(true);
    away.clear();
    await waitUntil(
      () => writer.isBehind(),
      (isBehind) => !isBehind,
    );
    expect(new Set(devices())).toEqual(new Set(names([...all(0), reportFor(0, 1), reportFor(1, 1)])));
  });
});

describe("what can't be drained", () => {
  test.each([
    ["of another number of shards", { shards: 8 }, (bytes: Buffer) => bytes],
    [
      "without a header that can be read",
      {},
      (bytes: Buffer) => Buffer.concat([Buffer.from("?"), bytes.subarray(1)]),
    ],
  ])("a segment %s is put aside, and the others are drained", async (_, options, damage) => {
    const before = await createStage(options);
    awayEverywhere(before);
    await before.writer.write([reportFor(0)]);
    const left = before.disk.powerLoss();
    const [bytes] = await Promise.all(left.names().map((name) => left.files.read(`/spool/${name}`)));
    const disk = createSpoolDisk(new Map([["/spool/000000000001.spool", damage(bytes!)]]));
    const { writer, devices } = await createStage({ disk });
    writer.start();
    await waitUntil(
      () => disk.names(),
      (found) => found[0] === "000000000001.spool.aside",
    );
    expect([writer.isBehind(), devices()]).toEqual([false, []]);
    expect((await writer.write(all())).kind).toBe("written");
  });
});
