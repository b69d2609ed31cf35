// A Freeze keeps Lastgood from acting by itself, on one channel or (the kill switch) everywhere, until it is lifted or
// its time is over. People set it; Lastgood sets one where a rollback's target turned bad as well. Pure.
import type { AppId, Channel, ChannelKey } from "../../ingest/contract/release-key.ts";

export type FreezeScope = "all" | { readonly app: AppId; readonly channel: Channel };

export interface Freeze {
  readonly id: string;
  readonly scope: FreezeScope;
  /** Name of the operator, or `lastgood`. */
  readonly by: string;
  readonly reason: string;
  /** RFC 3339. */
  readonly since: string;
  /** RFC 3339; null = until it is lifted. */
  readonly until: string | null;
}

export function isInForce({ until }: Freeze, nowMs: number): boolean {
  return until === null || Date.parse(until) > nowMs;
}

/** Whether it keeps Lastgood from acting on this channel. */
export function isFreezing({ scope }: Freeze, { app, channel }: ChannelKey): boolean {
  return scope === "all" || (scope.app === app && scope.channel === channel);
}
