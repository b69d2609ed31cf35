// `lastgood start`: checks the configuration, starts a private Redis (or uses the one named), ingest and the
// agent, keeps them running and stops them in order; Prometheus, Alertmanager and Grafana too, where they are installed
// (start-observability.ts). This process holds no state of its own: killed at any
// instant, its children stop by themselves and the next start goes on from what Redis has.
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Command } from "commander";
import { endOrphanChild, launchChild } from "../../runtime/child-process.ts";
import { formatProblems } from "../../runtime/config-file.ts";
import { openLogFile } from "../../runtime/log-file.ts";
import { takeLock } from "../../runtime/pid-file.ts";
import { launchPrivateRedis, socketPathFor } from "../../runtime/private-redis.ts";
import { createSupervisor } from "../../runtime/supervisor.ts";
import type { ProcessSpec, Supervisor } from "../../runtime/supervisor.ts";
import { findConfig, loadSettings } from "../config/load.ts";
import type { FoundConfig } from "../config/load.ts";
import { OBSERVABILITY_OFF } from "../config/observability.ts";
import type { Settings } from "../config/schema.ts";
import { countOf } from "./check-config.ts";
import { EXIT_CODES } from "./cli-context.ts";
import type { CliContext } from "./cli-context.ts";
import { prepareObservability } from "./start-observability.ts";
import type { Observability } from "./start-observability.ts";
import { createStartScreen, exampleCurl, summaryText } from "./start-screen.ts";
import type { StartScreen } from "./start-screen.ts";

/**
 * A second signal within this time is the same key press: a terminal sends Ctrl-C to npm and to us, and
 * npm passes it on once more. In milliseconds.
 */
const SAME_KEY_PRESS_MS = 1_000;

export interface StartOptions {
  readonly config?: string;
  readonly verbose?: boolean;
  /** False with --no-observability. */
  readonly observability?: boolean;
}

export function registerStart(program: Command, context: CliContext): void {
  program
    .command("start")
    .description("run everything: Redis (unless the configuration names one), ingest and agent")
    .option(
      "-c, --config <file>",
      "configuration file; default: $LASTGOOD_CONFIG, ./lastgood.yaml, the example",
    )
    .option("-v, --verbose", "show every log line here, not only warnings and errors")
    .option("--no-observability", "start neither Prometheus nor Alertmanager nor Grafana")
    .addHelpText(
      "after",
      [
        "",
        "Exit code: 0 = stopped on request, 1 = could not start, 2 = the configuration has mistakes.",
        "",
        "Examples:",
        "  $ lastgood start",
        "  $ lastgood start --config /etc/lastgood.yaml --verbose",
      ].join("\n"),
    )
    .action((options: StartOptions) => start(options, context));
}

export async function start(options: StartOptions, context: CliContext): Promise<void> {
  const found = findConfig({ given: options.config, ...context });
  const loaded = loadSettings({ file: found.file, env: context.env, look: "with_files" });
  if (loaded.kind === "invalid") {
    context.err(
      `${formatProblems(loaded.problems)}\n${countOf(loaded.problems.length)}: nothing was started\n`,
    );
    context.setExitCode(EXIT_CODES.configuration);
    return;
  }
  const settings =
    options.observability === false ? { ...loaded.config, observability: OBSERVABILITY_OFF } : loaded.config;
  const lock = lockDataFolder(settings, context);
  if (lock === undefined) return context.setExitCode(EXIT_CODES.failed);
  const screen = createStartScreen(context, { verbose: options.verbose === true });
  try {
    await runUntilStopped({ settings, found, screen, context });
  } catch (error) {
    context.err(`${error instanceof Error ? error.message : String(error)}\n`);
    context.setExitCode(EXIT_CODES.failed);
  } finally {
    lock.release();
  }
}

function lockDataFolder(settings: Settings, context: CliContext): { release(): void } | undefined {
  const file = path.join(settings.dataDir, "run", "lastgood.pid");
  try {
    mkdirSync(settings.dataDir, { recursive: true, mode: 0o700 });
    const lock = takeLock({ file, program: "lastgood" });
    if (lock.kind === "locked") return lock;
    context.err(
      `Lastgood runs on ${settings.dataDir} already, as process ${lock.pid}: ` +
        `stop it first (kill ${lock.pid}), or set another data_dir\n`,
    );
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    context.err(
      `cannot write to data_dir ${settings.dataDir}: ${reason}; create it for this user, or set another\n`,
    );
  }
  return undefined;
}

interface Run {
  readonly settings: Settings;
  readonly found: FoundConfig;
  readonly screen: StartScreen;
  readonly context: CliContext;
}

