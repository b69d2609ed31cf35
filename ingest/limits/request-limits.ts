// How many requests a second one address, or one ingest key, may send to this process: `ingest.limits.
// requests_per_second`, both off unless named (docs/security.md says why). Enters: each request, before its body is
// read. Leaves: nothing, or the Problem it is refused with; each system's routes answer that in their own form.
// The same function for whatever serves a request, inside Express or before it.
import type { IncomingMessage } from "node:http";
import type { RequestHandler } from "express";
import { createClientAddress, networkOf } from "../../runtime/client-address.ts";
import type { Problem } from "../../runtime/problem.ts";
import type { IngestSettings } from "../contract/settings.ts";
import { keyIn } from "../middleware/authenticate.ts";
import type { Keyring } from "../middleware/authenticate.ts";
import { problem } from "../problems.ts";
import { createTokenBuckets } from "./token-buckets.ts";
import type { TokenBucketsOptions } from "./token-buckets.ts";

/** Undefined = go on. */
export type LimitRequest = (request: Pick<IncomingMessage, "headers" | "socket">) => Problem | undefined;

export interface RequestLimitsOptions {
  readonly settings: Pick<IngestSettings, "requestsPerSecond" | "trustedProxies">;
  readonly keyring: Pick<Keyring, "appsOf" | "nameOf">;
  readonly elapsedMs?: TokenBucketsOptions["elapsedMs"];
}

export function createRequestLimits(options: RequestLimitsOptions): LimitRequest {
  const { settings, keyring, elapsedMs = () => performance.now() } = options;
  const { perAddress, perKey } = settings.requestsPerSecond ?? {};
  const ofAddress =
    perAddress === undefined ? undefined : createTokenBuckets({ perSecond: perAddress, elapsedMs });
  const ofKey = perKey === undefined ? undefined : createTokenBuckets({ perSecond: perKey, elapsedMs });
  const addressOf = createClientAddress(settings.trustedProxies ?? []);
  return (request) => {
    const waitMs = ofAddress?.take(networkOf(addressOf(request))) ?? 0;
    if (waitMs > 0) return limited(`This address may send ${perAddress} requests a second`, waitMs);
    if (ofKey === undefined) return undefined;
    const key = keyIn(request.headers.authorization);
    // A key that nobody has is refused anyhow, and takes no room in the table.
    if (key === undefined || keyring.appsOf(key) === undefined) return undefined;
    const keyWaitMs = ofKey.take(keyring.nameOf(key));
    return keyWaitMs > 0
      ? limited(`This ingest key may send ${perKey} requests a second`, keyWaitMs)
      : undefined;
  };
}

function limited(what: string, waitMs: number): Problem {
  return problem("rate_limited", `${what}; nothing of this one was kept: send it again later.`, {
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)),
  });
}

/** For Express, before a route reads anything. */
export function limitRequests(limit: LimitRequest): RequestHandler {
  return (request, _response, next) => {
    const refusal = limit(request);
    if (refusal !== undefined) throw refusal;
    next();
  };
}
