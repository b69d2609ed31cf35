// The course of a release over time, as small bars: how many devices tried it, and what came of that. Enters: the scope
// of a release. Leaves: a description to draw; each row has its own scale, and says its highest number.
// @ts-check
import { h, svg } from "./dom.js";
import { count, time } from "./format.js";

/** @import { ScopeStepView, ScopeView } from "./api-shapes.d.ts" */

const MINUTE_MS = 60_000;
const BARS_HEIGHT_PX = 30;
/** So that one device among thousands is seen. */
const BAR_HEIGHT_LEAST_PX = 2;
/** Of a step's width, so that bars of neighbours stand apart. */
const BAR_SHARE = 0.8;

/** @type {readonly { label: string, unit: string, look: "bar" | "bar bad", always: boolean, valueOf: (step: ScopeStepView) => number }[]} */
const SERIES = [
  series("Tried it", "attempted", "bar", true),
  series("Failed", "failed", "bar bad", true),
  series("Failed to download", "download_failed", "bar bad", false),
  series("Silent", "silent", "bar bad", false),
  {
    label: "Crashed",
    unit: "device-hours",
    look: "bar bad",
    always: false,
    valueOf: ({ hours }) => hours.crashed,
  },
];

/**
 * @param {string} label
 * @param {string} outcome
 * @param {"bar" | "bar bad"} look
 * @param {boolean} always
 */
function series(label, outcome, look, always) {
  const valueOf = (/** @type {ScopeStepView} */ { devices }) => devices[outcome] ?? 0;
  return { label, unit: "devices", look, always, valueOf };
}

/**
 * @param {ScopeView} scope
 * @param {number} nowMs
 */
export function viewCourse({ step_minutes: stepMinutes, time: steps }, nowMs) {
  const [first, last] = [steps[0], steps.at(-1)];
  const stepMs = stepMinutes * MINUTE_MS;
  const endMs = last === undefined ? NaN : Date.parse(last.start) + stepMs;
  return h(
    "section",
    { key: "course", class: "course" },
    h("h5", {}, "Over time"),
    first === undefined || Number.isNaN(endMs)
      ? h("p", { class: "quiet" }, "Nothing was tried or used in the last seven days.")
      : [
          h(
            "p",
            { class: "quiet" },
            `By the time of the attempt, in steps of ${tellStep(stepMinutes)}; crashes by their hour.`,
          ),
          SERIES.map((one) => viewSeries(one, steps, { startMs: Date.parse(first.start), endMs, stepMs })),
          h(
            "p",
            { key: "ends", class: "ends quiet" },
            time(first.start, nowMs),
            time(new Date(endMs).toISOString(), nowMs),
          ),
        ],
  );
}

/**
 * @param {(typeof SERIES)[number]} series
 * @param {readonly ScopeStepView[]} steps
 * @param {{ startMs: number, endMs: number, stepMs: number }} span
 */
function viewSeries({ label, unit, look, always, valueOf }, steps, { startMs, endMs, stepMs }) {
  const values = steps.map(valueOf);
  const most = Math.max(...values);
  if (most === 0 && !always) return null;
  const told = most === 0 ? "none" : `at most ${count(most)} ${unit} in ${tellStep(stepMs / MINUTE_MS)}`;
  const ofSpan = (/** @type {number} */ ms) => `${((100 * ms) / (endMs - startMs)).toFixed(3)}%`;
  const bars = steps.map(({ start }, nth) => {
    const value = values[nth] ?? 0;
    if (value === 0) return null;
    const heightPx = Math.max(BAR_HEIGHT_LEAST_PX, (value / most) * BARS_HEIGHT_PX);
    return svg("rect", {
      key: start,
      class: look,
      x: ofSpan(Date.parse(start) - startMs),
      y: (BARS_HEIGHT_PX - heightPx).toFixed(1),
      width: ofSpan(stepMs * BAR_SHARE),
      height: heightPx.toFixed(1),
    });
  });
  return h(
    "div",
    { key: label, class: "series" },
    h("p", {}, h("b", {}, label), h("span", { class: "quiet" }, ` ${told}`)),
    svg(
      "svg",
      {
        class: "figure",
        height: BARS_HEIGHT_PX + 1,
        role: "img",
        "aria-label": `${label} over time: ${told}`,
      },
      bars,
      svg("line", {
        key: "ground",
        class: "axis",
        x1: 0,
        x2: "100%",
        y1: BARS_HEIGHT_PX + 0.5,
        y2: BARS_HEIGHT_PX + 0.5,
      }),
    ),
  );
}

/** @param {number} minutes */
function tellStep(minutes) {
  if (minutes === 24 * 60) return "a day";
  if (minutes === 60) return "an hour";
  return minutes === 1 ? "a minute" : `${minutes} minutes`;
}
