// Keys and signatures of devices, against values that openssl made.
import { describe, expect, test } from "vitest";
import {
  DEVICE_SIGNATURE_CHARS_MAX,
  deviceKeyOf,
  isSignedBy,
  readDeviceSignature,
  signAsDevice,
} from "../../../../ingest/contract/device-signature.ts";

// printf 'com.acme.till\0till-0002' | openssl dgst -sha256 -hmac "$SECRET" -r
const SECRET = "a-provisioning-secret-of-32-chars-or-more";
const KEY = "bbbb452e88022365c8090b001de82e2a2ad76b0dc26e95f048604ede5231eca4";
// { printf '1769860800.'; printf '{"a":1}'; } | openssl dgst -sha256 -hmac "$KEY" -r
const BODY = '{"a":1}';
const DIGEST = "fe6dfaecd50d98434e187285a31e247f15b417b28bf65a6cd1d450f256430187";
const AT_MS = 1_769_860_800_000;
const bytes = new TextEncoder().encode(BODY);

test("openssl makes the same key and the same signature", () => {
  expect(deviceKeyOf({ secret: SECRET, app: "com.acme.till", device: "till-0002" })).toBe(KEY);
  expect(signAsDevice({ deviceKey: KEY, body: BODY, atMs: AT_MS + 999 })).toBe(`t=1769860800,v1=${DIGEST}`);
});

test("every pair of app and device has a key of its own", () => {
  const keys = [
    ["app", "device"],
    ["app", "device2"],
    ["app2", "device"],
    ["appd", "evice"],
  ].map(([app, device]) => deviceKeyOf({ secret: SECRET, app: app!, device: device! }));
  expect(new Set(keys).size).toBe(4);
});

describe("reading", () => {
  test("a signature, also with spaces, later parts and a second v1", () => {
    const other = "0".repeat(64);
    const read = readDeviceSignature(` t=1769860800, v1=${other} ,v1=${DIGEST},v2=later`);
    expect(read?.seconds).toBe("1769860800");
    expect(isSignedBy(KEY, read!, bytes)).toBe(true);
    expect(isSignedBy(KEY.replace("b", "c"), read!, bytes)).toBe(false);
    expect(isSignedBy(KEY, read!, new TextEncoder().encode('{"a":2}'))).toBe(false);
    expect(isSignedBy(KEY, { ...read!, seconds: "1769860801" }, bytes)).toBe(false);
  });

  test.each([
    "",
    "t=1769860800",
    `v1=${DIGEST}`,
    `t=,v1=${DIGEST}`,
    `t=-5,v1=${DIGEST}`,
    `t=1e9,v1=${DIGEST}`,
    `t=1234567890123,v1=${DIGEST}`,
    `t=1,t=2,v1=${DIGEST}`,
    `t=1,v1=${DIGEST.toUpperCase()}`,
    `t=1,v1=${DIGEST.slice(1)}`,
    `t=1,v1=${DIGEST},v1=short`,
    "t=1,v1=",
  ])("%j is no signature", (header) => {
    expect(readDeviceSignature(header)).toBeUndefined();
  });

  test("a header of the longest length, and one character more", () => {
    const padded = `t=1,v1=${DIGEST},x=`.padEnd(DEVICE_SIGNATURE_CHARS_MAX, "x");
    expect(readDeviceSignature(padded)).toBeDefined();
    expect(readDeviceSignature(`${padded}x`)).toBeUndefined();
  });
});
