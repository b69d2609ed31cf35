// Who is concerned by a release: how many devices stand where with it, of which kinds, when, and which they are. Enters:
// the name of a release, what is known of its scope (scopes.js). Leaves: a description to draw, closed until somebody
// opens it.
// @ts-check
import { h } from "./dom.js";
import { shareBar } from "./figures.js";
import { count, counted, percent, time } from "./format.js";
import { viewCourse } from "./scope-course.js";
import { viewExamples } from "./scope-examples.js";

/** @import { Drawing, ReleaseName, ScopeState, ScopeView } from "./api-shapes.d.ts" */

const KINDS_SHOWN = 10;
/** By these the agent puts the worst kinds first. */
const TROUBLES = /** @type {const} */ ([
  ["failed", "failed"],
  ["download_failed", "failed to download"],
  ["crashed", "crashed"],
  ["not_responding", "not responding"],
  ["silent", "silent"],
]);

/**
 * @param {ReleaseName} name
 * @param {Drawing} drawing
 */
export function viewScope(name, drawing) {
  const { scopes } = drawing;
  const state = scopes.of(name);
  return h(
    "details",
    {
      key: "scope",
      class: "scope",
      // A version that moves among the older ones is drawn anew; what was opened stays open.
      once: { open: scopes.isOpen(name) },
      ontoggle: (/** @type {Event} */ { currentTarget }) =>
        scopes.toggle(name, /** @type {HTMLDetailsElement} */ (currentTarget).open),
    },
    h("summary", {}, "Who is concerned", h("span", { class: "heard" }, ` by ${name.version}`)),
    state.kind === "closed" ? null : h("div", { class: "scope-parts" }, viewParts(name, state, drawing)),
  );
}

/**
 * @param {ReleaseName} name
 * @param {ScopeState} state
 * @param {Drawing} drawing
 */
function viewParts(name, state, drawing) {
  const { seen } = state;
  const isAsking = state.kind === "asking";
  return [
    h(
      "div",
      { key: "when", class: "scope-when" },
      h(
        "p",
        { role: "status", class: state.kind === "failed" ? "wrong" : "quiet" },
        tellState(state, drawing),
      ),
      isAsking && seen === null
        ? null
        : h(
            "button",
            {
              type: "button",
              "aria-disabled": isAsking ? "true" : null,
              onclick: () => drawing.scopes.lookAgain(name),
            },
            "Look again",
            h(
              "span",
              { class: "heard" },
              ` who is concerned by ${name.version} on ${name.app} / ${name.channel}`,
            ),
          ),
    ),
    seen === null
      ? null
      : [
          viewTotals(seen),
          viewKinds(name, seen),
          viewCourse(seen, drawing.nowMs),
          viewExamples(name, seen, drawing),
        ],
  ];
}

/**
 * @param {ScopeState} state
 * @param {Drawing} drawing
 */
function tellState(state, { nowMs }) {
  const { seen } = state;
  if (state.kind === "asking") return "Asking the agent who is concerned…";
  const asOf = seen === null ? null : ["as of ", time(seen.at, nowMs)];
  if (state.kind === "failed") {
    const still = asOf === null ? null : [" Shown is what was known ", asOf, "."];
    return [h("span", { "aria-hidden": "true" }, "✕ "), state.told, still];
  }
  const last = seen?.channels
    .flatMap(({ last_failure: at }) => at ?? [])
    .toSorted()
    .at(-1);
  return [
    "In devices, of all time, ",
    asOf,
    last === undefined ? null : ["; last failure ", time(last, nowMs)],
    ".",
  ];
}

