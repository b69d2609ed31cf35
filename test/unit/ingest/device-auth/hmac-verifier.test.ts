// device_auth of type hmac: who is proven, and at which edge of time no longer.
import { expect, test } from "vitest";
import {
  DEVICE_SIGNATURE_AGE_MS_MAX,
  deviceKeyOf,
  signAsDevice,
} from "../../../../ingest/contract/device-signature.ts";
import type { DeviceProof } from "../../../../ingest/device-auth/device-proof.ts";
import { SIGNERS_TRIED_MAX, createHmacVerifier } from "../../../../ingest/device-auth/hmac-verifier.ts";

const SECRET = "a-provisioning-secret-of-32-chars-or-more";
const APP = "com.acme.till";
const NOW_MS = Date.UTC(2026, 0, 31, 12);
const BODY = Buffer.from('{"some":"body"}');

function prove(
  signature: string | undefined,
  devices: readonly string[] = ["till-1"],
  sentBody = BODY,
): Promise<DeviceProof> {
  const verifier = createHmacVerifier({ app: APP, secret: SECRET, clock: () => NOW_MS });
  const headers = signature === undefined ? {} : { "x-device-signature": signature };
  return verifier.prove({ headers, sentBody }, devices);
}

function sign(device: string, atMs = NOW_MS, app = APP): string {
  return signAsDevice({ deviceKey: deviceKeyOf({ secret: SECRET, app, device }), body: BODY, atMs });
}

test("a device's own signature proves it", async () => {
  expect(await prove(sign("till-1"))).toEqual({ kind: "proven", device: "till-1" });
});

test.each([
  { name: "none", signature: undefined, kind: "missing" },
  { name: "an empty one", signature: " ", kind: "missing" },
  { name: "another form", signature: "sha256=abc", kind: "invalid" },
  { name: "that of another device", signature: sign("till-2"), kind: "invalid" },
  { name: "that of the same device of another app", signature: sign("till-1", NOW_MS, "b"), kind: "invalid" },
  { name: "two headers that were joined", signature: `${sign("x")}, ${sign("till-1")}`, kind: "invalid" },
])("$name proves nobody: $kind", async ({ signature, kind }) => {
  expect(await prove(signature)).toMatchObject({ kind });
});

test("ids that UTF-8 can't tell apart have no key", async () => {
  expect(await prove(sign("\uFFFD"), ["\uFFFD"])).toMatchObject({ kind: "proven" });
  for (const half of ["\uD800", "\uDFFF"])
    expect(await prove(sign("\uFFFD"), [half])).toMatchObject({ kind: "invalid" });
  expect(await prove(sign("\u{1F600}"), ["\u{1F600}"])).toMatchObject({ kind: "proven" });
});

test("a body that is another by one byte proves nobody", async () => {
  const changed = Buffer.from(BODY);
  changed[0]! ^= 1;
  expect(await prove(sign("till-1"), ["till-1"], changed)).toMatchObject({ kind: "invalid" });
});

test.each([
  { offMs: -DEVICE_SIGNATURE_AGE_MS_MAX, kind: "proven" },
  { offMs: -DEVICE_SIGNATURE_AGE_MS_MAX - 1_000, kind: "expired", detail: /301 s before/ },
  { offMs: DEVICE_SIGNATURE_AGE_MS_MAX, kind: "proven" },
  { offMs: DEVICE_SIGNATURE_AGE_MS_MAX + 1_000, kind: "expired", detail: /301 s ahead of/ },
])("a signature $offMs ms from now is $kind", async ({ offMs, kind, detail = /^/ }) => {
  const proof = await prove(sign("till-1", NOW_MS + offMs));
  expect(proof.kind).toBe(kind);
  expect("detail" in proof ? proof.detail : "").toMatch(detail);
});

test("an old signature that is wrong as well is wrong: nobody without a key learns of clocks", async () => {
  expect(await prove(sign("till-2", NOW_MS - 86_400_000))).toMatchObject({ kind: "invalid" });
});

test("a report that slipped in first does not take the rest along; a batch of many devices is not searched", async () => {
  const others = Array.from({ length: SIGNERS_TRIED_MAX }, (_, index) => `other-${index}`);
  const own = { kind: "proven", device: "till-1" };
  expect(await prove(sign("till-1"), [...others.slice(1), "till-1"])).toEqual(own);
  expect(await prove(sign("till-1"), [...others, "till-1"])).toMatchObject({ kind: "invalid" });
});
