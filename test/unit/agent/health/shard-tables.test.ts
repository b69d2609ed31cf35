// The tables of a shard: numbers for texts, their caps at the edge, and what is beyond them.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { REASONS_PER_APP_MAX, STRATA_MAX_DEFAULT } from "../../../../agent/health/counting-rules.ts";
import {
  NO_TABLES,
  RELEASES_PER_CHANNEL_MAX,
  claimReason,
  claimRelease,
  claimStratum,
  growTable,
  growTables,
  grown,
  highestNumber,
  textWithoutApp,
} from "../../../../agent/health/shard-tables.ts";
import type { GrowingTables, ShardTable } from "../../../../agent/health/shard-tables.ts";
import type { Channel } from "../../../../ingest/contract/release-key.ts";
import { TILL, releaseOf } from "../../../support/verdicts.ts";

const ROOM = { prefix: "", rowsMax: 1_000 };
const APP = "com.acme.till";

function texts(count: number, prefix = ""): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}t${index}`);
}

function tableOf(...rows: [string, number][]): ShardTable {
  return new Map(rows);
}

describe("growTable", () => {
  it("numbers begin at 1 and go on; a text that has one keeps it", () => {
    const table = growTable(new Map());
    expect(["a", "b", "a", "c"].map((text) => table.claim(text, ROOM))).toEqual([1, 2, 1, 3]);
    expect(table.find("b")).toBe(2);
    expect(table.find("d")).toBeUndefined();
    expect([...table.added]).toEqual([
      ["a", 1],
      ["b", 2],
      ["c", 3],
    ]);
  });

  it("goes on from the highest number, not from the count: those of retired rows are never given again", () => {
    const table = growTable(tableOf(["a", 3], ["b", 41], ["c", 7]));
    expect([table.claim("a", ROOM), table.claim("d", ROOM), table.claim("e", ROOM)]).toEqual([3, 42, 43]);
    expect(table.added).toEqual(tableOf(["d", 42], ["e", 43]));
  });

  it("knows the text of a number, also of one that came in since, but not of 0 or of a retired row", () => {
    const table = growTable(tableOf(["a", 1], ["c", 3]));
    expect([0, 1, 2, 3, 4].map((number) => table.textOf(number))).toEqual([
      undefined,
      "a",
      undefined,
      "c",
      undefined,
    ]);
    table.claim("d", ROOM);
    expect(table.textOf(4)).toBe("d");
  });

  it("a group may have so many rows and no more; known texts and other groups are not refused", () => {
    const table = growTable(tableOf(["x|a", 1], ["y|a", 2]));
    const group = { prefix: "x|", rowsMax: 3 };
    expect(["x|b", "x|c", "x|d"].map((text) => table.claim(text, group))).toEqual([3, 4, undefined]);
    expect(table.claim("x|e", group)).toBeUndefined();
    expect(["x|a", "x|c"].map((text) => table.claim(text, group))).toEqual([1, 4]);
    expect(table.claim("y|b", { prefix: "y|", rowsMax: 3 })).toBe(5);
    expect(table.added.size).toBe(3);
  });

  it("counts the rows of a group once, however many texts are refused: a flood must not cost more", () => {
    let reads = 0;
    const rows = new Map([["x|a", 1]]);
    const counting = Object.assign(rows, { keys: () => ((reads += 1), Map.prototype.keys.call(rows)) });
    const table = growTable(counting);
    for (const text of texts(100, "x|"))
      expect(table.claim(text, { prefix: "x|", rowsMax: 1 })).toBe(undefined);
    expect(reads).toBe(1);
  });

  it("the highest number of an empty table is 0", () => {
    expect(highestNumber(new Map())).toBe(0);
    expect(highestNumber(tableOf(["a", 5], ["b", 2]))).toBe(5);
  });
});

test("numbers are never reused, whatever is claimed, retires, or is not committed", () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("claim" as const),
      texts: fc.array(fc.nat(30).map((index) => `t${index}`)),
      isCommitted: fc.boolean(),
    }),
    fc.record({ kind: fc.constant("retire" as const), picks: fc.array(fc.nat(), { maxLength: 5 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      let table: ShardTable = new Map();
      const textByNumber = new Map<number, string>();
      const retired = new Set<number>();
      for (const each of steps) {
        if (each.kind === "retire") {
          // As shard-store.ts does: the row with the highest number stays.
          const rows = [...table].filter(([, number]) => number !== highestNumber(table));
          const gone = each.picks.flatMap((pick) => (rows.length === 0 ? [] : [rows[pick % rows.length]!]));
          for (const [, number] of gone) retired.add(number);
          table = new Map([...table].filter(([, number]) => !retired.has(number)));
          continue;
        }
        const growing = growTable(table);
        for (const text of each.texts) growing.claim(text, ROOM);
        if (!each.isCommitted) continue;
        for (const [text, number] of growing.added) {
          expect(textByNumber.has(number)).toBe(false);
          textByNumber.set(number, text);
        }
        table = new Map([...table, ...growing.added]);
        expect(new Set(table.values()).size).toBe(table.size);
      }
    }),
  );
});

it("grown tables have the new rows; a table without any is the same object", () => {
  const tables = { ...NO_TABLES, strata: tableOf([`${APP}|x`, 1]) };
  const growing = growTables(tables);
  claimRelease(growing, releaseOf("1.4.0"));
  const { releases, strata, reasons } = growing;
  const now = grown(tables, { releases: releases.added, strata: strata.added, reasons: reasons.added });
  expect(now.releases).toEqual(tableOf([`${APP}|production|1.4.0`, 1]));
  expect(now.strata).toBe(tables.strata);
  expect(now.reasons).toBe(tables.reasons);
  expect(tables.releases.size).toBe(0);
});

describe("RELEASES_PER_CHANNEL_MAX", () => {
  it("a channel may have 10,000 releases; other channels have their own room", () => {
    expect(RELEASES_PER_CHANNEL_MAX).toBe(10_000);
    const rows = texts(9_999).map((text, index) => [`${APP}|production|${text}`, index + 1] as const);
    const growing = growTables({ ...NO_TABLES, releases: new Map(rows) });
    expect(claimRelease(growing, releaseOf("last"))).toBe(10_000);
    expect(claimRelease(growing, releaseOf("too-many"))).toBeUndefined();
    expect(claimRelease(growing, releaseOf("t0"))).toBe(1);
    // Its name begins with that of the full one.
    const longer = { ...TILL, channel: "production2" as Channel };
    expect(claimRelease(growing, releaseOf("too-many", longer))).toBe(10_001);
  });

  it("a full channel has room again as soon as rows have retired", () => {
    const rows = texts(10_000).map((text, index) => [`${APP}|production|${text}`, index + 1] as const);
    expect(claimRelease(growTables({ ...NO_TABLES, releases: new Map(rows) }), releaseOf("next"))).toBe(
      undefined,
    );
    const growing = growTables({ ...NO_TABLES, releases: new Map(rows.slice(1)) });
    expect(claimRelease(growing, releaseOf("next"))).toBe(10_001);
    expect(claimRelease(growing, releaseOf("t0"))).toBeUndefined();
  });
});

function claimStrata(growing: GrowingTables, told: readonly string[], strataMax: number): number[] {
  return told.map((text) => claimStratum(growing, { app: APP, text, strataMax }));
}

describe("strata beyond the cap", () => {
  it("are one more row, `other`; those that are told apart stay so", () => {
    const growing = growTables(NO_TABLES);
    expect(claimStrata(growing, ["a", "b", "c", "d", "a", "c"], 2)).toEqual([1, 2, 3, 3, 1, 3]);
    expect([...growing.strata.added.keys()]).toEqual([`${APP}|a`, `${APP}|b`, `${APP}|other`]);
  });

  it("are still `other` in later batches, and a higher cap makes room", () => {
    const first = growTables(NO_TABLES);
    claimStrata(first, ["a", "b", "c"], 2);
    const tables = { ...NO_TABLES, strata: first.strata.added };
    expect(claimStrata(growTables(tables), ["c", "d", "b"], 2)).toEqual([3, 3, 2]);
    // The row of `other` takes no place from the texts that are told apart.
    expect(claimStrata(growTables(tables), ["c", "d"], 3)).toEqual([4, 3]);
    expect(claimStrata(growTables(tables), ["c", "a"], 1)).toEqual([3, 1]);
  });

  it("each app has its own cap and its own `other`, also one whose name begins with another's", () => {
    const growing = growTables(NO_TABLES);
    claimStrata(growing, ["a", "b"], 1);
    const claim = (text: string) => claimStratum(growing, { app: `${APP}2`, text, strataMax: 1 });
    expect([claim("a"), claim("b")]).toEqual([3, 4]);
    expect(growing.strata.textOf(4)).toBe(`${APP}2|other`);
  });

  it("with the default cap, 1,000 are told apart", () => {
    expect(STRATA_MAX_DEFAULT).toBe(1_000);
    const numbers = claimStrata(growTables(NO_TABLES), texts(1_002), STRATA_MAX_DEFAULT);
    expect(numbers.slice(998)).toEqual([999, 1_000, 1_001, 1_001]);
  });
});

describe("reasons beyond the cap", () => {
  it("an app may have 100; the rest is `other`", () => {
    expect(REASONS_PER_APP_MAX).toBe(100);
    const growing = growTables(NO_TABLES);
    const numbers = texts(102).map((text) => claimReason(growing, APP, text));
    expect(numbers.slice(98)).toEqual([99, 100, 101, 101]);
    expect(textWithoutApp(growing.reasons.textOf(101)!)).toBe("other");
    expect(claimReason(growing, "com.acme.kiosk", "t101")).toBe(102);
  });

  it("a reason that a device calls `other` is in the same row", () => {
    const growing = growTables(NO_TABLES);
    expect(claimReason(growing, APP, "other")).toBe(1);
    const numbers = texts(101).map((text) => claimReason(growing, APP, text));
    expect(numbers.slice(98)).toEqual([100, 101, 1]);
  });
});

it("a text may hold the sign that parts it from the app", () => {
  expect(textWithoutApp(`${APP}|disk|full`)).toBe("disk|full");
});
