// Carries one decision out at the OTA server: look, act with a precondition, look again. Every run may be
// the second one (a crash, a lost answer, another agent), so it begins by looking, and the decision's id
// makes the server's own act happen once. Leaves: an outcome, or "try again" with the reason.
import type { ChannelKey, Version } from "../../ingest/contract/release-key.ts";
import type { DecisionRecord } from "./decision-record.ts";
import { offers } from "./ota-server.ts";
import type { ChannelState, OtaServer, RollbackAnswer } from "./ota-server.ts";
import type { RollbackOutcome } from "./outcome.ts";

export type Execution =
  | { readonly kind: "ended"; readonly outcome: RollbackOutcome }
  | { readonly kind: "try_again"; readonly detail: string; readonly retryAfterMs?: number };

/** What is asked of the server, and how to see that it has been done. */
interface Aim {
  /** The precondition. */
  readonly from: Version;
  readonly isReached: (state: ChannelState) => boolean;
  /** `offers 1.3.0`, `offers v13, which is v11 again`, `is paused`. */
  readonly reached: (state: ChannelState) => string;
  readonly ask: () => Promise<RollbackAnswer>;
}

/** What happened to the decision before this run. */
export interface EarlierRuns {
  /** Whether the server was asked, and nobody knows what came of it. */
  readonly wasAsked: boolean;
  /** The last step before it is asked: keeps that it was; `undefined` = go on, else why not now. */
  readonly onAsk: () => Promise<string | undefined>;
}

export async function executeDecision(
  decision: DecisionRecord,
  server: OtaServer,
  { wasAsked, onAsk }: EarlierRuns,
): Promise<Execution> {
  const aim = aimOf(decision, server);
  if (aim === undefined)
    return ended({ kind: "paged", detail: "There was nothing to do at the OTA server.", versionSeen: null });
  const before = await look(decision, server);
  if ("kind" in before) return before;
  if (aim.isReached(before))
    return ended({
      kind: "already_applied",
      detail: `The channel already ${aim.reached(before)}.`,
      versionSeen: before.version,
    });
  if (before.version !== aim.from && wasAsked)
    return ended({
      kind: "failed",
      detail: `The server was asked before, and its answer was lost. The channel ${failingOf(decision, before)}: that may be the server's doing, or a person's. Look at the OTA server.`,
      versionSeen: before.version,
    });
  if (before.version !== aim.from)
    return ended({
      kind: "stale",
      detail: `The channel offers ${before.version ?? "nothing"}, not ${aim.from} any more; nothing was done.`,
      versionSeen: before.version,
    });
  const hindrance = await onAsk();
  return hindrance === undefined ? act(decision, server, aim) : tryAgain({ detail: hindrance });
}

/** Undefined for a page, which asks nothing of the server. */
function aimOf(decision: DecisionRecord, server: OtaServer): Aim | undefined {
  const { id: decisionId, app, channel, version, target, sentence: reason, action } = decision;
  if (action === "pause")
    return {
      from: version,
      isReached: (state) => state.version === version && state.paused === true,
      reached: () => "is paused",
      ask: () => server.pause({ decisionId, app, channel, version, reason }),
    };
  if (target === null) return undefined;
  return {
    from: version,
    isReached: (state) => offers(state, target),
    reached: ({ version: offered }) =>
      offered === target ? `offers ${target}` : `offers ${offered}, which is ${target} again`,
    ask: () => server.rollback({ decisionId, app, channel, from: version, to: target, reason }),
  };
}

async function act(decision: DecisionRecord, server: OtaServer, aim: Aim): Promise<Execution> {
  const answer = await aim.ask();
  switch (answer.kind) {
    case "unavailable":
      return tryAgain(answer);
    case "refused":
      return ended({ kind: "refused", detail: answer.detail, versionSeen: aim.from });
    case "stale":
    case "done":
      return readBack(decision, server, { aim, said: answer.kind });
  }
}

/** A 200 is what the server said; the channel is what devices get. */
async function readBack(
  decision: DecisionRecord,
  server: OtaServer,
  { aim, said }: { readonly aim: Aim; readonly said: "done" | "stale" },
): Promise<Execution> {
  const after = await look(decision, server);
  if ("kind" in after) return said === "done" ? unseen(after) : after;
  if (aim.isReached(after)) {
    const kind = said === "done" ? "applied" : "already_applied";
    return ended({ kind, detail: `The channel ${aim.reached(after)}.`, versionSeen: after.version });
  }
  const seen = after.version ?? "nothing";
  // A server need not say whether it is paused: then its word is what there is.
  if (
    decision.action === "pause" &&
    said === "done" &&
    after.version === aim.from &&
    after.paused === undefined
  )
    return ended({
      kind: "applied",
      detail: "The server says that the channel is paused; it does not show it.",
      versionSeen: after.version,
    });
  if (said === "stale" && after.version === aim.from) {
    // A lock or a slow copy at the server, not a channel that moved: giving up would leave it on the bad version.
    return tryAgain({ detail: `the server answered 409, but the channel still offers ${seen}` });
  }
  if (said === "stale") {
    return ended({
      kind: "stale",
      detail: `The channel had moved on to ${seen}; nothing was done.`,
      versionSeen: after.version,
    });
  }
  return ended({
    kind: "failed",
    detail: `The server said it was done, but the channel ${failingOf(decision, after)}: look at the OTA server.`,
    versionSeen: after.version,
  });
}

function failingOf({ target }: DecisionRecord, { version, paused }: ChannelState): string {
  const offers = `offers ${version ?? "nothing"}`;
  return target === null
    ? `${offers} and is ${paused === true ? "" : "not "}paused`
    : `${offers} instead of ${target}`;
}

/** Done by the server's word, but it will not show the channel: that is no refusal of the act. */
function unseen(look: Execution): Execution {
  if (look.kind === "try_again") return look;
  const detail = `The server said it was done, but the channel cannot be read back (${look.outcome.detail}): look at the OTA server.`;
  return ended({ kind: "failed", detail, versionSeen: null });
}

async function look(key: ChannelKey, server: OtaServer): Promise<ChannelState | Execution> {
  const answer = await server.readChannel(key);
  switch (answer.kind) {
    case "channel":
      return answer.state;
    case "refused":
      return ended({ kind: "refused", detail: answer.detail, versionSeen: null });
    case "unavailable":
      return tryAgain(answer);
  }
}

function tryAgain({
  detail,
  retryAfterMs,
}: {
  readonly detail: string;
  readonly retryAfterMs?: number;
}): Execution {
  return { kind: "try_again", detail, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

function ended(outcome: RollbackOutcome): Execution {
  return { kind: "ended", outcome };
}
