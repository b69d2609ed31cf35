// The spool says "kept" only of what a loss of power leaves, keeps to its bound byte by byte, and takes a disk that fails for
// what it is: nothing is acknowledged that may not be there, and a file whose fsync failed is never fsynced again.
import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { SEGMENT_BYTES_MAX } from "../../../../ingest/spool/shelf.ts";
import { SEGMENT_HEADER_BYTES, encodeRecord } from "../../../../ingest/spool/spool-record.ts";
import { DISK_PAUSE_MS, WAITING_BYTES_MAX, openSpool } from "../../../../ingest/spool/spool.ts";
import type { Spool } from "../../../../ingest/spool/spool.ts";
import type { EncodedEntry } from "../../../../ingest/stream-writer.ts";
import { createLogger } from "../../../../runtime/logger.ts";
import { createSpoolDisk } from "../../../support/spool-disk.ts";
import type { SpoolDisk } from "../../../support/spool-disk.ts";

const logger = createLogger({ name: "test", level: "silent" });
const MIB = 1024 ** 2;

function openOn(disk: SpoolDisk, { bytesMax = 64 * MIB, createdAtMs = 1_000 } = {}): Promise<Spool> {
  return openSpool({
    folder: "/spool",
    bytesMax,
    shards: 4,
    clock: () => createdAtMs,
    logger,
    files: disk.files,
  });
}

function entryOf(text: string): EncodedEntry {
  return { shard: 1, receivedAtMs: 5, reports: 1, fields: ["r", text] };
}

const big = (bytes: number): EncodedEntry => entryOf("x".repeat(bytes));

async function textsIn(disk: SpoolDisk): Promise<string[]> {
  const spool = await openOn(disk);
  const texts: string[] = [];
  for (let segment = await spool.oldest(); segment !== undefined; segment = await spool.oldest()) {
    const read = await spool.read(segment);
    if (read.kind === "unreadable") throw new Error(read.reason);
    texts.push(...read.entries.map(({ fields }) => fields[1]!));
    await spool.remove(segment);
  }
  return texts;
}

describe("what is kept", () => {
  test("comes back in order after a loss of power, from as many segments as it took", async () => {
    const disk = createSpoolDisk();
    const spool = await openOn(disk);
    const texts = Array.from({ length: 5 }, (_, index) => `${index}${"x".repeat(SEGMENT_BYTES_MAX / 2)}`);
    for (const text of texts) expect(await spool.keep([entryOf(text)])).toEqual({ kind: "kept" });
    expect(disk.names()).toHaveLength(3);
    expect((await textsIn(disk.powerLoss())).map((text) => text[0])).toEqual(["0", "1", "2", "3", "4"]);
  });

  test("at the same moment shares one fsync", async () => {
    const disk = createSpoolDisk();
    const spool = await openOn(disk);
    await Promise.all(Array.from({ length: 100 }, (_, index) => spool.keep([entryOf(String(index))])));
    // The header's, the first one's, and one for the 99 that came meanwhile.
    expect(disk.count("sync")).toBe(3);
    expect(await textsIn(disk.powerLoss())).toHaveLength(100);
  });

  test("whatever fails and whenever: what was called kept is there after a loss of power", async () => {
    const faults = fc.array(
      fc.record({
        step: fc.constantFrom("create", "write", "sync", "syncFolder", "truncate", "remove" as const),
        before: fc.nat(19),
      }),
      { maxLength: 6 },
    );
    const pauses = vi.spyOn(performance, "now");
    await fc.assert(
      fc.asyncProperty(faults, async (planned) => {
        const disk = createSpoolDisk();
        const spool = await openOn(disk);
        const kept: string[] = [];
        for (let turn = 0; turn < 20; turn += 1) {
          for (const { step, before } of planned) if (before === turn) disk.fail(step, "EIO");
          const now = 2 * DISK_PAUSE_MS * turn;
          pauses.mockReturnValue(now);
          if ((await spool.keep([entryOf(String(turn))])).kind === "kept") kept.push(String(turn));
        }
        const found = new Set(await textsIn(disk.powerLoss()));
        expect(kept.filter((text) => !found.has(text))).toEqual([]);
      }),
    );
    pauses.mockRestore();
  });
});

