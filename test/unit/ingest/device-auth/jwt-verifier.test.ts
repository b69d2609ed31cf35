// device_auth of type jwt: which tokens prove a device, at which edges of time, and what attackers try.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JwtDeviceAuth, TokenKeys } from "../../../../ingest/contract/device-auth.ts";
import type { DeviceProof } from "../../../../ingest/device-auth/device-proof.ts";
import {
  TOKEN_CHARS_MAX,
  TOKEN_CLOCK_TOLERANCE_SECONDS,
  createJwtVerifier,
} from "../../../../ingest/device-auth/jwt-verifier.ts";
import { createLogger } from "../../../../runtime/logger.ts";
import {
  TOKEN_NOW_MS,
  createIssuer,
  keySet,
  secretToken,
  unsignedToken,
} from "../../../support/device-tokens.ts";
import type { Issuer } from "../../../support/device-tokens.ts";

const SECRET = "a-shared-secret-of-32-characters-or-more";
const NOW_SECONDS = TOKEN_NOW_MS / 1_000;
const logger = createLogger({ name: "test", level: "silent" });

let folder: string;
let file: string;
let issuer: Issuer;
let foreign: Issuer;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "lg-jwt-"));
  file = path.join(folder, "keys.json");
  [issuer, foreign] = await Promise.all([createIssuer("ES256", "one"), createIssuer("ES256", "one")]);
  writeFileSync(file, keySet(issuer.jwk));
});
afterAll(() => rmSync(folder, { recursive: true }));

const ofFile = (): TokenKeys => ({ kind: "jwks_file", file, algorithms: ["ES256"] });

function prove(
  token: string | undefined,
  keys: TokenKeys = ofFile(),
  more: Partial<JwtDeviceAuth> = {},
): Promise<DeviceProof> {
  const settings: JwtDeviceAuth = {
    type: "jwt",
    mode: "enforce",
    trustedKeys: [],
    keys,
    issuer: undefined,
    audience: undefined,
    header: "x-device-token",
    ...more,
  };
  const verifier = createJwtVerifier({ settings, clock: () => TOKEN_NOW_MS, logger });
  const headers = token === undefined ? {} : { [settings.header]: token };
  return verifier.prove({ headers, sentBody: Buffer.from("{}") }, ["till-1"]);
}

const PROVEN = { kind: "proven", device: "till-1" };

describe("tokens that prove a device", () => {
  test("of the key in the set, also under a header of one's own", async () => {
    expect(await prove(await issuer.token())).toEqual(PROVEN);
    expect(await prove(await issuer.token(), ofFile(), { header: "x-mine" })).toEqual(PROVEN);
  });

  test.each(["ES384", "ES512", "EdDSA", "Ed25519", "RS256", "PS384"] as const)(
    "of %s, by PEM",
    async (alg) => {
      const one = await createIssuer(alg);
      const pem = path.join(folder, `${alg}.pem`);
      writeFileSync(pem, one.pem);
      const keys: TokenKeys = { kind: "public_key_file", file: pem, algorithms: [alg] };
      expect(await prove(await one.token(), keys)).toEqual(PROVEN);
    },
  );

  test.each(["HS256", "HS384", "HS512"] as const)("of %s, by a secret", async (alg) => {
    const keys: TokenKeys = { kind: "secret", secret: SECRET.repeat(2), algorithms: [alg] };
    expect(await prove(await secretToken(SECRET.repeat(2), {}, alg), keys)).toEqual(PROVEN);
    expect(await prove(await secretToken(SECRET, {}, alg), keys)).toMatchObject({ kind: "invalid" });
  });

  test("without kid, of any of several keys of the set", async () => {
    const [one, two, third] = await Promise.all(["ES256", "ES256", "ES256"].map((alg) => createIssuer(alg)));
    const several = path.join(folder, "several.json");
    writeFileSync(several, keySet(one!.jwk, two!.jwk));
    const keys: TokenKeys = { ...ofFile(), kind: "jwks_file", file: several, algorithms: ["ES256"] };
    expect(await prove(await two!.token(), keys)).toEqual(PROVEN);
    expect(await prove(await third!.token(), keys)).toMatchObject({ kind: "invalid" });
    expect(await prove(await two!.token({ exp: 1 }), keys)).toMatchObject({ kind: "expired" });
  });
});

