// What waits for a person now, most urgent first. Enters: the page's state. Leaves: a description to draw; when nothing
// waits it says so, so that an empty place is never taken for good news.
// @ts-check
import { actButton, tag } from "./button.js";
import { h } from "./dom.js";
import { duration, time, words } from "./format.js";
import { isWaiting, needId, viewMove } from "./decision-view.js";

/** @import { DecisionView, Drawing, PageState } from "./api-shapes.d.ts" */
/** @import { Description } from "./dom.js" */

/** How long the OTA server may leave a decision without an answer before that is a person's business. */
const ANSWER_EXPECTED_MS = 60_000;

/**
 * @param {PageState} state
 * @param {Drawing} drawing
 */
export function viewNeeds(state, drawing) {
  const needs = [
    ...state.decisions.flatMap((decision) => needOfDecision(decision, drawing)),
    ...newestByChannel(state.decisions).flatMap((decision) => needAfter(decision, drawing.nowMs)),
    ...holdsOf(state, drawing.nowMs),
  ];
  if (needs.length > 0) return h("ul", { class: "needs" }, needs);
  return h("p", { class: "calm" }, tag("good", "Nothing waits for a person."));
}

/** The number that stands in the window's title. @param {PageState} state @param {number} nowMs */
export function waitingCount({ decisions }, nowMs) {
  return decisions.filter((decision) => isWaiting(decision, nowMs)).length;
}

/** Decisions come newest first. @param {readonly DecisionView[]} decisions */
function newestByChannel(decisions) {
  const seen = new Set();
  return decisions.filter(({ app, channel, mode }) => {
    const key = JSON.stringify([app, channel]);
    if (mode === "shadow" || seen.has(key)) return false;
    return seen.add(key);
  });
}

/**
 * @param {DecisionView} decision
 * @param {Drawing} drawing
 * @returns {Description[]}
 */
function needOfDecision(decision, drawing) {
  if (!isWaiting(decision, drawing.nowMs)) return [];
  const { id, app, channel, approval, sentence } = decision;
  const expires = approval?.expires_at ?? null;
  const place = `${app} / ${channel}`;
  return [
    h(
      "li",
      { key: `answer ${id}`, id: needId(id), class: "need", tabindex: -1 },
      h(
        "p",
        { class: "what" },
        tag("wait", "Approve?"),
        " ",
        viewMove(decision),
        h("span", { class: "quiet" }, ` on ${place}`),
      ),
      h("p", {}, sentence),
      expires === null
        ? null
        : h(
            "p",
            { class: "quiet" },
            "Expires ",
            time(expires, drawing.nowMs),
            `, in ${duration(Date.parse(expires) - drawing.nowMs)}; then nothing is done.`,
          ),
      viewAnswers(decision, drawing, `${decision.version} on ${place}`),
    ),
  ];
}

/**
 * @param {DecisionView} decision
 * @param {number} nowMs
 * @returns {Description[]}
 */
function needAfter(decision, nowMs) {
  const { id, app, channel, outcome, follow_up: followUp, mode, approval, at } = decision;
  const isAsked = mode !== "shadow" && (!approval || approval.answer === "approved");
  const askedAtMs = Date.parse(approval?.answered_at ?? at);
  const isLate = outcome === null && isAsked && nowMs - askedAtMs > ANSWER_EXPECTED_MS;
  const text =
    outcome?.kind === "refused" || outcome?.kind === "failed"
      ? `${words(outcome.kind)}: ${outcome.detail}`
      : followUp?.kind === "not_effective"
        ? `done, but devices do not return: ${followUp.detail}`
        : isLate
          ? "the OTA server has not answered; it is asked again until it does."
          : null;
  if (text === null) return [];
  const link = h("a", { href: `#decision-${encodeURIComponent(id)}` }, "Its story");
  const what = h(
    "p",
    { class: "what" },
    tag("bad", "Look at"),
    " ",
    viewMove(decision),
    h("span", { class: "quiet" }, ` on ${app} / ${channel}`),
  );
  return [
    h("li", { key: `after ${id}`, class: "need bad", tabindex: -1 }, what, h("p", {}, text, " ", link)),
  ];
}

/**
 * @param {PageState} state
 * @param {number} nowMs
 * @returns {Description[]}
 */
function holdsOf({ status }, nowMs) {
  return (status?.channels ?? []).flatMap(({ app, channel, releases, current_version: current }) =>
    releases.flatMap(({ version, hold }) => {
      if (hold === null || version !== current) return [];
      const what = h(
        "p",
        { class: "what" },
        tag("wait", "Held back"),
        " ",
        h("code", {}, version),
        h("span", { class: "quiet" }, ` on ${app} / ${channel}`),
      );
      return [
        h(
          "li",
          { key: `hold ${app} ${channel} ${version}`, class: "need", tabindex: -1 },
          what,
          h(
            "p",
            {},
            hold.sentence,
            " ",
            h("span", { class: "quiet" }, "Since ", time(hold.since, nowMs), `, guard ${words(hold.guard)}.`),
          ),
        ),
      ];
    }),
  );
}

/**
 * @param {DecisionView} decision
 * @param {Drawing} drawing
 * @param {string} label
 */
function viewAnswers(decision, drawing, label) {
  if (!drawing.mayAct)
    return h(
      "p",
      { key: "answers", class: "quiet" },
      "It waits for somebody with the role operator or admin.",
    );
  return h(
    "div",
    { key: "answers", class: "acts" },
    actButton("Approve…", label, { kind: "approve", decision }, drawing, "main"),
    actButton("Reject…", label, { kind: "reject", decision }, drawing),
  );
}
