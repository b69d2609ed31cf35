// The commands with which people act: rollback, pause, targets, approve, reject, freeze, unfreeze, absolve. Each tells the
// agent, and prints what came of it; what guards object to is printed as warnings.
import type { Command } from "commander";
import { sleep } from "../../runtime/clock.ts";
import { addAgentOptions, askAgent, printAnswer, tellAgent } from "./agent-client.ts";
import type { AgentAnswer, AgentOptions } from "./agent-client.ts";
import { EXIT_CODES } from "./cli-context.ts";
import type { CliContext } from "./cli-context.ts";
import { alignColumns } from "./columns.ts";
import { formatTime, plain } from "./plain-text.ts";

interface ActAnswer {
  readonly id: string;
  readonly action: string;
  readonly version: string;
  readonly target: string | null;
  readonly outcome: { readonly kind: string; readonly detail: string } | null;
}

interface TargetsAnswer {
  readonly current: string | null;
  readonly targets: readonly {
    readonly version: string;
    readonly released_at: string | null;
    readonly warnings: readonly { readonly reason: string; readonly sentence: string }[];
  }[];
}

interface FreezeAnswer {
  readonly id: string;
  readonly scope: "all" | { readonly app: string; readonly channel: string };
  readonly by: string;
  readonly reason: string;
  readonly since: string;
  readonly until: string | null;
}

interface ReasonOptions extends AgentOptions {
  readonly reason?: string;
}
interface RollbackOptions extends ReasonOptions {
  readonly from?: string;
  readonly override?: boolean;
  readonly dryRun?: boolean;
  /** False with --no-wait. */
  readonly wait?: boolean;
}
interface FreezeOptions extends ReasonOptions {
  readonly all?: boolean;
  readonly for?: string;
  readonly until?: string;
}

/** How long a command waits for the OTA server's answer, and between two looks, in milliseconds. */
const WAIT_MS_MAX = 60_000;
const LOOK_EVERY_MS = 500;

export function registerActs(program: Command, context: CliContext): void {
  registerRollback(program, context);
  registerPause(program, context);
  registerAnswers(program, context);
  registerFreezes(program, context);
  registerAbsolve(program, context);
}

function examples(...lines: readonly string[]): string {
  return ["", "Examples:", ...lines.map((line) => `  $ ${line}`)].join("\n");
}

function channelPath(app: string, channel: string): string {
  return `/v1/channels/${encodeURIComponent(app)}/${encodeURIComponent(channel)}`;
}

function registerRollback(program: Command, context: CliContext): void {
  addAgentOptions(program.command("targets"))
    .description("list what a channel can be rolled back to, and what speaks against each")
    .argument("<app>")
    .argument("<channel>")
    .addHelpText("after", examples("lastgood targets com.acme.till production"))
    .action(async (app: string, channel: string, options: AgentOptions) => {
      const answer = await askAgent(`${channelPath(app, channel)}/targets`, options, context);
      printAnswer(answer, { options, context, render: (body) => renderTargets(body as TargetsAnswer) });
    });
  addAgentOptions(program.command("rollback"))
    .description("put a channel back on an earlier release, now")
    .argument("<app>")
    .argument("<channel>")
    .argument("<version>", "the release to offer from now on (lastgood targets lists them)")
    .requiredOption("--reason <text>", "why: it stands in the journal with your name")
    .option("--from <version>", "act only while the channel offers this version")
    .option("--override", "go on though guards object; admins only")
    .option("--dry-run", "say what speaks against it, and change nothing")
    .option("--no-wait", "do not wait for the OTA server's answer")
    .addHelpText(
      "after",
      [
        examples(
          'lastgood rollback com.acme.till production 1.4.2 --reason "tills freeze at checkout"',
          'lastgood rollback com.acme.till production 1.4.1 --override --reason "1.4.2 is worse"',
        ),
        "",
        "Exit code: 0 = the channel offers it, or the OTA server is being asked (--no-wait); 1 = not.",
      ].join("\n"),
    )
    .action((app: string, channel: string, to: string, options: RollbackOptions) =>
      rollBack({ app, channel, to }, options, context),
    );
}

async function rollBack(
  { app, channel, to }: { app: string; channel: string; to: string },
  options: RollbackOptions,
  context: CliContext,
): Promise<void> {
  const path = channelPath(app, channel);
  if (options.dryRun === true) {
    const answer = await askAgent(`${path}/targets`, options, context);
    const isListed = answer.kind === "failed" || targetOf(answer.body as TargetsAnswer, to) !== undefined;
    if (!isListed) context.setExitCode(EXIT_CODES.failed);
    printAnswer(answer, { options, context, render: (body) => renderDryRun(body as TargetsAnswer, to) });
    return;
  }
  const { reason, from, override } = options;
  const answer = await tellAgent(`${path}/rollback`, { to, reason, from, override }, options, context);
  await printAct(answer, options, context);
}

