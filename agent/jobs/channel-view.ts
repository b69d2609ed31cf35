// What the OTA server says of a channel: asked when there is something to decide, and remembered for the people who
// look. Enters: a watched channel. Leaves: a ChannelView, and the remembered one kept fresh.
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey, Version } from "../../ingest/contract/release-key.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import type { ChannelView } from "../policy/situation.ts";
import type { ChannelState } from "../rollback/ota-server.ts";
import type { WatchedChannel } from "./watched-channel.ts";

/** How old the remembered version of a channel may get while reports arrive, in milliseconds. */
export const CHANNEL_AGE_MS_MAX = 5_000;

export interface ChannelViewDeps {
  readonly summaries: SummaryStore;
  readonly clock: Clock;
}

export async function readChannelView(
  { key, server }: Pick<WatchedChannel, "key" | "server">,
  { summaries, clock }: ChannelViewDeps,
): Promise<ChannelView> {
  // When it was asked: what comes in late is no newer for that.
  const readAtMs = clock();
  const answer = await server.readChannel(key);
  if (answer.kind !== "channel") return answer;
  const { version, releases, paused, pausable, refusesBelowNativeBuild } = answer.state;
  const had = await hadBefore(key, answer.state, { summaries, nowMs: readAtMs });
  const known = await summaries.readChannel(key);
  if (known === undefined || known.readAtMs <= readAtMs)
    await summaries.writeChannel(key, { version, releases, paused: paused ?? null, readAtMs });
  return {
    kind: "known",
    version,
    releases,
    ...(had === undefined ? {} : { had }),
    ...(pausable === undefined ? {} : { pausable }),
    ...(refusesBelowNativeBuild === undefined ? {} : { refusesBelowNativeBuild }),
  };
}

/**
 * What the channel had, newest first, where the server keeps no history of it: what Lastgood saw it offer. Not what
 * devices say that they run, which a tester with a beta build or a forged report may: only what the server itself once
 * gave to everybody on the channel is a place to go back to. Undefined where the server's own list tells.
 */
export async function hadBefore(
  key: ChannelKey,
  { offered }: Pick<ChannelState, "offered">,
  { summaries, nowMs }: { readonly summaries: Pick<SummaryStore, "noteOffered">; readonly nowMs: number },
): Promise<readonly Version[] | undefined> {
  if (offered === undefined) return undefined;
  const seen = await summaries.noteOffered(key, offered, nowMs);
  return [...offered, ...seen.filter((version) => !offered.includes(version))];
}

/**
 * Keeps the version that people see fresh while reports arrive. Not part of evaluating: it is not waited for,
 * and asks at most every CHANNEL_AGE_MS_MAX whatever the answer was, so that a server that hangs holds up nothing.
 */
export function createChannelRefresh(
  deps: ChannelViewDeps & { readonly onMoved: (watched: WatchedChannel) => void },
): (watched: WatchedChannel) => void {
  const askedAtMs = new Map<string, number>();
  return (watched) => {
    const text = formatChannelKey(watched.key);
    // Of the process's own clock: a time of day that is set back must not silence it.
    const nowMs = performance.now();
    if (nowMs - (askedAtMs.get(text) ?? Number.NEGATIVE_INFINITY) < CHANNEL_AGE_MS_MAX) return;
    askedAtMs.set(text, nowMs);
    refresh(watched).catch(() => {});
  };

  async function refresh(watched: WatchedChannel): Promise<void> {
    const before = await deps.summaries.readChannel(watched.key);
    const now = await readChannelView(watched, deps);
    if (now.kind === "known" && before !== undefined && before.version !== now.version) deps.onMoved(watched);
  }
}
