// Where a device stands in its shard's device table: a bucket (one small hash per bucket keeps Redis's
// memory per device low) and a field in it. Pure.
import { deviceDigest, firstUint32, shardOfDevice } from "../../ingest/contract/shard.ts";

export interface DeviceName {
  readonly bucket: number;
  /** 8 bytes as a latin1 string. */
  readonly field: string;
}

/** State bytes as stored; undefined = a device never seen, or one that has left. */
export type StateOf = (bucket: number, field: string) => Buffer | undefined;

/**
 * Buckets of a shard's device table. Fixed: with 16 shards a million devices make 244 a bucket, and 8 million
 * fill them to where Redis gives up the compact form (`hash-max-listpack-entries`, BUCKET_DEVICES_MAX). Few, because
 * a bucket costs 80 bytes of its own; not fewer, because a device is searched for from the first to the last.
 */
export const DEVICE_BUCKETS = 256;
/** Devices of a bucket that Redis must be set to keep in the compact form, and bytes of a device's state. */
export const BUCKET_DEVICES_MAX = 2_048;
export const STATE_BYTES_COMPACT_MAX = 512;

/** Bytes of a field. */
export const FIELD_BYTES = 8;

export function nameDevice(app: string, device: string): DeviceName {
  return nameOf(deviceDigest(app, device).slice(4, 4 + FIELD_BYTES));
}

export function nameOf(field: string): DeviceName {
  return { bucket: firstUint32(field) % DEVICE_BUCKETS, field };
}

export function shardOf(app: string, device: string, shards: number): number {
  return shardOfDevice(deviceDigest(app, device), shards);
}
