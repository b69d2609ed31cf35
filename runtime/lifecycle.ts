// The life of a process: start, run until told to stop, stop in order within a deadline, exit code.
// SIGTERM, SIGINT and a parent that goes away (its IPC channel closes) all mean "stop"; a second signal
// exits at once.
import type { Logger } from "./logger.ts";

/** How long a process may take to stop before it exits anyway, in milliseconds. */
export const STOP_MS_MAX = 15_000;

export interface Running {
  stop(deadlineMs: number): Promise<void>;
}

export interface ProcessOptions {
  readonly logger: Logger;
  readonly start: () => Promise<Running>;
}

export async function runProcess({ logger, start }: ProcessOptions): Promise<void> {
  let stopRequested: (reason: string) => void = () => {};
  const untilStop = new Promise<string>((resolve) => void (stopRequested = resolve));
  let signals = 0;
  const onSignal = (signal: string): void => {
    signals += 1;
    if (signals > 1) process.exit(130);
    stopRequested(signal);
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  if (process.send !== undefined) process.on("disconnect", () => stopRequested("parent gone"));
  let running: Running;
  try {
    running = await start();
  } catch (error) {
    logger.fatal({ err: error }, error instanceof Error ? error.message : "could not start");
    process.exit(1);
  }
  await stopWithin(running, logger, await untilStop);
}

async function stopWithin(running: Running, logger: Logger, reason: string): Promise<never> {
  logger.info({ reason }, "stopping");
  const timer = setTimeout(() => {
    logger.error(`did not stop within ${STOP_MS_MAX} ms; leaving anyway`);
    process.exit(1);
  }, STOP_MS_MAX);
  try {
    await running.stop(STOP_MS_MAX - 1_000);
  } catch (error) {
    logger.error({ err: error }, "stopping failed");
    process.exit(1);
  }
  clearTimeout(timer);
  logger.info("stopped");
  process.exit(0);
}

/** Tells a parent with an IPC channel (the supervisor) that this process is ready, and where it listens. */
export function announceReady(urls: Readonly<Record<string, string>>): void {
  process.send?.({ kind: "ready", urls });
}
