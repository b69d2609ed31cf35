// What a simulated OTA server knows: channels, their releases, and the rollbacks and pauses that it has answered.
// Pure state, no HTTP. Enters: publishing, rollback and pause requests. Leaves: channel states, and one remembered
// result per idempotency key: the same key again gets the same result and nothing is done.
import type { ChannelKey, Version } from "../../ingest/contract/release-key.ts";
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import type { ChannelState, Release } from "../../agent/rollback/ota-server.ts";
import type { Clock } from "../../runtime/clock.ts";

export interface AskedRollback extends ChannelKey {
  readonly decisionId: string;
  readonly from: Version;
  readonly to: Version;
  readonly reason: string;
}

export interface AskedPause extends ChannelKey {
  readonly decisionId: string;
  readonly version: Version;
}

export type RollbackResult =
  | { readonly kind: "done"; readonly version: Version }
  | { readonly kind: "stale"; readonly version: Version | null }
  | { readonly kind: "unknown_target" }
  | { readonly kind: "unknown_channel" }
  | { readonly kind: "key_reused" };

export interface SimulatedChannels {
  /** Offers the version to devices; makes the channel and the release if they are new. */
  publish(publication: ChannelKey & { readonly version: Version; readonly releasedAtMs?: number }): void;
  /** Undefined for a channel that nobody published to. */
  read(key: ChannelKey): ChannelState | undefined;
  /** `actual` is where the channel ends instead of at `to`: a fault. */
  rollback(asked: AskedRollback, actual?: Version): Answered;
  pause(asked: AskedPause): Answered;
}

export interface Answered {
  readonly result: RollbackResult;
  readonly acted: boolean;
}

export function createSimulatedChannels({ clock }: { readonly clock: Clock }): SimulatedChannels {
  const channels = new Map<string, ChannelState>();
  const answered = new Map<string, { readonly asked: string; readonly result: RollbackResult }>();

  const decide = (asked: AskedRollback, actual: Version): RollbackResult => {
    const state = channels.get(formatChannelKey(asked));
    if (state === undefined) return { kind: "unknown_channel" };
    if (!state.releases.some(({ version }) => version === asked.to)) return { kind: "unknown_target" };
    if (state.version !== asked.from) return { kind: "stale", version: state.version };
    channels.set(formatChannelKey(asked), { ...state, version: actual, paused: false });
    return { kind: "done", version: actual };
  };
  const decidePause = (asked: AskedPause): RollbackResult => {
    const state = channels.get(formatChannelKey(asked));
    if (state === undefined) return { kind: "unknown_channel" };
    if (state.version !== asked.version) return { kind: "stale", version: state.version };
    channels.set(formatChannelKey(asked), { ...state, paused: true });
    return { kind: "done", version: asked.version };
  };
  /** Once for each decision: the same request gets the same answer again. */
  const once = (decisionId: string, text: string, act: () => RollbackResult): Answered => {
    const earlier = answered.get(decisionId);
    if (earlier !== undefined)
      return { result: earlier.asked === text ? earlier.result : { kind: "key_reused" }, acted: false };
    const result = act();
    if (result.kind !== "unknown_channel") answered.set(decisionId, { asked: text, result });
    return { result, acted: result.kind === "done" };
  };

  return {
    publish({ version, releasedAtMs = clock(), ...key }) {
      const releases = channels.get(formatChannelKey(key))?.releases ?? [];
      const isKnown = releases.some((release) => release.version === version);
      const release: Release = { version, releasedAt: new Date(releasedAtMs).toISOString() };
      channels.set(formatChannelKey(key), {
        version,
        releases: isKnown ? releases : [release, ...releases],
        paused: false,
      });
    },
    read: (key) => channels.get(formatChannelKey(key)),
    rollback(asked, actual = asked.to) {
      const text = JSON.stringify([formatChannelKey(asked), asked.from, asked.to]);
      return once(asked.decisionId, text, () => decide(asked, actual));
    },
    pause(asked) {
      const text = JSON.stringify([formatChannelKey(asked), "pause", asked.version]);
      return once(asked.decisionId, text, () => decidePause(asked));
    },
  };
}
