// `lastgood status`: what runs where, how sure we are, and what is held back.
import type { Command } from "commander";
import { addAgentOptions, askAgent, printAnswer } from "./agent-client.ts";
import type { AgentOptions } from "./agent-client.ts";
import type { CliContext } from "./cli-context.ts";
import { alignColumns } from "./columns.ts";
import { LINE_CHARS_MAX, formatCount, formatShare, formatTime, plain, wrapWords } from "./plain-text.ts";

interface ReleaseStatus {
  readonly version: string;
  readonly devices: Readonly<Record<string, number>>;
  readonly hours: { readonly active: number; readonly crashed: number; readonly not_responding: number };
  readonly verdict: {
    readonly kind: string;
    readonly reason: string;
    readonly signals: readonly {
      readonly failures: number;
      readonly trials: number;
      readonly evidence_log10: number | null;
      readonly threshold_log10: number;
    }[];
  };
  readonly condemned: boolean;
  readonly hold: { readonly sentence: string } | null;
}

export interface StatusAnswer {
  readonly channels: readonly {
    readonly app: string;
    readonly channel: string;
    readonly policy: string;
    readonly mode: string;
    readonly current_version: string | null;
    /** Missing in the answer of an older agent, as the next is. */
    readonly paused?: boolean | null;
    readonly freezes?: readonly {
      readonly id: string;
      readonly by: string;
      readonly reason: string;
      readonly until: string | null;
    }[];
    readonly releases: readonly ReleaseStatus[];
  }[];
}

export function registerStatus(program: Command, context: CliContext): void {
  addAgentOptions(program.command("status"))
    .description("show every channel: versions, failures, evidence, verdicts")
    .addHelpText(
      "after",
      [
        "",
        "Examples:",
        "  $ lastgood status",
        "  $ lastgood status --json | jq '.channels[].current_version'",
      ].join("\n"),
    )
    .action(async (options: AgentOptions) => {
      printAnswer(await askAgent("/v1/status", options, context), {
        options,
        context,
        render: (body) => renderStatus(body as StatusAnswer),
      });
    });
}

export function renderStatus({ channels }: StatusAnswer): string {
  return channels.map(renderChannel).join("\n\n");
}

function renderChannel({
  app,
  channel,
  policy,
  mode,
  current_version,
  paused,
  freezes = [],
  releases,
}: StatusAnswer["channels"][number]): string {
  const isPaused = paused === true ? " (paused)" : "";
  const first = `${app} / ${channel}   offers ${current_version ?? "(not asked yet)"}${isPaused}   policy ${policy}, ${mode}`;
  const frozen = freezes.map(
    ({ id, by, reason, until }) =>
      `  frozen by ${plain(by)}${until === null ? "" : ` until ${formatTime(until)} UTC`}: ${plain(reason)} (${id})`,
  );
  const head = [first, ...frozen].join("\n");
  if (releases.length === 0) return `${head}\n  no reports yet`;
  const rows = releases.map((release) => renderRelease(release, release.version === current_version));
  const table = alignColumns([["  version", "tried", "failed", "confirmed", "evidence", "verdict"], ...rows]);
  const holds = releases.flatMap(({ hold }) =>
    hold === null ? [] : [`  held back: ${plain(hold.sentence)}`],
  );
  return [head, ...table, ...releases.flatMap(renderQuiet), ...holds].join("\n");
}

/** What is no failure that was reported, and stands below the table: it would make it too wide. */
function renderQuiet({ version, devices, hours }: ReleaseStatus): string[] {
  const { active, crashed, not_responding: notResponding } = hours;
  const silent = devices["silent"] ?? 0;
  const returned = devices["returned_late"] ?? 0;
  const parts = [
    ...(silent > 0 ? [`${formatCount(silent)} silent`] : []),
    ...(returned > 0 ? [`${formatCount(returned)} returned late`] : []),
    ...(active > 0 ? [`${formatCount(active)} device-${active === 1 ? "hour" : "hours"}`] : []),
    ...(crashed > 0 ? [`${formatCount(crashed)} crashed (${formatShare(crashed, active)})`] : []),
    ...(notResponding > 0
      ? [`${formatCount(notResponding)} not responding (${formatShare(notResponding, active)})`]
      : []),
  ];
  if (parts.length === 0) return [];
  const line = `  ${version}: ${parts.join(", ")}`;
  if (line.length <= LINE_CHARS_MAX) return [line];
  return [`  ${version}:`, ...wrapWords(parts, 4).map((part) => `    ${part}`)];
}

/** What keeps anybody from knowing is said beside the kind. */
function describeVerdict({ kind, reason }: ReleaseStatus["verdict"]): string {
  const isTold = kind === "unmeasurable" || reason === "environment";
  return isTold ? `${kind} (${reason.replaceAll("_", " ")})` : kind;
}

function renderRelease(
  { version, devices, verdict, condemned }: ReleaseStatus,
  isCurrent: boolean,
): string[] {
  const weighed = verdict.signals.flatMap(({ evidence_log10, threshold_log10 }) =>
    evidence_log10 === null ? [] : [{ evidence: evidence_log10, threshold: threshold_log10 }],
  );
  const strongest = weighed.toSorted(
    (left, right) => right.evidence - right.threshold - (left.evidence - left.threshold),
  )[0];
  const evidence =
    strongest === undefined
      ? ""
      : `10^${strongest.evidence.toFixed(1)} of 10^${strongest.threshold.toFixed(1)}`;
  const attempted = devices["attempted"] ?? 0;
  const failed = devices["failed"] ?? 0;
  const share = attempted === 0 ? "" : ` (${((100 * failed) / attempted).toFixed(1)}%)`;
  return [
    `${isCurrent ? "> " : "  "}${version}`,
    formatCount(attempted),
    `${formatCount(failed)}${share}`,
    formatCount(devices["confirmed"] ?? 0),
    evidence,
    `${describeVerdict(verdict)}${condemned ? ", condemned" : ""}`,
  ];
}
