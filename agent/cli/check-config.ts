// `lastgood check-config`: says whether a configuration file is right, and where it is not. Exit code 0 or 2.
import type { Command } from "commander";
import { formatProblems } from "../../runtime/config-file.ts";
import { findConfig, loadSettings, settingsHints } from "../config/load.ts";
import type { Settings } from "../config/schema.ts";
import { EXIT_CODES } from "./cli-context.ts";
import type { CliContext } from "./cli-context.ts";

export function registerCheckConfig(program: Command, context: CliContext): void {
  program
    .command("check-config")
    .description("check a configuration file and name every mistake with line and column")
    .argument("[file]", "the file; default: the one that start would take")
    .option("-c, --config <file>", "the same as the argument")
    .option("--json", "print {file, ok, problems, hints} as JSON")
    .addHelpText(
      "after",
      [
        "",
        "Exit code: 0 = right, 2 = it has mistakes.",
        "",
        "Examples:",
        "  $ lastgood check-config lastgood.yaml",
        "  $ lastgood check-config --json lastgood.yaml | jq '.problems[].message'",
      ].join("\n"),
    )
    .action((file: string | undefined, options: { config?: string; json?: boolean }) => {
      checkConfig({ given: file ?? options.config, asJson: options.json === true }, context);
    });
}

export function checkConfig(
  options: { readonly given: string | undefined; readonly asJson: boolean },
  context: CliContext,
): void {
  const { file } = findConfig({ ...options, ...context });
  const result = loadSettings({ file, env: context.env, look: "with_files" });
  const problems = result.kind === "invalid" ? result.problems : [];
  const hints = result.kind === "loaded" ? settingsHints(result.config) : [];
  if (options.asJson)
    context.out(`${JSON.stringify({ file, ok: problems.length === 0, problems, hints }, undefined, 2)}\n`);
  else if (result.kind === "loaded") {
    context.out(`${file} is right: ${contentsOf(result.config)}\n`);
    for (const hint of hints) context.err(`hint: ${hint}\n`);
  } else context.err(`${formatProblems(problems)}\n${countOf(problems.length)}\n`);
  context.setExitCode(problems.length === 0 ? EXIT_CODES.ok : EXIT_CODES.configuration);
}

export function countOf(problems: number): string {
  return problems === 1 ? "1 mistake" : `${problems} mistakes`;
}

function contentsOf({ apps, policies }: Settings): string {
  const channels = [...apps.values()].reduce((sum, app) => sum + app.channels.size, 0);
  return [
    counted(apps.size, "app", "apps"),
    counted(channels, "channel", "channels"),
    counted(policies.size, "policy", "policies"),
  ].join(", ");
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
