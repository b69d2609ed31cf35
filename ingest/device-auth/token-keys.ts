// The keys that device tokens are checked with. Enters: the text of a JWK Set or of a public key in PEM, or a
// secret, and the algorithms that are allowed. Leaves: what `jose` asks for a key with each token (imported
// once, kept), or one sentence why the text is of no use. Files are read in key-file.ts.
import { createPublicKey } from "node:crypto";
import type { JsonWebKey, KeyObject, webcrypto } from "node:crypto";
import { createLocalJWKSet } from "jose";
import type { JWTVerifyGetKey } from "jose";
import type { PublicKeyAlgorithm } from "../contract/device-auth.ts";

export type TokenKeyFinder = JWTVerifyGetKey;

export type ParsedKeys =
  | { readonly kind: "keys"; readonly find: TokenKeyFinder }
  | { readonly kind: "unusable"; readonly reason: string };

/** Shortest RSA key, in bits (RFC 7518, 3.3). */
export const RSA_BITS_MIN = 2_048;

const CURVE_OF: Partial<Record<PublicKeyAlgorithm, string>> = {
  ES256: "prime256v1",
  ES384: "secp384r1",
  ES512: "secp521r1",
};

/** Whether signatures of this algorithm can be checked with the key. */
function fits(key: KeyObject, algorithm: PublicKeyAlgorithm): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (algorithm === "EdDSA" || algorithm === "Ed25519") return type === "ed25519";
  const curve = CURVE_OF[algorithm];
  if (curve !== undefined) return type === "ec" && details?.namedCurve === curve;
  return type === "rsa" && (details?.modulusLength ?? 0) >= RSA_BITS_MIN;
}

export function parsePublicKey(pem: string, algorithms: readonly PublicKeyAlgorithm[]): ParsedKeys {
  if (!/-----BEGIN (RSA )?PUBLIC KEY-----/.test(pem))
    return unusable(
      "the file is no public key in PEM (-----BEGIN PUBLIC KEY-----): openssl pkey -pubout writes one",
    );
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    return unusable("the public key in the file is damaged: write it anew with openssl pkey -pubout");
  }
  const [unfit] = algorithms.filter((algorithm) => !fits(key, algorithm));
  if (unfit !== undefined)
    return unusable(`the key in the file is no key for ${unfit}: name its own algorithm${ofRsa(key)}`);
  return { kind: "keys", find: () => key };
}

function ofRsa(key: KeyObject): string {
  const bits = key.asymmetricKeyDetails?.modulusLength;
  return bits !== undefined && bits < RSA_BITS_MIN ? `, and make it of at least ${RSA_BITS_MIN} bits` : "";
}

/**
 * Keys of the set that no allowed algorithm can use are passed over, as RFC 7517 (5) asks for: a set may serve
 * others too. A private or shared key is refused, because such a file is published by mistake.
 */
export function parseKeySet(text: string, algorithms: readonly PublicKeyAlgorithm[]): ParsedKeys {
  const members = membersOf(text);
  if (members === undefined)
    return unusable('the file is no JWK Set: it must be JSON such as {"keys": [{"kty": "EC", …}]}');
  const secretAt = members.findIndex((jwk) => "d" in jwk || "priv" in jwk || jwk["kty"] === "oct");
  if (secretAt !== -1)
    return unusable(`keys[${secretAt}] of the file is a private or shared key: it may hold public keys only`);
  const usable = members.filter((jwk) => isUsable(jwk, algorithms));
  if (usable.length === 0)
    return unusable(
      `the file has no public key for ${algorithms.join(", ")}: add one, or name its algorithm`,
    );
  // Imports each key when it is first asked for, and keeps it.
  return { kind: "keys", find: createLocalJWKSet({ keys: usable }) };
}

type Member = Readonly<Record<string, unknown>>;

function membersOf(text: string): readonly Member[] | undefined {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    return undefined;
  }
  const keys = isObject(set) ? set["keys"] : undefined;
  return Array.isArray(keys) && keys.every(isObject) ? keys : undefined;
}

function isObject(value: unknown): value is Member {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isUsable(jwk: Member, algorithms: readonly PublicKeyAlgorithm[]): boolean {
  const { alg, use } = jwk;
  if (use !== undefined && use !== "sig") return false;
  const allowed = alg === undefined ? algorithms : algorithms.filter((algorithm) => algorithm === alg);
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: "jwk" });
    return allowed.some((algorithm) => fits(key, algorithm));
  } catch {
    return false;
  }
}

function unusable(reason: string): ParsedKeys {
  return { kind: "unusable", reason };
}

/** The secret as UTF-8 bytes, imported once for each algorithm. */
export function secretKeyFinder(secret: string): TokenKeyFinder {
  const bytes = new TextEncoder().encode(secret);
  const imported = new Map<string, Promise<webcrypto.CryptoKey>>();
  return ({ alg }) => {
    const known = imported.get(alg);
    if (known !== undefined) return known;
    // The allow-list was looked at before: the algorithm is HS256, HS384 or HS512.
    const hmac = { name: "HMAC", hash: `SHA-${alg.slice("HS".length)}` };
    const key = crypto.subtle.importKey("raw", bytes, hmac, false, ["verify"]);
    imported.set(alg, key);
    return key;
  };
}
