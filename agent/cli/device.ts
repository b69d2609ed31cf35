// `lastgood device <app> <device>`: what is known of one device.
import type { Command } from "commander";
import { addAgentOptions, askAgent, printAnswer } from "./agent-client.ts";
import type { AgentOptions } from "./agent-client.ts";
import type { CliContext } from "./cli-context.ts";
import { formatTime, plain, wrapWords } from "./plain-text.ts";

export interface DeviceAnswer {
  readonly app: string;
  readonly device: string;
  readonly last_seen: string;
  readonly running: { readonly channel: string; readonly version: string } | null;
  readonly releases: readonly {
    readonly channel: string;
    readonly version: string;
    readonly outcomes: readonly string[];
  }[];
}

export function registerDevice(program: Command, context: CliContext): void {
  addAgentOptions(program.command("device"))
    .description("show what is known of one device: last seen, what it runs, how it stands with each release")
    .argument("<app>", "the app, as configured")
    .argument("<device>", "the device's id, as it reports it")
    .addHelpText(
      "after",
      [
        "",
        "Exit code: 0 = shown, 1 = not: nothing is known of it, or the agent does not answer.",
        "",
        "Examples:",
        "  $ lastgood device com.acme.till till-0002",
        "  $ lastgood device com.acme.till till-0002 --json | jq '.running.version'",
      ].join("\n"),
    )
    .action(async (app: string, device: string, options: AgentOptions) => {
      const name = [app, device].map(encodeURIComponent).join("/");
      printAnswer(await askAgent(`/v1/devices/${name}`, options, context), {
        options,
        context,
        render: (body) => renderDevice(body as DeviceAnswer),
      });
    });
}

const INDENT = "    ";

export function renderDevice({ app, device, last_seen, running, releases }: DeviceAnswer): string {
  const runs = running === null ? "not known" : `${running.version} on ${running.channel}`;
  return [
    `${app} / ${plain(device)}`,
    `  last seen  ${formatTime(last_seen)} (UTC, by the device's clock)`,
    `  runs       ${runs}`,
    ...releases.flatMap(({ channel, version, outcomes }) => [
      "",
      `  ${version} on ${channel}`,
      ...wrapWords(outcomes, INDENT.length).map((line) => `${INDENT}${line}`),
    ]),
  ].join("\n");
}