async function runUntilStopped(run: Run): Promise<void> {
  const { screen, context } = run;
  const observability = await prepareObservability(run);
  const supervisor = createSupervisor({
    specs: [...processesOf(run, observability), ...observability.specs],
    stopOrder: stopOrderOf(run.settings, observability),
    onEvent: screen.onEvent,
  });
  const untilSignal = stopOnSignal(supervisor);
  try {
    await supervisor.start();
    screen.line(summaryOf(run, supervisor, observability));
  } catch (error) {
    // A Ctrl-C while starting makes the start fail too; that is no mistake to report.
    if (!untilSignal.isAsked()) {
      screen.finishStopping();
      context.err(`${error instanceof Error ? error.message : String(error)}\n`);
      return context.setExitCode(EXIT_CODES.failed);
    }
  }
  await untilSignal.stopped;
  screen.finishStopping();
  context.setExitCode(EXIT_CODES.ok);
}

/**
 * Devices are turned away first, then what they sent is worked off no further, and Redis goes last. In between those who
 * watch, each before the one that it tells: the agent and Prometheus send alerts, Alertmanager passes them on.
 */
function stopOrderOf(settings: Settings, { specs }: Observability): string[] {
  const observers = ["grafana", "prometheus", "alertmanager"];
  const started = observers.filter((observer) => specs.some(({ name }) => name === observer));
  return ["ingest", "agent", ...started, ...(settings.redisUrl === undefined ? ["redis"] : [])];
}

function processesOf(run: Run, observability: Observability): ProcessSpec[] {
  const { settings, screen } = run;
  const redisFolder = path.join(settings.dataDir, "redis");
  const redisUrl = redisUrlForChildren(settings, redisFolder);
  const redis: ProcessSpec = {
    name: "redis",
    kind: "essential",
    launch: () =>
      launchPrivateRedis({
        folder: redisFolder,
        pidFile: pidFileOf(settings, "redis"),
        onProgress: screen.line,
      }),
  };
  const env = { ...run.context.env, ...observability.agentEnv, LASTGOOD_REDIS_URL: redisUrl };
  const children = [childProcess("ingest", env, run), childProcess("agent", env, run)];
  return settings.redisUrl === undefined ? [redis, ...children] : children;
}

/** Undefined with a cluster: the children read its addresses in the file. */
function redisUrlForChildren({ redisUrl }: Settings, redisFolder: string): string | undefined {
  if (redisUrl === undefined) return `unix://${socketPathFor(redisFolder)}`;
  return typeof redisUrl === "string" ? redisUrl : undefined;
}

function pidFileOf(settings: Settings, name: string): string {
  return path.join(settings.dataDir, "run", `${name}.pid`);
}

/** An agent that dies while somebody has broken the file comes back with it. */
function lastGoodCopyOf({ dataDir }: Settings): string {
  return path.join(dataDir, "run", "config.last-good.yaml");
}

function childProcess(name: "ingest" | "agent", env: CliContext["env"], run: Run): ProcessSpec {
  const { settings, found, screen } = run;
  const script = path.resolve(import.meta.dirname, "..", "..", name, "main.js");
  const pidFile = pidFileOf(settings, name);
  const log = openLogFile(path.join(settings.dataDir, "log", `${name}.log`));
  return {
    name,
    kind: "essential",
    pidFile,
    endOrphan: () =>
      endOrphanChild({
        pidFile,
        script: path.join(name, "main.js"),
        onFound: () => screen.line(`waiting for the ${name} of an earlier run to stop`),
      }),
    launch: () =>
      launchChild({
        name,
        script,
        args: [
          "--config",
          found.file,
          ...(name === "agent" ? ["--last-good", lastGoodCopyOf(settings)] : []),
        ],
        env,
        onLine: (line) => {
          log.writeLine(line);
          screen.onChildLine(name, line);
        },
      }),
  };
}

function summaryOf(
  { settings, found, context }: Run,
  supervisor: Supervisor,
  { missing }: Observability,
): string {
  const urls = supervisor.urls();
  const curl = exampleCurl({
    settings,
    reportsUrl: `${urls["ingest"]?.["http"] ?? ""}/v1/reports`,
    configText: readFileSync(found.file, "utf8"),
    env: context.env,
  });
  const named =
    typeof settings.redisUrl === "string" ? "the one of redis.url" : "the cluster of redis.cluster";
  const redis = urls["redis"]?.["redis"] ?? named;
  return summaryText({ settings, found, urls, redis, curl, missing });
}

/** The first signal stops in order, a later one ends everything at once. */
function stopOnSignal(supervisor: Supervisor): { stopped: Promise<void>; isAsked(): boolean } {
  let askedAtMs: number | undefined;
  const stopped = new Promise<void>((resolve) => {
    const onSignal = (): void => {
      if (askedAtMs === undefined) {
        askedAtMs = Date.now();
        void supervisor.stop().then(resolve);
      } else if (Date.now() - askedAtMs > SAME_KEY_PRESS_MS) {
        supervisor.killAll();
        process.exit(EXIT_CODES.interrupted);
      }
    };
    process.on("SIGINT", onSignal).on("SIGTERM", onSignal).on("SIGHUP", onSignal);
    // A parent that started us with an IPC channel and is gone (the demo, say) can't send a signal any more.
    if (process.send !== undefined) {
      process.once("disconnect", onSignal);
      // The channel alone must not keep this process alive once everything has stopped.
      process.channel?.unref();
    }
  });
  return { stopped, isAsked: () => askedAtMs !== undefined };
}