describe("the bound", () => {
  test("holds for every byte on disk, at every moment", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 400_000 }), { maxLength: 40 }), async (sizes) => {
        const disk = createSpoolDisk();
        const spool = await openOn(disk, { bytesMax: MIB });
        const results = await Promise.all(
          sizes.map(async (size) => {
            const { kind } = await spool.keep([big(size)]);
            expect(disk.bytes()).toBeLessThanOrEqual(MIB);
            return kind;
          }),
        );
        expect(results.every((kind) => kind === "kept" || kind === "full")).toBe(true);
        expect(spool.state().bytes).toBe(disk.bytes());
      }),
    );
  });

  test("takes the last byte that fits, and not one more", async () => {
    const room = MIB - 2 * SEGMENT_HEADER_BYTES - encodeRecord(big(0)).length;
    expect(await (await openOn(createSpoolDisk(), { bytesMax: MIB })).keep([big(room)])).toEqual({
      kind: "kept",
    });
    expect(await (await openOn(createSpoolDisk(), { bytesMax: MIB })).keep([big(room + 1)])).toEqual({
      kind: "full",
    });
  });

  test("room comes back when a segment is removed", async () => {
    const spool = await openOn(createSpoolDisk(), { bytesMax: MIB });
    await spool.keep([big(900_000)]);
    expect(await spool.keep([big(900_000)])).toEqual({ kind: "full" });
    await spool.remove((await spool.oldest())!);
    expect(spool.state()).toEqual({ bytes: 0, isEmpty: true, oldestAtMs: undefined });
    expect(await spool.keep([big(900_000)])).toEqual({ kind: "kept" });
  });

  test("what waits for a slow disk is bounded too, but for one that waits alone", async () => {
    const spool = await openOn(createSpoolDisk(), { bytesMax: 1024 * MIB });
    const alone = spool.keep([big(WAITING_BYTES_MAX + 1)]);
    expect(await spool.keep([big(1)])).toEqual({ kind: "full" });
    expect(await alone).toEqual({ kind: "kept" });
  });
});

describe("a disk that fails", () => {
  test.each([
    ["write", "ENOSPC"],
    ["sync", "EIO"],
    ["create", "EMFILE"],
    ["syncFolder", "EIO"],
  ] as const)("at %s: not kept, and the next entries go to a new file", async (step, code) => {
    const disk = createSpoolDisk();
    const spool = await openOn(disk);
    disk.fail(step, code);
    expect(await spool.keep([entryOf("lost")])).toMatchObject({ kind: "failed", cause: { code } });
    expect(disk.bytes()).toBe(0);
    const later = vi.spyOn(performance, "now").mockReturnValue(performance.now() + DISK_PAUSE_MS);
    expect(await spool.keep([entryOf("kept")])).toEqual({ kind: "kept" });
    later.mockRestore();
    expect(await textsIn(disk.powerLoss())).toEqual(["kept"]);
  });

  test("a file whose fsync failed is never written or fsynced again; what it had before is drained", async () => {
    const disk = createSpoolDisk();
    const spool = await openOn(disk);
    await spool.keep([entryOf("before")]);
    const poisoned = disk.synced.at(-1);
    disk.fail("sync", "EIO");
    expect((await spool.keep([entryOf("lost")])).kind).toBe("failed");
    const syncedBefore = disk.synced.length;
    const later = vi.spyOn(performance, "now").mockReturnValue(performance.now() + DISK_PAUSE_MS);
    await spool.keep([entryOf("after")]);
    later.mockRestore();
    expect(disk.synced.slice(syncedBefore)).not.toContain(poisoned);
    expect(await textsIn(disk.powerLoss())).toEqual(["before", "after"]);
  });

  test("is left alone for a while", async () => {
    const disk = createSpoolDisk();
    const spool = await openOn(disk);
    disk.fail("create", "ENOSPC", 1);
    await spool.keep([entryOf("a")]);
    expect((await spool.keep([entryOf("b")])).kind).toBe("failed");
    expect(disk.count("create")).toBe(1);
  });
});

describe("what an earlier run left", () => {
  test("is found, with its age; what never had a header goes", async () => {
    const disk = createSpoolDisk();
    await (await openOn(disk, { createdAtMs: 777 })).keep([entryOf("old")]);
    const left = disk.powerLoss();
    await (await left.files.create("/spool/000000000009.spool")).write(Buffer.from("lgsp"));
    const spool = await openOn(left);
    expect(spool.state()).toMatchObject({ isEmpty: false, oldestAtMs: 777 });
    expect(left.names()).toEqual(["000000000001.spool"]);
    await spool.keep([entryOf("new")]);
    expect(left.names()).toEqual(["000000000001.spool", "000000000010.spool"]);
  });

  test("what was put aside stays, counts, and is not drained", async () => {
    const disk = createSpoolDisk();
    const spool = await openOn(disk);
    await spool.keep([entryOf("odd")]);
    await spool.putAside((await spool.oldest())!);
    expect(spool.state().isEmpty).toBe(true);
    const next = await openOn(disk);
    expect(next.state()).toMatchObject({ isEmpty: true, bytes: disk.bytes() });
    expect(disk.names()).toEqual(["000000000001.spool.aside"]);
  });
});
