// A whole replay: channel after channel is read and replayed. It shares its process with folding, so it gives others
// their turn after every few milliseconds of work. Enters: policies, a period, channels, the stores. Leaves: the answer.
import { setImmediate } from "node:timers/promises";
import type { ChannelKey, Version } from "../../ingest/contract/release-key.ts";
import type { Policy } from "../policy/policy.ts";
import { policyFor } from "./policy-text.ts";
import { readChannelFacts } from "./read-channel.ts";
import type { ReadChannelDeps } from "./read-channel.ts";
import { REPLAY_ASSUMPTIONS, answerOf } from "./replay-answer.ts";
import type { ChannelAnswer, ReplayAnswer } from "./replay-answer.ts";
import { replayChannel } from "./replay-channel.ts";
import type { ReplayInput, ReplayedRelease } from "./replay-channel.ts";
import { replaySteps } from "./replay-steps.ts";

/** Work after which others have their turn, in milliseconds; one verdict may take longer. */
export const REPLAY_TURN_MS = 5;

export interface ReplayedChannel {
  readonly key: ChannelKey;
  /** Which one it has now, by name. */
  readonly policy: Pick<Policy, "name">;
  readonly minimumVersion: Version | undefined;
}

export interface ReplayRequest {
  readonly policies: ReadonlyMap<string, Policy>;
  readonly channels: readonly ReplayedChannel[];
  readonly sinceMs: number;
  readonly untilMs: number;
  /** Ends the work: whoever asked has gone. */
  readonly signal?: AbortSignal;
}

export async function replay(request: ReplayRequest, deps: ReadChannelDeps): Promise<ReplayAnswer> {
  const { policies, channels, sinceMs, untilMs } = request;
  const period = { sinceMinute: Math.floor(sinceMs / 60_000), untilMinute: Math.floor(untilMs / 60_000) };
  const answers: ChannelAnswer[] = [];
  const without: ReplayedChannel[] = [];
  for (const channel of channels) {
    const policy = policyFor(policies, channel.policy.name);
    if (policy === undefined) without.push(channel);
    else answers.push(await replayOne({ channel, policy, period, signal: request.signal }, deps));
  }
  return {
    since: timeOf(period.sinceMinute),
    until: timeOf(period.untilMinute),
    channels: answers,
    not_replayed: without.map(({ key, policy }) => ({ ...key, policy: policy.name })),
    assumptions: REPLAY_ASSUMPTIONS,
  };
}

interface OneChannel {
  readonly channel: ReplayedChannel;
  readonly policy: Policy;
  readonly period: { readonly sinceMinute: number; readonly untilMinute: number };
  readonly signal: AbortSignal | undefined;
}

async function replayOne(
  { channel, policy, period, signal }: OneChannel,
  deps: ReadChannelDeps,
): Promise<ChannelAnswer> {
  const facts = await readChannelFacts(channel, deps);
  const slots = facts.releases.flatMap(({ windows }) => windows);
  const firstMs = facts.releases.reduce(
    (first, { health }) => Math.min(first, health.firstReportAtMs),
    Number.POSITIVE_INFINITY,
  );
  // Before the first report there is nothing to look at.
  const sinceMinute = Math.min(
    period.untilMinute,
    Math.max(period.sinceMinute, Number.isFinite(firstMs) ? Math.floor(firstMs / 60_000) : 0),
  );
  const steps = replaySteps({ slots, sinceMinute, untilMinute: period.untilMinute });
  const replayed = await inTurns({ policy, facts, steps: steps.minutes }, signal);
  return answerOf({ policy, facts, steps, replayed });
}

async function inTurns(
  input: ReplayInput,
  signal: AbortSignal | undefined,
): Promise<readonly ReplayedRelease[]> {
  const steps = replayChannel(input);
  let turnMs = performance.now();
  for (let next = steps.next(); ; next = steps.next()) {
    if (next.done === true) return next.value;
    signal?.throwIfAborted();
    if (performance.now() - turnMs < REPLAY_TURN_MS) continue;
    await setImmediate();
    turnMs = performance.now();
  }
}

function timeOf(minute: number): string {
  return new Date(minute * 60_000).toISOString();
}
