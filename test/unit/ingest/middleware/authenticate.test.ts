// Keys and the apps they open.
import { inspect } from "node:util";
import type { Request, Response } from "express";
import { beforeEach, describe, expect, test } from "vitest";
import { createRequestLimits, limitRequests } from "../../../../ingest/limits/request-limits.ts";
import {
  appsOfKey,
  authenticate,
  createKeyring,
  noteSender,
} from "../../../../ingest/middleware/authenticate.ts";
import type { Keyring } from "../../../../ingest/middleware/authenticate.ts";
import type { AppId } from "../../../../ingest/contract/release-key.ts";
import { reportsRoute } from "../../../../ingest/routes/reports.ts";
import type { ReportsRouteDeps } from "../../../../ingest/routes/reports.ts";

const till = "com.acme.till" as AppId;
const kiosk = "com.acme.kiosk" as AppId;
const keyring = createKeyring(
  new Map([
    [till, { ingestKeys: ["key-of-till", "key-of-both"] }],
    [kiosk, { ingestKeys: ["key-of-kiosk", "key-of-both"] }],
  ]),
);

test("a key opens the apps that list it", () => {
  expect(keyring.senderOf("key-of-till")?.apps).toEqual(new Set([till]));
  expect(keyring.senderOf("key-of-kiosk")?.apps).toEqual(new Set([kiosk]));
  expect(keyring.senderOf("key-of-both")?.apps).toEqual(new Set([till, kiosk]));
});

test("a key is trusted by the apps that say so, and by no other", () => {
  const trusting = createKeyring(
    new Map([
      [till, { ingestKeys: ["key-of-till", "key-of-both"], deviceAuth: { trustedKeys: ["key-of-both"] } }],
      [kiosk, { ingestKeys: ["key-of-kiosk", "key-of-both"] }],
    ]),
  );
  expect(trusting.senderOf("key-of-both")?.trustedApps).toEqual(new Set([till]));
  expect(trusting.senderOf("key-of-till")?.trustedApps).toEqual(new Set());
});

test.each(["", "key-of-nobody", "KEY-OF-TILL", "key-of-till ", "__proto__"])("%j opens nothing", (key) => {
  expect(keyring.senderOf(key)).toBeUndefined();
});

test("the keyring holds no key that could end up in a log", () => {
  expect(inspect(keyring, { depth: 9, showHidden: true })).not.toContain("key-of-till");
});

test("a sender is called by a digest, the same for each app and each request, and by no part of its key", () => {
  const { name } = keyring.senderOf("key-of-both")!;
  expect(name).toBe(keyring.senderOf("key-of-both")!.name);
  expect(name).not.toBe(keyring.senderOf("key-of-till")!.name);
  expect(name).toMatch(/^[A-Za-z0-9+/]{43}=$/);
});

describe("a request's key is looked up once, though it is limited by it and let in by it", () => {
  const asked: string[] = [];
  const counting: Keyring = {
    senderOf(key) {
      asked.push(key);
      return keyring.senderOf(key);
    },
  };
  const limit = createRequestLimits({ settings: { requestsPerSecond: { perKey: 1 } }, elapsedMs: () => 0 });
  const requestWith = (authorization: string): Request =>
    ({
      method: "POST",
      headers: { authorization, "content-type": "text/plain" },
      socket: { remoteAddress: "127.0.0.1" },
    }) as unknown as Request;
  const responseOf = (): Response => ({ locals: {}, setHeader() {} }) as unknown as Response;
  beforeEach(() => void asked.splice(0));

  test("by the handlers of a source", () => {
    const response = responseOf();
    const request = requestWith("Bearer key-of-both");
    let passed = 0;
    for (const handler of [noteSender(counting), limitRequests(limit), authenticate])
      void handler(request, response, () => (passed += 1));
    expect(passed).toBe(3);
    expect(appsOfKey(response)).toEqual(new Set([till, kiosk]));
    expect(asked).toEqual(["key-of-both"]);
  });

  test("by the route of native reports", async () => {
    // Of all that the route is given it gets no further than the media type.
    const route = reportsRoute({
      keyring: counting,
      limit,
      limits: { bodyBytesMax: 1 },
    } as unknown as ReportsRouteDeps);
    await expect(route(requestWith("Bearer key-of-kiosk"), responseOf())).rejects.toMatchObject({
      kind: { code: "unsupported_media_type" },
    });
    expect(asked).toEqual(["key-of-kiosk"]);
  });

  test.each([
    ["Bearer key-of-nobody", "unknown_key"],
    ["Basic key-of-till", "missing_credentials"],
    ["", "missing_credentials"],
  ])("%j is let in by nobody: %s", (authorization, code) => {
    const [request, response] = [requestWith(authorization), responseOf()];
    void noteSender(keyring)(request, response, () => {});
    expect(() => authenticate(request, response, () => {})).toThrow(
      expect.objectContaining({ kind: expect.objectContaining({ code }) }),
    );
  });
});
