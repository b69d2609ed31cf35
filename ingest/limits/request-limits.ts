// How many requests a second one address, or one ingest key, may send to this process: `ingest.limits.
// requests_per_second`, both off unless named (docs/security.md says why). Enters: each request, before its body is
// read. Leaves: nothing, or the Problem it is refused with; each system's routes answer that in their own form.
// The same function for whatever serves a request, inside Express or before it.
import type { IncomingMessage } from "node:http";
import type { RequestHandler } from "express";
import { createClientAddress, networkOf } from "../../runtime/client-address.ts";
import type { Problem } from "../../runtime/problem.ts";
import type { IngestSettings } from "../contract/settings.ts";
import { notedSender } from "../middleware/authenticate.ts";
import type { Sender } from "../middleware/authenticate.ts";
import { problem } from "../problems.ts";
import { createTokenBuckets } from "./token-buckets.ts";
import type { TokenBucketsOptions } from "./token-buckets.ts";

/** Undefined = go on. A key that nobody has is refused anyhow, and takes no room in the table. */
export type LimitRequest = (
  request: Pick<IncomingMessage, "headers" | "socket">,
  sender: Sender | undefined,
) => Problem | undefined;

export interface RequestLimitsOptions {
  readonly settings: Pick<IngestSettings, "requestsPerSecond" | "trustedProxies">;
  readonly elapsedMs?: TokenBucketsOptions["elapsedMs"];
}

export function createRequestLimits(options: RequestLimitsOptions): LimitRequest {
  const { settings, elapsedMs = () => performance.now() } = options;
  const { perAddress, perKey } = settings.requestsPerSecond ?? {};
  const ofAddress =
    perAddress === undefined ? undefined : createTokenBuckets({ perSecond: perAddress, elapsedMs });
  const ofKey = perKey === undefined ? undefined : createTokenBuckets({ perSecond: perKey, elapsedMs });
  const addressOf = createClientAddress(settings.trustedProxies ?? []);
  return (request, sender) => {
    const waitMs = ofAddress?.take(networkOf(addressOf(request))) ?? 0;
    if (waitMs > 0) return limited(`This address may send ${perAddress} requests a second`, waitMs);
    if (ofKey === undefined || sender === undefined) return undefined;
    const keyWaitMs = ofKey.take(sender.name);
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

/** For Express, before a route reads anything; `noteSender` stands before it. */
export function limitRequests(limit: LimitRequest): RequestHandler {
  return (request, response, next) => {
    const refusal = limit(request, notedSender(response));
    if (refusal !== undefined) throw refusal;
    next();
  };
}