function targetOf({ targets }: TargetsAnswer, version: string) {
  return targets.find((target) => target.version === version);
}

function renderDryRun(answer: TargetsAnswer, to: string): string {
  const target = targetOf(answer, to);
  if (target === undefined)
    return `${plain(to)} is nothing that the channel can be put on (it offers ${answer.current ?? "nothing"}).`;
  const { warnings } = target;
  const head = `The channel would go from ${answer.current ?? "nothing"} to ${target.version}.`;
  if (warnings.length === 0) return `${head} Nothing speaks against it.`;
  return [head, "What speaks against it:", ...warnings.map(({ sentence }) => `  ${plain(sentence)}`)].join(
    "\n",
  );
}

function renderTargets({ current, targets }: TargetsAnswer): string {
  const head = `The channel offers ${current ?? "nothing"}.`;
  if (targets.length === 0) return `${head} The OTA server has no other release.`;
  const rows = targets.map(({ version, released_at, warnings }) => [
    `  ${version}`,
    released_at === null ? "" : formatTime(released_at),
    warnings.length === 0 ? "-" : warnings.map(({ reason }) => reason.replaceAll("_", " ")).join(", "),
  ]);
  return [head, ...alignColumns([["  version", "released (UTC)", "what speaks against it"], ...rows])].join(
    "\n",
  );
}

function registerPause(program: Command, context: CliContext): void {
  addAgentOptions(program.command("pause"))
    .description("stop the rollout of what a channel offers; devices that have it keep it")
    .argument("<app>")
    .argument("<channel>")
    .requiredOption("--reason <text>", "why: it stands in the journal with your name")
    .option("--no-wait", "do not wait for the OTA server's answer")
    .addHelpText("after", examples('lastgood pause com.acme.till production --reason "looking into it"'))
    .action(async (app: string, channel: string, options: RollbackOptions) => {
      const { reason } = options;
      const answer = await tellAgent(`${channelPath(app, channel)}/pause`, { reason }, options, context);
      await printAct(answer, options, context);
    });
}

/** Waits for what came of it, unless told not to. */
async function printAct(
  answer: AgentAnswer,
  options: AgentOptions & { readonly wait?: boolean },
  context: CliContext,
): Promise<void> {
  const ended = options.wait === false ? answer : await waitForOutcome(answer, options, context);
  if (ended.kind === "answer" && !isGood(ended.body as ActAnswer, options.wait !== false))
    context.setExitCode(EXIT_CODES.failed);
  printAnswer(ended, { options, context, render: (body) => renderAct(body as ActAnswer) });
}

async function waitForOutcome(
  answer: AgentAnswer,
  options: AgentOptions,
  context: CliContext,
): Promise<AgentAnswer> {
  if (answer.kind === "failed") return answer;
  const { id } = answer.body as ActAnswer;
  const untilMs = performance.now() + WAIT_MS_MAX;
  let now: AgentAnswer = answer;
  context.err(`${id}: asking the OTA server …\n`);
  while (now.kind === "answer" && (now.body as ActAnswer).outcome === null && performance.now() < untilMs) {
    await sleep(LOOK_EVERY_MS);
    now = await askAgent(`/v1/decisions/${encodeURIComponent(id)}`, options, context);
  }
  return now;
}

function isGood({ outcome }: ActAnswer, isWaited: boolean): boolean {
  if (outcome === null) return !isWaited;
  return outcome.kind === "applied" || outcome.kind === "already_applied";
}

function renderAct({ id, action, version, target, outcome }: ActAnswer): string {
  const what = target === null ? `${action} of ${version}` : `${action} from ${version} to ${target}`;
  if (outcome === null)
    return `${id}: ${what}: on its way; the OTA server is asked until it answers (lastgood explain ${id}).`;
  return `${id}: ${what}: ${outcome.kind.replaceAll("_", " ")}. ${plain(outcome.detail)}`;
}

function registerAnswers(program: Command, context: CliContext): void {
  const onDecision = (verb: "approve" | "reject", what: string): Command =>
    addAgentOptions(program.command(verb))
      .description(what)
      .argument("<decision>", "the decision's id, such as rb_1e2ebc32e83b4f03d793")
      .option("--reason <text>", "why: it stands in the journal with your name")
      .addHelpText("after", examples(`lastgood ${verb} rb_1e2ebc32e83b4f03d793`));
  const pathOf = (id: string, verb: string): string => `/v1/decisions/${encodeURIComponent(id)}/${verb}`;
  onDecision("approve", "say yes to a decision that waits for approval; it is carried out at once")
    .option("--override", "go on though it is frozen, or the kill switch is on; admins only")
    .action(async (id: string, options: RollbackOptions) => {
      const { reason, override } = options;
      const answer = await tellAgent(pathOf(id, "approve"), { reason, override }, options, context);
      await printAct(answer, options, context);
    });
  onDecision("reject", "say no to a decision that waits for approval; it is not asked again").action(
    async (id: string, options: ReasonOptions) => {
      const answer = await tellAgent(pathOf(id, "reject"), { reason: options.reason }, options, context);
      printAnswer(answer, { options, context, render: (body) => renderAct(body as ActAnswer) });
    },
  );
}

