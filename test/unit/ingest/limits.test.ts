// Token buckets at their edges, and whose bucket a request takes from.
import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import type { AppId } from "../../../ingest/contract/release-key.ts";
import { createRequestLimits } from "../../../ingest/limits/request-limits.ts";
import { BUCKETS_MAX, BURST_SECONDS, createTokenBuckets } from "../../../ingest/limits/token-buckets.ts";
import { createKeyring, findSender } from "../../../ingest/middleware/authenticate.ts";
import { createClientAddress } from "../../../runtime/client-address.ts";

describe("a bucket", () => {
  test(`holds ${BURST_SECONDS} s, then lets one through for each that drips in`, () => {
    let nowMs = 5_000;
    const { take } = createTokenBuckets({ perSecond: 2, elapsedMs: () => nowMs });
    for (let sent = 0; sent < 2 * BURST_SECONDS; sent += 1) expect(take("a")).toBe(0);
    expect(take("a")).toBe(500);
    nowMs += 499;
    expect(take("a")).toBeCloseTo(1, 6);
    nowMs += 1;
    expect(take("a")).toBe(0);
    expect(take("a")).toBe(500);
    expect(take("b")).toBe(0);
  });

  test("never holds more, however long it was quiet", () => {
    let nowMs = 0;
    const { take } = createTokenBuckets({ perSecond: 1, elapsedMs: () => nowMs });
    expect(take("a")).toBe(0);
    nowMs += 1e9;
    for (let sent = 0; sent < BURST_SECONDS; sent += 1) expect(take("a")).toBe(0);
    expect(take("a")).toBe(1_000);
  });

  test("the table is bounded: the name that was quiet for longest gives way, and begins anew", () => {
    const bucketsMax = 3;
    const { take, size } = createTokenBuckets({ perSecond: 1, elapsedMs: () => 0, bucketsMax });
    const drain = (name: string): void => {
      while (take(name) === 0);
    };
    ["a", "b", "c"].forEach(drain);
    expect(take("a")).toBe(1_000);
    expect(take("d")).toBe(0);
    expect(size()).toBe(bucketsMax);
    expect(take("a")).toBe(1_000);
    expect(take("b")).toBe(0);
    expect(BUCKETS_MAX).toBe(100_000);
  });
});

type Asked = Pick<IncomingMessage, "headers" | "socket">;
const from = (remoteAddress: string, headers: Record<string, string> = {}): Asked =>
  ({ headers, socket: { remoteAddress } }) as unknown as Asked;

describe("whose address it is", () => {
  test.each([
    ["nobody is trusted", [], "192.0.2.9", "203.0.113.1", "192.0.2.9"],
    ["the proxy is", ["127.0.0.1"], "127.0.0.1", "203.0.113.1", "203.0.113.1"],
    ["and its socket is of both families", ["127.0.0.1"], "::ffff:127.0.0.1", "203.0.113.1", "203.0.113.1"],
    ["somebody else claims one", ["127.0.0.1"], "192.0.2.9", "203.0.113.1", "192.0.2.9"],
    ["the client wrote one before", ["127.0.0.1"], "127.0.0.1", "10.9.9.9, 203.0.113.1", "203.0.113.1"],
    ["two proxies", ["127.0.0.1", "10.0.0.0/8"], "127.0.0.1", "203.0.113.1, 10.1.1.1", "203.0.113.1"],
    ["a network of IPv6", ["2001:db8::/32"], "2001:db8::1", "2001:db9::7", "2001:db9::7"],
    ["a proxy that says nothing", ["127.0.0.1"], "127.0.0.1", "", "127.0.0.1"],
    ["garbage", ["127.0.0.1"], "127.0.0.1", "203.0.113.1, unknown", "127.0.0.1"],
    ["only proxies", ["127.0.0.0/8"], "127.0.0.1", "127.0.0.2", "127.0.0.2"],
  ])("%s", (_name, trusted, remote, forwarded, address) => {
    expect(createClientAddress(trusted)(from(remote, { "x-forwarded-for": forwarded }))).toBe(address);
  });

  test("a header without end costs no more than a chain of proxies", () => {
    const forwarded = Array.from({ length: 1_000 }, () => "127.0.0.1").join(",");
    expect(createClientAddress(["127.0.0.1"])(from("127.0.0.1", { "x-forwarded-for": forwarded }))).toBe(
      "127.0.0.1",
    );
  });
});

describe("limits of requests", () => {
  const keyring = createKeyring(
    new Map([
      ["till" as AppId, { ingestKeys: ["key-of-till", "second-key"] }],
      ["kiosk" as AppId, { ingestKeys: ["key-of-kiosk"] }],
    ]),
  );
  const limits = (requestsPerSecond: { perAddress?: number; perKey?: number }, trusted: string[] = []) => {
    const limit = createRequestLimits({
      settings: { requestsPerSecond, trustedProxies: trusted },
      elapsedMs: () => 0,
    });
    return (request: Asked) => limit(request, findSender(keyring, request));
  };
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
  const passed = (limit: (request: Asked) => unknown, requests: readonly Asked[]): number =>
    requests.filter((request) => limit(request) === undefined).length;
  const times = (count: number, make: (index: number) => Asked): Asked[] =>
    Array.from({ length: count }, (_, index) => make(index));

  test("none named: nothing is limited", () => {
    expect(
      passed(
        limits({}),
        times(1_000, () => from("192.0.2.1", bearer("key-of-till"))),
      ),
    ).toBe(1_000);
  });

  test("an address has its own, and a customer of IPv6 has one", () => {
    const limit = limits({ perAddress: 1 });
    expect(
      passed(
        limit,
        times(20, () => from("192.0.2.1")),
      ),
    ).toBe(BURST_SECONDS);
    expect(
      passed(
        limit,
        times(20, () => from("192.0.2.2")),
      ),
    ).toBe(BURST_SECONDS);
    expect(
      passed(
        limit,
        times(20, (index) => from(`2001:db8::${index + 1}`)),
      ),
    ).toBe(BURST_SECONDS);
  });

  test("a key has its own wherever it comes from; keys of nobody take no room", () => {
    const limit = limits({ perKey: 1 });
    expect(
      passed(
        limit,
        times(20, (index) => from(`192.0.2.${index}`, bearer("key-of-till"))),
      ),
    ).toBe(BURST_SECONDS);
    expect(passed(limit, [from("192.0.2.1", bearer("second-key"))])).toBe(1);
    expect(
      passed(
        limit,
        times(20, () => from("192.0.2.1", bearer("of-nobody"))),
      ),
    ).toBe(20);
    expect(limit(from("192.0.2.1", bearer("key-of-till")))).toMatchObject({
      kind: { code: "rate_limited", status: 429 },
      details: { retryAfterSeconds: 1 },
    });
  });
});
