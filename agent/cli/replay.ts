// `lastgood replay`: what a policy would have done on the counts that are stored, beside what did happen. Enters: a policy
// file, a running agent. Leaves: a table, or JSON. Exit code 0; 1 = it did not work; 2 = the policy has mistakes.
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Command } from "commander";
import { formatProblems } from "../../runtime/config-file.ts";
import { formatDuration } from "../../runtime/units.ts";
import { policyTextOf, readPolicyText } from "../replay/policy-text.ts";
import type {
  ChannelAnswer,
  DifferenceAnswer,
  HappenedAnswer,
  ReleaseAnswer,
  ReplayAnswer,
  ReplayedAnswer,
} from "../replay/replay-answer.ts";
import { addAgentOptions, askAgent, tellAgent } from "./agent-client.ts";
import type { AgentAnswer, AgentOptions } from "./agent-client.ts";
import { countOf } from "./check-config.ts";
import { EXIT_CODES } from "./cli-context.ts";
import type { CliContext } from "./cli-context.ts";
import { alignColumns } from "./columns.ts";
import { formatCount, formatTime, plain } from "./plain-text.ts";

/** For one channel. */
const REPLAY_MS_MAX = 30 * 60_000;
/** How often it is said that a channel takes long, in milliseconds. */
const PROGRESS_MS = 5_000;

interface ReplayOptions extends AgentOptions {
  readonly policy: string;
  readonly since: string;
  readonly until?: string;
  readonly app?: string;
  readonly channel?: string;
}

export function registerReplay(program: Command, context: CliContext): void {
  addAgentOptions(program.command("replay"))
    .description("tell what a policy would have done, and when, beside what did happen")
    .requiredOption("-p, --policy <file>", "YAML: one policy, or a file with a section `policies:`")
    .option("-s, --since <duration>", "how far back, such as 12h or 30d", "7d")
    .option("--until <time>", "to when (RFC 3339); default: now")
    .option("--app <app>", "only channels of this app")
    .option("--channel <channel>", "only channels of this name")
    .addHelpText("after", HELP)
    .action((options: ReplayOptions) => replay(options, context));
}

const HELP = [
  "",
  "One policy is replayed on every channel; of several, each channel's own, by name.",
  "Nothing is changed, here or at the OTA server.",
  "",
  "Exit code: 0 = done, 1 = it did not work, 2 = the policy has mistakes.",
  "",
  "Examples:",
  "  $ lastgood replay --policy new.yaml --since 7d",
  "  $ lastgood replay --policy lastgood.yaml --app com.acme.till --channel production",
  "  $ lastgood replay --policy new.yaml --json | jq '.channels[].releases[].difference'",
].join("\n");

async function replay(options: ReplayOptions, context: CliContext): Promise<void> {
  const policy = readPolicy(options, context);
  if (policy === undefined) return;
  const channels = await listChannels(options, context);
  if (channels.kind === "failed") return fail(channels.message, context);
  const answers: ReplayAnswer[] = [];
  // All of them to the same minute, also when one takes long.
  let { until } = options;
  for (const [index, key] of channels.keys.entries()) {
    const place = channels.keys.length === 1 ? "" : ` (${index + 1} of ${channels.keys.length})`;
    const body = { policy, since: options.since, ...(until === undefined ? {} : { until }), ...key };
    const answer = await withProgress(`${key.app}/${key.channel}${place}`, context, () =>
      tellAgent("/v1/replay", body, options, context, REPLAY_MS_MAX),
    );
    if (answer.kind === "failed") return fail(answer.message, context);
    answers.push(answer.body as ReplayAnswer);
    until ??= answers[0]!.until;
  }
  const whole = joined(answers);
  context.out(
    options.json === true ? `${JSON.stringify(whole, undefined, 2)}\n` : `${renderReplay(whole)}\n`,
  );
}

function fail(message: string, context: CliContext): void {
  context.err(`lastgood: ${message}\n`);
  context.setExitCode(EXIT_CODES.failed);
}

/** Checked here, so that a mistake has its file, line and column; undefined when it has one. */
function readPolicy({ policy: given }: ReplayOptions, context: CliContext): string | undefined {
  const file = path.resolve(context.workingDir, given);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    context.err(`${given}:1:1: the file could not be read: ${(error as Error).message}\n`);
    context.setExitCode(EXIT_CODES.configuration);
    return undefined;
  }
  const source = { file: given, text, env: context.env };
  const read = readPolicyText(source);
  if (read.kind === "policies") return policyTextOf(source);
  context.err(`${formatProblems(read.problems)}\n${countOf(read.problems.length)}\n`);
  context.setExitCode(EXIT_CODES.configuration);
  return undefined;
}

interface Key {
  readonly app: string;
  readonly channel: string;
}

/** One request for each, so that it can be told how far it is. */
async function listChannels(
  options: ReplayOptions,
  context: CliContext,
): Promise<
  { readonly kind: "keys"; readonly keys: readonly Key[] } | Extract<AgentAnswer, { kind: "failed" }>
