// Packed bytes: whatever is written is read again, and how many bytes it takes.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { ByteReader, ByteWriter } from "../../../../agent/health/packed-bytes.ts";

type Piece =
  | { readonly kind: "byte" | "u32" | "varint" | "zigzag"; readonly value: number }
  | { readonly kind: "raw"; readonly value: string };

/** Twice the number must be a safe one. */
const ZIGZAG_MAX = 2 ** 52 - 1;

const whole = fc.constantFrom(0, 1, 127, 128, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER);
const piece: fc.Arbitrary<Piece> = fc.oneof(
  fc.record({ kind: fc.constant("byte" as const), value: fc.integer({ min: 0, max: 0xff }) }),
  fc.record({ kind: fc.constant("u32" as const), value: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  fc.record({ kind: fc.constant("varint" as const), value: fc.oneof(fc.maxSafeNat(), fc.nat(300), whole) }),
  fc.record({
    kind: fc.constant("zigzag" as const),
    value: fc.oneof(fc.integer({ min: -ZIGZAG_MAX, max: ZIGZAG_MAX }), fc.integer({ min: -99, max: 99 })),
  }),
  fc.record({
    kind: fc.constant("raw" as const),
    value: fc.string({ unit: "binary-ascii", maxLength: 200 }),
  }),
);

function write(pieces: readonly Piece[]): Buffer {
  const writer = new ByteWriter();
  for (const each of pieces) {
    if (each.kind === "raw") writer.raw(Buffer.from(each.value, "latin1"));
    else writer[each.kind](each.value);
  }
  return writer.bytes();
}

test("what was written is read again, in order and to the end", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      // Redis gives back a copy, which may lie anywhere in a larger buffer.
      const bytes = Buffer.concat([Buffer.from("xyz"), write(pieces)]).subarray(3);
      const reader = new ByteReader(bytes);
      const read = ({ kind, value }: Piece): number | string =>
        kind === "raw" ? reader.raw(value.length).toString("latin1") : reader[kind]();
      expect(pieces.map((each) => ({ kind: each.kind, value: read(each) }))).toEqual(pieces);
      expect(reader.isAtEnd()).toBe(true);
    }),
  );
});

describe("bytes taken", () => {
  it.each([
    [0, 1],
    [127, 1],
    [128, 2],
    [16_383, 2],
    [16_384, 3],
    [2 ** 49 - 1, 7],
    [2 ** 49, 8],
    [Number.MAX_SAFE_INTEGER, 8],
  ])("a varint of %d: %d", (value, bytes) => {
    expect(write([{ kind: "varint", value }]).length).toBe(bytes);
  });

  it.each([
    [63, 1],
    [-64, 1],
    [64, 2],
    [-65, 2],
    [ZIGZAG_MAX, 8],
    [-ZIGZAG_MAX, 8],
  ])("a zigzag of %d: %d", (value, bytes) => {
    expect(write([{ kind: "zigzag", value }]).length).toBe(bytes);
  });
});

it("fixed-width numbers are little-endian, bytes come as they are", () => {
  const pieces: Piece[] = [
    { kind: "byte", value: 0x12 },
    { kind: "u32", value: 0x89ab_cdef },
    { kind: "raw", value: "\u0002\u0034" },
  ];
  expect(write(pieces).toString("hex")).toBe("12efcdab890234");
});

it("nothing written is no bytes; reading on behind the end throws", () => {
  expect(new ByteWriter().bytes().length).toBe(0);
  const reader = new ByteReader(Buffer.from([0x80]));
  expect(reader.isAtEnd()).toBe(false);
  expect(() => reader.u32()).toThrow(RangeError);
  expect(() => new ByteReader(Buffer.from([0x80])).varint()).toThrow(RangeError);
  expect(() => new ByteReader(Buffer.from([0x80])).raw(2)).toThrow(RangeError);
});
