// `lastgood token`: makes a token for an operator. Prints it once, and the line of the configuration that lets it in and
// holds no secret. Nothing is stored, nobody is asked.
import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { Option } from "commander";
import { OPERATOR_NAME_CHARS_MAX, ROLES, digestOfToken } from "../config/operators.ts";
import type { Role } from "../config/operators.ts";
import { EXIT_CODES } from "./cli-context.ts";
import type { CliContext } from "./cli-context.ts";

/** Nobody guesses them, and a digest of them gives nothing away. */
const TOKEN_BYTES = 32;
/** So that a token is known for what it is where somebody finds it. */
export const TOKEN_PREFIX = "lgo_";
const DAY_MS = 24 * 3_600_000;
export const TOKEN_DAYS_MAX = 3_650;

export interface TokenOptions {
  readonly role: Role;
  readonly days?: string;
  readonly json?: boolean;
}

export function registerToken(program: Command, context: CliContext): void {
  program
    .command("token")
    .description("make a new token for an operator, and the line of the configuration that lets it in")
    .argument("[name]", "the operator's name", "NAME")
    .addOption(new Option("-r, --role <role>", "what it may do").choices(ROLES).default("operator"))
    .option("-d, --days <number>", "days after which it is refused; never without it")
    .option("--json", "print {token, token_sha256, operator} as JSON")
    .addHelpText(
      "after",
      [
        "",
        "The token is shown once and kept nowhere: give it to its operator, as LASTGOOD_TOKEN or for the page.",
        "The line goes under agent.operators; a running agent takes it over by itself.",
        "",
        "Examples:",
        "  $ lastgood token ana --role admin",
        "  $ lastgood token ci --role viewer --days 90",
      ].join("\n"),
    )
    .action((name: string, options: TokenOptions) => {
      const token = TOKEN_PREFIX + randomBytes(TOKEN_BYTES).toString("base64url");
      printToken({ name, token, options, nowMs: Date.now() }, context);
    });
}

export function printToken(
  {
    name,
    token,
    options,
    nowMs,
  }: {
    readonly name: string;
    readonly token: string;
    readonly options: TokenOptions;
    readonly nowMs: number;
  },
  context: CliContext,
): void {
  const days = options.days === undefined ? undefined : Number(options.days);
  if (days !== undefined && !(Number.isInteger(days) && days >= 1 && days <= TOKEN_DAYS_MAX))
    return refuse(`--days must be a whole number from 1 to ${TOKEN_DAYS_MAX}`, context);
  if (name.length > OPERATOR_NAME_CHARS_MAX || name === "")
    return refuse(`the name must have 1 to ${OPERATOR_NAME_CHARS_MAX} characters`, context);
  const token_sha256 = digestOfToken(token);
  const expires = days === undefined ? undefined : new Date(nowMs + days * DAY_MS).toISOString().slice(0, 10);
  const operator = {
    name,
    role: options.role,
    token_sha256,
    ...(expires === undefined ? {} : { expires }),
  };
  if (options.json === true) {
    context.out(`${JSON.stringify({ token, token_sha256, operator }, undefined, 2)}\n`);
    return;
  }
  // JSON is YAML: whatever stands there is text, also 64 digits that look like a number.
  const line = Object.entries(operator)
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
    .join(", ");
  context.out(
    [
      `token         ${token}`,
      `token_sha256  ${token_sha256}`,
      "",
      "Give the token to its operator; it is shown only here. Under agent.operators of the configuration:",
      `  - { ${line} }`,
      "",
    ].join("\n"),
  );
}

function refuse(message: string, context: CliContext): void {
  context.err(`lastgood: ${message}\n`);
  context.setExitCode(EXIT_CODES.failed);
}
