// Where a device stands in its shard: the name follows from app and device, the bucket from the name.
import { expect, it } from "vitest";
import {
  DEVICE_BUCKETS,
  FIELD_BYTES,
  nameDevice,
  nameOf,
  shardOf,
} from "../../../../agent/health/device-table.ts";

const DEVICES = Array.from({ length: 2_000 }, (_, index) => nameDevice("com.acme.till", `till-${index}`));

it("the same id in two apps is two devices; app and id are not run together", () => {
  expect(nameDevice("com.acme.till", "7")).toEqual(nameDevice("com.acme.till", "7"));
  expect(nameDevice("com.acme.kiosk", "7").field).not.toBe(nameDevice("com.acme.till", "7").field);
  expect(nameDevice("com.acme.till7", "").field).not.toBe(nameDevice("com.acme.till", "7").field);
});

it("the field names the device alone: the bucket follows from it", () => {
  for (const device of DEVICES) {
    expect(Buffer.from(device.field, "latin1").length).toBe(FIELD_BYTES);
    expect(nameOf(device.field)).toEqual(device);
  }
  expect(new Set(DEVICES.map(({ field }) => field)).size).toBe(DEVICES.length);
});

it("devices are spread over all buckets, whatever their shard", () => {
  const buckets = DEVICES.map(({ bucket }) => bucket);
  expect(Math.min(...buckets)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...buckets)).toBeLessThan(DEVICE_BUCKETS);
  // 2,000 devices in 256 buckets: all of them are expected to be in use but for a tenth of one.
  expect(new Set(buckets).size).toBeGreaterThan(250);
  const inFirstShard = DEVICES.filter((_, index) => shardOf("com.acme.till", `till-${index}`, 16) === 0);
  // 125 are expected, and 99 different buckets; were they not independent, 16.
  expect(new Set(inFirstShard.map(({ bucket }) => bucket)).size).toBeGreaterThan(70);
});
