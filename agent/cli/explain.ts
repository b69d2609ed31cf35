// `lastgood explain [decision]`: why a rollback was decided and how it went, with the numbers it saw.
// Without an id it lists the decisions there are.
import type { Command } from "commander";
import { formatDuration } from "../../runtime/units.ts";
import { addAgentOptions, askAgent, printAnswer } from "./agent-client.ts";
import type { AgentOptions } from "./agent-client.ts";
import type { CliContext } from "./cli-context.ts";
import { alignColumns } from "./columns.ts";
import { entryLine } from "./journal-line.ts";
import type { EntryAnswer } from "./journal-line.ts";
import { formatCount, formatTime, plain } from "./plain-text.ts";

export interface DecisionAnswer {
  readonly id: string;
  readonly at: string;
  readonly app: string;
  readonly channel: string;
  readonly version: string;
  readonly target: string | null;
  /** Missing in decisions of an older Lastgood. */
  readonly action?: string;
  readonly approval?:
    | {
        readonly expires_at: string;
        readonly answer: string | null;
        readonly answered_by: string | null;
      }
    | null
    | undefined;
  readonly follow_up?:
    | { readonly kind: string; readonly at: string; readonly detail: string }
    | null
    | undefined;
  readonly mode: string;
  readonly reason: string;
  readonly sentence: string;
  readonly evidence: {
    readonly signals: readonly {
      readonly signal: string;
      readonly failures: number;
      readonly trials: number;
      readonly limit: number | null;
      /** Missing in decisions of an older Lastgood. */
      readonly allowed?: { readonly ratio: number; readonly points: number } | null;
      readonly baseline?: { readonly failures: number; readonly trials: number } | null;
      readonly unit?: string;
      readonly unmeasured?: string | null;
      readonly evidence_log10: number | null;
      readonly threshold_log10: number;
    }[];
    readonly devices: Readonly<Record<string, number>>;
  };
  readonly last_needed_report_at: string;
  readonly outcome: {
    readonly kind: string;
    readonly at: string;
    readonly detail: string;
    readonly attempts: number;
  } | null;
}

export interface StoryAnswer {
  readonly decision: DecisionAnswer;
  readonly entries: readonly EntryAnswer[];
  /** False: there are older entries, which are not told. */
  readonly is_whole: boolean;
}

export function registerExplain(program: Command, context: CliContext): void {
  addAgentOptions(program.command("explain"))
    .description("tell why a rollback was decided and how it went; without an id: list the decisions")
    .argument("[decision]", "the decision's id, such as rb_1e2ebc32e83b4f03d793")
    .addHelpText(
      "after",
      ["", "Examples:", "  $ lastgood explain", "  $ lastgood explain rb_1e2ebc32e83b4f03d793"].join("\n"),
    )
    .action(async (id: string | undefined, options: AgentOptions) => {
      if (id === undefined) {
        const answer = await askAgent("/v1/decisions", options, context);
        printAnswer(answer, {
          options,
          context,
          render: (body) => renderDecisions(body as { decisions: DecisionAnswer[] }),
        });
        return;
      }
      const answer = await askAgent(`/v1/decisions/${encodeURIComponent(id)}/story`, options, context);
      if (answer.kind === "failed") return printAnswer(answer, { options, context, render: () => "" });
      const story = answer.body as StoryAnswer;
      // The decision as ever, and its journal beside it.
      const body = { ...story.decision, journal: story.entries };
      printAnswer({ kind: "answer", body }, { options, context, render: () => renderStory(story) });
    });
}

export function renderDecisions({ decisions }: { readonly decisions: readonly DecisionAnswer[] }): string {
  if (decisions.length === 0) return "Nothing has been rolled back yet.";
  const rows = decisions.map(
    ({ id, at, app, channel, version, target, mode, approval, outcome, follow_up }) => [
      id,
      at.slice(0, 19).replace("T", " "),
      `${app}/${channel}`,
      target === null ? version : `${version} -> ${target}`,
      describeState({ mode, approval, outcome, follow_up }),
    ],
  );
  return alignColumns([["decision", "decided (UTC)", "channel", "rollback", "outcome"], ...rows]).join("\n");
}

/** `applied, effective`. */
function describeState({
  mode,
  approval,
  outcome,
  follow_up,
}: Pick<DecisionAnswer, "mode" | "approval" | "outcome" | "follow_up">): string {
  if (mode === "shadow") return "shadow: nothing was touched";
  if (outcome === null) return approval?.answer === null ? "waits for approval" : "on its way";
  const help = follow_up === undefined || follow_up === null ? "" : `, ${follow_up.kind}`;
  return `${outcome.kind}${help}`.replaceAll("_", " ");
}

