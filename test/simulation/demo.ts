// `npm run demo`: shows a bad release being rolled back, on this machine, in about a minute and a half.
// Enters: flags. Leaves: a timeline (or JSON) and an exit code: 0 only when the outcome is the expected
// one, the good release stayed and the agent's counts equal the fleet's own books.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Command } from "commander";
import type { Child } from "./child-process.ts";
import { expectedOutcome, findFaults } from "./demo-outcome.ts";
import { createPalette, createScreen } from "./demo-screen.ts";
import type { Palette, ScreenStream } from "./demo-screen.ts";
import { APP, CHANNEL, LIMIT, createStack } from "./demo-stack.ts";
import type { Stack } from "./demo-stack.ts";
import { count, percent, tellStory } from "./demo-story.ts";
import type { StoryOptions, StoryResult, World } from "./demo-story.ts";
import { buildReport, renderReport } from "./demo-timeline.ts";
import { createLastgoodClient, createOtaServerClient } from "./lastgood-client.ts";
import { parseRatio, parseSeconds, parseWholeNumber } from "./options.ts";

interface DemoFlags {
  readonly seed: number;
  readonly devices: number;
  readonly badRate: number;
  readonly rolloutSeconds: number;
  readonly killAgent?: true;
  readonly keep?: true;
  readonly json?: true;
}

/** Lines of each log that are shown when the demo fails. */
const TAIL_LINES = 15;
/** Exit codes: 0 as expected, 1 not as expected or failed, 2 wrong flags, 130 ended by Ctrl-C. */
const EXIT = { asExpected: 0, failed: 1, wrongFlags: 2, interrupted: 130 } as const;

function readFlags(): DemoFlags {
  const program = new Command("demo")
    .usage("[flags]   (npm run demo -- [flags])")
    .description(
      `Starts an OTA server, Lastgood and a simulated fleet; a good release rolls out and stays,\n` +
        `then a bad one is published and rolled back. The limit of its policy is ${percent(LIMIT, 0)}.`,
    )
    .option("--seed <n>", "seed of the fleet: the same seed has the same fates", parseWholeNumber, 1)
    .option("--devices <n>", "number of simulated devices", parseWholeNumber, 20_000)
    .option("--bad-rate <share>", "share of devices for which the bad release fails", parseRatio, 0.08)
    .option("--rollout-seconds <s>", "time for the whole fleet to take up a release", parseSeconds, 25)
    .option("--kill-agent", "kill the agent with SIGKILL in the middle of the bad rollout")
    .option("--keep", "leave everything running at the end, until Ctrl-C")
    .option("--json", "print the result as JSON on stdout, progress on stderr")
    .addHelpText("after", "\nExit code 0 only when the outcome is the expected one and the books agree.")
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT.wrongFlags));
  const flags = program.parse().opts<DemoFlags>();
  if (flags.devices < 100) program.error("error: --devices must be at least 100, or there is nothing to see");
  return flags;
}

/** Everything that ends the demo early: Ctrl-C, and a process that ends when it should not. */
function watchForTheEnd(): {
  signal: AbortSignal;
  onUnexpectedEnd: (child: Child) => void;
  wasInterrupted(): boolean;
} {
  const controller = new AbortController();
  let signals = 0;
  const onSignal = (): void => {
    signals += 1;
    // Under npm one Ctrl-C comes twice: from the terminal and from npm. A third means: out at once.
    if (signals > 2) process.exit(EXIT.interrupted);
    controller.abort(new Error("interrupted"));
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal).on("SIGHUP", onSignal);
  return {
    signal: controller.signal,
    onUnexpectedEnd: ({ name }) => controller.abort(new Error(`${name} ended when it should not`)),
    wasInterrupted: () => signals > 0,
  };
}

interface Show {
  readonly flags: DemoFlags;
  readonly palette: Palette;
  /** Where progress goes; the result goes to stdout. */
  readonly stream: ScreenStream & NodeJS.WriteStream;
  readonly end: ReturnType<typeof watchForTheEnd>;
}

