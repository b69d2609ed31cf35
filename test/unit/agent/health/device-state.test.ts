// The packed device state: what goes in comes out, and how many bytes it takes.
import * as fc from "fast-check";
import { expect, it, test } from "vitest";
import { decodeDeviceState, encodeDeviceState } from "../../../../agent/health/device-state.ts";
import type { DeviceState } from "../../../../agent/health/device-state.ts";

const record = fc.record({
  flags: fc.integer({ min: 0, max: 0xffff }),
  attemptMinute: fc.integer({ min: 0, max: 0xffff_ffff }),
});
const releaseNumber = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 1, max: 2 ** 28 - 1 }),
  fc.constantFrom(1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152),
);
const states: fc.Arbitrary<DeviceState> = fc
  .array(fc.tuple(releaseNumber, record), { maxLength: 64 })
  .map((rows) => new Map(rows));

test("decode(encode(x)) = x", () => {
  fc.assert(
    fc.property(states, (state) => {
      const bytes = encodeDeviceState(state);
      expect(decodeDeviceState(bytes)).toEqual(state);
      // Redis gives back a copy, which may lie anywhere in a larger buffer.
      expect(decodeDeviceState(Buffer.concat([Buffer.from("xyz"), bytes]).subarray(3))).toEqual(state);
    }),
    { numRuns: 1_000 },
  );
});

it.each([
  [1, 7],
  [127, 7],
  [128, 8],
  [16_383, 8],
  [16_384, 9],
])("a record of release number %d takes %d bytes", (number, bytes) => {
  const state = new Map([[number, { flags: 0xffff, attemptMinute: 0xffff_ffff }]]);
  expect(encodeDeviceState(state).length).toBe(bytes);
});

it("a usual device, three releases, takes 21 bytes", () => {
  const state = new Map([1, 2, 3].map((number) => [number, { flags: 21, attemptMinute: 29_500_000 }]));
  expect(encodeDeviceState(state).length).toBe(21);
});

it("nothing is nothing", () => {
  expect(encodeDeviceState(new Map()).length).toBe(0);
  expect(decodeDeviceState(Buffer.alloc(0))).toEqual(new Map());
});
