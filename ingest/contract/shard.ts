// Which shard a device belongs to, and the short name it has there. Pure: a hash of its arguments.
import { hash } from "node:crypto";

/** Bytes of a digest: 0-3 choose the shard, 4-7 the bucket of the device table, 4-11 name the device there. */
export const DEVICE_DIGEST_BYTES = 12;

/** First twelve bytes of SHA-256 over app and device; the device's own id is not kept in the table. */
export function deviceDigest(app: string, device: string): Buffer {
  return hash("sha256", `${app}\0${device}`, "buffer").subarray(0, DEVICE_DIGEST_BYTES);
}

export function shardOfDevice(digest: Buffer, shards: number): number {
  return digest.readUInt32BE(0) % shards;
}