async function main(): Promise<void> {
  const flags = readFlags();
  const stream = flags.json === true ? process.stderr : process.stdout;
  const hasColour = stream.isTTY && (process.env["NO_COLOR"] ?? "") === "";
  const folder = mkdtempSync(join(tmpdir(), "lastgood-demo-"));
  const end = watchForTheEnd();
  const show: Show = { flags, palette: createPalette(hasColour), stream, end };
  const processes = createStack({ folder, onUnexpectedEnd: end.onUnexpectedEnd });
  let exitCode: number = EXIT.failed;
  try {
    const stack = await processes.start();
    exitCode = await perform(show, stack);
    if (flags.keep === true) await keepRunning(show, stack);
  } catch (error) {
    exitCode = end.wasInterrupted() ? EXIT.interrupted : EXIT.failed;
    if (!end.wasInterrupted()) explainFailure(error, show, processes.children());
  }
  await processes.stop();
  if (exitCode === EXIT.failed) stream.write(`The logs are kept in ${folder}\n`);
  else rmSync(folder, { recursive: true, force: true });
  process.exitCode = exitCode;
}

async function perform(show: Show, stack: Stack): Promise<number> {
  const { flags, palette, stream, end } = show;
  const options: StoryOptions = {
    seed: flags.seed,
    devices: flags.devices,
    badRatio: flags.badRate,
    rolloutSeconds: flags.rolloutSeconds,
    killAgent: flags.killAgent === true,
  };
  const expectation = expectedOutcome({ badRatio: options.badRatio, limit: LIMIT, devices: options.devices });
  stream.write(introduce(options, palette));
  const world: World = {
    phase: "starting",
    fleet: undefined,
    releases: [],
    decisions: [],
    rollbacks: [],
    channelVersion: undefined,
  };
  const screen = createScreen({ stream, world, devices: options.devices, palette });
  let story: StoryResult;
  try {
    const channel = { app: APP, channel: CHANNEL };
    const lastgood = createLastgoodClient({ ...stack, ...channel });
    const ota = createOtaServerClient({ url: stack.otaUrl, ...channel });
    const deps = { stack, lastgood, ota, world, signal: end.signal, onHappening: screen.note };
    story = await tellStory(deps, options);
  } finally {
    screen.close();
  }
  const { refused: refusedReports, lastRefusal } = story.final.reports;
  const faults = findFaults({ ...story, kill: story.kill.kind, expectation, refusedReports, lastRefusal });
  const report = buildReport({ story, options, expectation, faults });
  if (flags.json === true) await writeAll(process.stdout, `${JSON.stringify(report, null, 2)}\n`);
  else await writeAll(process.stdout, renderReport(report, palette));
  return faults.length === 0 ? EXIT.asExpected : EXIT.failed;
}

function introduce(options: StoryOptions, palette: Palette): string {
  const facts = [
    `seed ${options.seed}`,
    `${count(options.devices)} devices`,
    `bad release fails ${percent(options.badRatio)}`,
    `limit ${percent(LIMIT)}`,
  ];
  return `${palette.bold("Lastgood demo")}  ${facts.join(" · ")}\n\n`;
}

async function keepRunning({ stream, end }: Show, stack: Stack): Promise<void> {
  stream.write(
    [
      "",
      "Everything still runs; Ctrl-C ends it.",
      `  agent       ${stack.agentUrl}/v1/status   /v1/decisions   /metrics`,
      `  ingest      ${stack.ingestUrl}/v1/reports (key: ${stack.ingestKey})`,
      `  OTA server  ${stack.otaUrl}/apps/${APP}/channels/${CHANNEL}   /calls`,
      `  settings    ${stack.configFile}`,
      "",
      "",
    ].join("\n"),
  );
  // A timer keeps the process alive; the signal ends the wait.
  const timer = setInterval(() => {}, 60_000);
  await new Promise<void>((resolve) => {
    if (end.signal.aborted) resolve();
    else end.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  clearInterval(timer);
}

function explainFailure(error: unknown, { stream, palette }: Show, children: readonly Child[]): void {
  const message = error instanceof Error ? error.message : String(error);
  stream.write(`\n${palette.bad(`The demo failed: ${message}`)}\n`);
  for (const child of children) {
    stream.write(`\n${palette.bold(`last lines of ${child.name}`)}\n${child.tail(TAIL_LINES)}\n`);
  }
}

function writeAll(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve) => void stream.write(text, () => resolve()));
}

await main();