> {
  const { app, channel } = options;
  if (app !== undefined && channel !== undefined) return { kind: "keys", keys: [{ app, channel }] };
  const answer = await askAgent("/v1/status", options, context);
  if (answer.kind === "failed") return answer;
  const { channels } = answer.body as { readonly channels: readonly Key[] };
  const keys = channels
    .filter((key) => (app ?? key.app) === key.app && (channel ?? key.channel) === key.channel)
    .map((key) => ({ app: key.app, channel: key.channel }));
  if (keys.length > 0) return { kind: "keys", keys };
  return { kind: "failed", message: "no such channel is watched: lastgood status lists those that are" };
}

/** Says what it is at when that takes long; to stderr, so that it never mixes with the answer. */
async function withProgress<Result>(
  what: string,
  context: CliContext,
  work: () => Promise<Result>,
): Promise<Result> {
  const sinceMs = performance.now();
  const timer = setInterval(() => {
    context.err(`lastgood: replaying ${what}, for ${formatDuration(performance.now() - sinceMs)} now …\n`);
  }, PROGRESS_MS);
  return work().finally(() => clearInterval(timer));
}

function joined(answers: readonly ReplayAnswer[]): ReplayAnswer {
  return {
    ...answers[0]!,
    channels: answers.flatMap(({ channels }) => channels),
    not_replayed: answers.flatMap(({ not_replayed }) => not_replayed),
  };
}

export function renderReplay({ since, until, channels, not_replayed: without }: ReplayAnswer): string {
  const blocks = channels.map((channel) => renderChannel(channel, { since, until }));
  const missing = without.map(
    ({ app, channel, policy }) => `${app}/${channel}: the file has no policy ${policy}, which it has now.`,
  );
  return [
    ...blocks,
    ...(missing.length === 0 ? [] : [missing.join("\n")]),
    "Devices are taken to report what they really reported; --json lists what else is taken for granted.",
  ].join("\n\n");
}

function renderChannel(channel: ChannelAnswer, { since, until }: { since: string; until: string }): string {
  const { app, channel: name, policy, releases, resolution, releases_left_out: leftOut } = channel;
  const lengths = [...new Set(resolution.map(({ minutes }) => minutes))].toSorted(
    (left, right) => left - right,
  );
  const head = `${app}/${name}, policy ${policy}, ${formatTime(since)} to ${formatTime(until)} UTC, to the ${lengths
    .map(formatLength)
    .join(", ")}`;
  if (releases.length === 0) return `${head}\n  No device has reported about a release of this channel.`;
  const rows = releases.map((release) => [
    `  ${plain(release.version)}`,
    plain(wouldHave(release)),
    ...(release.replayed === null ? ["", ""] : actCells(release.replayed)),
    did(release.happened),
    ...(release.happened === null ? ["", ""] : actCells(release.happened)),
    formatCount(release.devices),
    differenceText(release.difference),
  ]);
  const titles = [
    "  release",
    "would have",
    "at (UTC)",
    "devices",
    "did",
    "at (UTC)",
    "devices",
    "in all",
    "so",
  ];
  return [
    head,
    ...alignColumns([titles, ...rows]),
    ...releases.flatMap(holdLines),
    ...(leftOut === 0
      ? []
      : [`  ${leftOut} releases that were not reported about for longest were left out.`]),
  ].join("\n");
}

function formatLength(minutes: number): string {
  return minutes === 60 ? "hour" : minutes === 1 ? "minute" : `${minutes} minutes`;
}

function wouldHave({ replayed, verdict, difference }: ReleaseAnswer): string {
  if (difference.acts === "before") return "had been done before";
  if (replayed !== null) return actText(replayed);
  return verdict === null ? "nothing" : `nothing: ${verdict.kind}`;
}

function did(happened: HappenedAnswer | null): string {
  return happened === null ? "nothing" : plain(actText(happened));
}

function actText({ action, mode, target }: Pick<ReplayedAnswer, "action" | "mode" | "target">): string {
  const act = target === null ? action : `${action} to ${target}`;
  return mode === "automatic" ? act : `${act} (${mode})`;
}

function actCells({ at, devices }: Pick<ReplayedAnswer, "at" | "devices">): [string, string] {
  return [formatTime(at), formatCount(devices)];
}

function differenceText({ acts, minutes, devices }: DifferenceAnswer): string {
  const exposed =
    devices === 0
      ? ""
      : `, ${formatCount(Math.abs(devices))} ${devices < 0 ? "fewer" : "more"} ${Math.abs(devices) === 1 ? "device" : "devices"}`;
  switch (acts) {
    case "same":
      return "the same";
    case "sooner":
    case "later":
      return `${formatDuration(Math.abs(minutes ?? 0) * 60_000)} ${acts}${exposed}`;
    case "only_replayed":
      return `only the replay${exposed}`;
    case "only_happened":
      return `only what happened${exposed}`;
    case "neither":
      return "";
    case "before":
      return "before the replay begins";
  }
}

/** Why the replay did not act, or not sooner. */
function holdLines({ version, holds }: ReleaseAnswer): string[] {
  return holds.map(
    ({ reason, since, until, sentence }) =>
      `  ${plain(version)} would have been held, ${formatTime(since)} to ${until === null ? "the end" : formatTime(until)}: ${reason}. ${plain(sentence)}`,
  );
}
