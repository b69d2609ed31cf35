// `lastgood dead-letters`: what could not be counted and why; `redrive` puts letters back to be counted after
// all, `discard` throws them away.
import type { Command } from "commander";
import { addAgentOptions, askAgent, printAnswer, tellAgent } from "./agent-client.ts";
import type { AgentOptions } from "./agent-client.ts";
import { EXIT_CODES } from "./cli-context.ts";
import type { CliContext } from "./cli-context.ts";
import { alignColumns } from "./columns.ts";
import { formatCount, plain } from "./plain-text.ts";

export interface DeadLettersAnswer {
  readonly kept: number;
  readonly dropped: number;
  readonly dead_letters: readonly {
    readonly id: string;
    readonly at: string;
    readonly kind: string;
    readonly reason: string;
    readonly payload_bytes: number;
    readonly excerpt: string | null;
  }[];
  readonly next: string | null;
}

interface MovedAnswer {
  readonly redriven?: number;
  readonly discarded?: number;
  readonly missing: readonly string[];
  readonly unreadable?: readonly string[];
}

interface ListOptions extends AgentOptions {
  readonly limit?: string;
  readonly shard?: string;
  readonly after?: string;
  readonly oldest?: boolean;
}

interface MoveOptions extends AgentOptions {
  readonly all?: boolean;
  readonly yes?: boolean;
}

export function registerDeadLetters(program: Command, context: CliContext): void {
  // Else `discard --all --shard 1` would take --shard as an option of `dead-letters`, and discard them all.
  program.enablePositionalOptions();
  const command = addAgentOptions(program.command("dead-letters"))
    .description("list what could not be counted, and why; redrive or discard it")
    .option("-n, --limit <number>", "letters at most (default: 50, at most 500)")
    .option("--shard <number>", "only letters of this shard")
    .option("--after <id>", "go on after this letter")
    .option("--oldest", "oldest first instead of newest first")
    .addHelpText("after", LIST_HELP)
    .action(async (options: ListOptions) => {
      printAnswer(await askAgent(`/v1/dead-letters${queryOf(options)}`, options, context), {
        options,
        context,
        render: (body) => renderDeadLetters(body as DeadLettersAnswer),
      });
    });
  addAgentOptions(command.command("redrive"))
    .description("put letters back to be counted; one that fails again becomes a letter again")
    .argument("[ids...]", "ids of letters, as listed")
    .option("--all", "all that there are now")
    .addHelpText("after", REDRIVE_HELP)
    .action((ids: string[], options: MoveOptions) => move("redrive", ids, options, context));
  addAgentOptions(command.command("discard"))
    .description("throw letters away for good")
    .argument("[ids...]", "ids of letters, as listed")
    .option("--all", "all that there are now")
    .option("--yes", "needed: what is thrown away is gone")
    .addHelpText("after", DISCARD_HELP)
    .action((ids: string[], options: MoveOptions) => move("discard", ids, options, context));
}

const MOVE_EXIT_CODES =
  "Exit code: 0 = all of them, 1 = not, or not all: a letter was gone or cannot be put back.";
const LIST_HELP = [
  "",
  "Examples:",
  "  $ lastgood dead-letters",
  "  $ lastgood dead-letters --limit 500 --json | jq -r '.dead_letters[].reason' | sort | uniq -c",
  "  $ lastgood dead-letters redrive --all",
  "  $ lastgood dead-letters discard --all --yes",
].join("\n");
const REDRIVE_HELP = [
  "",
  MOVE_EXIT_CODES,
  "",
  "Examples:",
  "  $ lastgood dead-letters redrive 3:1763907269123-0 7:1763907269124-2",
  "  $ lastgood dead-letters redrive --all",
].join("\n");
const DISCARD_HELP = [
  "",
  MOVE_EXIT_CODES,
  "",
  "Examples:",
  "  $ lastgood dead-letters discard 3:1763907269123-0 --yes",
  "  $ lastgood dead-letters discard --all --yes",
].join("\n");

function queryOf({ limit, shard, after, oldest }: ListOptions): string {
  const query = new URLSearchParams();
  if (limit !== undefined) query.set("limit", limit);
  if (shard !== undefined) query.set("shard", shard);
  if (after !== undefined) query.set("after", after);
  if (oldest === true) query.set("order", "oldest");
  return query.size === 0 ? "" : `?${query.toString()}`;
}

async function move(
  verb: "redrive" | "discard",
  ids: readonly string[],
  options: MoveOptions,
  context: CliContext,
): Promise<void> {
  const refusal = refusalOf(verb, ids, options);
  if (refusal !== undefined) {
    context.err(`lastgood: ${refusal}\n`);
    context.setExitCode(EXIT_CODES.failed);
    return;
  }
  const body = options.all === true ? { all: true } : { ids };
  const answer = await tellAgent(`/v1/dead-letters/${verb}`, body, options, context);
  printAnswer(answer, { options, context, render: (moved) => renderMoved(moved as MovedAnswer) });
  if (answer.kind === "failed") return;
  const { missing, unreadable = [] } = answer.body as MovedAnswer;
  if (missing.length + unreadable.length > 0) context.setExitCode(EXIT_CODES.failed);
}

function refusalOf(
  verb: string,
  ids: readonly string[],
  { all = false, yes = false }: MoveOptions,
): string | undefined {
  if (all === ids.length > 0) return `name the letters to ${verb}, or say --all`;
  if (verb === "discard" && !yes) return "what is discarded is gone: say --yes as well if you mean it";
  return undefined;
}

export function renderDeadLetters({ kept, dropped, dead_letters, next }: DeadLettersAnswer): string {
  const lost =
    dropped === 0 ? [] : [`${counted(dropped)} gave way to newer ones and cannot be brought back.`];
  if (dead_letters.length === 0) return ["No dead letters.", ...lost].join("\n");
  const rows = dead_letters.map(({ id, at, kind, reason, payload_bytes }) => [
    id,
    at.slice(0, 19).replace("T", " "),
    kind,
    formatCount(payload_bytes),
    plain(reason),
  ]);
  const more = next === null ? [] : [`More: lastgood dead-letters --after ${next}`];
  return [
    ...alignColumns([["letter", "put aside (UTC)", "what", "bytes", "reason"], ...rows]),
    "",
    `${counted(kept)} in all.`,
    ...lost,
    ...more,
  ].join("\n");
}

function renderMoved({ redriven, discarded, missing, unreadable = [] }: MovedAnswer): string {
  const done =
    redriven === undefined ? `Discarded ${counted(discarded ?? 0)}.` : `Put back ${counted(redriven)}.`;
  return [
    done,
    ...missing.map((id) => `${plain(id)} is not there (any more).`),
    ...unreadable.map((id) => `${id} cannot be put back: its payload is not what folding writes.`),
  ].join("\n");
}

function counted(letters: number): string {
  return `${formatCount(letters)} dead ${letters === 1 ? "letter" : "letters"}`;
}
