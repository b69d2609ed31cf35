// The daily summary: what was watched, judged and done in the last 24 hours, and whether the pipeline is well. Pure.
// Enters: what the stores hold. Leaves: text for people (a chat shows it as it is) and the same as JSON.
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import { formatDuration } from "../../runtime/units.ts";
import { VERDICT_KINDS } from "../judge/verdict.ts";
import type { VerdictKind } from "../judge/verdict.ts";
import type { PagedDecision, PagedFreeze, PagedHold } from "./page-snapshot.ts";

export const SUMMARY_MS = 24 * 3_600_000;
/** Lines of each kind in the text; the JSON has them all. */
export const SUMMARY_LINES_MAX = 20;

export interface SummaryInput {
  readonly nowMs: number;
  readonly releases: readonly {
    readonly verdict: {
      readonly release: ReleaseKey;
      readonly kind: VerdictKind;
      readonly reason: string;
      readonly sentence: string;
      readonly devices: { readonly attempted: number; readonly failed: number };
    };
    readonly lastReportAtMs: number;
  }[];
  /** Newest first. */
  readonly decisions: readonly PagedDecision[];
  readonly pending: ReadonlySet<string>;
  readonly holds: ReadonlyMap<string, PagedHold>;
  readonly freezes?: readonly PagedFreeze[];
  readonly lag: readonly { readonly waitingEntries: number; readonly lagSeconds: number }[];
  readonly deadLetters: { readonly kept: number; readonly dropped: number };
  readonly externalUrl: string | undefined;
}

/** Field names are a promise to users. */
export interface DailySummary {
  readonly from: string;
  readonly to: string;
  readonly releases_watched: number;
  readonly verdicts: Readonly<Record<VerdictKind, number>>;
  readonly releases: readonly (ReleaseKey & {
    readonly verdict: VerdictKind;
    readonly reason: string;
    readonly devices_tried: number;
    readonly devices_failed: number;
  })[];
  readonly decisions: readonly (ReleaseKey & {
    readonly id: string;
    readonly at: string;
    readonly action: string;
    readonly mode: string;
    readonly target: string | null;
    /** `pending`, `waiting_for_approval`, or how it ended; null where nothing is to be carried out. */
    readonly outcome: string | null;
  })[];
  readonly outcomes: Readonly<Record<string, number>>;
  readonly held: readonly (ReleaseKey & { readonly reason: string; readonly since: string })[];
  readonly kill_switch: boolean;
  readonly freezes: number;
  readonly pipeline: {
    readonly lag_seconds: number;
    readonly waiting_entries: number;
    readonly dead_letters_kept: number;
    readonly dead_letters_dropped: number;
  };
}

export function summarise(input: SummaryInput): DailySummary {
  const { nowMs, releases, decisions, holds, freezes = [], lag, deadLetters } = input;
  const fromMs = nowMs - SUMMARY_MS;
  const watched = releases.filter(({ lastReportAtMs }) => lastReportAtMs >= fromMs);
  const inForce = freezes.filter(({ until }) => until === null || Date.parse(until) > nowMs);
  const isRecent = ({ at, outcome }: PagedDecision): boolean =>
    Date.parse(at) >= fromMs || (outcome !== null && Date.parse(outcome.at) >= fromMs);
  const recent = decisions.filter(isRecent).map((decision) => viewDecision(decision, input.pending));
  const verdicts = Object.fromEntries(VERDICT_KINDS.map((kind) => [kind, 0])) as Record<VerdictKind, number>;
  for (const { verdict } of watched) verdicts[verdict.kind] += 1;
  const outcomes: Record<string, number> = {};
  for (const { outcome } of recent) if (outcome !== null) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  return {
    from: new Date(fromMs).toISOString(),
    to: new Date(nowMs).toISOString(),
    releases_watched: watched.length,
    verdicts,
    releases: watched.map(viewRelease).toSorted(byName),
    decisions: recent,
    outcomes,
    held: [...holds]
      .map(([text, { reason, since }]) => ({ ...splitKey(text), reason, since }))
      .toSorted(byName),
    kill_switch: inForce.some(({ scope }) => scope === "all"),
    freezes: inForce.length,
    pipeline: {
      lag_seconds: Math.max(0, ...lag.map(({ lagSeconds }) => lagSeconds)),
      waiting_entries: lag.reduce((sum, { waitingEntries }) => sum + waitingEntries, 0),
      dead_letters_kept: deadLetters.kept,
      dead_letters_dropped: deadLetters.dropped,
    },
  };
}

