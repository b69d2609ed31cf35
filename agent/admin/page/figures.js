// The two figures of a statement, as SVG: the failure rate with its 95% interval beside what is allowed, and the
// evidence beside what is needed; and a bar of a share. Enters: a signal of the API. Leaves: descriptions to draw.
// Each has its numbers as text for those who do not see it, and the same numbers stand beside it.
// @ts-check
import { svg } from "./dom.js";
import { count, counted, odds, percent, percentSet, power, words } from "./format.js";

/** @import { SignalView } from "./api-shapes.d.ts" */

/** Rates marked on the axis. It is a square-root axis from 0 to 100%, the same everywhere, so figures compare. */
const AXIS_MARKS = [0.01, 0.1, 0.5];
/** How far the evidence bar goes, in thresholds. */
const THRESHOLDS_SHOWN = 1.5;

/** @param {number} ratio */
function onAxis(ratio) {
  return place(Math.sqrt(Math.min(1, Math.max(0, ratio))));
}

/** @param {number} share */
function place(share) {
  return `${(100 * Math.min(1, Math.max(0, share))).toFixed(2)}%`;
}

/**
 * The rate that a statement allows: its limit, or what follows from its baseline.
 * @param {SignalView} signal
 */
export function allowedRate({ limit, allowed, baseline }) {
  if (limit !== null) return limit;
  if (!allowed || !baseline || baseline.trials === 0) return null;
  return Math.min(1, (baseline.failures / baseline.trials) * allowed.ratio + allowed.points);
}

/**
 * "6.4% (5.2 to 7.8%)", and what it is held against.
 * @param {SignalView} signal
 */
export function tellRate({ failures, trials, rate }) {
  if (trials === 0) return "nobody tried yet";
  const interval = rate
    ? ` (95%: ${percent(rate.low)} to ${rate.high === null ? "?" : percent(rate.high)})`
    : "";
  return `${percent(failures / trials)}${interval}`;
}

/**
 * @param {SignalView} signal
 * @returns {string}
 */
export function tellAllowed({ signal, limit, allowed, baseline, ratio }) {
  if (limit !== null) return `limit ${percentSet(limit)}`;
  if (!allowed) return "";
  const allowance =
    allowed.points > 0 ? `+${percentSet(allowed.points)} allowed` : `${allowed.ratio}× allowed`;
  const rate =
    baseline && baseline.trials > 0 && signal !== "silence"
      ? percent(baseline.failures / baseline.trials)
      : "";
  const times = ratio ? `, ${timesRange(ratio)} its rate` : "";
  return `baseline ${rate}${times}, ${allowance}`.replace(" ,", ",");
}

/** @param {{ low: number, high: number | null }} ratio */
function timesRange({ low, high }) {
  return high === null ? `at least ${low.toFixed(1)}×` : `${low.toFixed(1)} to ${high.toFixed(1)}×`;
}

/** @param {SignalView} signal */
export function tellCounts({ failures, trials, unit, signal }) {
  if (unit === "device_hours") return `${counted(failures, "device")} in ${counted(trials, "hour")} of use`;
  return `${count(failures)} of ${counted(trials, "device")}${signal === "silence" ? " that began" : ""}`;
}

/** @param {SignalView} signal */
export function tellEvidence({ evidence_log10: evidence, threshold_log10: threshold, unmeasured }) {
  if (unmeasured) return `says nothing: ${words(unmeasured)}`;
  if (evidence === null) return "plain rule, weighs no evidence";
  return `${power(evidence)} of ${power(threshold)} needed`;
}

/** @param {SignalView} signal */
export function isOver({ evidence_log10: evidence, threshold_log10: threshold, unmeasured }) {
  return !unmeasured && evidence !== null && evidence >= threshold;
}

/** @param {SignalView} signal */
export function rateFigure(signal) {
  const { failures, trials, rate, baseline } = signal;
  const allowed = allowedRate(signal);
  const shown = trials === 0 ? [] : [point(failures / trials)];
  const band = rate
    ? [
        svg("rect", {
          class: "band",
          x: onAxis(rate.low),
          y: 6,
          width: place(Math.sqrt(rate.high ?? 1) - Math.sqrt(rate.low)),
          height: 8,
          rx: 2,
        }),
      ]
    : [];
  const beside =
    baseline && baseline.trials > 0
      ? [svg("circle", { class: "beside", cx: onAxis(baseline.failures / baseline.trials), cy: 10, r: 3.5 })]
      : [];
  const limit = allowed === null ? [] : limitMark(allowed);
  const label = `${tellRate(signal)}, ${tellAllowed(signal)}`;
  return svg(
    "svg",
    { class: isOver(signal) ? "figure over" : "figure", height: 33, role: "img", "aria-label": label },
    svg("line", { class: "axis", x1: "0%", x2: "100%", y1: 18, y2: 18 }),
    AXIS_MARKS.map((mark) => axisMark(mark)),
    band,
    limit,
    beside,
    shown,
  );
}

/** @param {number} ratio */
function point(ratio) {
  return svg("line", { class: "point", x1: onAxis(ratio), x2: onAxis(ratio), y1: 3, y2: 17 });
}

/** @param {number} ratio */
function limitMark(ratio) {
  return [svg("line", { key: "limit", class: "limit", x1: onAxis(ratio), x2: onAxis(ratio), y1: 2, y2: 18 })];
}

/** @param {number} ratio */
function axisMark(ratio) {
  return [
    svg("line", { key: `m${ratio}`, class: "axis", x1: onAxis(ratio), x2: onAxis(ratio), y1: 15, y2: 18 }),
    svg("text", { key: `t${ratio}`, x: onAxis(ratio), y: 31, "text-anchor": "middle" }, percentSet(ratio)),
  ];
}

/** @param {SignalView} signal */
export function evidenceFigure(signal) {
  const { evidence_log10: evidence, threshold_log10: threshold, unmeasured } = signal;
  const isSilent = Boolean(unmeasured) || evidence === null;
  const share = isSilent || threshold <= 0 ? 0 : evidence / (threshold * THRESHOLDS_SHOWN);
  const label = isSilent ? tellEvidence(signal) : `evidence ${tellEvidence(signal)}`;
  const needed = place(1 / THRESHOLDS_SHOWN);
  return svg(
    "svg",
    { class: isOver(signal) ? "figure over" : "figure", height: 33, role: "img", "aria-label": label },
    svg("rect", { class: "track", x: 0, y: 6, width: "100%", height: 8, rx: 2 }),
    svg("rect", { class: "bar", x: 0, y: 6, width: place(share), height: 8, rx: 2 }),
    svg("line", { class: "limit", x1: needed, x2: needed, y1: 2, y2: 18 }),
    svg(
      "text",
      { x: needed, y: 31, "text-anchor": "middle" },
      isSilent ? "needed" : `acts at ${odds(threshold)}`,
    ),
  );
}

/**
 * @param {number} share
 * @param {string} label
 * @param {"" | "over"} look
 */
export function shareBar(share, label, look = "") {
  return svg(
    "svg",
    { class: `figure share ${look}`.trim(), height: 8, role: "img", "aria-label": label },
    svg("rect", { class: "track", x: 0, y: 0, width: "100%", height: 8, rx: 2 }),
    svg("rect", { class: "bar", x: 0, y: 0, width: place(share), height: 8, rx: 2 }),
  );
}
