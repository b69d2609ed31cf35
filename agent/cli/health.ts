// `lastgood health <app> <channel> <version>`: all that is counted of one release.
import type { Command } from "commander";
import { addAgentOptions, askAgent, printAnswer } from "./agent-client.ts";
import type { AgentOptions } from "./agent-client.ts";
import type { CliContext } from "./cli-context.ts";
import { renderHealth } from "./health-page.ts";
import type { HealthAnswer } from "./health-page.ts";

export function registerHealth(program: Command, context: CliContext): void {
  addAgentOptions(program.command("health"))
    .description("show the counts of one release: failures by reason, kinds of device, silence, crashes")
    .argument("<app>", "the app, as configured")
    .argument("<channel>", "the channel")
    .argument("<version>", "the version, as devices report it")
    .addHelpText(
      "after",
      [
        "",
        "Exit code: 0 = shown, 1 = not: no device has reported about it, or the agent does not answer.",
        "",
        "Examples:",
        "  $ lastgood health com.acme.till production 1.4.3",
        "  $ lastgood health com.acme.till production 1.4.3 --json | jq '.reasons'",
      ].join("\n"),
    )
    .action(async (app: string, channel: string, version: string, options: AgentOptions) => {
      const name = [app, channel, version].map(encodeURIComponent).join("/");
      // Windows of each kind of device would be megabytes of a large fleet, and the page adds them up anyway.
      printAnswer(await askAgent(`/v1/releases/${name}?windows=summed`, options, context), {
        options,
        context,
        render: (body) => renderHealth(body as HealthAnswer),
      });
    });
}
