// `lastgood journal`: lists the journal, newest last; `--follow` goes on. `journal verify` walks the whole chain of hashes,
// here and not in the agent, and can write it to a file or verify such a file. Exit code 0 = intact, 1 = not, or it failed.
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import path from "node:path";
import type { Command } from "commander";
import { sleep } from "../../runtime/clock.ts";
import { walkChain } from "../journal/chain-walk.ts";
import type { ChainHead, ChainState, ChainWalk } from "../journal/chain-walk.ts";
import { JOURNAL_PAGE_MAX } from "../journal/journal.ts";
import { addAgentOptions, askAgent } from "./agent-client.ts";
import type { AgentAnswer, AgentOptions } from "./agent-client.ts";
import { EXIT_CODES } from "./cli-context.ts";
import type { CliContext } from "./cli-context.ts";
import { entryLine } from "./journal-line.ts";
import type { EntryAnswer } from "./journal-line.ts";
import { formatCount, plain } from "./plain-text.ts";

/** How often a journal that is followed is asked for, in milliseconds. */
const FOLLOW_MS = 1_000;
const LIMIT_DEFAULT = 50;
/** Entries after which it is told how far it is. */
const PROGRESS_ENTRIES = 20_000;

export function registerJournal(program: Command, context: CliContext): void {
  program.enablePositionalOptions();
  const command = addAgentOptions(program.command("journal"))
    .description("list what Lastgood saw, decided and did, newest last; verify that nobody changed it")
    .option("-n, --limit <number>", `entries at most, 1 to ${JOURNAL_PAGE_MAX}`, String(LIMIT_DEFAULT))
    .option("--after <seq>", "entries after this one, instead of the newest")
    .option("-f, --follow", "go on, and print what is added")
    .addHelpText("after", LIST_HELP)
    .action((options: ListOptions) => list(options, context));
  addAgentOptions(command.command("verify"))
    .description("check the chain of hashes from the first entry to the last")
    .option("--export <file>", "also write all entries to a file, one JSON object a line")
    .option("--file <file>", "verify such a file instead of a running agent's journal")
    .addHelpText("after", VERIFY_HELP)
    .action((options: VerifyOptions) => verify(options, context));
}

const LIST_HELP = [
  "",
  "Examples:",
  "  $ lastgood journal",
  "  $ lastgood journal --follow",
  "  $ lastgood journal --after 1200 --limit 1000 --json | jq 'select(.kind == \"decision\")'",
  "  $ lastgood journal verify",
].join("\n");
const VERIFY_HELP = [
  "",
  "Each entry holds the hash of the one before: a changed, missing or moved one shows, by its number.",
  "Write the head down elsewhere: whoever writes all of a journal anew can't write that anew.",
  "",
  "Exit code: 0 = intact, 1 = broken, or it could not be read.",
  "",
  "Examples:",
  "  $ lastgood journal verify",
  "  $ lastgood journal verify --export journal.ndjson",
  "  $ lastgood journal verify --file journal.ndjson",
].join("\n");

interface ListOptions extends AgentOptions {
  readonly limit: string;
  readonly after?: string;
  readonly follow?: boolean;
}

interface PageAnswer {
  readonly entries: readonly EntryAnswer[];
  readonly head: ChainHead;
}