function registerFreezes(program: Command, context: CliContext): void {
  addAgentOptions(program.command("freeze"))
    .description("keep Lastgood from acting by itself: on a channel, or everywhere (the kill switch)")
    .argument("[app]")
    .argument("[channel]")
    .option("--all", "the kill switch: everywhere")
    .option("--reason <text>", "why; without it the freezes in force are listed")
    .option("--for <duration>", "how long, such as 2h; else until it is lifted")
    .option("--until <time>", "until when, RFC 3339")
    .addHelpText(
      "after",
      examples(
        "lastgood freeze                                                     what is frozen",
        'lastgood freeze com.acme.till production --for 2h --reason "migration"',
        'lastgood freeze --all --reason "incident 4711"',
      ),
    )
    .action((app: string | undefined, channel: string | undefined, options: FreezeOptions) =>
      freeze({ app, channel }, options, context),
    );
  addAgentOptions(program.command("unfreeze"))
    .description("lift a freeze")
    .argument("<freeze>", "its id (lastgood freeze lists them)")
    .option("--reason <text>", "why: it stands in the journal with your name")
    .addHelpText("after", examples("lastgood unfreeze fr_5a0c3d1e9b7f"))
    .action(async (id: string, options: ReasonOptions) => {
      const query =
        options.reason === undefined ? "" : `?${new URLSearchParams({ reason: options.reason }).toString()}`;
      const answer = await tellAgent(
        `/v1/freezes/${encodeURIComponent(id)}${query}`,
        "DELETE",
        options,
        context,
      );
      printAnswer(answer, {
        options,
        context,
        render: (body) => `Lifted: ${describeFreeze(body as FreezeAnswer)}`,
      });
    });
}

async function freeze(
  { app, channel }: { app: string | undefined; channel: string | undefined },
  options: FreezeOptions,
  context: CliContext,
): Promise<void> {
  const { all, reason, until } = options;
  if (app === undefined && all !== true && reason === undefined) {
    printAnswer(await askAgent("/v1/freezes", options, context), {
      options,
      context,
      render: (body) => renderFreezes((body as { freezes: FreezeAnswer[] }).freezes),
    });
    return;
  }
  const scope = all === true ? "all" : { app, channel };
  const isClear = all === true ? app === undefined : app !== undefined && channel !== undefined;
  if (!isClear || reason === undefined) {
    context.err("lastgood: say what to freeze (APP CHANNEL, or --all) and why (--reason TEXT)\n");
    context.setExitCode(EXIT_CODES.failed);
    return;
  }
  const answer = await tellAgent("/v1/freezes", { scope, reason, until, for: options.for }, options, context);
  printAnswer(answer, {
    options,
    context,
    render: (body) => `Frozen: ${describeFreeze(body as FreezeAnswer)}`,
  });
}

function renderFreezes(freezes: readonly FreezeAnswer[]): string {
  if (freezes.length === 0) return "Nothing is frozen: Lastgood acts by itself.";
  return freezes.map(describeFreeze).join("\n");
}

function describeFreeze({ id, scope, by, reason, until }: FreezeAnswer): string {
  const what = scope === "all" ? "everything (kill switch)" : `${scope.app}/${scope.channel}`;
  const end = until === null ? "until lifted" : `until ${formatTime(until)} UTC`;
  return `${id}  ${what}, ${end}, by ${plain(by)}: ${plain(reason)}`;
}

function registerAbsolve(program: Command, context: CliContext): void {
  addAgentOptions(program.command("absolve"))
    .description("say that a release is not to blame: it is judged by what happens from now on")
    .argument("<app>")
    .argument("<channel>")
    .argument("<version>")
    .requiredOption("--reason <text>", "why: it stands in the journal with your name")
    .addHelpText(
      "after",
      [
        "",
        "It is no longer condemned. Each time halves its false-rollback budget: a fresh start is another chance to be wrong.",
        examples('lastgood absolve com.acme.till production 1.4.3 --reason "the payment backend was down"'),
      ].join("\n"),
    )
    .action(async (app: string, channel: string, version: string, options: ReasonOptions) => {
      const path = `/v1/releases/${[app, channel, version].map(encodeURIComponent).join("/")}/absolve`;
      const answer = await tellAgent(path, { reason: options.reason }, options, context);
      printAnswer(answer, {
        options,
        context,
        render: (body) => {
          const { times } = body as { times: number };
          return `${plain(version)} is judged by what happens from now on (absolved ${times === 1 ? "once" : `${times} times`}).`;
        },
      });
    });
}
