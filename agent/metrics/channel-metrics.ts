// What metrics say of channels as a whole: what is offered there, what its policy allows, when it was judged last. Enters:
// the channels of the configuration, and what Redis has of them. Leaves: the samples of gauges, added.
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import { formatLabels } from "../../runtime/metrics.ts";
import type { WatchedChannel } from "../jobs/watched-channel.ts";
import type { ChannelSummary, ReleaseSummary } from "../journal/summary-store.ts";
import type { Instruments } from "./instruments.ts";

export interface ChannelReading {
  readonly channels: readonly Pick<WatchedChannel, "key" | "policy">[];
  /** What the OTA servers said last, by channel key text. */
  readonly offered: ReadonlyMap<string, ChannelSummary>;
  readonly summaries: readonly ReleaseSummary[];
}

export function setChannels(
  instruments: Instruments,
  { channels, offered, summaries }: ChannelReading,
): void {
  for (const { key, policy } of channels) {
    setLimits(instruments, key, policy);
    const version = offered.get(formatChannelKey(key))?.version ?? null;
    if (version !== null)
      instruments.offered.add(formatLabels({ app: key.app, channel: key.channel, version }), 1);
  }
  const newest = new Map<string, ReleaseSummary>();
  for (const summary of summaries) {
    const text = formatChannelKey(summary.verdict.release);
    const before = newest.get(text);
    if (before === undefined || summary.evaluatedAtMs > before.evaluatedAtMs) newest.set(text, summary);
  }
  for (const { verdict, evaluatedAtMs } of newest.values()) {
    const { app, channel } = verdict.release;
    instruments.evaluated.add(formatLabels({ app, channel }), evaluatedAtMs / 1_000);
  }
}

/** Of two rules with a limit for one signal (a plain one beside one that is always valid) the stricter. */
function setLimits(
  instruments: Instruments,
  { app, channel }: ChannelKey,
  { rules }: WatchedChannel["policy"],
): void {
  const limits = new Map<string, number>();
  for (const rule of rules)
    if (rule.form !== "worse_than_baseline")
      limits.set(rule.signal, Math.min(rule.limit, limits.get(rule.signal) ?? rule.limit));
  for (const [signal, limit] of limits)
    instruments.policyLimit.add(formatLabels({ app, channel, signal }), limit);
}
