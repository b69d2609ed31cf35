// Carries one decision out at the OTA server: look, act with a precondition, look again. Every run may be
// the second one (a crash, a lost answer, another agent), so it begins by looking, and the decision's id
// makes the server's own act happen once. Leaves: an outcome, or "try again" with the reason.
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import type { DecisionRecord } from "./decision-record.ts";
import type { ChannelState, OtaServer } from "./ota-server.ts";
import type { RollbackOutcome } from "./outcome.ts";

export type Execution =
  | { readonly kind: "ended"; readonly outcome: RollbackOutcome }
  | { readonly kind: "try_again"; readonly detail: string; readonly retryAfterMs?: number };

export async function executeRollback(decision: DecisionRecord, server: OtaServer): Promise<Execution> {
  const before = await look(decision, server);
  if ("kind" in before) return before;
  if (before.version === decision.target) {
    return ended({
      kind: "already_applied",
      detail: `The channel already offered ${decision.target}.`,
      versionSeen: before.version,
    });
  }
  if (before.version !== decision.version) {
    return ended({
      kind: "stale",
      detail: `The channel offers ${before.version ?? "nothing"}, not ${decision.version} any more; nothing was done.`,
      versionSeen: before.version,
    });
  }
  return act(decision, server);
}

async function act(decision: DecisionRecord, server: OtaServer): Promise<Execution> {
  const answer = await server.rollback({
    decisionId: decision.id,
    app: decision.app,
    channel: decision.channel,
    from: decision.version,
    to: decision.target,
    reason: decision.sentence,
  });
  switch (answer.kind) {
    case "unavailable":
      return tryAgain(answer);
    case "refused":
      return ended({ kind: "refused", detail: answer.detail, versionSeen: decision.version });
    case "stale":
    case "done":
      return readBack(decision, server, answer.kind);
  }
}

/** A 200 is what the server said; the channel is what devices get. */
async function readBack(
  decision: DecisionRecord,
  server: OtaServer,
  said: "done" | "stale",
): Promise<Execution> {
  const after = await look(decision, server);
  if ("kind" in after) return said === "done" ? unseen(after) : after;
  if (after.version === decision.target) {
    const kind = said === "done" ? "applied" : "already_applied";
    return ended({ kind, detail: `The channel offers ${decision.target}.`, versionSeen: after.version });
  }
  const seen = after.version ?? "nothing";
  if (said === "stale" && after.version === decision.version) {
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
    detail: `The server said it was done, but the channel offers ${seen} instead of ${decision.target}: look at the OTA server.`,
    versionSeen: after.version,
  });
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
