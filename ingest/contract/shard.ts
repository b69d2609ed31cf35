// Which shard a device belongs to, and the short name it has there. Pure: a hash of its arguments.
import { hash } from "node:crypto";

/** Bytes of a digest: 0-3 choose the shard, 4-7 the bucket of the device table, 4-11 name the device there. */
export const DEVICE_DIGEST_BYTES = 12;

/**
 * First twelve bytes of SHA-256 over app and device, as a latin1 string (every report is hashed, and a Buffer takes
 * three times as long); the device's own id is not kept in the table.
 */
export function deviceDigest(app: string, device: string): string {
  return hash("sha256", `${app}\0${device}`, "binary").slice(0, DEVICE_DIGEST_BYTES);
}

export function shardOfDevice(digest: string, shards: number): number {
  return firstUint32(digest) % shards;
}

/** The first four bytes of a latin1 string as a number, big-endian. */
export function firstUint32(bytes: string): number {
  let value = 0;
  for (let index = 0; index < 4; index += 1) value = value * 256 + bytes.charCodeAt(index);
  return value;
}
