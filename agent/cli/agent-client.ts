// How commands ask a running agent: its JSON API. The address is --agent, LASTGOOD_AGENT_URL, or
// what the configuration file says; the token is LASTGOOD_TOKEN. Every failure says what to do.
import type { Command } from "commander";
import { formatProblems } from "../../runtime/config-file.ts";
import { hostAndPort, reachedLocally } from "../../runtime/units.ts";
import { AGENT_HEADER } from "../admin/agent-header.ts";
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

/** A header can carry nothing else, and a token that was copied with a line break must not be printed. */
const TOKEN_CHARACTERS = /^[\x21-\x7e]+$/;

export async function askAgent(
  path: string,
  options: AgentOptions,
  context: CliContext,
): Promise<AgentAnswer> {
  return call(path, { signal: AbortSignal.timeout(CALL_MS_MAX) }, options, context);
}

/** The same for what changes something: a POST with a body, or a DELETE. */
export async function tellAgent(
  path: string,
  body: object | "DELETE",
  options: AgentOptions,
  context: CliContext,
  timeoutMs = ACTION_MS_MAX,
): Promise<AgentAnswer> {
  const signal = AbortSignal.timeout(timeoutMs);
  const request: RequestInit =
    body === "DELETE"
      ? { method: "DELETE", signal }
      : {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body),
          signal,
        };
  return call(path, request, options, context);
}

async function call(
  path: string,
  request: RequestInit,
  options: AgentOptions,
  context: CliContext,
): Promise<AgentAnswer> {
  const url = findAgentUrl(options, context);
  if (url.kind === "failed") return url;
  const token = context.env["LASTGOOD_TOKEN"];
  if (token !== undefined && !TOKEN_CHARACTERS.test(token)) {
    return failed("LASTGOOD_TOKEN holds characters that no token has (a line break?): set it anew");
  }
  try {
    const response = await fetch(`${url.url}${path}`, {
      ...request,
      headers: {
        ...(request.headers as Record<string, string> | undefined),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    });
    return readAnswer(response, url.url);
  } catch (error) {
    const cause =
      error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    const remedy = remedyOf(error) ?? "is it running? name it with --agent URL";
    return failed(`the agent at ${url.url} does not answer (${cause}): ${remedy}`);
  }
}

const OTHER_NAME = "ERR_TLS_CERT_ALTNAME_INVALID";
/** What Node says of a certificate whose authority it does not know. */
const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Of what TLS refused; undefined for anything else. */
function remedyOf(error: unknown): string | undefined {
  const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code ?? "";
  if (code === OTHER_NAME) return "name it with --agent by the name that its certificate is for";
  if (!UNKNOWN_AUTHORITY.has(code)) return undefined;
  return "set NODE_EXTRA_CA_CERTS to the PEM file of the authority that signed its certificate";
}

function failed(message: string): Extract<AgentAnswer, { kind: "failed" }> {
  return { kind: "failed", message };
}

async function readAnswer(response: Response, url: string): Promise<AgentAnswer> {
  const body: unknown = await response.json().catch(() => undefined);
  if (response.ok && body !== undefined && response.headers.has(AGENT_HEADER))
    return { kind: "answer", body };
  if (!isProblem(body))
    return failed(`what answers at ${url} is not Lastgood's agent: name it with --agent URL`);
  const remedy = response.status === 401 ? " Set LASTGOOD_TOKEN to an operator's token." : "";
  return failed(`${body.title}: ${body.detail}${remedy}`);
}

function isProblem(body: unknown): body is { title: string; detail: string } {
  return typeof body === "object" && body !== null && "code" in body && "title" in body && "detail" in body;
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

function findAgentUrl(
  options: AgentOptions,
  context: CliContext,
): { kind: "found"; url: string } | { kind: "failed"; message: string } {
  const named = options.agent ?? context.env["LASTGOOD_AGENT_URL"];
  if (named !== undefined && named !== "") return { kind: "found", url: named.replace(/\/+$/, "") };
  const { file } = findConfig({ given: options.config, env: context.env, workingDir: context.workingDir });
  const loaded = loadSettings({ file, env: context.env });
  if (loaded.kind === "invalid")
    return failed(`the configuration does not say where the agent is:\n${formatProblems(loaded.problems)}`);
  const { listen, tls } = loaded.config.agent;
  const scheme = tls === undefined ? "http" : "https";
  return { kind: "found", url: `${scheme}://${hostAndPort(reachedLocally(listen))}` };
}
