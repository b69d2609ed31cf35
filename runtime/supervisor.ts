// Keeps a row of processes running: starts them in order, each when the one before is ready; starts one
// that dies again, later and later; stops them in order. Knows processes only as handles, so that a Node
// child (child-process.ts) and a redis-server (private-redis.ts) are treated alike.
import { rmSync } from "node:fs";
import { sleep } from "./clock.ts";
import { writePidFile } from "./pid-file.ts";

/** First and longest pause before a dead process is started again, in milliseconds; it doubles in between. */
export const RESTART_PAUSE_MS_LEAST = 500;
export const RESTART_PAUSE_MS_MAX = 10_000;
/** A process that was up this long starts anew with the shortest pause. */
export const STEADY_AFTER_MS = 60_000;

/** What a started process offers; it exists before the process is ready. */
export interface ProcessHandle {
  /** Undefined when it could not even be spawned (then `ready` rejects). */
  readonly pid: number | undefined;
  /** Where it listens, by name; rejects with a reason for people when it ends or takes too long before. */
  readonly ready: Promise<Readonly<Record<string, string>>>;
  /** How it ended (`exit code 1`, `SIGKILL`), whenever that is. Never rejects. */
  readonly exited: Promise<string>;
  /** Asks it to stop and waits; `killed` when it had to be forced. */
  stop(): Promise<"stopped" | "killed">;
  /** At once, with everything it started itself. */
  kill(): void;
}

export interface ProcessSpec {
  readonly name: string;
  readonly pidFile?: string;
  /** Ends a process of the same data that an earlier, killed supervisor left behind. */
  readonly endOrphan?: () => Promise<void>;
  readonly launch: () => ProcessHandle;
}

export type SupervisorEvent =
  | { readonly kind: "starting"; readonly name: string }
  | { readonly kind: "ready"; readonly name: string; readonly urls: Readonly<Record<string, string>> }
  | { readonly kind: "died"; readonly name: string; readonly reason: string; readonly pauseMs: number }
  | { readonly kind: "stopping"; readonly name: string }
  | { readonly kind: "stopped"; readonly name: string; readonly how: "stopped" | "killed" };

export interface SupervisorOptions {
  /** In the order of starting. */
  readonly specs: readonly ProcessSpec[];
  /** Names in the order of stopping; default: the reverse of starting. */
  readonly stopOrder?: readonly string[];
  readonly onEvent?: (event: SupervisorEvent) => void;
  /** For tests: pauses other than the constants above. */
  readonly restartPause?: { readonly leastMs: number; readonly mostMs: number };
}

export interface Supervisor {
  /** Resolves when all are ready. When one does not become ready, stops those before and rejects. */
  start(): Promise<void>;
  /** Safe to call while starting, and twice. */
  stop(): Promise<void>;
  /** SIGKILL to everything, without waiting. */
  killAll(): void;
  /** URLs of the processes that are ready, by process name. */
  urls(): Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const emit = options.onEvent ?? (() => {});
  const stopOrder = options.stopOrder ?? options.specs.map(({ name }) => name).toReversed();
  const keepers = new Map(
    options.specs.map((spec) => [spec.name, createKeeper(spec, emit, options.restartPause)]),
  );
  const inStopOrder = (): Keeper[] => stopOrder.map((name) => keepers.get(name)!);
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      for (const keeper of inStopOrder()) keeper.holdBack();
      for (const keeper of inStopOrder()) await keeper.stop();
    })();
    return stopping;
  };
  return {
    start: async () => {
      for (const name of stopOrder) await options.specs.find((spec) => spec.name === name)?.endOrphan?.();
      try {
        for (const keeper of keepers.values()) await keeper.startFirst();
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
    killAll: () => inStopOrder().forEach((keeper) => keeper.kill()),
    urls: () => Object.fromEntries([...keepers].map(([name, keeper]) => [name, keeper.urls()])),
  };
}

/** Keeps one process running. */
interface Keeper {
  startFirst(): Promise<void>;
  /** From now on it is not started again. */
  holdBack(): void;
  stop(): Promise<void>;
  kill(): void;
  urls(): Readonly<Record<string, string>>;
}

function createKeeper(
  spec: ProcessSpec,
  emit: (event: SupervisorEvent) => void,
  pause = { leastMs: RESTART_PAUSE_MS_LEAST, mostMs: RESTART_PAUSE_MS_MAX },
): Keeper {
  let handle: ProcessHandle | undefined;
  let urls: Readonly<Record<string, string>> = {};
  let isHeldBack = false;
  let pauseMs = pause.leastMs;

  async function launch(): Promise<ProcessHandle> {
    if (isHeldBack) throw new Error(`${spec.name} was not started: stopping`);
    emit({ kind: "starting", name: spec.name });
    const launched = spec.launch();
    handle = launched;
    if (spec.pidFile !== undefined && launched.pid !== undefined) writePidFile(spec.pidFile, launched.pid);
    void launched.exited.then(forget);
    urls = await launched.ready;
    emit({ kind: "ready", name: spec.name, urls });
    return launched;
  }

  function forget(): void {
    handle = undefined;
    urls = {};
    if (spec.pidFile !== undefined) rmSync(spec.pidFile, { force: true });
  }

  async function keepUp(running: ProcessHandle): Promise<void> {
    const readyAtMs = Date.now();
    const reason = await running.exited;
    if (isHeldBack) return;
    if (Date.now() - readyAtMs >= STEADY_AFTER_MS) pauseMs = pause.leastMs;
    await startAgain(reason);
  }

  async function startAgain(firstReason: string): Promise<void> {
    let reason = firstReason;
    for (;;) {
      emit({ kind: "died", name: spec.name, reason, pauseMs });
      await sleep(pauseMs);
      pauseMs = Math.min(pauseMs * 2, pause.mostMs);
      if (isHeldBack) return;
      try {
        void keepUp(await launch());
        return;
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
    }
  }

  return {
    startFirst: async () => {
      void keepUp(await launch());
    },
    holdBack: () => void (isHeldBack = true),
    stop: async () => {
      if (handle === undefined) return;
      emit({ kind: "stopping", name: spec.name });
      const how = await handle.stop();
      emit({ kind: "stopped", name: spec.name, how });
    },
    kill: () => handle?.kill(),
    urls: () => urls,
  };
}