async function list(options: ListOptions, context: CliContext): Promise<void> {
  const limit = Number(options.limit);
  const after = options.after === undefined ? undefined : Number(options.after);
  if (!isWhole(limit, 1, JOURNAL_PAGE_MAX))
    return fail(`--limit must be a whole number from 1 to ${JOURNAL_PAGE_MAX}`, context);
  if (after !== undefined && !isWhole(after, 0, Number.MAX_SAFE_INTEGER))
    return fail("--after must be the number of an entry, or 0", context);
  const print = ({ entries }: PageAnswer): void => {
    const lines = entries.map((entry) => (options.json === true ? JSON.stringify(entry) : entryLine(entry)));
    if (lines.length > 0) context.out(`${lines.join("\n")}\n`);
  };
  let page: PageAnswer | undefined;
  if (after === undefined) {
    // The newest are counted back from the head.
    page = await readPage({ after: 0, limit: 1 }, options, context);
    if (page === undefined) return;
  }
  let seq = after ?? Math.max(0, page!.head.seq - limit);
  do {
    page = await readPage({ after: seq, limit }, options, context);
    if (page === undefined) return;
    print(page);
    seq = page.entries.at(-1)?.seq ?? seq;
    if (options.follow === true && page.entries.length < limit) await sleep(FOLLOW_MS);
  } while (options.follow === true);
  if (options.json !== true && page.head.seq === 0) context.out("The journal is empty.\n");
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

function fail(message: string, context: CliContext): void {
  context.err(`lastgood: ${message}\n`);
  context.setExitCode(EXIT_CODES.failed);
}

interface Range {
  readonly after: number;
  readonly limit: number;
}

function askPage({ after, limit }: Range, options: AgentOptions, context: CliContext): Promise<AgentAnswer> {
  return askAgent(`/v1/journal?after=${after}&limit=${limit}`, options, context);
}

async function readPage(
  range: Range,
  options: AgentOptions,
  context: CliContext,
): Promise<PageAnswer | undefined> {
  const answer = await askPage(range, options, context);
  if (answer.kind === "answer") return answer.body as PageAnswer;
  fail(answer.message, context);
  return undefined;
}

interface VerifyOptions extends AgentOptions {
  readonly export?: string;
  readonly file?: string;
}

async function verify(options: VerifyOptions, context: CliContext): Promise<void> {
  const { export: exported, file } = options;
  if (exported !== undefined && file !== undefined)
    return fail("--file is verified as it is: leave --export out", context);
  try {
    const state =
      file === undefined
        ? await verifyAgent(options, context)
        : await verifyFile(path.resolve(context.workingDir, file), context);
    if (state !== undefined) printState(state, options, context);
  } catch (error) {
    // A file that cannot be written or read.
    fail((error as Error).message, context);
  }
}

/** Undefined when it could not be read, which has been said. */
async function verifyAgent(options: VerifyOptions, context: CliContext): Promise<ChainState | undefined> {
  if (options.export === undefined) return walkPages(options, context, undefined);
  // Sentences name versions and devices' numbers: for nobody else to read.
  const output = await open(path.resolve(context.workingDir, options.export), "w", 0o600);
  try {
    return await walkPages(options, context, output);
  } finally {
    await output.close();
  }
}

async function walkPages(
  options: VerifyOptions,
  context: CliContext,
  output: FileHandle | undefined,
): Promise<ChainState | undefined> {
  const walk = walkChain();
  // As it was before the first entry was read: what is appended since need not be there.
  let head: ChainHead | undefined;
  let oneByOne = 0;
  for (;;) {
    const limit = oneByOne > 0 ? 1 : JOURNAL_PAGE_MAX;
    const after = walk.state.head.seq;
    const answer = await askPage({ after, limit }, options, context);
    if (answer.kind === "failed") {
      if (limit === 1) return cannotRead(after + 1, answer.message, context);
      // One entry may be what cannot be read: then it is found by asking for one at a time.
      oneByOne = JOURNAL_PAGE_MAX;
      continue;
    }
    oneByOne = Math.max(0, oneByOne - 1);
    const page = answer.body as PageAnswer;
    head ??= page.head;
    const { entries } = page;
    if (output !== undefined) await write(output, entries);
    const state = addPage(walk, { entries, head, total: page.head.seq }, context);
    if (state.kind === "broken") return state;
    if (entries.length === 0) return missingEnd(state, head);
  }
}

function cannotRead(seq: number, message: string, context: CliContext): undefined {
  fail(`entry ${seq} cannot be read, those before it are intact: ${message}`, context);
}

async function write(output: FileHandle, entries: readonly unknown[]): Promise<void> {
  await output.write(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
}

interface Page {
  readonly entries: readonly unknown[];
  /** Undefined where nobody kept it. */
  readonly head: ChainHead | undefined;
  /** Entries there are; undefined = not known. */
  readonly total: number | undefined;
}

function addPage(walk: ChainWalk, { entries, head, total }: Page, context: CliContext): ChainState {
  const before = walk.state.head.seq;
  const state = walk.add(entries, head);
  const checked = state.head.seq;
  if (Math.floor(checked / PROGRESS_ENTRIES) > Math.floor(before / PROGRESS_ENTRIES))
    context.err(
      `lastgood: ${formatCount(checked)}${total === undefined ? "" : ` of ${formatCount(total)}`} entries checked …\n`,
    );
  return state;
}

/** Entries cut off at the end break no chain, but the head that is kept beside them tells. */
function missingEnd(state: ChainState, head: ChainHead): ChainState {
  const seq = state.head.seq + 1;
  if (head.seq < seq) return state;
  return {
    ...state,
    kind: "broken",
    seq,
    detail: `entry ${seq} is missing: the last one should be ${head.seq}`,
  };
}

async function verifyFile(file: string, context: CliContext): Promise<ChainState> {
  const walk = walkChain();
  const input = await open(file);
  try {
    for await (const line of input.readLines()) {
      if (line.trim() === "") continue;
      const state = addPage(walk, { entries: [parseLine(line)], head: undefined, total: undefined }, context);
      if (state.kind === "broken") return state;
    }
    return walk.state;
  } finally {
    await input.close();
  }
}

/** What is no JSON is no entry; the walk says where. */
function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function printState(state: ChainState, options: VerifyOptions, context: CliContext): void {
  const { head } = state;
  if (state.kind === "broken") context.setExitCode(EXIT_CODES.failed);
  if (options.json === true) {
    const broken = state.kind === "broken" ? { seq: state.seq, detail: state.detail } : null;
    context.out(
      `${JSON.stringify({ intact: broken === null, entries: head.seq, head, broken }, undefined, 2)}\n`,
    );
    return;
  }
  if (state.kind === "intact")
    context.out(
      `${formatCount(head.seq)} entries checked: the chain is intact.\nhead: ${head.seq} ${head.hash}\n`,
    );
  else
    context.err(
      `lastgood: the journal is broken at entry ${state.seq}: ${plain(state.detail)}.\n` +
        `${formatCount(head.seq)} entries before it are intact; the last of them: ${head.seq} ${head.hash}\n`,
    );
}
