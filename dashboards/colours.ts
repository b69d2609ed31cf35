// Colours by what they mean, never by their turn in a palette: the same thing looks the same on every dashboard. From the
// set of Okabe and Ito, whose members people with any colour vision can tell apart, in light and in dark. Pure.
export const COLOURS = {
  bad: "#D55E00",
  warning: "#E69F00",
  good: "#009E73",
  unknown: "#8E8E8E",
  candidate: "#56B4E9",
  baseline: "#CC79A7",
  /** Numbers that are neither good nor bad. */
  plain: "#0072B2",
  limit: "#D55E00",
} as const;

/** By verdict, in the order in which a timeline and a table number them: the worse, the higher. */
export const VERDICTS = {
  healthy: { code: 1, colour: COLOURS.good },
  unmeasurable: { code: 2, colour: COLOURS.unknown },
  inconclusive: { code: 3, colour: COLOURS.candidate },
  failing: { code: 4, colour: COLOURS.bad },
} as const;

/** Series that are named after an outcome of devices. */
export const OUTCOME_COLOURS: Readonly<Record<string, string>> = {
  attempted: COLOURS.plain,
  confirmed: COLOURS.good,
  failed: COLOURS.bad,
  download_failed: COLOURS.warning,
  crashed: COLOURS.baseline,
  not_responding: COLOURS.candidate,
  silent: COLOURS.unknown,
};

/** Series that are named after how a decision ended, or after what was decided. */
export const DECISION_COLOURS: Readonly<Record<string, string>> = {
  applied: COLOURS.good,
  already_applied: COLOURS.candidate,
  refused: COLOURS.bad,
  failed: COLOURS.bad,
  expired: COLOURS.warning,
  rejected: COLOURS.baseline,
  stale: COLOURS.unknown,
  withdrawn: COLOURS.unknown,
  paged: COLOURS.plain,
  rollback: COLOURS.bad,
  pause: COLOURS.warning,
  page: COLOURS.plain,
  hold: COLOURS.baseline,
  shadow_rollback: COLOURS.unknown,
  none: COLOURS.warning,
  watching: COLOURS.candidate,
  effective: COLOURS.good,
  not_effective: COLOURS.bad,
};

/** Series of ingest, named after what became of a report or request. */
export const RESULT_COLOURS: Readonly<Record<string, string>> = {
  accepted: COLOURS.good,
  "2xx": COLOURS.good,
  "4xx": COLOURS.warning,
  "5xx": COLOURS.bad,
  aborted: COLOURS.unknown,
  taken: COLOURS.good,
  refused: COLOURS.bad,
  unavailable: COLOURS.warning,
  critical: COLOURS.bad,
  warning: COLOURS.warning,
  info: COLOURS.plain,
};
