// device_auth of type hmac: finds out which device signed the body of a request. Enters: the secret that all
// device keys of the app are derived from, and the request. Leaves: the device, or why none is proven.
import type { Clock } from "../../runtime/clock.ts";
import {
  DEVICE_SIGNATURE_AGE_MS_MAX,
  DEVICE_SIGNATURE_HEADER,
  canHaveKey,
  deviceKeyOf,
  isSignedBy,
  readDeviceSignature,
} from "../contract/device-signature.ts";
import { headerOf } from "./device-proof.ts";
import type { DeviceProof, DeviceVerifier } from "./device-proof.ts";

/**
 * Devices of a request whose keys are tried. A device reports about itself alone, so the first is the one; a
 * few more let its own reports pass where another's slipped in, and a batch about thousands of devices costs
 * no more than this many hashes of its body.
 */
export const SIGNERS_TRIED_MAX = 4;

export function createHmacVerifier({
  app,
  secret,
  clock,
}: {
  readonly app: string;
  readonly secret: string;
  readonly clock: Clock;
}): DeviceVerifier {
  return {
    challenge: `DeviceSignature realm="lastgood", header="${DEVICE_SIGNATURE_HEADER}"`,
    async prove(request, devices): Promise<DeviceProof> {
      const header = headerOf(request, DEVICE_SIGNATURE_HEADER);
      if (header === undefined)
        return {
          kind: "missing",
          detail: "Sign the body with the device's key: X-Device-Signature: t=<unix seconds>,v1=<hex>.",
        };
      const signature = readDeviceSignature(header);
      if (signature === undefined)
        return {
          kind: "invalid",
          detail:
            "X-Device-Signature must be t=<unix seconds>,v1=<64 hex digits>, in lower case and sent once.",
        };
      const device = devices
        .slice(0, SIGNERS_TRIED_MAX)
        .find(
          (one) =>
            canHaveKey(one) &&
            isSignedBy(deviceKeyOf({ secret, app, device: one }), signature, request.sentBody),
        );
      if (device === undefined)
        return {
          kind: "invalid",
          detail:
            "The signature is not that of the device reported about: sign <t>.<body> with its key, the body as it is sent (after gzip).",
        };
      // Looked at last, so that only somebody with a key learns that clocks differ.
      const aheadMs = Number(signature.seconds) * 1_000 - clock();
      if (Math.abs(aheadMs) > DEVICE_SIGNATURE_AGE_MS_MAX)
        return { kind: "expired", detail: explainAge(aheadMs) };
      return { kind: "proven", device };
    },
  };
}

function explainAge(aheadMs: number): string {
  const seconds = Math.round(Math.abs(aheadMs) / 1_000);
  const allowed = DEVICE_SIGNATURE_AGE_MS_MAX / 1_000;
  return `The signature was made ${seconds} s ${aheadMs > 0 ? "ahead of" : "before"} this server's time, and ${allowed} s are allowed: sign anew, with t by the Date header of this answer.`;
}
