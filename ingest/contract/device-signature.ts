// Keys and signatures of devices under `device_auth: { type: hmac }`. Enters: the secret of the app, a device
// id, the bytes of a body, a time. Leaves: the key that a device is given once, the header that it then sends
// (`X-Device-Signature: t=<unix seconds>,v1=<hex hmac-sha256(device key, "<t>.<body as sent>")>`), or whether
// one is right. Pure: a keyed hash is a function of its arguments. docs/device-auth.md is the page for devices.
import { createHmac, timingSafeEqual } from "node:crypto";

export const DEVICE_SIGNATURE_HEADER = "x-device-signature";

/** How far a signature's time may lie from the receiver's clock, either way, in milliseconds. */
export const DEVICE_SIGNATURE_AGE_MS_MAX = 300_000;

/** Longest header that is looked at, in characters: room for several `v1` while a device changes its key. */
export const DEVICE_SIGNATURE_CHARS_MAX = 512;

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Half a character has no bytes of its own in UTF-8, so ids with one would share a key. */
export function canHaveKey(device: string): boolean {
  return !LONE_SURROGATE.test(device);
}

/** 64 hex digits. They are the key as they stand, as text: nobody has to decode them. */
export function deviceKeyOf({
  secret,
  app,
  device,
}: {
  readonly secret: string;
  readonly app: string;
  readonly device: string;
}): string {
  // Neither an app nor a device id can hold a NUL, so no two pairs share a key.
  return createHmac("sha256", secret).update(`${app}\0${device}`, "utf8").digest("hex");
}

export function signAsDevice({
  deviceKey,
  body,
  atMs,
}: {
  readonly deviceKey: string;
  /** The body as it goes over the wire: after gzip, if it is compressed. */
  readonly body: string | Uint8Array;
  readonly atMs: number;
}): string {
  const seconds = String(Math.floor(atMs / 1_000));
  return `t=${seconds},v1=${digestOf(deviceKey, seconds, body).toString("hex")}`;
}

export interface DeviceSignature {
  /** As sent: it is part of what is signed. */
  readonly seconds: string;
  readonly digests: readonly Buffer[];
}

/** Undefined when the header has another form. Parts other than `t` and `v1` are left for later forms. */
export function readDeviceSignature(header: string): DeviceSignature | undefined {
  if (header.length > DEVICE_SIGNATURE_CHARS_MAX) return undefined;
  const parts = header.split(",").map((part) => part.trim());
  const times = parts.filter((part) => part.startsWith("t=")).map((part) => part.slice(2));
  const digests = parts.filter((part) => part.startsWith("v1=")).map((part) => part.slice(3));
  const [seconds] = times;
  if (seconds === undefined || times.length > 1 || !/^\d{1,12}$/.test(seconds)) return undefined;
  if (digests.length === 0 || !digests.every((digest) => /^[0-9a-f]{64}$/.test(digest))) return undefined;
  return { seconds, digests: digests.map((digest) => Buffer.from(digest, "hex")) };
}

/** Whether the holder of the key signed these bytes; how long it takes says nothing of the right answer. */
export function isSignedBy(
  deviceKey: string,
  { seconds, digests }: DeviceSignature,
  body: Uint8Array,
): boolean {
  const expected = digestOf(deviceKey, seconds, body);
  return digests.map((digest) => timingSafeEqual(digest, expected)).includes(true);
}

function digestOf(deviceKey: string, seconds: string, body: string | Uint8Array): Buffer {
  return createHmac("sha256", deviceKey).update(`${seconds}.`).update(body).digest();
}
