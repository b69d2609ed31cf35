// `lastgood scope <app> <version>`: how far an incident reaches: how many devices tried the version, run it, failed,
// crashed, went silent and came back; and which they are.
import { Option } from "commander";
import type { Command } from "commander";
import { EXAMPLE_OUTCOMES } from "../health/examples.ts";
import type { ExampleOutcome } from "../health/examples.ts";
import { addAgentOptions, askAgent, printAnswer } from "./agent-client.ts";
import type { AgentOptions } from "./agent-client.ts";
import { EXIT_CODES } from "./cli-context.ts";
import type { CliContext } from "./cli-context.ts";
import { formatCount, plain } from "./plain-text.ts";
import { renderScope } from "./scope-page.ts";
import type { ScopeAnswer } from "./scope-page.ts";

interface ScopeOptions extends AgentOptions {
  readonly channel?: string;
  readonly hours?: string;
  readonly ids?: ExampleOutcome;
}

const HELP = [
  "",
  "Ids of devices are for the roles operator and admin. A device that is silent is named by its digest, for it said",
  "nothing that its id could be taken from: `lastgood device --digest DIGEST` shows it.",
  "",
  "Exit code: 0 = shown, 1 = not: no device has reported about it, the agent does not answer, or your role may",
  "not see ids.",
  "",
  "Examples:",
  "  $ lastgood scope com.acme.till 1.4.3",
  "  $ lastgood scope com.acme.till 1.4.3 --channel production --hours 48",
  "  $ lastgood scope com.acme.till 1.4.3 --ids failed > failed.txt",
  "  $ lastgood scope com.acme.till 1.4.3 --ids silent | xargs -n 1 lastgood device --digest",
  "  $ lastgood scope com.acme.till 1.4.3 --json | jq '.devices.running'",
].join("\n");

export function registerScope(program: Command, context: CliContext): void {
  addAgentOptions(program.command("scope"))
    .description(
      "show how far an incident reaches: who tried a version, runs it, failed, fell silent, came back",
    )
    .argument("<app>", "the app, as configured")
    .argument("<version>", "the version, as devices report it")
    .option("--channel <name>", "on this channel only; else on all, and summed")
    .option("--hours <number>", "how far back the counts over time go, at most 2160 (default: 168)")
    .addOption(
      new Option("--ids <outcome>", "print devices of this outcome, one a line, and nothing else").choices(
        EXAMPLE_OUTCOMES,
      ),
    )
    .addHelpText("after", HELP)
    .action(async (app: string, version: string, options: ScopeOptions) => {
      const name = [app, version].map(encodeURIComponent).join("/");
      const answer = await askAgent(`/v1/scope/${name}${queryOf(options)}`, options, context);
      if (options.ids !== undefined && answer.kind === "answer") {
        printIds(answer.body as ScopeAnswer, options.ids, context);
        return;
      }
      printAnswer(answer, { options, context, render: (body) => renderScope(body as ScopeAnswer) });
    });
}

function queryOf({ channel, hours }: ScopeOptions): string {
  const query = new URLSearchParams();
  if (channel !== undefined) query.set("channel", channel);
  if (hours !== undefined) query.set("hours", hours);
  return query.size === 0 ? "" : `?${query.toString()}`;
}

/** What is no device goes to stderr: the rest is for a pipe. */
function printIds({ examples }: ScopeAnswer, outcome: ExampleOutcome, context: CliContext): void {
  if (examples === null) {
    context.err(
      "lastgood: your role may not see ids of devices: set LASTGOOD_TOKEN to the token of an operator or admin\n",
    );
    context.setExitCode(EXIT_CODES.failed);
    return;
  }
  const { devices, of } = examples[outcome];
  // A terminal would take them for commands, and a line break in an id for two ids.
  const printable = devices.filter((device) => device === plain(device));
  for (const device of printable) context.out(`${device}\n`);
  if (printable.length < devices.length)
    context.err(
      `lastgood: ${formatCount(devices.length - printable.length)} ids hold control characters; --json shows them\n`,
    );
  if (devices.length < of)
    context.err(
      `lastgood: these are ${formatCount(devices.length)} of ${formatCount(of)} devices, those that came first\n`,
    );
}
