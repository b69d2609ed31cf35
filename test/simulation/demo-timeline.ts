// The end of the demo as people read it, and as JSON; pure. Enters: what the story saw. Leaves: lines of
// at most 80 columns where the agent's own sentence allows it, and one plain object.
import { BOOK_COUNTS } from "./books.ts";
import type { BookDifference } from "./books.ts";
import type { Expectation } from "./demo-outcome.ts";
import { formatEvidence, formatHappening } from "./demo-screen.ts";
import type { Palette } from "./demo-screen.ts";
import { LIMIT } from "./demo-stack.ts";
import { BAD, GOOD, count, percent, rollbackOf } from "./demo-story.ts";
import type { StoryOptions, StoryResult } from "./demo-story.ts";
import type { Decision, ReleaseStatus, SignalNumbers } from "./lastgood-client.ts";

export interface DemoReport {
  readonly options: StoryOptions;
  readonly limit: number;
  readonly expectation: Expectation;
  readonly rolled_back: boolean;
  readonly good_release_stayed: boolean;
  readonly books_agree: boolean;
  readonly differences: readonly BookDifference[];
  readonly faults: readonly string[];
  readonly timeline: readonly { readonly seconds: number; readonly text: string }[];
  /** Null where nothing was rolled back. */
  readonly rollback: RollbackFigures | null;
  readonly bad_release: ReleaseFigures;
  readonly good_release: ReleaseFigures;
  readonly reports: {
    readonly acknowledged: number;
    readonly requests: number;
    readonly sent_again: number;
    readonly refused: number;
  };
  readonly books: StoryResult["final"]["books"];
}

export interface ReleaseFigures {
  readonly version: string;
  readonly verdict: string;
  readonly sentence: string;
  readonly attempted: number;
  readonly failed: number;
  /** The highest number of devices that ever ran it, and how many run it at the end. */
  readonly ever_ran: number;
  readonly running_at_end: number;
  readonly signal: SignalNumbers | null;
}

export interface RollbackFigures {
  readonly decision_id: string;
  readonly from: string;
  readonly to: string;
  /** Devices that had attempted the release when it was decided, and in the end. */
  readonly exposed_at_decision: number;
  readonly exposed_in_the_end: number;
  readonly failures: number;
  readonly attempts: number;
  readonly evidence_log10: number;
  readonly threshold_log10: number;
  /** From the last report the decision needed, as ingest took it in, to the OTA server's answer; null if unknown. */
  readonly last_report_to_answer_ms: number | null;
  readonly returned: number;
  readonly not_returned: number;
  /** Whether the decision fell after the agent was killed; null when it was not killed. */
  readonly decided_after_kill: boolean | null;
  readonly sentence: string;
}

export function buildReport(options: {
  story: StoryResult;
  options: StoryOptions;
  expectation: Expectation;
  faults: readonly string[];
}): DemoReport {
  const { story } = options;
  const { reports } = story.final;
  return {
    options: options.options,
    limit: LIMIT,
    expectation: options.expectation,
    rolled_back: story.isBadRolledBack,
    good_release_stayed: !story.isGoodRolledBack,
    books_agree: story.differences.length === 0,
    differences: story.differences,
    faults: options.faults,
    timeline: story.happenings.map(({ atMs, text }) => ({ seconds: atMs / 1_000, text })),
    rollback: rollbackFigures(story),
    bad_release: releaseFigures(story, BAD),
    good_release: releaseFigures(story, GOOD),
    reports: {
      acknowledged: reports.accepted,
      requests: reports.requests,
      sent_again: reports.retries,
      refused: reports.refused,
    },
    books: story.final.books,
  };
}

function releaseFigures({ final, releases }: StoryResult, version: string): ReleaseFigures {
  const release = releases.find((one) => one.version === version);
  return {
    version,
    verdict: release?.verdict.kind ?? "unknown",
    sentence: release?.verdict.sentence ?? "",
    attempted: final.books[version]?.attempted ?? 0,
    failed: final.books[version]?.failed ?? 0,
    ever_ran: final.fleet.everRan[version] ?? 0,
    running_at_end: final.fleet.running[version] ?? 0,
    signal: release === undefined ? null : (failureSignal(release.verdict) ?? null),
  };
}

function rollbackFigures(story: StoryResult): RollbackFigures | null {
  const call = rollbackOf(story, BAD);
  if (call?.body == null) return null;
  const decision = story.decisions.find(({ id }) => id === call.body?.decision_id);
  const signal = decision === undefined ? undefined : failureSignal(decision.evidence);
  const { everRan, running } = story.final.fleet;
  const notReturned = running[BAD] ?? 0;
  return {
    decision_id: call.body.decision_id,
    from: call.body.from,
    to: call.body.to,
    exposed_at_decision: decision?.evidence.devices["attempted"] ?? 0,
    exposed_in_the_end: story.final.books[BAD]?.attempted ?? 0,
    failures: signal?.failures ?? 0,
    attempts: signal?.trials ?? 0,
    evidence_log10: signal?.evidence_log10 ?? 0,
    threshold_log10: signal?.threshold_log10 ?? 0,
    last_report_to_answer_ms: answerDelayMs(decision, call.answeredAtMs),
    returned: (everRan[BAD] ?? 0) - notReturned,
    not_returned: notReturned,
    decided_after_kill: isAfter(decision, story.kill.atMs),
    sentence: decision?.sentence ?? "",
  };
}

