// Which devices stand behind the counts of a scope, for whoever may act: the first of each outcome, and all that are kept
// to copy, one a line. Enters: the scope of a release. Leaves: a description to draw; a copy in the clipboard.
// @ts-check
import { h } from "./dom.js";
import { count, counted } from "./format.js";

/** @import { Drawing, ExamplesView, ReleaseName, ScopeView } from "./api-shapes.d.ts" */

const IDS_SHOWN = 20;
/** In the order of the counts above them. */
const OUTCOMES = /** @type {const} */ ([
  ["failed", "Failed"],
  ["download_failed", "Failed to download"],
  ["crashed", "Crashed"],
  ["not_responding", "Not responding"],
  ["silent", "Silent now"],
  ["recovered", "Came back: recovered"],
  ["returned_late", "Came back: returned late"],
]);

/**
 * @param {ReleaseName} name
 * @param {ScopeView} scope
 * @param {Drawing} drawing
 */
export function viewExamples(name, { examples }, drawing) {
  if (examples === null)
    return h(
      "p",
      { key: "which", class: "quiet" },
      "Which devices they are is shown to the roles operator and admin.",
    );
  const lists = OUTCOMES.flatMap(([outcome, label]) => {
    const list = examples[outcome];
    return list === undefined || list.devices.length === 0
      ? []
      : [viewList({ name, outcome, label, list }, drawing)];
  });
  if (lists.length === 0)
    return h(
      "p",
      { key: "which", class: "quiet" },
      "No device is named: none is kept that had trouble with it.",
    );
  return h("details", { key: "which", class: "which" }, h("summary", {}, "Which devices"), lists);
}

/**
 * @param {{ name: ReleaseName, outcome: string, label: string, list: ExamplesView }} shown
 * @param {Drawing} drawing
 */
function viewList({ name, outcome, label, list }, { tell }) {
  const { devices, named_by: namedBy, of } = list;
  const left = devices.length - IDS_SHOWN;
  const what = namedBy === "digest" ? "digest" : "id";
  const isAll = devices.length >= of;
  const all = devices.length === 1 ? "the" : `all ${count(devices.length)}`;
  const copyLabel = isAll
    ? `Copy ${all} ${what}${devices.length === 1 ? "" : "s"}`
    : `Copy the first ${counted(devices.length, what)}`;
  return h(
    "section",
    { key: outcome, class: "examples" },
    h("h5", {}, label, h("span", { class: "quiet" }, ` ${counted(of, "device")}`)),
    namedBy === "digest"
      ? h(
          "p",
          { class: "quiet" },
          "Named by digest, for whoever is silent tells no id: ",
          h("code", {}, "lastgood device --digest"),
          " tells the story of one.",
        )
      : null,
    h(
      "ul",
      {},
      devices.slice(0, IDS_SHOWN).map((device, nth) => h("li", { key: nth }, h("code", {}, plain(device)))),
    ),
    left <= 0 ? null : h("p", { class: "quiet" }, `and ${count(left)} more`),
    isAll
      ? null
      : h("p", { class: "quiet" }, `Of ${count(of)}, the first ${count(devices.length)} are kept.`),
    h(
      "button",
      {
        type: "button",
        onclick: async () => {
          const isDone = await copy(devices.map((device) => `${plain(device)}\n`).join(""));
          const { app, version, channel } = name;
          tell(
            isDone
              ? `Copied ${counted(devices.length, what)}, one a line.`
              : `The browser did not let the page copy: lastgood scope ${app} ${version} --channel ${channel} --ids ${outcome} prints them.`,
          );
        },
      },
      copyLabel,
      h("span", { class: "heard" }, ` of ${label} ${name.version} on ${name.app} / ${name.channel}`),
    ),
  );
}

/** An id is whatever a device says: it may neither turn the line around nor begin another one. @param {string} text */
function plain(text) {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "?");
}

/**
 * The clipboard is there under https and on this machine only; elsewhere the old way is left.
 * @param {string} text
 */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** @param {string} text */
function copyBySelection(text) {
  let isWritten = false;
  const write = (/** @type {ClipboardEvent} */ event) => {
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    isWritten = true;
  };
  document.addEventListener("copy", write);
  const isDone = document.execCommand("copy");
  document.removeEventListener("copy", write);
  return isDone && isWritten;
}