describe("at the edges of time", () => {
  test.each([
    { claim: "exp", fromNow: -TOKEN_CLOCK_TOLERANCE_SECONDS + 1, kind: "proven" },
    { claim: "exp", fromNow: -TOKEN_CLOCK_TOLERANCE_SECONDS, kind: "expired" },
    { claim: "nbf", fromNow: TOKEN_CLOCK_TOLERANCE_SECONDS, kind: "proven" },
    { claim: "nbf", fromNow: TOKEN_CLOCK_TOLERANCE_SECONDS + 1, kind: "invalid" },
  ])("$claim $fromNow s from now: $kind", async ({ claim, fromNow, kind }) => {
    const token = await issuer.token({ [claim]: NOW_SECONDS + fromNow });
    expect(await prove(token)).toMatchObject({ kind });
  });

  test("a token that never expires is refused", async () => {
    expect(await prove(await issuer.token({ exp: undefined }))).toMatchObject({
      kind: "invalid",
      detail: 'The token in x-device-token is refused: missing required "exp" claim.',
    });
  });
});

describe("tokens that prove nobody", () => {
  test("none at all", async () => {
    expect(await prove(undefined)).toEqual({
      kind: "missing",
      detail: "Send the device's own token: x-device-token: <JWT>.",
    });
  });

  test.each([
    ["text", "not a token"],
    ["alg none", unsignedToken({ alg: "none" })],
    ["alg None", unsignedToken({ alg: "None" })],
    ["no alg", unsignedToken({ typ: "JWT" })],
    ["a made-up signature", unsignedToken({ alg: "ES256", kid: "one" }, "AAAA")],
    ["a prototype's name for an alg", unsignedToken({ alg: "__proto__" }, "AAAA")],
    ["a crit header that nobody knows", unsignedToken({ alg: "ES256", crit: ["b64", "x"], x: 1 }, "AAAA")],
  ])("%s", async (_, token) => {
    expect(await prove(token)).toMatchObject({ kind: "invalid" });
  });

  test("of a foreign key with the same kid, of an unknown kid, of no subject", async () => {
    expect(await prove(await foreign.token())).toMatchObject({ kind: "invalid" });
    expect(await prove(await issuer.token({}, { kid: "two" }))).toMatchObject({ kind: "invalid" });
    expect(await prove(await issuer.token({ sub: undefined }))).toMatchObject({ kind: "invalid" });
    expect(await prove(await issuer.token({ sub: "" }))).toMatchObject({ kind: "invalid" });
    expect(await prove(await issuer.token({ sub: 5 }))).toMatchObject({ kind: "invalid" });
  });

  test("signed with the public key as if it were a secret", async () => {
    const pem = path.join(folder, "public.pem");
    writeFileSync(pem, issuer.pem);
    const keys: TokenKeys = { kind: "public_key_file", file: pem, algorithms: ["ES256"] };
    expect(await prove(await issuer.token(), keys)).toEqual(PROVEN);
    expect(await prove(await secretToken(issuer.pem), keys)).toMatchObject({ kind: "invalid" });
    expect(await prove(await secretToken(issuer.pem))).toMatchObject({ kind: "invalid" });
  });

  test("of an algorithm that is right, but not named", async () => {
    const keys: TokenKeys = { kind: "secret", secret: SECRET.repeat(2), algorithms: ["HS512"] };
    expect(await prove(await secretToken(SECRET.repeat(2)), keys)).toMatchObject({ kind: "invalid" });
  });

  test("for another audience, of another issuer, or saying neither", async () => {
    const more = { issuer: "https://acme.example", audience: "lastgood" };
    const right = { iss: "https://acme.example", aud: ["other", "lastgood"] };
    expect(await prove(await issuer.token(right), ofFile(), more)).toEqual(PROVEN);
    for (const wrong of [{}, { ...right, aud: "other" }, { ...right, iss: "https://acme.example/" }])
      expect(await prove(await issuer.token(wrong), ofFile(), more)).toMatchObject({ kind: "invalid" });
  });

  test("the longest token, and one character more", async () => {
    const made = await issuer.token({ pad: "" });
    const charsFor = (pad: number): Promise<string> => issuer.token({ pad: "x".repeat(pad) });
    let pad = Math.floor(((TOKEN_CHARS_MAX - made.length) * 3) / 4);
    while ((await charsFor(pad + 1)).length <= TOKEN_CHARS_MAX) pad += 1;
    expect(await prove(await charsFor(pad))).toEqual(PROVEN);
    expect(await prove("x".repeat(TOKEN_CHARS_MAX + 1))).toMatchObject({
      detail: expect.stringContaining("more than 8192 characters") as string,
    });
  });
});
