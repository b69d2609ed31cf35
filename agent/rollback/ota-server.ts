// The port to an OTA server: what the executor needs to know and to do there, whatever the make. One file
// under `servers/` per make implements it, and each passes `test/contract/ota-server.ts` with its double.
// Enters: a ChannelKey or a RollbackRequest. Leaves: an answer as a value. The methods never throw for
// what a server or a network can do; they do not retry either: the executor owns that.
import type { AppId, Channel, ChannelKey, Version } from "../../ingest/contract/release-key.ts";

export interface Release {
  readonly version: Version;
  /** When the server says that it was released, RFC 3339. */
  readonly releasedAt: string;
  /**
   * Earlier releases whose very content this one is, under a new name: servers that go back by releasing the old
   * content again (CodePush: v13 is v11). A channel that offers v13 has been put back on v11. Absent = none.
   */
  readonly sameAs?: readonly Version[];
}

export interface ChannelState {
  /** What the channel offers to devices now; null when it offers nothing. */
  readonly version: Version | null;
  /** What the channel can be set to, newest first. A server may cut old ones. */
  readonly releases: readonly Release[];
  /** Whether the offer is paused: devices that don't have it don't get it. Absent where the server does not say. */
  readonly paused?: boolean;
  /**
   * Of a server that keeps no history of a channel, and lists in `releases` what was only ever on other channels as
   * well: all that the channel offers now, `version` first, then what devices get that its rollout has not reached.
   * Whoever asks has to remember it (`channel-view.ts`). Absent = `releases` is the channel's own history.
   */
  readonly offered?: readonly Version[];
  /** False where this channel can't be paused as it is now, though the server can pause others. Absent = as the server can. */
  readonly pausable?: boolean;
  /** The server gives no device a release below the native build that it runs. Absent = it has no such rule. */
  readonly refusesBelowNativeBuild?: boolean;
}

/** Whether devices of the channel get this release, by its own name or by the one it was released again under. */
export function offers({ version: offered, releases }: ChannelState, version: Version): boolean {
  if (offered === version) return true;
  return releases.find((release) => release.version === offered)?.sameAs?.includes(version) === true;
}

export interface RollbackRequest {
  /** Names this act for ever: the same id sent again must not act again. */
  readonly decisionId: string;
  readonly app: AppId;
  readonly channel: Channel;
  /** The precondition: act only while the channel offers this version. */
  readonly from: Version;
  readonly to: Version;
  /** A sentence for the people who read the server's own log. */
  readonly reason: string;
}

export interface PauseRequest {
  readonly decisionId: string;
  readonly app: AppId;
  readonly channel: Channel;
  /** The precondition: act only while the channel offers this version. */
  readonly version: Version;
  readonly reason: string;
}

/** It will not change by trying again: wrong secret, unknown channel, unknown target. */
export interface Refused {
  readonly kind: "refused";
  readonly detail: string;
}

/** Try again: time-out, network, 5xx, 429, an answer that nobody can read. The act may have happened. */
export interface Unavailable {
  readonly kind: "unavailable";
  readonly detail: string;
  /** What the server asked for, in milliseconds from now; absent when it did not say. */
  readonly retryAfterMs?: number;
}

export type RollbackAnswer =
  /** The server says that it did it, or had already done it; `version` is what the channel offers now. */
  | { readonly kind: "done"; readonly version: Version }
  /** The channel no longer pointed at `from`, and the server did nothing. */
  | { readonly kind: "stale"; readonly detail: string }
  | Refused
  | Unavailable;

export type ChannelAnswer =
  | { readonly kind: "channel"; readonly state: ChannelState }
  | Refused
  | Unavailable;

export interface OtaServer {
  /** The make, as configured under `ota_server.type`. */
  readonly type: string;
  readonly capabilities: { readonly rollback: boolean; readonly pause: boolean };
  readChannel(key: ChannelKey): Promise<ChannelAnswer>;
  rollback(request: RollbackRequest): Promise<RollbackAnswer>;
  /** Keeps devices that don't have the version from getting it; those that have it keep it. */
  pause(request: PauseRequest): Promise<RollbackAnswer>;
}
