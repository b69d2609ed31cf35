// Devices' tokens for tests: a key pair of an issuer, its public part as a JWK or in PEM, and tokens that it
// signs. Enters: an algorithm, a subject, times. Leaves: compact JWTs, made with the same library as is tested;
// what no issuer would make (`alg: none`, another header) is put together by hand.
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from "jose";
import type { JWK } from "jose";

export interface Issuer {
  readonly jwk: JWK;
  readonly pem: string;
  /** `claims` add to or replace `sub` and `exp`; undefined leaves one out. */
  token(
    claims?: Readonly<Record<string, unknown>>,
    header?: Readonly<Record<string, unknown>>,
  ): Promise<string>;
}

export const TOKEN_NOW_MS = Date.UTC(2026, 0, 31, 12);
const NOW_SECONDS = TOKEN_NOW_MS / 1_000;
const CLAIMS = { sub: "till-1", exp: NOW_SECONDS + 3_600 };

export async function createIssuer(alg: string, kid?: string): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const named = kid === undefined ? {} : { kid };
  return {
    jwk: { ...(await exportJWK(publicKey)), alg, use: "sig", ...named },
    pem: await exportSPKI(publicKey),
    token: (claims = {}, header = {}) =>
      new SignJWT(JSON.parse(JSON.stringify({ ...CLAIMS, ...claims })))
        .setProtectedHeader({ alg, ...named, ...header })
        .sign(privateKey),
  };
}

export function secretToken(
  secret: string,
  claims: Readonly<Record<string, unknown>> = {},
  alg = "HS256",
): Promise<string> {
  return new SignJWT({ ...CLAIMS, ...claims })
    .setProtectedHeader({ alg })
    .sign(new TextEncoder().encode(secret));
}

/** What an attacker writes: any header, and a signature of their choice. */
export function unsignedToken(header: Readonly<Record<string, unknown>>, signature = ""): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part(header)}.${part(CLAIMS)}.${signature}`;
}

export const keySet = (...jwks: readonly JWK[]): string => JSON.stringify({ keys: jwks });
