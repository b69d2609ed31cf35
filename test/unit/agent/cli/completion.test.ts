// Completion scripts: made from the commands, and taken by a real bash.
import { execFileSync } from "node:child_process";
import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { completionsOf, renderCompletion } from "../../../../agent/cli/completion.ts";

function program(): Command {
  const root = new Command("lastgood");
  root.command("status").description("show it's all").option("--json", "as JSON");
  const letters = root.command("dead-letters").description("list").option("--limit <n>", "at most");
  letters.command("redrive").description("put back").option("--all", "all of them");
  return root;
}

/** What bash offers after these words. */
function completed(...words: readonly string[]): string[] {
  const script = renderCompletion("bash", completionsOf(program()));
  const line = `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}; _lastgood; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["-c", line], { encoding: "utf8" })
    .split("\n")
    .filter((word) => word !== "");
}

describe("bash", () => {
  it.each([
    [
      ["lastgood", ""],
      ["status", "dead-letters", "--help"],
    ],
    [["lastgood", "st"], ["status"]],
    [
      ["lastgood", "status", "--"],
      ["--json", "--help"],
    ],
    [
      ["lastgood", "dead-letters", ""],
      ["redrive", "--limit", "--help"],
    ],
    [["lastgood", "dead-letters", "redrive", "--a"], ["--all"]],
    [["lastgood", "status", "--json", "--h"], ["--help"]],
  ])("after %j", (words, offered) => {
    expect(completed(...words)).toEqual(offered);
  });
});

it("zsh takes the same script; fish names each command and option with what it does", () => {
  expect(renderCompletion("zsh", completionsOf(program()))).toMatch(/^#compdef lastgood\n/);
  const fish = renderCompletion("fish", completionsOf(program()));
  expect(fish).toContain("-a status -d 'show it\\'s all'");
  expect(fish).toContain(
    "-n '__fish_seen_subcommand_from dead-letters; and __fish_seen_subcommand_from redrive' -l all",
  );
});
