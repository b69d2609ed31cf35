// What is kept of one device: per release that it ever reported about, its outcome flags and when its
// first attempt happened. Packed into a few bytes, because a fleet has millions of devices.
// Enters: bytes from Redis. Leaves: records, and bytes again. decode(encode(x)) = x is property-tested.
import type { OutcomeFlags } from "./outcomes.ts";

export interface ReleaseRecord {
  readonly flags: OutcomeFlags;
  /** Minute (since the epoch) of the earliest attempt; 0 = no attempt was reported. */
  readonly attemptMinute: number;
}

/** Records by the shard's number for the release (see `release table` in shard-store.ts). */
export type DeviceState = ReadonlyMap<number, ReleaseRecord>;

/**
 * Releases one device can have records of. The record of the oldest attempt gives way to a new release, but
 * only when no report may claim its time any more (REPORT_AGE_MS_MAX); reports about further releases than
 * that in so short a time go to the dead-letter stream.
 */
export const RELEASES_PER_DEVICE_MAX = 128;

/** Latest attempt minute that a record can hold (the year 10136). */
export const ATTEMPT_MINUTE_MAX = 0xffff_ffff;

const RECORD_BYTES = 4 + 2;

/** Per record: release number (LEB128 varint, 1-2 bytes as a rule), flags (u16), attempt minute (u32). */
export function encodeDeviceState(state: DeviceState): Buffer {
  const bytes = Buffer.allocUnsafe(state.size * (5 + RECORD_BYTES));
  let offset = 0;
  for (const [releaseNumber, record] of state) {
    offset = writeVarint(bytes, releaseNumber, offset);
    offset = bytes.writeUInt16LE(record.flags, offset);
    offset = bytes.writeUInt32LE(record.attemptMinute, offset);
  }
  return bytes.subarray(0, offset);
}

export function decodeDeviceState(bytes: Buffer): DeviceState {
  const state = new Map<number, ReleaseRecord>();
  let offset = 0;
  while (offset < bytes.length) {
    let releaseNumber = 0;
    let shift = 0;
    let byte: number;
    do {
      byte = bytes[offset]!;
      offset += 1;
      releaseNumber |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    state.set(releaseNumber, {
      flags: bytes.readUInt16LE(offset),
      attemptMinute: bytes.readUInt32LE(offset + 2),
    });
    offset += RECORD_BYTES;
  }
  return state;
}

function writeVarint(bytes: Buffer, value: number, start: number): number {
  let rest = value;
  let offset = start;
  while (rest >= 0x80) {
    bytes[offset] = (rest & 0x7f) | 0x80;
    offset += 1;
    rest >>>= 7;
  }
  bytes[offset] = rest;
  return offset + 1;
}