export function renderStory({ decision, entries, is_whole: isWhole }: StoryAnswer): string {
  return [
    renderDecision(decision),
    "",
    ...groundsOf(decision, entries).map((line) => `  ${line}`),
    "",
    `  the journal${isWhole ? "" : " (older entries are left out: lastgood journal has them)"}:`,
    ...entries.map((entry) => `  ${entryLine(entry)}`),
  ].join("\n");
}

/** What the release was held against, and who objected before it was decided. */
function groundsOf(decision: DecisionAnswer, entries: readonly EntryAnswer[]): string[] {
  const before = entries.filter(({ at }) => at <= decision.at);
  const verdict = before.findLast(({ kind }) => kind === "verdict");
  const baseline = verdict?.body["baseline"];
  const versions = Array.isArray(baseline) ? baseline.map(String) : [];
  const holds = before
    .filter(({ kind, body }) => kind === "hold" && sameVersion(body, decision))
    .map(
      ({ at, body }) =>
        `${formatTime(at)} ${plain(String(body["guard"]))} (${plain(String(body["reason"]))})`,
    );
  return [
    versions.length === 0 ? "baseline: none, limits alone judged" : `baseline: ${plain(versions.join(", "))}`,
    holds.length === 0
      ? "guards: none objected"
      : `guards: none objected in the end; before, by their journal: ${holds.join(", ")}`,
  ];
}

function sameVersion({ release }: EntryAnswer["body"], { version }: DecisionAnswer): boolean {
  return (
    typeof release === "object" && release !== null && "version" in release && release.version === version
  );
}

export function renderDecision(decision: DecisionAnswer): string {
  const { id, app, channel, version, target, sentence, evidence } = decision;
  const signals = evidence.signals.map(renderSignal);
  const devices = Object.entries(evidence.devices)
    .filter(([, count]) => count > 0)
    .map(([outcome, count]) => `${formatCount(count)} ${outcome}`);
  return [
    `${id}: ${app}/${channel} ${target === null ? `${decision.action ?? "act"} of ${version}` : `from ${version} to ${target}`}`,
    "",
    `  ${sentence}`,
    "",
    ...alignColumns(signals),
    `  devices: ${devices.join(", ")}`,
    "",
    ...story(decision).map((line) => `  ${line}`),
  ].join("\n");
}

function renderSignal(signal: DecisionAnswer["evidence"]["signals"][number]): string[] {
  const { failures, trials, baseline, unit, unmeasured, evidence_log10, threshold_log10 } = signal;
  const hours = unit === "device_hours" ? " hours" : "";
  if (unmeasured !== undefined && unmeasured !== null)
    return [`  ${signal.signal}`, unmeasured.replaceAll("_", " ")];
  return [
    `  ${signal.signal}`,
    `${formatCount(failures)} of ${formatCount(trials)}${hours}`,
    describeAllowed(signal),
    baseline === undefined || baseline === null
      ? ""
      : `baseline ${formatCount(baseline.failures)} of ${formatCount(baseline.trials)}${hours}`,
    ...(evidence_log10 === null
      ? ["plain"]
      : [`evidence 10^${evidence_log10.toFixed(2)}`, `needed 10^${threshold_log10.toFixed(2)}`]),
  ];
}

function describeAllowed({ limit, allowed }: DecisionAnswer["evidence"]["signals"][number]): string {
  if (limit !== null) return `limit ${(100 * limit).toFixed(1)}%`;
  if (allowed === undefined || allowed === null) return "";
  return allowed.points > 0 ? `allowed +${(100 * allowed.points).toFixed(2)}pp` : `allowed ${allowed.ratio}x`;
}

function story({ at, mode, last_needed_report_at, approval, outcome, follow_up }: DecisionAnswer): string[] {
  const neededMs = Date.parse(last_needed_report_at);
  const lines = [
    `${last_needed_report_at}  newest failing report taken in`,
    `${at}  decided, ${formatDuration(Date.parse(at) - neededMs)} later`,
  ];
  if (mode === "shadow") return [...lines, "Shadow mode: the OTA server was not asked."];
  if (outcome === null && approval?.answer === null)
    return [...lines, `It waits for a person's yes until ${approval.expires_at} (lastgood approve).`];
  if (outcome === null)
    return [...lines, "The OTA server has not answered yet; it is asked again until it does."];
  const tries = outcome.attempts === 1 ? "" : ` after ${outcome.attempts} tries`;
  return [
    ...lines,
    `${outcome.at}  ${outcome.kind}${tries}, ${formatDuration(Date.parse(outcome.at) - neededMs)} after that report: ${outcome.detail}`,
    ...(follow_up === undefined || follow_up === null
      ? []
      : [`${follow_up.at}  ${follow_up.kind.replaceAll("_", " ")}: ${follow_up.detail}`]),
  ];
}
