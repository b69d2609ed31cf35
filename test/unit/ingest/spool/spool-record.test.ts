// A segment of the spool gives back what was put in, whatever the texts are; of one that a crash cut off or a disk damaged it
// gives back every record that is whole, and says what is missing.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  SEGMENT_HEADER_BYTES,
  decodeHeader,
  decodeSegment,
  encodeHeader,
  encodeRecord,
} from "../../../../ingest/spool/spool-record.ts";

const HEADER = { shards: 16, createdAtMs: 1_790_000_000_123 };
const entry = fc.record({
  shard: fc.nat(255),
  receivedAtMs: fc.integer({ min: 0, max: 8.64e15 }),
  reports: fc.integer({ min: 1, max: 1_000 }),
  fields: fc.array(fc.string({ unit: "grapheme" }), { maxLength: 8 }),
});
const entries = fc.array(entry, { maxLength: 20 });

function segmentOf(records: readonly Buffer[]): Buffer {
  return Buffer.concat([encodeHeader(HEADER), ...records]);
}

describe("a whole segment", () => {
  test("comes back as it was", () => {
    fc.assert(
      fc.property(entries, (given) => {
        const read = decodeSegment(segmentOf(given.map(encodeRecord)));
        expect(read).toEqual({ kind: "segment", ...HEADER, entries: given, damaged: 0, tornBytes: 0 });
      }),
    );
  });
});

describe("what a crash leaves", () => {
  test("cut anywhere: every whole record, and how much is torn", () => {
    fc.assert(
      fc.property(entries, fc.nat(), (given, cut) => {
        const records = given.map(encodeRecord);
        const whole = segmentOf(records);
        const length = SEGMENT_HEADER_BYTES + (cut % (whole.length - SEGMENT_HEADER_BYTES + 1));
        let kept = 0;
        let end = SEGMENT_HEADER_BYTES;
        while (kept < records.length && end + records[kept]!.length <= length) end += records[kept++]!.length;
        const read = decodeSegment(whole.subarray(0, length));
        expect(read).toMatchObject({ entries: given.slice(0, kept), damaged: 0, tornBytes: length - end });
      }),
    );
  });

  test("a tail of zeros, as file systems show space that was never written, is torn", () => {
    const record = encodeRecord({ shard: 1, receivedAtMs: 1, reports: 1, fields: ["f", "1"] });
    const read = decodeSegment(Buffer.concat([segmentOf([record]), Buffer.alloc(4_096)]));
    expect(read).toMatchObject({ damaged: 0, tornBytes: 4_096 });
    expect(read).toHaveProperty("entries.length", 1);
  });

  test("no header, or one of zeros: nothing was ever acknowledged in it", () => {
    expect(decodeHeader(encodeHeader(HEADER).subarray(0, SEGMENT_HEADER_BYTES - 1))).toEqual({
      kind: "torn",
    });
    expect(decodeHeader(Buffer.alloc(SEGMENT_HEADER_BYTES))).toEqual({ kind: "torn" });
  });
});

describe("what a disk damages", () => {
  test("one byte of a record's payload: that record is told as damaged, the others come back", () => {
    fc.assert(
      fc.property(
        fc.array(entry, { minLength: 1, maxLength: 8 }),
        fc.nat(),
        fc.nat(),
        (given, which, where) => {
          const records = given.map(encodeRecord);
          const index = which % records.length;
          const broken = records[index]!;
          broken[8 + (where % (broken.length - 8))]! ^= 0x40;
          const read = decodeSegment(segmentOf(records));
          expect(read).toMatchObject({ entries: given.toSpliced(index, 1), damaged: 1, tornBytes: 0 });
        },
      ),
    );
  });

  test.each([
    ["the name of the form", 0, "it is no segment of a spool"],
    ["a number of the header", 10, "its header is damaged"],
  ])("%s: the segment can't be read", (_, at, reason) => {
    const bytes = segmentOf([]);
    bytes[at]! ^= 0xff;
    expect(decodeSegment(bytes)).toEqual({ kind: "unreadable", reason });
  });

  test("no bytes at all make it throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        const read = decodeSegment(Buffer.concat([encodeHeader(HEADER), noise]));
        expect(read.kind).toBe("segment");
        decodeSegment(Buffer.from(noise));
      }),
    );
  });
});
