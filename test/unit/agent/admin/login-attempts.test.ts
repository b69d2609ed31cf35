// How often one address may fail to sign in, at the edges.
import { describe, expect, test } from "vitest";
import {
  LOGIN_ADDRESSES_MAX,
  LOGIN_FAILURES_MAX,
  LOGIN_WINDOW_MS,
  createLoginAttempts,
} from "../../../../agent/admin/login-attempts.ts";
import { networkOf } from "../../../../runtime/client-address.ts";

function started() {
  let nowMs = 1_000_000;
  const attempts = createLoginAttempts(() => nowMs);
  const fail = (address: string, times: number): void => {
    for (let time = 0; time < times; time += 1) attempts.fail(address);
  };
  return {
    waitMs: (address: string) => attempts.waitMs(address),
    failTimes: fail,
    after: (ms: number) => void (nowMs += ms),
  };
}

describe("failed attempts", () => {
  test(`${LOGIN_FAILURES_MAX} in a window, then the address waits until it is over`, () => {
    const { failTimes, waitMs, after } = started();
    failTimes("192.0.2.1", LOGIN_FAILURES_MAX - 1);
    expect(waitMs("192.0.2.1")).toBe(0);
    failTimes("192.0.2.1", 1);
    expect(waitMs("192.0.2.1")).toBe(LOGIN_WINDOW_MS);
    expect(waitMs("192.0.2.2")).toBe(0);
    after(LOGIN_WINDOW_MS - 1);
    expect(waitMs("192.0.2.1")).toBe(1);
    after(1);
    expect(waitMs("192.0.2.1")).toBe(0);
    failTimes("192.0.2.1", LOGIN_FAILURES_MAX - 1);
    expect(waitMs("192.0.2.1")).toBe(0);
  });

  test(`${LOGIN_ADDRESSES_MAX} addresses are remembered, then the oldest gives way`, () => {
    const { failTimes, waitMs } = started();
    failTimes("first", LOGIN_FAILURES_MAX);
    for (let other = 0; other < LOGIN_ADDRESSES_MAX - 1; other += 1) failTimes(`other-${other}`, 1);
    expect(waitMs("first")).toBe(LOGIN_WINDOW_MS);
    failTimes("one too many", 1);
    expect(waitMs("first")).toBe(0);
  });

  test("whoever has an IPv6 network is one, whichever of its addresses it takes", () => {
    const { failTimes, waitMs } = started();
    for (let each = 0; each < LOGIN_FAILURES_MAX; each += 1) failTimes(`2001:db8:1:2::${each}`, 1);
    expect(waitMs("2001:db8:1:2:ffff::1")).toBe(LOGIN_WINDOW_MS);
    expect(waitMs("2001:db8:1:3::1")).toBe(0);
  });
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::1", "0:0:0:0"],
  ["2001:0DB8::1", "2001:db8:0:0"],
  ["fe80::1%eth0", "fe80:0:0:0"],
  ["", ""],
])("the network of %s is %s", (address, network) => {
  expect(networkOf(address)).toBe(network);
});

test("the same wrong token again is no further guess; as many different ones are", () => {
  const attempts = createLoginAttempts(() => 1_000);
  for (let time = 0; time < 1_000; time += 1) attempts.fail("192.0.2.1", "digest of an old token");
  expect(attempts.waitMs("192.0.2.1")).toBe(0);
  for (let guess = 2; guess < LOGIN_FAILURES_MAX; guess += 1) attempts.fail("192.0.2.1", `digest ${guess}`);
  expect(attempts.waitMs("192.0.2.1")).toBe(0);
  attempts.fail("192.0.2.1", `digest ${LOGIN_FAILURES_MAX}`);
  expect(attempts.waitMs("192.0.2.1")).toBe(LOGIN_WINDOW_MS);
});
