// `lastgood health <app> <channel> <version>`: all that is counted of one release.
import type { Command } from "commander";
import { addAgentOptions, askAgent, printAnswer } from "./agent-client.ts";
import type { AgentOptions } from "./agent-client.ts";
import type { CliContext } from "./cli-context.ts";
import { renderHealth } from "./health-page.ts";
import type { HealthAnswer } from "./health-page.ts";

interface HealthOptions extends AgentOptions {
  readonly hours: string;
}

export function registerHealth(program: Command, context: CliContext): void {
  addAgentOptions(program.command("health"))
    .description("show the counts of one release: failures by reason, kinds of device, silence, crashes")
    .argument("<app>", "the app, as configured")
    .argument("<channel>", "the channel")
    .argument("<version>", "the version, as devices report it")
    .option("--hours <number>", "how far back the windows go, at most 2160", "24")
    .addHelpText(
      "after",
      [
        "",
        "Exit code: 0 = shown, 1 = not: no device has reported about it, or the agent does not answer.",
        "",
        "Examples:",
        "  $ lastgood health com.acme.till production 1.4.3",
        "  $ lastgood health com.acme.till production 1.4.3 --hours 168",
        "  $ lastgood health com.acme.till production 1.4.3 --json | jq '.reasons'",
      ].join("\n"),
    )
    .action(async (app: string, channel: string, version: string, options: HealthOptions) => {
      const name = [app, channel, version].map(encodeURIComponent).join("/");
      const query = `windows=summed&hours=${encodeURIComponent(options.hours)}`;
      printAnswer(await askAgent(`/v1/releases/${name}?${query}`, options, context), {
        options,
        context,
        render: (body) => renderHealth(body as HealthAnswer),
      });
    });
}
