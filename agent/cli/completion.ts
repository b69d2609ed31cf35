// `lastgood completion bash|zsh|fish`: a script that completes commands and options, made from the commands themselves, so
// that it is never out of date. Enters: a shell. Leaves: the script, on stdout.
import { Argument } from "commander";
import type { Command } from "commander";
import type { CliContext } from "./cli-context.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** What may follow some words: `dead-letters redrive` -> its options. */
export interface Completion {
  /** Words after `lastgood`, joined by a space; empty = the first word. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly { readonly name: string; readonly description: string }[];
}

export function registerCompletion(program: Command, context: CliContext): void {
  program
    .command("completion")
    .description("print a script for your shell that completes commands and options")
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .addHelpText(
      "after",
      [
        "",
        "Examples:",
        "  $ lastgood completion bash > ~/.local/share/bash-completion/completions/lastgood",
        '  $ lastgood completion zsh > "${fpath[1]}/_lastgood"',
        "  $ lastgood completion fish > ~/.config/fish/completions/lastgood.fish",
      ].join("\n"),
    )
    .action((shell: Shell) => context.out(renderCompletion(shell, completionsOf(program))));
}

export function completionsOf(command: Command, path = ""): Completion[] {
  const commands = command.commands.filter((each) => each.name() !== "help");
  const own: Completion = {
    path,
    commands: commands.map((each) => ({ name: each.name(), description: each.description() })),
    options: [
      ...command.options.flatMap(({ long, description }) =>
        typeof long === "string" ? [{ name: long, description }] : [],
      ),
      { name: "--help", description: "print help" },
    ],
  };
  const inside = commands.flatMap((each) =>
    completionsOf(each, path === "" ? each.name() : `${path} ${each.name()}`),
  );
  return [own, ...inside];
}

export function renderCompletion(shell: Shell, completions: readonly Completion[]): string {
  switch (shell) {
    case "bash":
      return renderBash(completions);
    case "zsh":
      return `#compdef lastgood\nautoload -U +X bashcompinit && bashcompinit\n${renderBash(completions)}`;
    case "fish":
      return renderFish(completions);
  }
}

function renderBash(completions: readonly Completion[]): string {
  const cases = completions.map(({ path, commands, options }) => {
    const words = [...commands, ...options].map(({ name }) => name).join(" ");
    return `    ${path === "" ? "''" : `'${path}'`}) words='${words}' ;;`;
  });
  const paths = completions.map(({ path }) => `'${path}'`).join(" ");
  return `# Made by: lastgood completion
_lastgood() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path='' next words='' known
  local -a paths=(${paths})
  local index
  for ((index = 1; index < COMP_CWORD; index += 1)); do
    next="\${path:+$path }\${COMP_WORDS[index]}"
    for known in "\${paths[@]}"; do
      if [ "$known" = "$next" ]; then path="$next"; break; fi
    done
  done
  case "$path" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _lastgood lastgood
`;
}

function renderFish(completions: readonly Completion[]): string {
  const lines = completions.flatMap(({ path, commands, options }) => {
    const words = path.split(" ").filter((word) => word !== "");
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and ");
    const inside = commands.map(({ name }) => name).join(" ");
    const notInside =
      inside === "" ? "" : `${seen === "" ? "" : "; and "}not __fish_seen_subcommand_from ${inside}`;
    const condition = `${seen}${notInside}`;
    const when = condition === "" ? "" : ` -n '${condition}'`;
    return [
      ...commands.map(
        ({ name, description }) => `complete -c lastgood -f${when} -a ${name} -d ${quote(description)}`,
      ),
      ...options.map(
        ({ name, description }) => `complete -c lastgood${when} -l ${name.slice(2)} -d ${quote(description)}`,
      ),
    ];
  });
  return `# Made by: lastgood completion\n${lines.join("\n")}\n`;
}

function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
