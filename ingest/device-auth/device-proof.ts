// What a proof of a device is, whatever makes it: one verifier for each type of device_auth gives this answer.
import type { IncomingHttpHeaders } from "node:http";

export interface ProofRequest {
  readonly headers: IncomingHttpHeaders;
  /** The body as it came over the wire, before gzip was undone. */
  readonly sentBody: Uint8Array;
}

export type DeviceProof =
  | { readonly kind: "proven"; readonly device: string }
  | { readonly kind: "missing" | "invalid" | "expired"; readonly detail: string };

export interface DeviceVerifier {
  /** The scheme that `WWW-Authenticate` names, with the header that the proof belongs into. */
  readonly challenge: string;
  /** `devices`: those that the request's reports are about, each once, in their order; never empty. */
  prove(request: ProofRequest, devices: readonly string[]): Promise<DeviceProof>;
}

/** A header that was sent once; sent twice, Node has joined it, and no proof has that form. */
export function headerOf({ headers }: ProofRequest, name: string): string | undefined {
  const value = headers[name];
  const text = Array.isArray(value) ? value.join(", ") : value;
  return text === undefined || text.trim() === "" ? undefined : text.trim();
}
