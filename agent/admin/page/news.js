// What changed between two looks, as sentences for the live region: for those who hear the page instead of seeing it.
// Pure. Enters: two states. Leaves: sentences, oldest first.
// @ts-check
import { words } from "./format.js";

/** @import { ChannelView, DecisionView, PageState } from "./api-shapes.d.ts" */

/**
 * @param {PageState} before
 * @param {PageState} after
 * @returns {string[]}
 */
export function newsBetween(before, after) {
  if (before.status === null || after.status === null) return [];
  const known = new Map(before.status.channels.map((channel) => [keyOf(channel), channel]));
  const decided = new Map(before.decisions.map((decision) => [decision.id, decision]));
  const frozen = new Set(before.freezes.map(({ id }) => id));
  return [
    ...after.status.channels.flatMap((channel) => newsOfChannel(known.get(keyOf(channel)), channel)),
    ...after.decisions.toReversed().flatMap((decision) => newsOfDecision(decided.get(decision.id), decision)),
    ...after.freezes
      .filter(({ id }) => !frozen.has(id))
      .map(({ scope, by }) => `${scope === "all" ? "Everything" : keyOf(scope)} was frozen by ${by}.`),
  ];
}

/** @param {{ app: string, channel: string }} key */
function keyOf({ app, channel }) {
  return `${app} / ${channel}`;
}

/**
 * @param {ChannelView | undefined} before
 * @param {ChannelView} after
 */
function newsOfChannel(before, after) {
  if (before === undefined) return [];
  const kinds = new Map(before.releases.map(({ version, verdict }) => [version, verdict.kind]));
  const offered =
    before.current_version === after.current_version || after.current_version === null
      ? []
      : [`${keyOf(after)} now offers ${after.current_version}.`];
  const judged = after.releases
    .filter(({ version, verdict }) => kinds.get(version) !== verdict.kind && verdict.kind === "failing")
    .map(({ version }) => `${version} on ${keyOf(after)} is failing.`);
  return [...judged, ...offered];
}

/**
 * @param {DecisionView | undefined} before
 * @param {DecisionView} after
 */
function newsOfDecision(before, after) {
  const what = `${after.action ?? "rollback"} of ${after.version} on ${keyOf(after)}`;
  if (before === undefined) return [`Decided: ${what}.`];
  const outcome =
    after.outcome !== null && before.outcome === null ? [`${what}: ${words(after.outcome.kind)}.`] : [];
  const followUp =
    after.follow_up && after.follow_up.kind !== before.follow_up?.kind
      ? [`${what}: ${words(after.follow_up.kind)}.`]
      : [];
  const answer =
    after.approval?.answer && !before.approval?.answer ? [`${what}: ${words(after.approval.answer)}.`] : [];
  return [...answer, ...outcome, ...followUp];
}
