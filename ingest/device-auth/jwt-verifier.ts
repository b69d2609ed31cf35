// device_auth of type jwt: finds out whose token a request carries. Enters: the settings and the request.
// Leaves: the device that the token's subject names, or why none is proven. The library is `jose`; it refuses
// `alg: none` and every algorithm that the settings do not name.
import { errors, jwtVerify } from "jose";
import type { JWTPayload, JWTVerifyOptions } from "jose";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { JwtDeviceAuth } from "../contract/device-auth.ts";
import { headerOf } from "./device-proof.ts";
import type { DeviceProof, DeviceVerifier } from "./device-proof.ts";
import { openKeyFile } from "./key-file.ts";
import { secretKeyFinder } from "./token-keys.ts";
import type { TokenKeyFinder } from "./token-keys.ts";

/** How far the clock of whoever issues tokens may be off, in seconds: `exp` and `nbf` are held with it. */
export const TOKEN_CLOCK_TOLERANCE_SECONDS = 60;

/** Longest token that is looked at, in characters. */
export const TOKEN_CHARS_MAX = 8_192;

export function createJwtVerifier({
  settings,
  clock,
  logger,
}: {
  readonly settings: JwtDeviceAuth;
  readonly clock: Clock;
  readonly logger: Logger;
}): DeviceVerifier {
  const { header } = settings;
  const currentKeys = createKeySource(settings, { clock, logger });
  const options = optionsOf(settings);
  return {
    challenge: `DeviceToken realm="lastgood", header="${header}"`,
    async prove(request): Promise<DeviceProof> {
      const token = headerOf(request, header);
      if (token === undefined)
        return { kind: "missing", detail: `Send the device's own token: ${header}: <JWT>.` };
      if (token.length > TOKEN_CHARS_MAX)
        return invalid(`it has more than ${TOKEN_CHARS_MAX} characters`, header);
      const keys = await currentKeys();
      try {
        const { sub } = await verify(token, keys, { ...options, currentDate: new Date(clock()) });
        if (typeof sub !== "string" || sub === "") return invalid('its "sub" names no device', header);
        return { kind: "proven", device: sub };
      } catch (error) {
        if (error instanceof errors.JWTExpired)
          return { kind: "expired", detail: `The token in ${header} has expired: get the device a new one.` };
        if (error instanceof errors.JOSEError) return invalid(error.message, header);
        throw error;
      }
    },
  };
}

function invalid(reason: string, header: string): DeviceProof {
  return { kind: "invalid", detail: `The token in ${header} is refused: ${reason}.` };
}

function createKeySource(
  { keys }: JwtDeviceAuth,
  outside: { readonly clock: Clock; readonly logger: Logger },
): () => Promise<TokenKeyFinder> {
  if (keys.kind === "secret") {
    const find = secretKeyFinder(keys.secret);
    return () => Promise.resolve(find);
  }
  const file = openKeyFile({ source: keys, ...outside });
  return () => file.current();
}

function optionsOf({ keys, issuer, audience }: JwtDeviceAuth): JWTVerifyOptions {
  return {
    algorithms: [...keys.algorithms],
    clockTolerance: TOKEN_CLOCK_TOLERANCE_SECONDS,
    // Without `exp` a stolen token would be good for ever.
    requiredClaims: ["sub", "exp"],
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
  };
}

async function verify(token: string, keys: TokenKeyFinder, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (error) {
    // A token without `kid` may be of any of several keys.
    if (error instanceof errors.JWKSMultipleMatchingKeys) return await verifyWithAny(token, error, options);
    throw error;
  }
}

async function verifyWithAny(
  token: string,
  candidates: errors.JWKSMultipleMatchingKeys,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  for await (const key of candidates) {
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}
