// The signature, against vectors that another program made, and each way in which a check says no.
import { describe, expect, it } from "vitest";
import {
  SIGNATURE_AGE_MS_MAX,
  SIGNATURE_HEADER_CHARS_MAX,
  signBody,
  verifySignature,
} from "../../../../agent/rollback/signature.ts";

const secret = "example-ota-secret";
const body = '{"decision_id":"d-1","from":"1.4.0","to":"1.3.0","reason":"8 % échouent"}';
const atMs = Date.parse("2026-01-01T00:00:00Z");

// Made with OpenSSL 3: printf '%s' '1767225600.<body>' | openssl dgst -sha256 -hmac example-ota-secret
// (and the same from Python's hmac module).
const OF_BODY = "dc3f189def6c9290a51db52c3c89b97dd96771ae0df74c75e5f94c171976672b";
const OF_NOTHING = "2fedc3e5108dafd80d92599816c719fb5edff73faeeacb5245c0df2b578b2792";
const header = `t=1767225600,v1=${OF_BODY}`;

function paddedHeader(chars: number): string {
  return `${header},v9=${"x".repeat(chars - header.length - 4)}`;
}

describe("signBody", () => {
  it("agrees with OpenSSL, for text beyond ASCII and for the empty body of a GET", () => {
    expect(signBody({ secret, body, atMs })).toBe(header);
    expect(signBody({ secret, body: "", atMs })).toBe(`t=1767225600,v1=${OF_NOTHING}`);
  });

  it("signs bytes as it signs their text, and drops the part of a second", () => {
    expect(signBody({ secret, body: Buffer.from(body), atMs: atMs + 999 })).toBe(header);
  });
});

describe("verifySignature", () => {
  const check = (change: Partial<Parameters<typeof verifySignature>[0]>) =>
    verifySignature({ secret, body, header, nowMs: atMs, ...change });

  it("accepts what was signed", () => {
    expect(check({})).toEqual({ kind: "valid", signedAtMs: atMs });
    expect(check({ body: Buffer.from(body) })).toEqual({ kind: "valid", signedAtMs: atMs });
  });

  it("accepts it exactly at the largest age, either way, and not a millisecond beyond", () => {
    expect(check({ nowMs: atMs + SIGNATURE_AGE_MS_MAX })).toMatchObject({ kind: "valid" });
    expect(check({ nowMs: atMs + SIGNATURE_AGE_MS_MAX + 1 })).toEqual({ kind: "invalid", reason: "too_old" });
    expect(check({ nowMs: atMs - SIGNATURE_AGE_MS_MAX })).toMatchObject({ kind: "valid" });
    expect(check({ nowMs: atMs - SIGNATURE_AGE_MS_MAX - 1 })).toEqual({ kind: "invalid", reason: "too_new" });
    expect(check({ nowMs: atMs + 1_001, ageMsMax: 1_000 })).toEqual({ kind: "invalid", reason: "too_old" });
  });

  it("accepts one right signature among several, and skips schemes that it does not know", () => {
    const several = `t=1767225600,v0=abc,v1=${"0".repeat(64)}, v1=${OF_BODY}`;
    expect(check({ header: several })).toMatchObject({ kind: "valid" });
  });

  it.each([
    ["another secret", { secret: "another-secret" }],
    ["another body", { body: `${body} ` }],
    ["no body", { body: "" }],
    ["another time", { header: `t=1767225601,v1=${OF_BODY}` }],
    ["the same time written otherwise", { header: `t=01767225600,v1=${OF_BODY}` }],
    ["another signature", { header: `t=1767225600,v1=${OF_NOTHING}` }],
    ["a stranger's old signature: the age is not told", { secret: "another-secret", nowMs: atMs * 2 }],
  ])("finds %s wrong", (_name, change) => {
    expect(check(change)).toEqual({ kind: "invalid", reason: "wrong" });
  });

  it.each([undefined, ""])("finds %j missing", (header) => {
    expect(check({ header })).toEqual({ kind: "invalid", reason: "missing" });
  });

  it.each([
    "nonsense",
    "t=1767225600",
    `v1=${OF_BODY}`,
    `t=,v1=${OF_BODY}`,
    `t=-1,v1=${OF_BODY}`,
    `t=1e9,v1=${OF_BODY}`,
    `t=1767225600,t=1767225600,v1=${OF_BODY}`,
    `t=1767225600,v1=${OF_BODY.slice(2)}`,
    `t=1767225600,v1=${OF_BODY}00`,
    `t=1767225600,v1=${OF_BODY.toUpperCase()}`,
    `t=1767225600,v1=${"z".repeat(64)}`,
  ])("finds %s malformed", (header) => {
    expect(check({ header })).toEqual({ kind: "invalid", reason: "malformed" });
  });

  it("looks at a header of the longest size, and at none longer", () => {
    expect(check({ header: paddedHeader(SIGNATURE_HEADER_CHARS_MAX) })).toMatchObject({ kind: "valid" });
    expect(check({ header: paddedHeader(SIGNATURE_HEADER_CHARS_MAX + 1) })).toMatchObject({
      reason: "malformed",
    });
  });
});
