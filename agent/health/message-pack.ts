// What our Lua scripts take and give as one string each: MessagePack, which Redis has built in (`cmsgpack`). A Redis
// command with thousands of arguments costs ioredis several objects for each of them; one argument costs it nothing.
// Of the format (https://github.com/msgpack/msgpack/blob/master/spec.md) only what scripts need: arrays, strings of
// bytes, and `false` for what is not there. Enters: bytes and texts. Leaves: the packed form, and bytes again.
import { ByteReader, ByteWriter } from "./packed-bytes.ts";

/** Strings and numbers go as text: a Redis command has no other arguments. */
export type PackedArgument = string | number | Buffer;

const FALSE = 0xc2;
const FIXED_STRING = 0xa0;
const STRING_8 = 0xd9;
const STRING_16 = 0xda;
const STRING_32 = 0xdb;
const FIXED_ARRAY = 0x90;
const ARRAY_16 = 0xdc;
const ARRAY_32 = 0xdd;
const FIXED_STRING_BYTES_MAX = 31;
const FIXED_ARRAY_ITEMS_MAX = 15;

export function writeArrayHeader(writer: ByteWriter, items: number): void {
  if (items <= FIXED_ARRAY_ITEMS_MAX) writer.byte(FIXED_ARRAY | items);
  else if (items <= 0xffff) {
    writer.byte(ARRAY_16);
    writer.u16BigEndian(items);
  } else {
    writer.byte(ARRAY_32);
    writer.u32BigEndian(items);
  }
}

export function writeArgument(writer: ByteWriter, argument: PackedArgument): void {
  if (typeof argument === "object") return writeBytes(writer, argument);
  const text = String(argument);
  writeStringHeader(writer, Buffer.byteLength(text));
  writer.utf8(text);
}

/** One byte for each character: names of device fields are bytes, kept as such strings because a Map needs them. */
export function writeLatin1(writer: ByteWriter, bytes: string): void {
  writeStringHeader(writer, bytes.length);
  writer.latin1(bytes);
}

export function writeBytes(writer: ByteWriter, bytes: Buffer): void {
  writeStringHeader(writer, bytes.length);
  writer.raw(bytes);
}

function writeStringHeader(writer: ByteWriter, bytes: number): void {
  if (bytes <= FIXED_STRING_BYTES_MAX) writer.byte(FIXED_STRING | bytes);
  else if (bytes <= 0xff) {
    writer.byte(STRING_8);
    writer.byte(bytes);
  } else if (bytes <= 0xffff) {
    writer.byte(STRING_16);
    writer.u16BigEndian(bytes);
  } else {
    writer.byte(STRING_32);
    writer.u32BigEndian(bytes);
  }
}

/** How many items follow. Throws RangeError where no array begins. */
export function readArrayHeader(reader: ByteReader): number {
  const head = reader.byte();
  if (head >= FIXED_ARRAY && head <= FIXED_ARRAY + FIXED_ARRAY_ITEMS_MAX) return head - FIXED_ARRAY;
  if (head === ARRAY_16) return reader.u16BigEndian();
  if (head === ARRAY_32) return reader.u32BigEndian();
  throw new RangeError(`0x${head.toString(16)} begins no array`);
}

/** Undefined for `false`. Not copied. Throws RangeError where neither stands. */
export function readBytes(reader: ByteReader): Buffer | undefined {
  const head = reader.byte();
  if (head === FALSE) return undefined;
  if (head >= FIXED_STRING && head <= FIXED_STRING + FIXED_STRING_BYTES_MAX)
    return reader.raw(head - FIXED_STRING);
  if (head === STRING_8) return reader.raw(reader.byte());
  if (head === STRING_16) return reader.raw(reader.u16BigEndian());
  if (head === STRING_32) return reader.raw(reader.u32BigEndian());
  throw new RangeError(`0x${head.toString(16)} begins no string`);
}
