// One decision with its story: what was decided and why, on which numbers, how it went, whether it helped. Enters: a
// decision of GET /v1/decisions. Leaves: a description to draw.
// @ts-check
import { tag } from "./button.js";
import { h } from "./dom.js";
import { count, counted, duration, percent, time, words } from "./format.js";
import { shareBar } from "./figures.js";
import { strongestFirst, viewSegments, viewStatement } from "./statement-view.js";

/** @import { DecisionView, Drawing } from "./api-shapes.d.ts" */

const OUTCOMES = /** @type {Readonly<Record<string, readonly ["bad" | "good" | "plain", string]>>} */ ({
  applied: ["good", "done"],
  already_applied: ["good", "was done already"],
  stale: ["plain", "stale: nothing was done"],
  refused: ["bad", "refused by the OTA server"],
  failed: ["bad", "failed"],
  paged: ["plain", "people were paged"],
});
const CAUSES = /** @type {Readonly<Record<string, string>>} */ ({
  evidence: "on evidence",
  alert: "because Alertmanager asked for it",
  offered_again: "because a condemned version was offered again",
  operator: "by an operator",
});

/**
 * Whether it waits for somebody's answer.
 * @param {DecisionView} decision
 * @param {number} nowMs
 */
export function isWaiting({ approval, outcome }, nowMs) {
  if (!approval || outcome !== null) return false;
  const isAnswered = Boolean(approval.answer) || Boolean(approval.answered_at);
  return !isAnswered && (approval.expires_at === null || Date.parse(approval.expires_at) > nowMs);
}

/**
 * Where a question stands among what waits.
 * @param {string} id
 */
export function needId(id) {
  return `need-${encodeURIComponent(id)}`;
}

/**
 * "1.4.3 → 1.4.2", or what else is done.
 * @param {DecisionView} decision
 */
export function viewMove({ action, version, target }) {
  if (action === "pause") return ["pause ", h("code", {}, version)];
  if (action === "page" || target === null) return ["page about ", h("code", {}, version)];
  return [
    h("code", {}, version),
    h("span", { "aria-hidden": "true" }, " → "),
    h("span", { class: "heard" }, " back to "),
    h("code", { key: "to" }, target),
  ];
}

/**
 * @param {DecisionView} decision
 * @param {Drawing} drawing
 */
export function viewDecision(decision, drawing) {
  const { id, app, channel, sentence, mode, evidence } = decision;
  const label = `${decision.version} on ${app} / ${channel}`;
  return h(
    "li",
    {
      key: id,
      id: `decision-${encodeURIComponent(id)}`,
      class: "decision",
      "aria-label": `Decision about ${label}`,
      tabindex: -1,
    },
    h(
      "header",
      {},
      h("h3", {}, viewMove(decision)),
      viewState(decision, drawing.nowMs),
      mode === "automatic" || mode === "approval" ? null : h("span", { class: "tag plain" }, mode),
    ),
    h("p", { class: "quiet" }, `${app} / ${channel}`),
    h("p", { class: "sentence" }, sentence),
    isWaiting(decision, drawing.nowMs)
      ? h("p", { key: "waits" }, h("a", { href: `#${needId(id)}` }, "Answer it above"))
      : null,
    viewStory(decision, drawing.nowMs),
    viewFollowUp(decision, drawing.nowMs),
    h(
      "details",
      { key: "evidence" },
      h("summary", {}, "The numbers it saw"),
      evidence && evidence.signals.length > 0
        ? viewEvidence(evidence)
        : h("p", { class: "quiet" }, "It rests on no evidence of Lastgood."),
      h("p", { class: "quiet" }, "decision ", h("code", {}, id), ", reason ", words(decision.reason)),
    ),
  );
}

/**
 * @param {DecisionView} decision
 * @param {number} nowMs
 */
