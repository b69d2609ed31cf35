// The Situation is everything a guard may look at, gathered before deciding so that deciding stays pure:
// the same situation gives the same decision, at 3 a.m. and in a replay.
import type { ChannelKey, Version } from "../../ingest/contract/release-key.ts";
import type { Verdict } from "../judge/verdict.ts";
import type { Cause } from "./decision.ts";
import type { Freeze } from "./freeze.ts";
import type { Policy } from "./policy.ts";

/** What the OTA server says of the channel. `releases` are newest first. */
export type ChannelView =
  | {
      readonly kind: "known";
      readonly version: Version | null;
      /** `sameAs`: earlier releases whose very content it is, under a new name. */
      readonly releases: readonly {
        readonly version: Version;
        readonly releasedAt?: string;
        readonly sameAs?: readonly Version[];
      }[];
      /** Those of them that this channel is known to have had, newest first; absent = all of them. */
      readonly had?: readonly Version[];
      /** False where the channel can't be paused as it is now. */
      readonly pausable?: boolean;
      /** The server gives no device a release below the native build that it runs. */
      readonly refusesBelowNativeBuild?: boolean;
    }
  | { readonly kind: "unavailable" | "refused"; readonly detail: string };

/** An act of Lastgood on the channel that went through, or is on its way. */
export interface PastRollback {
  readonly from: Version;
  readonly to: Version;
  /** What the channel offered afterwards: `to`, or a new name that the server gave to its content. */
  readonly as: Version;
  /** When the OTA server had answered, or, until it has, when it was decided; epoch milliseconds. */
  readonly atMs: number;
  /** Decided by Lastgood, with or without approval, or asked for by a person. */
  readonly by: "lastgood" | "operator";
}

/** What the channel's OTA server can do. */
export interface Capabilities {
  readonly rollback: boolean;
  readonly pause: boolean;
}

export interface Situation {
  readonly channelKey: ChannelKey;
  readonly nowMs: number;
  readonly policy: Policy;
  /** Never roll back below it: a forged wave of failures must not become a downgrade attack. */
  readonly minimumVersion: Version | undefined;
  /**
   * The lowest native build of a device that took the accused release up, where the OTA server gives no device a release
   * below its own. Undefined = there is no such rule, or not every such device told its build: nothing is checked.
   */
  readonly lowestNativeBuild?: string | undefined;
  readonly verdict: Verdict;
  readonly cause: Cause;
  /** What is said of the cause, where it is not the verdict. */
  readonly causeSentence?: string | undefined;
  readonly capabilities: Capabilities;
  readonly channel: ChannelView;
  /** Versions of this channel that were ever condemned. */
  readonly condemned: ReadonlySet<string>;
  /** Versions of this channel whose one rollback is on its way or was carried out. */
  readonly rolledBack: ReadonlySet<string>;
  /** Versions of this channel whose verdict is failing now, condemned or not. */
  readonly failing: ReadonlySet<string>;
  /** Versions of this channel that are proven healthy now. */
  readonly healthy: ReadonlySet<string>;
  /** Versions of this channel that a person said no about when their rollback waited for approval. */
  readonly rejected: ReadonlySet<string>;
  /** Newest first. */
  readonly pastRollbacks: readonly PastRollback[];
  /** When automatic rollbacks of any channel were done, epoch milliseconds. */
  readonly overallRollbacksMs: readonly number[];
  /** Those in force. */
  readonly freezes: readonly Freeze[];
}
