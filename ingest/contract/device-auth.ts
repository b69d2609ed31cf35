// How the devices of an app prove who they are, as a schema piece: `apps.<app>.device_auth`. Enters: parsed
// YAML. Leaves: camelCase settings. Both rooms read it: ingest checks the proofs, the agent has the whole
// file checked and prints device keys. What files hold is for ingest to look at; here it is a path.
import { z } from "zod";
import { secretText } from "./settings.ts";

export const DEVICE_AUTH_MODES = ["enforce", "observe"] as const;
export type DeviceAuthMode = (typeof DEVICE_AUTH_MODES)[number];

/** Shortest secret that signatures of devices are checked with, in characters: as many as SHA-256 has bytes. */
export const DEVICE_SECRET_CHARS_MIN = 32;

/** HMAC, checked with a secret; with the bits that RFC 7518 (3.2) asks of the secret. */
const SECRET_CHARS_MIN_OF = { HS256: DEVICE_SECRET_CHARS_MIN, HS384: 48, HS512: 64 } as const;
/** Signatures, checked with a public key. */
export const PUBLIC_KEY_ALGORITHMS = [
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
] as const;
export const SECRET_ALGORITHMS = ["HS256", "HS384", "HS512"] as const;
export type PublicKeyAlgorithm = (typeof PUBLIC_KEY_ALGORITHMS)[number];
export type SecretAlgorithm = (typeof SECRET_ALGORITHMS)[number];

export const DEVICE_TOKEN_HEADER_DEFAULT = "x-device-token";

interface DeviceAuthCommon {
  readonly mode: DeviceAuthMode;
  /** Ingest keys that may report for any device without a proof: gateways. */
  readonly trustedKeys: readonly string[];
}

/** What a token is checked with; the file of the first two is re-read when it changes. */
export type TokenKeys =
  | {
      readonly kind: "jwks_file" | "public_key_file";
      readonly file: string;
      readonly algorithms: readonly PublicKeyAlgorithm[];
    }
  | { readonly kind: "secret"; readonly secret: string; readonly algorithms: readonly SecretAlgorithm[] };

export interface JwtDeviceAuth extends DeviceAuthCommon {
  readonly type: "jwt";
  readonly keys: TokenKeys;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  /** In lower case. */
  readonly header: string;
}

export interface HmacDeviceAuth extends DeviceAuthCommon {
  readonly type: "hmac";
  /** Every device's key is derived from it: device-signature.ts. */
  readonly secret: string;
}

export type DeviceAuthSettings = JwtDeviceAuth | HmacDeviceAuth;

const common = {
  mode: z.enum(DEVICE_AUTH_MODES).prefault("enforce"),
  trusted_keys: z.array(secretText).prefault([]),
};

/** Headers that mean something else already, or that never arrive as they were sent. */
const TAKEN_HEADERS: ReadonlySet<string> = new Set([
  "authorization",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "cookie",
  "expect",
  "host",
  "te",
  "transfer-encoding",
  "upgrade",
]);

const jwtSchema = z.strictObject({
  type: z.literal("jwt"),
  ...common,
  jwks_file: z.string().min(1).optional(),
  public_key_file: z.string().min(1).optional(),
  secret: z.string().optional(),
  issuer: z.string().min(1).optional(),
  audience: z.string().min(1).optional(),
  algorithms: z.array(z.enum([...PUBLIC_KEY_ALGORITHMS, ...SECRET_ALGORITHMS])).min(1),
  header: z
    .string()
    .regex(/^[A-Za-z0-9-]+$/, { error: "must be the name of a header: letters, digits and dashes" })
    .refine((name) => !TAKEN_HEADERS.has(name.toLowerCase()), {
      error: "this header has a use of its own already: choose another, such as x-device-token",
    })
    .prefault(DEVICE_TOKEN_HEADER_DEFAULT),
});

const hmacSchema = z.strictObject({
  type: z.literal("hmac"),
  ...common,
  secret: z.string().min(DEVICE_SECRET_CHARS_MIN),
});

