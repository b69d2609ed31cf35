// What stands around the channels: whether the agent answers and as of when, who is signed in, what is frozen, and the
// lists. Enters: the page's state. Leaves: descriptions to draw.
// @ts-check
import { actButton } from "./button.js";
import { viewChannel, viewFreeze } from "./channel-view.js";
import { viewDecision } from "./decision-view.js";
import { h } from "./dom.js";
import { clockTime, counted, time } from "./format.js";

/** @import { Answer, Drawing, Link, PageState } from "./api-shapes.d.ts" */

/**
 * @param {Link} before
 * @param {readonly Answer[]} answers
 * @param {number} nowMs
 * @returns {Link}
 */
export function linkAfter(before, answers, nowMs) {
  const bad = answers.find(({ kind }) => kind !== "ok");
  if (bad === undefined || bad.kind === "ok") return { kind: "answers" };
  if (bad.kind === "refused" && bad.status === 401) return { kind: "login" };
  const kind =
    bad.kind === "away" ? "agent_away" : bad.code === "redis_unavailable" ? "redis_away" : "refuses";
  return { kind, sinceMs: before.kind === kind ? before.sinceMs : nowMs, detail: bad.detail };
}

/** @param {PageState} state */
export function viewStamp({ status, link }) {
  const isGood = link.kind === "answers";
  const text = isGood || link.kind === "asking" ? "" : link.kind === "login" ? "signed out" : "no answer";
  return h(
    "p",
    { class: isGood || link.kind === "asking" ? "stamp" : "stamp bad" },
    text === "" ? null : h("b", {}, "✕ ", text, status === null ? "" : "; "),
    status === null
      ? text === ""
        ? "asking the agent…"
        : null
      : ["as of ", time(status.at, Date.parse(status.at))],
  );
}

/** @param {PageState} state */
export function viewBanner({ link, status }) {
  if (link.kind === "answers" || link.kind === "asking" || link.kind === "login") return null;
  const since = clockTime(link.sinceMs);
  const shown = status === null ? "" : ` Everything here is as of ${clockTime(Date.parse(status.at))}.`;
  const [head, text] = {
    agent_away: [
      `Lastgood's agent has not answered since ${since}.`,
      `${link.detail} While it is down nothing is rolled back: look at its process and its log, or at the way to it. Reports wait in Redis, none is lost.`,
    ],
    redis_away: [
      `Redis has not answered the agent since ${since}.`,
      "While it is down nothing is counted and nothing is rolled back. Look at Redis; this goes on as soon as it answers.",
    ],
    refuses: [`The agent has refused to answer since ${since}.`, link.detail],
  }[link.kind];
  return h("p", {}, h("b", {}, h("span", { "aria-hidden": "true" }, "✕ "), head), ` ${text}${shown}`);
}

/**
 * @param {PageState} state
 * @param {Drawing} drawing
 * @param {() => Promise<void>} signOut
 */
export function viewCaller({ caller, status, freezes }, drawing, signOut) {
  if (status === null) return null;
  const isFrozen = freezes.some(({ scope }) => scope === "all");
  return [
    caller === null
      ? null
      : h(
          "p",
          { key: "who" },
          caller.name,
          h(
            "span",
            { class: "quiet" },
            ` ${caller.role}${drawing.mayAct ? "" : ": reads only; acts need operator or admin"}`,
          ),
        ),
    isFrozen ? null : actButton("Freeze everything…", "", { kind: "freeze", channel: null }, drawing, "stop"),
    caller === null || caller.via === "local"
      ? null
      : h("button", { key: "out", type: "button", onclick: () => void signOut() }, "Sign out"),
  ];
}

/**
 * @param {PageState} state
 * @param {Drawing} drawing
 */
export function viewFrozen({ freezes }, drawing) {
  return freezes
    .filter(({ scope }) => scope === "all")
    .map((freeze) => viewFreeze(freeze, "Everything", drawing));
}

/**
 * @param {PageState} state
 * @param {Drawing} drawing
 */
export function viewChannels({ status }, drawing) {
  if (status === null) return null;
  if (status.channels.length === 0) return h("p", { class: "quiet" }, "The configuration names no channel.");
  return [status.channels.map((channel) => viewChannel(channel, drawing)), viewLegend()];
}

function viewLegend() {
  return h(
    "details",
    { key: "legend", class: "legend" },
    h("summary", {}, "How to read the figures"),
    h(
      "ul",
      { class: "happens" },
      h(
        "li",
        {},
        "Rate: the thick mark is the share that failed, the band its 95% interval, right at every look.",
      ),
      h(
        "li",
        {},
        "The dashed line is what the policy allows; a circle is the baseline, other versions at the same times.",
      ),
      h(
        "li",
        {},
        "The axis is a square root from 0% to 100%, the same everywhere, so that small rates can be told apart.",
      ),
      h(
        "li",
        {},
        "Evidence 10^2 says 100 to 1 that the release breaks the rule. At the dashed line Lastgood acts.",
      ),
    ),
  );
}

/**
 * @param {PageState} state
 * @param {Drawing} drawing
 * @param {() => void} more
 */
export function viewDecisions({ status, decisions, decisionsShown }, drawing, more) {
  if (status === null) return null;
  if (decisions.length === 0) return h("p", { class: "quiet" }, "Nothing has been decided yet.");
  const left = decisions.length - decisionsShown;
  return [
    h(
      "ol",
      { class: "decisions" },
      decisions.slice(0, decisionsShown).map((decision) => viewDecision(decision, drawing)),
    ),
    left <= 0
      ? null
      : h("button", { type: "button", onclick: more }, `Show ${counted(left, "earlier decision")}`),
  ];
}
