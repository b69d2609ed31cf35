// Which pages stand because of what Lastgood decided: not carried out yet, refused, waiting for a person, without
// effect, or done (which calls nobody, and lets other alerts be inhibited). Pure. Enters: a snapshot. Leaves: pages.
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import { makePage } from "./page.ts";
import type { AlertName, Page, PageSeverity } from "./page.ts";
import { mayStillBeOffered } from "./page-snapshot.ts";
import type { PageSnapshot, PagedDecision } from "./page-snapshot.ts";

/** A decision that is older and still not carried out calls a person, in milliseconds. */
export const PENDING_MS_MAX = 60_000;
/** How long it stands that something was done, in milliseconds: as long as other alerts need to calm down. */
export const DONE_MS = 4 * 3_600_000;
/** A failed act stands at least so long, even if the channel has moved on by then, in milliseconds. */
export const FAILED_MS_LEAST = 3_600_000;
/** What nobody has ended by then will not be ended by an alert, in milliseconds. */
export const STANDS_MS_MAX = 7 * 24 * 3_600_000;

export function decisionPages(snapshot: PageSnapshot): Page[] {
  const seen = new Set<string>();
  return snapshot.decisions.flatMap((decision) => {
    const release = formatReleaseKey(decision);
    const round: Round = seen.has(release) ? "earlier" : "newest";
    if (decision.mode !== "shadow") seen.add(release);
    return pagesOf(snapshot, decision, round);
  });
}

/** A release may be decided upon again (the channel had moved on, it was offered again): the newest is what holds. */
type Round = "newest" | "earlier";

function pagesOf(snapshot: PageSnapshot, decision: PagedDecision, round: Round): Page[] {
  if (decision.mode === "shadow") return shadowPages(snapshot, decision);
  if (round === "earlier") return donePages(snapshot, decision);
  return [
    ...pendingPages(snapshot, decision),
    ...approvalPages(snapshot, decision),
    ...failedPages(snapshot, decision),
    ...pageActionPages(snapshot, decision),
    ...notEffectivePages(snapshot, decision),
    ...donePages(snapshot, decision),
  ];
}

interface Told {
  readonly alertname: AlertName;
  readonly severity: PageSeverity;
  readonly startsAtMs: number;
  readonly text: string;
}

function pageOf(decision: PagedDecision, { alertname, severity, startsAtMs, text }: Told): Page {
  return makePage({
    alertname,
    severity,
    on: decision,
    version: decision.version,
    description: `${text} (decision ${decision.id})`,
    startsAtMs,
  });
}

function pendingPages(snapshot: PageSnapshot, decision: PagedDecision): Page[] {
  const { action, at, approval = null, id, outcome, sentence, version } = decision;
  if (action === "page" || outcome !== null || !snapshot.pending.has(id)) return [];
  if (approval !== null && approval.answer !== "approved") return [];
  const sinceMs = Date.parse(approval?.answered_at ?? at);
  if (snapshot.nowMs - sinceMs <= PENDING_MS_MAX) return [];
  const text = `${sentence} It is not done yet, and the channel may still serve ${version}: see that the OTA server runs and can be reached and that no freeze or change of policy is in the way, or act there by hand. It is tried until it is done.`;
  return [
    pageOf(decision, { alertname: "OtaRollbackPending", severity: "critical", startsAtMs: sinceMs, text }),
  ];
}

function approvalPages(snapshot: PageSnapshot, decision: PagedDecision): Page[] {
  const { at, approval = null, id, mode, outcome, sentence } = decision;
  if (mode !== "approval" || approval === null) return [];
  const { answer, expires_at } = approval;
  if (answer === null && outcome === null) {
    const text = `${sentence} It waits for your yes until ${expires_at}: lastgood approve ${id}, or lastgood reject ${id}.`;
    const told = { severity: "critical", startsAtMs: Date.parse(at), text } as const;
    return [pageOf(decision, { alertname: "OtaApprovalWaiting", ...told })];
  }
  const startsAtMs = Date.parse(approval.answered_at ?? expires_at);
  if (answer !== "expired" || !stands(snapshot, decision, startsAtMs)) return [];
  const text = `${sentence} Nobody approved it by ${expires_at}, so nothing was done, and the channel may still serve ${decision.version}: roll it back by hand if it has to be.`;
  return [pageOf(decision, { alertname: "OtaApprovalExpired", severity: "critical", startsAtMs, text })];
}