function viewState(decision, nowMs) {
  const { outcome, mode, approval } = decision;
  if (outcome !== null) {
    const [look, text] = OUTCOMES[outcome.kind] ?? ["plain", words(outcome.kind)];
    return tag(look, text);
  }
  if (isWaiting(decision, nowMs)) return tag("wait", "waits for approval");
  if (approval?.answer && approval.answer !== "approved") return tag("plain", words(approval.answer));
  if (approval && !approval.answer) return tag("plain", "expired");
  if (mode === "shadow") return tag("plain", "nothing was touched");
  return tag("wait", "on its way");
}

/**
 * Times in order, each with what it took since the one before.
 * @param {DecisionView} decision
 * @param {number} nowMs
 */
function viewStory({ at, last_needed_report_at: needed, outcome, approval, operator, cause }, nowMs) {
  const by = operator ? ` by ${operator}` : cause ? ` ${CAUSES[cause] ?? words(cause)}` : "";
  /** @type {[string | null | undefined, string][]} */
  const steps = [
    [needed, "newest failing report taken in"],
    [at, `decided${by}`],
    [approval?.answered_at, `${words(approval?.answer ?? "answered")} by ${approval?.answered_by ?? "?"}`],
    [outcome?.at, tellOutcome(outcome)],
  ];
  const told = steps.filter(([when]) => Boolean(when));
  return h(
    "ol",
    { key: "story", class: "story" },
    told.map(([when, what], nth) => {
      const before = told[nth - 1]?.[0];
      const later = before ? Date.parse(String(when)) - Date.parse(before) : -1;
      return h(
        "li",
        { key: what },
        time(String(when), nowMs),
        h("span", { class: "took" }, later >= 0 ? `+${duration(later)}` : ""),
        h("span", {}, what),
      );
    }),
    approval?.expires_at && outcome === null && !approval.answer
      ? h(
          "li",
          { key: "expires" },
          time(approval.expires_at, nowMs),
          h("span", { class: "took" }),
          h("span", {}, tellExpiry(Date.parse(approval.expires_at) - nowMs)),
        )
      : null,
  );
}

/** @param {number} leftMs */
function tellExpiry(leftMs) {
  return leftMs > 0
    ? `the question expires, in ${duration(leftMs)}`
    : "the question expired, nothing was done";
}

/** @param {DecisionView["outcome"]} outcome */
function tellOutcome(outcome) {
  if (outcome === null) return "";
  const tries = outcome.attempts > 1 ? ` after ${outcome.attempts} tries` : "";
  return `${words(outcome.kind)}${tries}: ${outcome.detail}`;
}

/**
 * @param {DecisionView} decision
 * @param {number} nowMs
 */
function viewFollowUp({ follow_up: followUp, version }, nowMs) {
  if (!followUp) return null;
  const { kind, at, detail, running_at_act: before, running_now: now } = followUp;
  const look = kind === "effective" ? "good" : kind === "not_effective" ? "bad" : "wait";
  const text =
    kind === "effective"
      ? "devices returned"
      : kind === "not_effective"
        ? "devices do not return"
        : "watching devices return";
  const share = before !== null && now !== null && before > 0 ? Math.max(0, before - now) / before : null;
  return h(
    "div",
    { key: "follow-up", class: "follow-up" },
    h("p", {}, tag(look, text), " ", time(at, nowMs), " ", detail),
    share === null ? null : shareBar(share, `${percent(share)} of the devices left ${version}`),
    share === null
      ? null
      : h(
          "p",
          { class: "quiet" },
          `${percent(share)} left ${version}: ${count(now ?? 0)} of ${counted(before ?? 0, "device")} still run it`,
        ),
  );
}

/** @param {NonNullable<DecisionView["evidence"]>} evidence */
function viewEvidence({ signals, devices }) {
  const counts = Object.entries(devices).filter(([, value]) => value > 0);
  return [
    h("div", { class: "statements" }, strongestFirst(signals).map(viewStatement)),
    h("dl", { class: "facts" }, viewSegments(signals)),
    h("p", { class: "quiet" }, counts.map(([name, value]) => `${count(value)} ${words(name)}`).join(", ")),
  ];
}
