// The signature on every request to an OTA server of type `http`: proves who sent it, and when. Pure.
// Enters: the shared secret, the exact bytes of the body, a time. Leaves: the text of the header
// `Lastgood-Signature: t=<unix seconds>,v1=<hex hmac-sha256(secret, "<t>.<body>")>`, or a check of one.
// Lastgood itself only signs; `verifySignature` is what the other side needs (docs/ota-server-http.md).
import { createHmac, timingSafeEqual } from "node:crypto";

export const SIGNATURE_HEADER = "Lastgood-Signature";

/** How far a signature's time may lie from the receiver's clock, either way, in milliseconds. */
export const SIGNATURE_AGE_MS_MAX = 300_000;

/** Longest header that is looked at, in characters: room for several `v1` while a secret is changed. */
export const SIGNATURE_HEADER_CHARS_MAX = 1_024;

interface SignedText {
  readonly secret: string;
  /** The body exactly as it goes over the wire; a request without one (GET) has the empty string. */
  readonly body: string | Uint8Array;
}

export function signBody({ atMs, ...text }: SignedText & { readonly atMs: number }): string {
  const seconds = String(Math.floor(atMs / 1_000));
  return `t=${seconds},v1=${digest(text, seconds).toString("hex")}`;
}

function digest({ secret, body }: SignedText, seconds: string): Buffer {
  return createHmac("sha256", secret).update(`${seconds}.`).update(body).digest();
}

export type SignatureCheck =
  | { readonly kind: "valid"; readonly signedAtMs: number }
  | { readonly kind: "invalid"; readonly reason: "missing" | "malformed" | "wrong" | "too_old" | "too_new" };

/**
 * Checks the value of the header against the body. The age is looked at last, so that only somebody who
 * knows the secret learns that the clocks differ. Parts other than `t` and `v1` are left for later formats.
 */
export function verifySignature({
  header,
  nowMs,
  ageMsMax = SIGNATURE_AGE_MS_MAX,
  ...text
}: SignedText & {
  readonly header: string | undefined;
  readonly nowMs: number;
  readonly ageMsMax?: number;
}): SignatureCheck {
  if (header === undefined || header === "") return { kind: "invalid", reason: "missing" };
  const parts = parseHeader(header);
  if (parts === undefined) return { kind: "invalid", reason: "malformed" };
  const expected = digest(text, parts.seconds);
  const isRight = parts.signatures.map((signature) => timingSafeEqual(signature, expected)).includes(true);
  if (!isRight) return { kind: "invalid", reason: "wrong" };
  const signedAtMs = Number(parts.seconds) * 1_000;
  if (nowMs - signedAtMs > ageMsMax) return { kind: "invalid", reason: "too_old" };
  if (signedAtMs - nowMs > ageMsMax) return { kind: "invalid", reason: "too_new" };
  return { kind: "valid", signedAtMs };
}

function parseHeader(header: string): { seconds: string; signatures: Buffer[] } | undefined {
  if (header.length > SIGNATURE_HEADER_CHARS_MAX) return undefined;
  const parts = header.split(",").map((part) => part.trim());
  const times = parts.filter((part) => part.startsWith("t=")).map((part) => part.slice(2));
  const signatures = parts.filter((part) => part.startsWith("v1=")).map((part) => part.slice(3));
  const [seconds] = times;
  if (seconds === undefined || times.length > 1 || !/^\d{1,12}$/.test(seconds)) return undefined;
  if (signatures.length === 0 || !signatures.every((signature) => /^[0-9a-f]{64}$/.test(signature)))
    return undefined;
  return { seconds, signatures: signatures.map((signature) => Buffer.from(signature, "hex")) };
}