function viewRelease({ verdict }: SummaryInput["releases"][number]): DailySummary["releases"][number] {
  const { app, channel, version } = verdict.release;
  const { attempted, failed } = verdict.devices;
  return {
    app,
    channel,
    version,
    verdict: verdict.kind,
    reason: verdict.reason,
    devices_tried: attempted,
    devices_failed: failed,
  };
}

function viewDecision(
  decision: PagedDecision,
  pending: ReadonlySet<string>,
): DailySummary["decisions"][number] {
  const { id, at, app, channel, version, action, mode, target, approval = null, outcome } = decision;
  const waits = approval !== null && approval.answer === null ? "waiting_for_approval" : null;
  const state = outcome?.kind ?? waits ?? (pending.has(id) ? "pending" : (approval?.answer ?? null));
  return { id, at, app, channel, version, action, mode, target, outcome: state };
}

/** As the stores name a release; brands do not matter here. */
function splitKey(text: string): ReleaseKey {
  const [app, channel, version] = text.split("|");
  return { app, channel, version } as ReleaseKey;
}

function byName(left: ReleaseKey, right: ReleaseKey): number {
  return formatReleaseKey(left) < formatReleaseKey(right) ? -1 : 1;
}

/** Slack's `text`: `&`, `<` and `>` are the only characters that mean anything there. */
export function toText(summary: DailySummary, externalUrl: string | undefined): string {
  const { verdicts, decisions, held, releases, pipeline } = summary;
  const counted = VERDICT_KINDS.filter((kind) => verdicts[kind] > 0).map(
    (kind) => `${verdicts[kind]} ${kind}`,
  );
  const lines = [
    `Lastgood, 24 hours to ${summary.to.slice(0, "2026-01-31T12:34".length).replace("T", " ")} UTC`,
    `Releases watched: ${summary.releases_watched}${counted.length === 0 ? "" : ` (${counted.join(", ")})`}`,
    ...section(
      releases.filter(({ verdict }) => verdict === "failing"),
      (one) =>
        `failing: ${nameOf(one)}, ${one.devices_failed} of ${one.devices_tried} devices (${one.reason})`,
    ),
    decisions.length === 0 ? "Nothing was decided." : `Decided: ${decisions.length}`,
    ...section(decisions, describeDecision),
    ...section(held, (one) => `held back: ${nameOf(one)}, ${one.reason}, since ${one.since}`),
    ...(summary.kill_switch ? ["The kill switch is on: nothing is done automatically."] : []),
    describePipeline(pipeline),
    ...(externalUrl === undefined ? [] : [`${externalUrl}/`]),
  ];
  return lines.map(escape).join("\n");
}

function section<T>(items: readonly T[], describe: (item: T) => string): string[] {
  const shown = items.slice(0, SUMMARY_LINES_MAX).map((item) => `• ${describe(item)}`);
  const more = items.length - shown.length;
  return more > 0 ? [...shown, `• and ${more} more`] : shown;
}

function nameOf({ app, channel, version }: ReleaseKey): string {
  return `${app}/${channel} ${version}`;
}

function describeDecision(decision: DailySummary["decisions"][number]): string {
  const { action, mode, target, outcome, id } = decision;
  const to = target === null ? "" : ` → ${target}`;
  const how = mode === "shadow" ? "shadow, nothing was touched" : (outcome ?? mode).replaceAll("_", " ");
  return `${action}: ${nameOf(decision)}${to}, ${how} (${id})`;
}

function describePipeline(pipeline: DailySummary["pipeline"]): string {
  const { lag_seconds, waiting_entries, dead_letters_kept, dead_letters_dropped } = pipeline;
  const lag =
    waiting_entries === 0
      ? "nothing waits"
      : `${waiting_entries} entries wait, the oldest ${formatDuration(lag_seconds * 1_000)}`;
  const letters =
    dead_letters_kept === 0
      ? "no dead letters"
      : `${dead_letters_kept} dead letters wait for you: lastgood dead-letters`;
  const lost = dead_letters_dropped === 0 ? "" : `, ${dead_letters_dropped} lost for good`;
  return `Pipeline: ${lag}; ${letters}${lost}`;
}

function escape(line: string): string {
  return line.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
