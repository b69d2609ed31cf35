// Keys and the apps they open.
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { createKeyring } from "../../../../ingest/middleware/authenticate.ts";
import type { AppId } from "../../../../ingest/contract/release-key.ts";

const till = "com.acme.till" as AppId;
const kiosk = "com.acme.kiosk" as AppId;
const keyring = createKeyring(
  new Map([
    [till, { ingestKeys: ["key-of-till", "key-of-both"] }],
    [kiosk, { ingestKeys: ["key-of-kiosk", "key-of-both"] }],
  ]),
);

test("a key opens the apps that list it", () => {
  expect(keyring.appsOf("key-of-till")).toEqual(new Set([till]));
  expect(keyring.appsOf("key-of-kiosk")).toEqual(new Set([kiosk]));
  expect(keyring.appsOf("key-of-both")).toEqual(new Set([till, kiosk]));
});

test("a key is trusted by the apps that say so, and by no other", () => {
  const trusting = createKeyring(
    new Map([
      [till, { ingestKeys: ["key-of-till", "key-of-both"], deviceAuth: { trustedKeys: ["key-of-both"] } }],
      [kiosk, { ingestKeys: ["key-of-kiosk", "key-of-both"] }],
    ]),
  );
  expect(trusting.trustedAppsOf("key-of-both")).toEqual(new Set([till]));
  expect(trusting.trustedAppsOf("key-of-till")).toEqual(new Set());
  expect(trusting.trustedAppsOf("key-of-nobody")).toEqual(new Set());
});

test.each(["", "key-of-nobody", "KEY-OF-TILL", "key-of-till ", "__proto__"])("%j opens nothing", (key) => {
  expect(keyring.appsOf(key)).toBeUndefined();
});

test("the keyring holds no key that could end up in a log", () => {
  expect(inspect(keyring, { depth: 9, showHidden: true })).not.toContain("key-of-till");
});
