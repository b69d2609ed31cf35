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
  /** Another way to be told to stop than a signal. */
  readonly onStopAsked?: (stop: (reason: string) => void) => void;
  /** Default: {@link STOP_MS_MAX}. */
  readonly stopMsMax?: number;
}

export async function runProcess({
  logger,
  start,
  onStopAsked,
  stopMsMax = STOP_MS_MAX,
}: ProcessOptions): Promise<void> {
  let stopRequested: (reason: string) => void = () => {};
  const untilStop = new Promise<string>((resolve) => void (stopRequested = resolve));
  let signals = 0;
  const onSignal = (signal: string): void => {
    signals += 1;
    if (signals > 1) process.exit(130);
    stopRequested(signal);
  };
  onStopAsked?.((reason) => stopRequested(reason));
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  if (process.send !== undefined) process.on("disconnect", () => stopRequested("parent gone"));
  let running: Running;
  try {
    running = await start();
  } catch (error) {
    logger.fatal({ err: error }, error instanceof Error ? error.message : "could not start");
    process.exit(1);
  }
  await stopWithin({ running, logger, stopMsMax, reason: await untilStop });
}

async function stopWithin({
  running,
  logger,
  stopMsMax,
  reason,
}: {
  readonly running: Running;
  readonly logger: Logger;
  readonly stopMsMax: number;
  readonly reason: string;
}): Promise<never> {
  logger.info({ reason }, "stopping");
  const timer = setTimeout(() => {
    logger.error(`did not stop within ${stopMsMax} ms; leaving anyway`);
    process.exit(1);
  }, stopMsMax);
  try {
    await running.stop(stopMsMax - 1_000);
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
