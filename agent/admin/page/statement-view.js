// One statement of a policy's rules about a release: what was counted, the rate with its interval, the evidence.
// Enters: signals of a release or of a decision. Leaves: descriptions to draw.
// @ts-check
import { tag } from "./button.js";
import { h } from "./dom.js";
import { counted, percent, power, signalName } from "./format.js";
import {
  evidenceFigure,
  isOver,
  rateFigure,
  tellAllowed,
  tellCounts,
  tellEvidence,
  tellRate,
} from "./figures.js";

/** @import { SegmentView, SignalView } from "./api-shapes.d.ts" */

/**
 * The strongest first: the one that is closest to its threshold, or furthest over it.
 * @param {readonly SignalView[]} signals
 */
export function strongestFirst(signals) {
  return signals.toSorted((left, right) => strength(right) - strength(left));
}

/** @param {SignalView} signal */
function strength({ evidence_log10: evidence, threshold_log10: threshold, unmeasured, failures }) {
  if (unmeasured) return -Infinity;
  return evidence === null ? failures / 1e9 - 1e6 : evidence - threshold;
}

/** @param {SignalView} signal */
export function viewStatement(signal) {
  const over = isOver(signal);
  return h(
    "div",
    { key: `${signal.signal} ${signal.rule}`, class: "statement" },
    h(
      "div",
      { class: "rate" },
      h(
        "p",
        { class: "label" },
        signalName(signal.signal),
        h("span", { class: "quiet" }, ` ${tellCounts(signal)}`),
      ),
      rateFigure(signal),
      h("p", {}, h("b", {}, tellRate(signal)), h("span", { class: "quiet" }, ` ${tellAllowed(signal)}`)),
    ),
    h(
      "div",
      { class: "evidence" },
      h("p", { class: "label" }, "Evidence"),
      evidenceFigure(signal),
      h("p", {}, h("b", {}, tellEvidence(signal)), over ? [" ", tag("bad", "reached")] : null),
    ),
  );
}

/** @param {readonly SignalView[]} signals */
export function viewSegments(signals) {
  const segments = signals.flatMap(({ segments = [] }) => segments);
  if (segments.length === 0) return null;
  return h(
    "div",
    { key: "segments", class: "fact" },
    h("dt", {}, "Stand out"),
    h("dd", {}, segments.map(viewSegment)),
  );
}

/**
 * @param {SegmentView} segment
 * @param {number} nth
 */
function viewSegment({ segment, failures, trials, evidence_log10, threshold_log10, share_of_fleet }, nth) {
  const rate = trials === 0 ? "" : ` (${percent(failures / trials)})`;
  return h(
    "div",
    { key: nth },
    h("code", {}, segment),
    ` ${counted(failures, "failure")} of ${counted(trials, "device")}${rate}, ${percent(share_of_fleet)} of the fleet, ` +
      `evidence ${power(evidence_log10)} of ${power(threshold_log10)} needed`,
  );
}