const KEY_FIELDS = ["jwks_file", "public_key_file", "secret"] as const;

function refuseUnclearKeys(jwt: z.infer<typeof jwtSchema>, context: z.RefinementCtx): void {
  const [first, second] = KEY_FIELDS.filter((field) => jwt[field] !== undefined);
  const refuse = (path: PropertyKey[], message: string): void =>
    context.addIssue({ code: "custom", path, message });
  if (first === undefined) {
    refuse([], "say what tokens are checked with: jwks_file, public_key_file or secret");
    return;
  }
  if (second !== undefined) refuse([second], `${first} is set too: keep one of the two`);
  jwt.algorithms.forEach((algorithm, index) => {
    if (isSecretAlgorithm(algorithm) === (first === "secret")) return;
    refuse(
      ["algorithms", index],
      first === "secret"
        ? `goes with a public key, and ${first} is none: write ${SECRET_ALGORITHMS.join(", ")}, or name a jwks_file`
        : `goes with a secret, and what ${first} holds is public: write ${PUBLIC_KEY_ALGORITHMS.join(", ")}`,
    );
  });
  const charsMin = Math.max(
    ...jwt.algorithms.map((algorithm) => (isSecretAlgorithm(algorithm) ? SECRET_CHARS_MIN_OF[algorithm] : 0)),
  );
  if (jwt.secret !== undefined && jwt.secret.length < charsMin)
    refuse(["secret"], `must have at least ${charsMin} characters for these algorithms`);
}

function isSecretAlgorithm(algorithm: string): algorithm is SecretAlgorithm {
  return (SECRET_ALGORITHMS as readonly string[]).includes(algorithm);
}

export const deviceAuthSchema = z
  .discriminatedUnion("type", [jwtSchema, hmacSchema])
  .superRefine((section, context) => {
    // zod comes here with what it has when a value inside was refused; those mistakes are told first.
    if (section.type === "jwt" && Array.isArray(section.algorithms)) refuseUnclearKeys(section, context);
  })
  .transform((section): DeviceAuthSettings => {
    const { type, mode, trusted_keys: trustedKeys } = section;
    if (type === "hmac") return { type, mode, trustedKeys, secret: section.secret };
    const { issuer, audience, header } = section;
    return { type, mode, trustedKeys, keys: keysOf(section), issuer, audience, header: header.toLowerCase() };
  });

/** Only called when {@link refuseUnclearKeys} found nothing. */
function keysOf({ jwks_file, public_key_file, secret, algorithms }: z.infer<typeof jwtSchema>): TokenKeys {
  if (secret !== undefined)
    return { kind: "secret", secret, algorithms: algorithms.filter(isSecretAlgorithm) };
  const publicOnes = algorithms.filter((algorithm) => !isSecretAlgorithm(algorithm));
  return jwks_file === undefined
    ? { kind: "public_key_file", file: public_key_file!, algorithms: publicOnes }
    : { kind: "jwks_file", file: jwks_file, algorithms: publicOnes };
}

/** For the schema of an app: a trusted key that no gateway can use, or that leaves nothing to check. */
export function refuseIdleTrust(
  app: { readonly ingest_keys: readonly string[]; readonly device_auth?: DeviceAuthSettings | undefined },
  context: z.RefinementCtx,
): void {
  const { ingest_keys: ingestKeys, device_auth: deviceAuth } = app;
  // Still as written when something in it was refused.
  if (!Array.isArray(ingestKeys) || !Array.isArray(deviceAuth?.trustedKeys)) return;
  const trusted = deviceAuth.trustedKeys;
  const refuse = (path: PropertyKey[], message: string): void =>
    context.addIssue({ code: "custom", path: ["device_auth", "trusted_keys", ...path], message });
  trusted.forEach((key, index) => {
    if (!ingestKeys.includes(key))
      refuse([index], "is no ingest key of this app: list it under ingest_keys too");
  });
  if (trusted.length > 0 && ingestKeys.every((key) => trusted.includes(key)))
    refuse([], "every ingest key of the app is trusted, so nothing would be checked: devices need another");
}
