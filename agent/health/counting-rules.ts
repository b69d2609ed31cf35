// What the configuration says of counting: what splits a release's counts, and how long silence may last.
// Enters: the configuration. Leaves: functions that folding asks. Pure.
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import { STRATUM_FIELDS } from "./stratum.ts";
import type { StratumField } from "./stratum.ts";

/** How long a device may say nothing after it started or installed an update, when no rule names a deadline. */
export const SILENCE_DEADLINE_MS_DEFAULT = 6 * 3_600_000;
/** Strata of an app that are told apart, where the configuration says nothing; the rest is counted as `other`. */
export const STRATA_MAX_DEFAULT = 1_000;
/** Reasons of failure of an app that are told apart; the rest is counted as `other`. */
export const REASONS_PER_APP_MAX = 100;
/** Reasons kept of one device and release: the first ones by their texts. */
export const REASONS_PER_RECORD_MAX = 8;

export interface CountingRules {
  /** Which fields split the counts of the app; empty = none. */
  strataOf(app: string): readonly StratumField[];
  strataMaxOf(app: string): number;
  /** In milliseconds. */
  silenceDeadlineMsOf(channel: ChannelKey): number;
}

export const DEFAULT_COUNTING_RULES: CountingRules = {
  strataOf: () => STRATUM_FIELDS,
  strataMaxOf: () => STRATA_MAX_DEFAULT,
  silenceDeadlineMsOf: () => SILENCE_DEADLINE_MS_DEFAULT,
};
