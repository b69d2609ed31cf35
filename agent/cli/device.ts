// `lastgood device [app] <device>`: one device's story, in one app or in all that are configured.
import type { Command } from "commander";
import { addAgentOptions, askAgent, printAnswer } from "./agent-client.ts";
import type { AgentOptions } from "./agent-client.ts";
import { EXIT_CODES } from "./cli-context.ts";
import type { CliContext } from "./cli-context.ts";
import { alignColumns } from "./columns.ts";
import { LINE_CHARS_MAX, formatTime, plain, wrapText, wrapWords } from "./plain-text.ts";

export interface DeviceAnswer {
  readonly app: string;
  readonly device: string;
  readonly last_seen: string;
  readonly running: { readonly channel: string; readonly version: string } | null;
  readonly releases: readonly {
    readonly channel: string;
    readonly version: string;
    readonly outcomes: readonly string[];
    readonly rolled_back: boolean;
  }[];
  readonly story: readonly {
    readonly at: string;
    readonly within: "second" | "minute" | "hour";
    readonly text: string;
  }[];
}

export interface DeviceInAppsAnswer {
  readonly device: string;
  readonly apps: readonly DeviceAnswer[];
}

interface DeviceOptions extends AgentOptions {
  readonly digest?: boolean;
}

const HELP = [
  "",
  "Exit code: 0 = shown, 1 = not: nothing is known of it, or the agent does not answer.",
  "",
  "Examples:",
  "  $ lastgood device till-0002                  in whichever app knows it",
  "  $ lastgood device com.acme.till till-0002",
  "  $ lastgood device --digest 9f86d081884c7d65  as `lastgood scope --ids silent` names it",
  "  $ lastgood device com.acme.till till-0002 --json | jq '.running.version'",
].join("\n");

export function registerDevice(program: Command, context: CliContext): void {
  addAgentOptions(program.command("device"))
    .description("tell one device's story: what it tried, how that went, what it runs, what was rolled back")
    .argument("<app-or-device>", "the app, as configured; or the device alone, to look through all apps")
    .argument("[device]", "the device's id, as it reports it")
    .option("--digest", "the device is named by its digest, which says the app as well")
    .addHelpText("after", HELP)
    .action(async (first: string, second: string | undefined, options: DeviceOptions) => {
      if (options.digest === true && second !== undefined) {
        context.err("lastgood: a digest says the app as well: lastgood device --digest DIGEST\n");
        context.setExitCode(EXIT_CODES.failed);
        return;
      }
      const name = second === undefined ? [first] : [first, second];
      const path = `/v1/devices/${name.map(encodeURIComponent).join("/")}`;
      const query = options.digest === true ? "?named_by=digest" : "";
      printAnswer(await askAgent(`${path}${query}`, options, context), {
        options,
        context,
        render: (body) =>
          second === undefined
            ? (body as DeviceInAppsAnswer).apps.map(renderDevice).join("\n\n")
            : renderDevice(body as DeviceAnswer),
      });
    });
}

const INDENT = "    ";

export function renderDevice({ app, device, last_seen, running, releases, story }: DeviceAnswer): string {
  const runs = running === null ? "not known" : `${running.version} on ${running.channel}`;
  const isRolledBack = releases.some(
    (each) => each.rolled_back && each.version === running?.version && each.channel === running.channel,
  );
  return [
    `${app} / ${plain(device)}`,
    `  last seen  ${formatTime(last_seen)} (UTC, by the device's clock)`,
    `  runs       ${runs}${isRolledBack ? ", which was rolled back" : ""}`,
    "",
    ...renderStory(story),
    ...releases.flatMap(({ channel, version, outcomes, rolled_back }) => [
      "",
      `  ${version} on ${channel}${rolled_back ? ", rolled back" : ""}`,
      ...wrapWords(outcomes, INDENT.length).map((line) => `${INDENT}${line}`),
    ]),
  ].join("\n");
}

/** Times as exact as they are known. */
function renderStory(story: DeviceAnswer["story"]): string[] {
  const times = story.map(({ at, within }) => {
    const time = formatTime(at);
    return within === "second" ? time : within === "minute" ? time.slice(0, 16) : `${time.slice(0, 13)}h`;
  });
  const timeChars = Math.max(0, ...alignColumns(times.map((time) => [time])).map(({ length }) => length));
  const indent = 2 + timeChars + 2;
  return story.flatMap(({ text }, index) => {
    const [first = "", ...rest] = wrapText(plain(text), LINE_CHARS_MAX - indent);
    return [
      `  ${times[index]!.padEnd(timeChars)}  ${first}`,
      ...rest.map((line) => " ".repeat(indent) + line),
    ];
  });
}
