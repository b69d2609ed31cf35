// The page: asks the agent every two seconds while it is looked at, and draws what it answers. Enters: GET /v1/status,
// /v1/decisions, /v1/freezes, /v1/whoami. Leaves: the document; acts go through act-dialog.js,
// scopes of incidents through scopes.js.
// @ts-check
import { createActDialog } from "./act-dialog.js";
import { apiPath, ask } from "./api.js";
import { draw } from "./dom.js";
import { keepPlace } from "./keep-place.js";
import { createLoginDialog } from "./login-dialog.js";
import { newsBetween } from "./news.js";
import { createScopes } from "./scopes.js";
import {
  linkAfter,
  viewBanner,
  viewCaller,
  viewChannels,
  viewDecisions,
  viewFrozen,
  viewStamp,
} from "./frame-view.js";
import { viewNeeds, waitingCount } from "./needs-view.js";

/** @import { Answer, CallerView, DecisionView, Drawing, FreezeView, PageState, StatusView } from "./api-shapes.d.ts" */

const ASK_EVERY_MS = 2_000;
const TOLD_FOR_MS = 8_000;
const DECISIONS_SHOWN = 20;

/** @type {PageState} */
let state = {
  status: null,
  decisions: [],
  freezes: [],
  caller: null,
  link: { kind: "asking" },
  decisionsShown: DECISIONS_SHOWN,
};
/** The agent's clock less this machine's, in milliseconds: deadlines are the agent's. */
let clockAheadMs = 0;
let isAsking = false;
let isAskedAgain = false;
/** Whether the agent has these routes; an older one does not. */
let hasFreezes = true;
let hasCaller = true;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let toldTimer;

const actDialog = createActDialog({
  dialog: /** @type {HTMLDialogElement} */ (place("act")),
  readState: () => state,
  blocked: whyBlocked,
  onDone: (told) => {
    tell(told);
    void look();
  },
  onLogin: () => void look(),
});
const loginDialog = createLoginDialog({
  dialog: /** @type {HTMLDialogElement} */ (place("login")),
  onLogin: () => void look(),
});
const scopes = createScopes({ onChange: () => keepPlace(render), onLogin: () => void look() });

/** @param {string} id */
function place(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** Why nothing can be done now, in words. */
function whyBlocked() {
  switch (state.link.kind) {
    case "answers":
      return null;
    case "asking":
      return "The agent has not answered yet.";
    case "login":
      return "Sign in first.";
    case "agent_away":
      return "The agent does not answer: nothing can be done from here.";
    case "redis_away":
      return "Redis does not answer the agent: nothing can be done until it does.";
    case "refuses":
      return "The agent refuses to answer: nothing can be done from here.";
  }
}

/** One look at the agent: asks, takes over what it said, draws, and comes again. */
async function look() {
  if (isAsking) {
    isAskedAgain = true;
    return;
  }
  clearTimeout(timer);
  isAsking = true;
  isAskedAgain = false;
  const [status, decisions, freezes, caller] = await Promise.all([
    ask(apiPath("status")),
    ask(apiPath("decisions")),
    hasFreezes ? ask(apiPath("freezes")) : null,
    hasCaller && state.caller === null ? ask(apiPath("whoami")) : null,
  ]);
  isAsking = false;
  if (freezes?.kind === "refused" && freezes.status === 404) hasFreezes = false;
  if (caller?.kind === "refused" && caller.status === 404) hasCaller = false;
  const before = state;
  state = stateAfter(state, status, decisions, freezes);
  if (caller?.kind === "ok") state = { ...state, caller: /** @type {CallerView} */ (caller.body) };
  if (state.link.kind === "login") {
    scopes.forget();
    loginDialog.open();
  } else if (state.link.kind === "answers") loginDialog.close();
  if (state.link.kind === "answers" && state.status !== null)
    clockAheadMs = Date.parse(state.status.at) - Date.now();
  keepPlace(render);
  if (state.link.kind === "answers") scopes.resume();
  const news = newsBetween(before, state);
  if (news.length > 0) draw(place("news"), news.join(" "));
  if (!document.hidden) timer = setTimeout(() => void look(), isAskedAgain ? 0 : ASK_EVERY_MS);
}

/**
 * What was seen last stays when the agent does not answer.
 * @param {PageState} before
 * @param {Answer} status
 * @param {Answer} decisions
 * @param {Answer | null} freezes
 * @returns {PageState}
 */
function stateAfter(before, status, decisions, freezes) {
  const link = linkAfter(before.link, [status, decisions], Date.now());
  if (link.kind === "login") return { ...before, link, caller: null };
  if (status.kind !== "ok" || decisions.kind !== "ok") return { ...before, link };
  const seen = /** @type {StatusView} */ (status.body);
  return {
    ...before,
    link,
    status: seen,
    decisions: /** @type {{ decisions: DecisionView[] }} */ (decisions.body).decisions,
    freezes: freezesOf(seen, freezes),
  };
}

/**
 * Every freeze once, wherever it was told.
 * @param {StatusView} status
 * @param {Answer | null} answer
 */
function freezesOf(status, answer) {
  const body =
    answer?.kind === "ok" ? /** @type {{ freezes?: FreezeView[] } | FreezeView[]} */ (answer.body) : [];
  const listed = Array.isArray(body) ? body : (body.freezes ?? []);
  const all = [
    ...listed,
    ...(status.freezes ?? []),
    ...status.channels.flatMap(({ freezes = [] }) => freezes),
  ];
  return [...new Map(all.map((freeze) => [freeze.id, freeze])).values()];
}

function render() {
  const nowMs = Date.now() + clockAheadMs;
  const { caller, link, status } = state;
  /** @type {Drawing} */
  const drawing = {
    nowMs,
    begin: actDialog.begin,
    blocked: whyBlocked(),
    mayAct: caller === null || caller.role !== "viewer",
    scopes,
    tell,
  };
  const more = () => {
    state = { ...state, decisionsShown: state.decisionsShown * 4 };
    render();
  };
  draw(place("stamp"), viewStamp(state));
  draw(place("banner"), viewBanner(state));
  draw(place("caller"), viewCaller(state, drawing, signOut));
  draw(place("frozen"), viewFrozen(state, drawing));
  draw(place("needs"), status === null ? null : viewNeeds(state, drawing));
  draw(place("channels"), viewChannels(state, drawing));
  draw(place("decisions"), viewDecisions(state, drawing, more));
  actDialog.redraw();
  const waiting = waitingCount(state, nowMs);
  const isAway = link.kind !== "answers" && link.kind !== "asking" && link.kind !== "login";
  document.title = `${isAway ? "No answer · " : waiting > 0 ? `(${waiting}) ` : ""}Lastgood`;
}

async function signOut() {
  await ask(apiPath("session"), { method: "DELETE" });
  // What was shown was for whoever signed out.
  scopes.forget();
  state = { ...state, caller: null, status: null, decisions: [], freezes: [] };
  await look();
}

/** @param {string} text */
function tell(text) {
  clearTimeout(toldTimer);
  draw(place("told"), text);
  toldTimer = setTimeout(() => draw(place("told")), TOLD_FOR_MS);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) void look();
});
window.addEventListener("hashchange", () => {
  const id = location.hash.slice(1);
  if (document.getElementById(id) !== null || !id.startsWith("decision-")) return;
  state = { ...state, decisionsShown: Infinity };
  render();
  document.getElementById(id)?.focus();
});

render();
await look();
