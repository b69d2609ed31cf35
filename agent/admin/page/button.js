// The buttons that begin an act. What can't be done now stays where it is, says why, and keeps the focus: it is
// aria-disabled, not disabled. Whoever may never act sees no buttons at all.
// @ts-check
import { h } from "./dom.js";

/** @import { Act, Drawing } from "./api-shapes.d.ts" */
/** @import { Description } from "./dom.js" */

/**
 * `about` completes the label for those who hear it out of its place: "Freeze… com.acme.till / production".
 * @param {string} label
 * @param {string} about
 * @param {Act} act
 * @param {Drawing} drawing
 * @param {"" | "main" | "stop"} look
 * @returns {Description | null}
 */
export function actButton(label, about, act, { begin, blocked, mayAct }, look = "") {
  if (!mayAct) return null;
  return h(
    "button",
    {
      key: `${act.kind} ${label}`,
      type: "button",
      class: look,
      "aria-disabled": blocked === null ? null : "true",
      title: blocked,
      onclick: () => begin(act),
    },
    label,
    h("span", { class: "heard" }, ` ${about}`),
  );
}

/**
 * A word with a sign in front, so that colour is never the only one.
 * @param {"bad" | "good" | "wait" | "plain"} look
 * @param {string} text
 */
export function tag(look, text) {
  const sign = { bad: "✕", good: "✓", wait: "◷", plain: "·" }[look];
  return h("span", { key: text, class: `tag ${look}` }, h("span", { "aria-hidden": "true" }, sign), text);
}
