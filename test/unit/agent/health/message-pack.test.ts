// MessagePack as our Lua scripts take and give it: the bytes of the specification at each of its edges, and whatever is
// written is read again. That Redis agrees is shown by test/integration/stored-fields.test.ts.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  readArrayHeader,
  readBytes,
  writeArgument,
  writeArrayHeader,
  writeBytes,
  writeLatin1,
} from "../../../../agent/health/message-pack.ts";
import { ByteReader, ByteWriter } from "../../../../agent/health/packed-bytes.ts";

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer);
  return Buffer.from(writer.bytes());
}

describe("a string of bytes", () => {
  // https://github.com/msgpack/msgpack/blob/master/spec.md, "str format family"
  it.each([
    [0, "a0"],
    [31, "bf"],
    [32, "d920"],
    [255, "d9ff"],
    [256, "da0100"],
    [65_535, "daffff"],
    [65_536, "db00010000"],
  ])("of %d bytes begins with %s", (length, head) => {
    const bytes = Buffer.alloc(length, 0xfe);
    const packed = written((writer) => writeBytes(writer, bytes));
    expect(packed.toString("hex", 0, head.length / 2)).toBe(head);
    expect(packed.length).toBe(head.length / 2 + length);
    const reader = new ByteReader(packed);
    expect(readBytes(reader)!.equals(bytes)).toBe(true);
    expect(reader.isAtEnd()).toBe(true);
  });

  it("is as long as its text in UTF-8, or in latin1 one byte a character", () => {
    expect(written((writer) => writeArgument(writer, "é")).toString("hex")).toBe("a2c3a9");
    expect(written((writer) => writeLatin1(writer, "é")).toString("hex")).toBe("a1e9");
    expect(written((writer) => writeArgument(writer, 42)).toString("latin1")).toBe("\xa242");
  });

  it("that was written in any of the three ways is read again", () => {
    const text = fc.string({ unit: "binary", maxLength: 300 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 20 }), fc.uint8Array({ maxLength: 300 }), (texts, raw) => {
        const latin1 = Buffer.from(raw).toString("latin1");
        const packed = written((writer) => {
          for (const each of texts) writeArgument(writer, each);
          writeLatin1(writer, latin1);
        });
        const reader = new ByteReader(packed);
        for (const each of texts) expect(readBytes(reader)!.equals(Buffer.from(each))).toBe(true);
        expect(readBytes(reader)!.equals(Buffer.from(raw))).toBe(true);
        expect(reader.isAtEnd()).toBe(true);
      }),
    );
  });
});

describe("an array", () => {
  // The same, "array format family".
  it.each([
    [0, "90"],
    [15, "9f"],
    [16, "dc0010"],
    [65_535, "dcffff"],
    [65_536, "dd00010000"],
  ])("of %d items begins with %s", (items, head) => {
    const packed = written((writer) => writeArrayHeader(writer, items));
    expect(packed.toString("hex")).toBe(head);
    expect(readArrayHeader(new ByteReader(packed))).toBe(items);
  });
});

describe("what is something else", () => {
  it("is no string, but for false, which is nothing", () => {
    expect(readBytes(new ByteReader(Buffer.from("c2", "hex")))).toBeUndefined();
    expect(() => readBytes(new ByteReader(Buffer.from("93", "hex")))).toThrow("0x93 begins no string");
  });

  it("is no array", () => {
    expect(() => readArrayHeader(new ByteReader(Buffer.from("a0", "hex")))).toThrow("0xa0 begins no array");
  });

  it("ends before its bytes do", () => {
    expect(() => readBytes(new ByteReader(Buffer.from("a36162", "hex")))).toThrow("the bytes end too early");
  });
});