/** It still concerns somebody: not for ever, and not once the channel offers something else. */
function stands(snapshot: PageSnapshot, decision: PagedDecision, sinceMs: number): boolean {
  return snapshot.nowMs - sinceMs < STANDS_MS_MAX && mayStillBeOffered(snapshot, decision, sinceMs);
}

function failedPages(snapshot: PageSnapshot, decision: PagedDecision): Page[] {
  const { outcome } = decision;
  if (outcome?.kind !== "refused" && outcome?.kind !== "failed") return [];
  const startsAtMs = Date.parse(outcome.at);
  const isFresh = snapshot.nowMs - startsAtMs < FAILED_MS_LEAST;
  if (!isFresh && !stands(snapshot, decision, startsAtMs)) return [];
  const text = `${decision.sentence} It was not done: ${outcome.detail} Act at the OTA server by hand now.`;
  return [pageOf(decision, { alertname: "OtaRollbackFailed", severity: "critical", startsAtMs, text })];
}

/** The policy's action is to call a person: for as long as the release fails and is offered. */
function pageActionPages(snapshot: PageSnapshot, decision: PagedDecision): Page[] {
  if (decision.action !== "page") return [];
  const text = formatReleaseKey(decision);
  const found = snapshot.releases.find(({ release }) => formatReleaseKey(release) === text);
  const startsAtMs = Date.parse(decision.at);
  if (found?.kind !== "failing" || !stands(snapshot, decision, startsAtMs)) return [];
  const told = { severity: "critical", startsAtMs, text: decision.sentence } as const;
  return [pageOf(decision, { alertname: "OtaReleaseFailing", ...told })];
}

function notEffectivePages({ nowMs }: PageSnapshot, decision: PagedDecision): Page[] {
  const { follow_up = null } = decision;
  if (follow_up?.kind !== "not_effective") return [];
  const startsAtMs = Date.parse(follow_up.at);
  if (nowMs - startsAtMs >= STANDS_MS_MAX) return [];
  const told = { severity: "critical", startsAtMs, text: follow_up.detail } as const;
  return [pageOf(decision, { alertname: "OtaRollbackNotEffective", ...told })];
}

function donePages({ nowMs }: PageSnapshot, decision: PagedDecision): Page[] {
  const { action, operator, outcome, sentence } = decision;
  if (action === "page" || (outcome?.kind !== "applied" && outcome?.kind !== "already_applied")) return [];
  const startsAtMs = Date.parse(outcome.at);
  if (nowMs - startsAtMs >= DONE_MS) return [];
  const by = operator === undefined || operator === null ? "" : ` Asked for by ${operator}.`;
  const told = { startsAtMs, text: `${sentence} ${outcome.detail}${by}` };
  // After a pause the bad release stays where it is: somebody has to decide how to go on.
  return action === "pause"
    ? [pageOf(decision, { alertname: "OtaRolloutPaused", severity: "warning", ...told })]
    : [pageOf(decision, { alertname: "OtaRolledBack", severity: "info", ...told })];
}

function shadowPages({ nowMs }: PageSnapshot, decision: PagedDecision): Page[] {
  const startsAtMs = Date.parse(decision.at);
  if (nowMs - startsAtMs >= DONE_MS) return [];
  const text = `${decision.sentence} The policy is in shadow mode: nothing was done.`;
  return [pageOf(decision, { alertname: "OtaShadowDecision", severity: "info", startsAtMs, text })];
}
