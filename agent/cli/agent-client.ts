// How commands ask a running agent: its JSON API. The address is --agent, LASTGOOD_AGENT_URL, or
// what the configuration file says; the token is LASTGOOD_TOKEN. Every failure says what to do.
import type { Command } from "commander";
import { findConfig, loadSettings } from "../config/load.ts";
import { EXIT_CODES } from "./cli-context.ts";
import type { CliContext } from "./cli-context.ts";

const CALL_MS_MAX = 10_000;
/** For what changes something, which may be much. */
const ACTION_MS_MAX = 120_000;

export interface AgentOptions {
  readonly agent?: string;
  readonly config?: string;
  readonly json?: boolean;
}

export function addAgentOptions(command: Command): Command {
  return command
    .option(
      "-a, --agent <url>",
      "where the agent listens; default: LASTGOOD_AGENT_URL, else the configuration's",
    )
    .option("-c, --config <file>", "the configuration file that names the agent's address")
    .option("--json", "print the agent's answer as JSON");
}

export type AgentAnswer =
  | { readonly kind: "answer"; readonly body: unknown }
  | { readonly kind: "failed"; readonly message: string };

export async function askAgent(
  path: string,
  options: AgentOptions,
  context: CliContext,
): Promise<AgentAnswer> {
  return call(path, { signal: AbortSignal.timeout(CALL_MS_MAX) }, options, context);
}

/** The same for what changes something. */
export async function tellAgent(
  path: string,
  body: object,
  options: AgentOptions,
  context: CliContext,
): Promise<AgentAnswer> {
  const request = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ACTION_MS_MAX),
  };
  return call(path, request, options, context);
}

async function call(
  path: string,
  request: RequestInit,
  options: AgentOptions,
  context: CliContext,
): Promise<AgentAnswer> {
  const url = agentUrl(options, context);
  const token = context.env["LASTGOOD_TOKEN"];
  try {
    const response = await fetch(`${url}${path}`, {
      ...request,
      headers: {
        ...(request.headers as Record<string, string> | undefined),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    });
    const body: unknown = await response.json();
    if (response.ok) return { kind: "answer", body };
    const { title, detail } = body as { title?: string; detail?: string };
    const remedy = response.status === 401 ? " Set LASTGOOD_TOKEN to an operator's token." : "";
    return { kind: "failed", message: `${title ?? `status ${response.status}`}: ${detail ?? ""}${remedy}` };
  } catch (error) {
    const cause =
      error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    return {
      kind: "failed",
      message: `the agent at ${url} does not answer (${cause}): is it running? name it with --agent URL`,
    };
  }
}

/** Prints an answer: as JSON when asked, else as `render` says; failures go to stderr with exit code 1. */
export function printAnswer(
  answer: AgentAnswer,
  {
    options,
    context,
    render,
  }: { options: AgentOptions; context: CliContext; render: (body: unknown) => string },
): void {
  if (answer.kind === "failed") {
    context.err(`lastgood: ${answer.message}\n`);
    context.setExitCode(EXIT_CODES.failed);
    return;
  }
  const text = options.json === true ? JSON.stringify(answer.body, undefined, 2) : render(answer.body);
  context.out(`${text}\n`);
}

function agentUrl(options: AgentOptions, context: CliContext): string {
  const named = options.agent ?? context.env["LASTGOOD_AGENT_URL"];
  if (named !== undefined && named !== "") return named.replace(/\/+$/, "");
  const { file } = findConfig({ given: options.config, env: context.env, workingDir: context.workingDir });
  const loaded = loadSettings({ file, env: context.env });
  const listen = loaded.kind === "loaded" ? loaded.config.agent.listen : { host: "127.0.0.1", port: 8082 };
  return `http://${listen.host === "0.0.0.0" ? "127.0.0.1" : listen.host}:${listen.port}`;
}