function answerDelayMs(decision: Decision | undefined, answeredAtMs: number | null): number | null {
  if (decision?.last_needed_report_at == null || answeredAtMs === null) return null;
  return answeredAtMs - Date.parse(decision.last_needed_report_at);
}

function isAfter(decision: Decision | undefined, killedAtMs: number | undefined): boolean | null {
  if (decision === undefined || killedAtMs === undefined) return null;
  return Date.parse(decision.at) > killedAtMs;
}

function failureSignal({ signals }: Pick<ReleaseStatus["verdict"], "signals">): SignalNumbers | undefined {
  return signals.find(({ signal }) => signal === "update_failure");
}

const COLUMNS = 80;
const LABEL_COLUMNS = 22;

export function renderReport(report: DemoReport, palette: Palette): string {
  return [
    ...section(
      "Timeline",
      report.timeline.map(({ seconds, text }) => formatHappening({ atMs: seconds * 1_000, text }, palette)),
    ),
    ...section(report.rolled_back ? `Rollback of ${BAD}` : `No rollback of ${BAD}`, releaseLines(report)),
    ...section("The agent says why", wrap(report.rollback?.sentence ?? report.bad_release.sentence)),
    ...section("Books", bookLines(report, palette)),
    ...section("Outcome", outcomeLines(report, palette)),
    "",
  ].join("\n");

  function section(title: string, lines: readonly string[]): string[] {
    return ["", palette.bold(title), ...lines];
  }
}

function releaseLines(report: DemoReport): string[] {
  const { rollback, bad_release: bad, options } = report;
  if (rollback === null) {
    return [
      row("devices exposed", `${count(bad.attempted)} of ${count(options.devices)}`),
      row("failed", rate(bad.failed, bad.attempted)),
      row(
        "evidence",
        bad.signal === null ? "none" : evidence(bad.signal.evidence_log10, bad.signal.threshold_log10),
      ),
      row("verdict", bad.verdict),
    ];
  }
  const exposedShare = percent(rollback.exposed_at_decision / options.devices);
  const delayMs = rollback.last_report_to_answer_ms;
  return [
    row("channel", `${rollback.from} → ${rollback.to}`),
    row(
      "devices exposed",
      `${count(rollback.exposed_at_decision)} when it was decided (${exposedShare} of the fleet)`,
    ),
    row("", `${count(rollback.exposed_in_the_end)} in the end`),
    row("failed when decided", rate(rollback.failures, rollback.attempts)),
    row("evidence", evidence(rollback.evidence_log10, rollback.threshold_log10)),
    row(
      "last needed report",
      delayMs === null ? "unknown" : `${count(delayMs)} ms before the OTA server's answer`,
    ),
    row(
      "devices returned",
      `${count(rollback.returned)} of ${count(rollback.returned + rollback.not_returned)} that ran it${stayed(rollback.not_returned)}`,
    ),
    row("decision", rollback.decision_id),
  ];
}

function stayed(notReturned: number): string {
  return notReturned === 0 ? "" : `; ${count(notReturned)} fell silent or can't`;
}

function rate(failed: number, attempted: number): string {
  const ratio = attempted === 0 ? 0 : failed / attempted;
  return `${count(failed)} of ${count(attempted)} attempts: ${percent(ratio, 2)} (limit ${percent(LIMIT)})`;
}

function evidence(log10: number, threshold: number): string {
  return `${formatEvidence(log10)} to 1, acts at ${formatEvidence(threshold)} (log10: ${log10.toFixed(2)} of ${threshold.toFixed(2)})`;
}

function row(label: string, value: string): string {
  return `  ${label.padEnd(LABEL_COLUMNS)}${value}`;
}

function bookLines({ books, differences, reports }: DemoReport, palette: Palette): string[] {
  const sent = row(
    "reports",
    `${count(reports.acknowledged)} acknowledged in ${count(reports.requests)} requests${reports.sent_again === 0 ? "" : `, ${count(reports.sent_again)} sent again`}`,
  );
  const versions = Object.keys(books).length;
  if (differences.length === 0) {
    const what = `${versions} versions × ${BOOK_COUNTS.length} counts, equal to the last digit`;
    return [sent, row("books agree", palette.good(what))];
  }
  return [
    sent,
    palette.bad(
      `  ${"version".padEnd(12)}${"count".padEnd(18)}${"fleet".padStart(10)}${"agent".padStart(10)}`,
    ),
    ...differences.map(({ version, count: name, fleet, agent }) => {
      const theirs = agent === undefined ? "absent" : count(agent);
      return `  ${version.padEnd(12)}${name.padEnd(18)}${count(fleet).padStart(10)}${theirs.padStart(10)}`;
    }),
  ];
}

function outcomeLines(
  { faults, expectation, rolled_back: isRolledBack }: DemoReport,
  palette: Palette,
): string[] {
  if (faults.length > 0) return faults.map((fault) => palette.bad(`  ${fault}`));
  const what = isRolledBack ? "the release was rolled back" : "nothing was rolled back";
  const how: Record<Expectation, string> = {
    rollback: `as expected: ${what}; the good release stayed`,
    no_rollback: `as expected: ${what}; both releases stayed`,
    either: `${what}; at this rate and fleet size either outcome is right`,
  };
  return [palette.good(`  ${how[expectation]}`)];
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = " ";
  for (const word of text.split(/\s+/)) {
    if (line.length + 1 + word.length > COLUMNS && line !== " ") {
      lines.push(line);
      line = " ";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