/** @param {ScopeView} scope */
function viewTotals({ devices, hours }) {
  const of = (/** @type {string} */ outcome) => devices[outcome] ?? 0;
  const tried = of("attempted");
  const share = (/** @type {string} */ outcome) => {
    const value = of(outcome);
    // A device may run a version without ever having said that it tries it.
    return tried === 0 || value > tried ? "" : `${percent(value / tried)} of those that tried`;
  };
  const ofUse = (/** @type {number} */ bad) =>
    hours.active === 0
      ? ""
      : `in ${count(bad)} of ${counted(hours.active, "device-hour")} of use (${percent(bad / hours.active)})`;
  /** @type {readonly (readonly [string, string, string])[]} */
  const rows = [
    ["Ever tried it", "attempted", ""],
    ["Run it now", "running", share("running")],
    ["Confirmed it", "confirmed", share("confirmed")],
    ["Failed", "failed", share("failed")],
    ["Failed to download", "download_failed", share("download_failed")],
    ["Crashed", "crashed", ofUse(hours.crashed)],
    ["Not responding", "not_responding", ofUse(hours.not_responding)],
    ["Silent now", "silent", share("silent")],
    ["Came back: recovered", "recovered", "failed, and confirmed it as well"],
    ["Came back: returned late", "returned_late", "were silent, and were heard of again"],
  ];
  return h(
    "table",
    { key: "totals", class: "totals" },
    h(
      "tbody",
      {},
      rows.map(([label, outcome, told]) =>
        h(
          "tr",
          { key: outcome },
          h("th", { scope: "row" }, label),
          h("td", { class: "number" }, count(of(outcome))),
          h("td", { class: "quiet" }, told),
        ),
      ),
    ),
  );
}

/**
 * @param {ReleaseName} name
 * @param {ScopeView} scope
 */
function viewKinds({ app, version }, { strata }) {
  if (strata.length === 0) return null;
  const isTold = strata.some(({ stratum }) => stratum !== "unknown");
  const most = Math.max(...strata.map(({ devices }) => troubleOf(devices)));
  const left = strata.length - KINDS_SHOWN;
  return h(
    "section",
    { key: "kinds", class: "kinds" },
    h("h5", {}, "By kind of device"),
    isTold
      ? [
          h(
            "p",
            { class: "quiet" },
            "The bar is their trouble, beside the worst kind; a device that failed and crashed counts twice.",
          ),
          h(
            "ol",
            {},
            strata.slice(0, KINDS_SHOWN).map((one, nth) => viewKind(one, nth, most)),
          ),
        ]
      : h("p", { class: "quiet" }, "The devices did not tell of what kind they are."),
    left <= 0
      ? null
      : h(
          "p",
          { class: "quiet" },
          `and ${counted(left, "more kind", "more kinds")}: `,
          h("code", {}, `lastgood scope ${app} ${version} --json`),
          " shows all.",
        ),
  );
}

/**
 * @param {ScopeView["strata"][number]} kind
 * @param {number} nth
 * @param {number} most
 */
function viewKind({ stratum, devices }, nth, most) {
  const trouble = troubleOf(devices);
  const told = tellTrouble(devices);
  return h(
    "li",
    { key: nth },
    h("p", {}, h("code", {}, nameOf(stratum)), h("span", { class: "quiet" }, ` ${told}`)),
    shareBar(most === 0 ? 0 : trouble / most, told, "over"),
  );
}

/** @param {ScopeView["strata"][number]["stratum"]} stratum */
function nameOf(stratum) {
  if (typeof stratum === "string") return stratum;
  const fields = Object.entries(stratum);
  return fields.length === 0 ? "unknown" : fields.map(([field, value]) => `${field}=${value}`).join(", ");
}

/** @param {ScopeView["devices"]} devices */
function troubleOf(devices) {
  return TROUBLES.reduce((sum, [outcome]) => sum + (devices[outcome] ?? 0), 0);
}

/** @param {ScopeView["devices"]} devices */
function tellTrouble(devices) {
  const tried = devices["attempted"] ?? 0;
  const parts = TROUBLES.flatMap(([outcome, label]) => {
    const value = devices[outcome] ?? 0;
    const isShare = outcome === "failed" && tried > 0;
    return value === 0 ? [] : [`${count(value)} ${label}${isShare ? ` (${percent(value / tried)})` : ""}`];
  });
  return `${parts.length === 0 ? "none in trouble" : parts.join(", ")}, of ${count(tried)} that tried`;
}
