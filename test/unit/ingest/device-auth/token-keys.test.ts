// Which files of keys are of use, and what is said of those that are not.
import { generateKeyPairSync } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { parseKeySet, parsePublicKey } from "../../../../ingest/device-auth/token-keys.ts";
import { createIssuer, keySet } from "../../../support/device-tokens.ts";
import type { Issuer } from "../../../support/device-tokens.ts";

let ec: Issuer;
let rsa: Issuer;
beforeAll(async () => void ([ec, rsa] = await Promise.all([createIssuer("ES256"), createIssuer("RS256")])));

const reasonOf = (parsed: ReturnType<typeof parseKeySet>): string =>
  parsed.kind === "unusable" ? parsed.reason : "none";

function rsaOf(bits: number): { pem: string; jwk: object; privatePem: string } {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: bits });
  return {
    pem: publicKey.export({ type: "spki", format: "pem" }).toString(),
    jwk: publicKey.export({ format: "jwk" }),
    privatePem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

describe("a JWK Set", () => {
  test.each(["", "[]", "{}", '{"keys": {}}', '{"keys": [5]}', "null", "-----BEGIN PUBLIC KEY-----"])(
    "%j is none",
    (text) => {
      expect(reasonOf(parseKeySet(text, ["ES256"]))).toMatch(/^the file is no JWK Set/);
    },
  );

  test("keys that nobody can use are passed over, but one has to be left", () => {
    const later = { kty: "LATER", alg: "X1" };
    const forEncryption = { ...ec.jwk, use: "enc" };
    expect(reasonOf(parseKeySet(keySet(later, forEncryption, ec.jwk), ["ES256"]))).toBe("none");
    for (const jwk of [later, forEncryption, { kty: "EC", crv: "P-256", x: "no", y: "no" }, rsa.jwk])
      expect(reasonOf(parseKeySet(keySet(jwk), ["ES256"]))).toBe(
        "the file has no public key for ES256: add one, or name its algorithm",
      );
    expect(reasonOf(parseKeySet(keySet(), ["ES256", "RS256"]))).toMatch(/no public key for ES256, RS256/);
  });

  test("a private or shared key in it is refused", () => {
    const refused = /^keys\[1\] of the file is a private or shared key/;
    for (const jwk of [
      { ...ec.jwk, d: "AAAA" },
      { kty: "oct", k: "AAAA" },
    ])
      expect(reasonOf(parseKeySet(keySet(ec.jwk, jwk), ["ES256"]))).toMatch(refused);
  });

  test("RSA of 2048 bits is long enough, of 2040 it is not", () => {
    expect(reasonOf(parseKeySet(keySet(rsaOf(2_048).jwk), ["RS256"]))).toBe("none");
    expect(reasonOf(parseKeySet(keySet(rsaOf(2_040).jwk), ["RS256"]))).toMatch(/no public key for RS256/);
  });
});

describe("a public key in PEM", () => {
  test("each algorithm that is named has to go with it", () => {
    expect(reasonOf(parsePublicKey(ec.pem, ["ES256"]))).toBe("none");
    expect(reasonOf(parsePublicKey(rsa.pem, ["RS256", "PS512"]))).toBe("none");
    expect(reasonOf(parsePublicKey(ec.pem, ["ES256", "ES384"]))).toBe(
      "the key in the file is no key for ES384: name its own algorithm",
    );
    expect(reasonOf(parsePublicKey(rsaOf(1_024).pem, ["RS256"]))).toMatch(/make it of at least 2048 bits$/);
  });

  test.each(["", "ssh-ed25519 AAAA", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])(
    "%j is none",
    (text) => {
      expect(reasonOf(parsePublicKey(text, ["ES256"]))).toMatch(/^the file is no public key in PEM/);
    },
  );

  test("neither is a private key, nor one that is damaged", () => {
    expect(reasonOf(parsePublicKey(rsaOf(2_048).privatePem, ["RS256"]))).toMatch(/no public key in PEM/);
    expect(reasonOf(parsePublicKey(ec.pem.replace(/\n.{8}/, "\nAAAAAAAA"), ["ES256"]))).toMatch(/damaged/);
  });
});
