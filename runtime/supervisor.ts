// Keeps a row of processes running: starts them in order, each when the one before is ready; starts one
// that dies again, later and later; stops them in order. Extras come after the others, all at once, and what becomes
// of them stops nobody else: one that does not start, or dies again and again, is given up. Knows processes only as handles, so that a Node
// child (child-process.ts) and a redis-server (private-redis.ts) are treated alike.
import { rmSync } from "node:fs";
import { sleep } from "./clock.ts";
import { writePidFile } from "./pid-file.ts";

/** First and longest pause before a dead process is started again, in milliseconds; it doubles in between. */
export const RESTART_PAUSE_MS_LEAST = 500;
export const RESTART_PAUSE_MS_MAX = 10_000;
/** A process that was up this long starts anew with the shortest pause. */
export const STEADY_AFTER_MS = 60_000;
/** An extra that died so often without having been steady in between is given up. */
export const EXTRA_DEATHS_MAX = 5;

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
  /** Without an essential one nothing works; an extra may be missing; a helper is never waited for, and never given up. */
  readonly kind: "essential" | "extra" | "helper";
  readonly pidFile?: string;
  /** Ends a process of the same data that an earlier, killed supervisor left behind. */
  readonly endOrphan?: () => Promise<void>;
  readonly launch: () => ProcessHandle;
}

export type SupervisorEvent =
  | { readonly kind: "starting"; readonly name: string }
  | { readonly kind: "ready"; readonly name: string; readonly urls: Readonly<Record<string, string>> }
  | { readonly kind: "died"; readonly name: string; readonly reason: string; readonly pauseMs: number }
  | { readonly kind: "given_up"; readonly name: string; readonly reason: string }
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
  /**
   * Resolves when all essential ones are ready and each extra is ready or given up; helpers come when they come. When an essential one does not
   * become ready, stops those before and rejects.
   */
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
  const keepersOf = (kind: ProcessSpec["kind"]): Keeper[] =>
    options.specs.filter((spec) => spec.kind === kind).map(({ name }) => keepers.get(name)!);
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
        for (const keeper of keepersOf("essential")) await keeper.startFirst();
        for (const keeper of keepersOf("helper")) void keeper.startFirst();
        await Promise.all(keepersOf("extra").map((keeper) => keeper.startFirst()));
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
  const patience = createPatience(spec.kind, pause);

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
    if (Date.now() - readyAtMs >= STEADY_AFTER_MS) patience.renew();
    await startAgain(reason);
  }

  async function startAgain(firstReason: string): Promise<void> {
    let reason = firstReason;
    for (;;) {
      const pauseMs = patience.pauseAfterDeath();
      if (pauseMs === "given_up") return giveUp(reason);
      emit({ kind: "died", name: spec.name, reason, pauseMs });
      await sleep(pauseMs);
      if (isHeldBack) return;
      try {
        return void keepUp(await launch());
      } catch (error) {
        if (isHeldBack) return;
        reason = reasonOf(error);
      }
    }
  }

  function giveUp(reason: string): void {
    if (!isHeldBack) emit({ kind: "given_up", name: spec.name, reason });
  }

  return {
    startFirst: async () => {
      const running = launch();
      if (spec.kind === "essential") return void keepUp(await running);
      const otherwise = spec.kind === "extra" ? giveUp : startAgain;
      await running.then(
        (ready) => void keepUp(ready),
        (error: unknown) => (isHeldBack ? undefined : otherwise(reasonOf(error))),
      );
    },
    holdBack: () => void (isHeldBack = true),
    stop: async () => {
      if (handle !== undefined) await stopTelling(handle, spec.name, emit);
    },
    kill: () => handle?.kill(),
    urls: () => urls,
  };
}

async function stopTelling(
  handle: ProcessHandle,
  name: string,
  emit: (event: SupervisorEvent) => void,
): Promise<void> {
  emit({ kind: "stopping", name });
  emit({ kind: "stopped", name, how: await handle.stop() });
}

/** How long to wait before a process that died is started again, and whether at all. */
function createPatience(kind: ProcessSpec["kind"], pause: { leastMs: number; mostMs: number }) {
  let pauseMs = pause.leastMs;
  let deaths = 0;
  return {
    pauseAfterDeath: (): number | "given_up" => {
      deaths += 1;
      if (kind === "extra" && deaths >= EXTRA_DEATHS_MAX) return "given_up";
      const now = pauseMs;
      pauseMs = Math.min(pauseMs * 2, pause.mostMs);
      return now;
    },
    renew: (): void => {
      pauseMs = pause.leastMs;
      deaths = 0;
    },
  };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
