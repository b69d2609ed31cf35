// The form of the spool's files. Pure. A segment is a header and records; a record is one stream entry, exactly as it
// would have been appended to Redis, so that draining a segment sends the same bytes. Enters: entries. Leaves: bytes, and
// back: what a crash left of a segment is read as far as it goes.
//
// Numbers are little-endian.
//   header   "lgspool" 0x00 | u16 format | u16 shards | f64 created, epoch ms | u32 CRC-32 of all before
//   record   u32 bytes of the payload | u32 CRC-32 of the payload | payload
//   payload  f64 received, epoch ms | u32 reports | u16 shard | u16 fields | per field: u32 bytes, UTF-8
import { crc32 } from "node:zlib";
import type { EncodedEntry } from "../stream-writer.ts";

/** Raise it when a reader of the old form could misread the new one; segments of the old form may wait on disks. */
export const SPOOL_FORMAT = 1;

const MAGIC = Buffer.from("lgspool\0", "latin1");
export const SEGMENT_HEADER_BYTES = MAGIC.length + 2 + 2 + 8 + 4;
const RECORD_HEADER_BYTES = 8;
const PAYLOAD_HEADER_BYTES = 16;
const FIELD_HEADER_BYTES = 4;

export interface SegmentHeader {
  /** A device's shard follows from how many there are, so the entries are of use with this number alone. */
  readonly shards: number;
  /** Epoch milliseconds. */
  readonly createdAtMs: number;
}

export function encodeHeader({ shards, createdAtMs }: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  let at = MAGIC.copy(bytes);
  at = bytes.writeUInt16LE(SPOOL_FORMAT, at);
  at = bytes.writeUInt16LE(shards, at);
  at = bytes.writeDoubleLE(createdAtMs, at);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, at)), at);
  return bytes;
}

export type HeaderRead =
  | ({ readonly kind: "header" } & SegmentHeader)
  /** The crash came before the file was begun: nothing in it was ever acknowledged. */
  | { readonly kind: "torn" }
  | { readonly kind: "unreadable"; readonly reason: string };

export function decodeHeader(bytes: Buffer): HeaderRead {
  if (bytes.length < SEGMENT_HEADER_BYTES) return { kind: "torn" };
  const checked = bytes.subarray(0, SEGMENT_HEADER_BYTES - 4);
  // A file system may show the length of what it has not written yet, as zeros.
  if (checked.every((byte) => byte === 0)) return { kind: "torn" };
  if (!checked.subarray(0, MAGIC.length).equals(MAGIC))
    return { kind: "unreadable", reason: "it is no segment of a spool" };
  if (bytes.readUInt32LE(checked.length) !== crc32(checked))
    return { kind: "unreadable", reason: "its header is damaged" };
  const format = bytes.readUInt16LE(MAGIC.length);
  if (format !== SPOOL_FORMAT)
    return { kind: "unreadable", reason: `it is of format ${format}, this version reads ${SPOOL_FORMAT}` };
  return {
    kind: "header",
    shards: bytes.readUInt16LE(MAGIC.length + 2),
    createdAtMs: bytes.readDoubleLE(MAGIC.length + 4),
  };
}

export function encodeRecord({ shard, receivedAtMs, reports, fields }: EncodedEntry): Buffer {
  const lengths = fields.map((field) => Buffer.byteLength(field));
  const payloadBytes = lengths.reduce(
    (sum, length) => sum + FIELD_HEADER_BYTES + length,
    PAYLOAD_HEADER_BYTES,
  );
  const bytes = Buffer.allocUnsafe(RECORD_HEADER_BYTES + payloadBytes);
  let at = bytes.writeDoubleLE(receivedAtMs, RECORD_HEADER_BYTES);
  at = bytes.writeUInt32LE(reports, at);
  at = bytes.writeUInt16LE(shard, at);
  at = bytes.writeUInt16LE(fields.length, at);
  fields.forEach((field, index) => {
    at = bytes.writeUInt32LE(lengths[index]!, at);
    at += bytes.write(field, at);
  });
  bytes.writeUInt32LE(payloadBytes, 0);
  bytes.writeUInt32LE(crc32(bytes.subarray(RECORD_HEADER_BYTES)), 4);
  return bytes;
}

export interface RecordsRead {
  readonly entries: readonly EncodedEntry[];
  /** Whole records whose bytes are not those that were written: what they held is lost. */
  readonly damaged: number;
  /** At the end, of a record that was never written to its end, and so never acknowledged. */
  readonly tornBytes: number;
}

export type SegmentRead =
  | ({ readonly kind: "segment" } & SegmentHeader & RecordsRead)
  | Extract<HeaderRead, { kind: "unreadable" }>;

/** `bytes`: all of it. */
export function decodeSegment(bytes: Buffer): SegmentRead {
  const header = decodeHeader(bytes);
  if (header.kind === "unreadable") return header;
  if (header.kind === "torn") return { kind: "unreadable", reason: "it ends within its header" };
  return { ...header, ...decodeRecords(bytes), kind: "segment" };
}

function decodeRecords(bytes: Buffer): RecordsRead {
  const entries: EncodedEntry[] = [];
  let damaged = 0;
  let at = SEGMENT_HEADER_BYTES;
  while (at + RECORD_HEADER_BYTES <= bytes.length) {
    const end = at + RECORD_HEADER_BYTES + bytes.readUInt32LE(at);
    if (end > bytes.length || end === at + RECORD_HEADER_BYTES) break;
    const payload = bytes.subarray(at + RECORD_HEADER_BYTES, end);
    const entry = crc32(payload) === bytes.readUInt32LE(at + 4) ? decodePayload(payload) : undefined;
    if (entry === undefined) damaged += 1;
    else entries.push(entry);
    at = end;
  }
  return { entries, damaged, tornBytes: Math.max(0, bytes.length - at) };
}

function decodePayload(payload: Buffer): EncodedEntry | undefined {
  if (payload.length < PAYLOAD_HEADER_BYTES) return undefined;
  const fields: string[] = [];
  let at = PAYLOAD_HEADER_BYTES;
  for (let left = payload.readUInt16LE(14); left > 0; left -= 1) {
    if (at + FIELD_HEADER_BYTES > payload.length) return undefined;
    const end = at + FIELD_HEADER_BYTES + payload.readUInt32LE(at);
    if (end > payload.length) return undefined;
    fields.push(payload.toString("utf8", at + FIELD_HEADER_BYTES, end));
    at = end;
  }
  if (at !== payload.length) return undefined;
  return {
    receivedAtMs: payload.readDoubleLE(0),
    reports: payload.readUInt32LE(8),
    shard: payload.readUInt16LE(12),
    fields,
  };
}
