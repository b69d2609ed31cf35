// The supervisor with real child processes: order, restarts, deadlines, orphans, and the lock file.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { endOrphanChild, launchChild } from "../../runtime/child-process.ts";
import { sleep } from "../../runtime/clock.ts";
import { isProcessAlive, readPidFile, takeLock, writePidFile } from "../../runtime/pid-file.ts";
import { EXTRA_DEATHS_MAX, createSupervisor } from "../../runtime/supervisor.ts";
import type { ProcessSpec, Supervisor, SupervisorEvent } from "../../runtime/supervisor.ts";

const CHILD = path.join(import.meta.dirname, "fixtures", "child.mjs");

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function newFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-supervisor-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface Stage {
  readonly folder: string;
  readonly lines: string[];
  readonly events: SupervisorEvent[];
  /** What the children wrote down about themselves, in the order in which it happened. */
  story(): string[];
  spec(
    name: string,
    args: readonly string[],
    times?: { readyMsMax?: number; stopMsMax?: number },
  ): ProcessSpec;
  supervise(specs: readonly ProcessSpec[], stopOrder?: readonly string[]): Supervisor;
}

function createStage(): Stage {
  const folder = newFolder();
  const log = path.join(folder, "story");
  const lines: string[] = [];
  const events: SupervisorEvent[] = [];
  return {
    folder,
    lines,
    events,
    story: () => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []),
    spec: (name, args, times = {}) => ({
      name,
      kind: "essential",
      pidFile: path.join(folder, `${name}.pid`),
      launch: () =>
        launchChild({
          name,
          script: CHILD,
          args: ["--log", log, "--name", name, ...args],
          env: process.env,
          onLine: (line) => lines.push(line),
          ...times,
        }),
    }),
    supervise: (specs, stopOrder) => {
      const supervisor = createSupervisor({
        specs,
        ...(stopOrder === undefined ? {} : { stopOrder }),
        onEvent: (event) => events.push(event),
        restartPause: { leastMs: 20, mostMs: 50 },
      });
      cleanups.push(() => supervisor.stop());
      return supervisor;
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadlineMs) throw new Error("what was waited for did not happen");
    await sleep(10);
  }
}

describe("a helper", () => {
  test("is not waited for, and is tried again and again however often it fails", async () => {
    const stage = createStage();
    const helper = { ...stage.spec("helper", ["--say", "no luck"]), kind: "helper" } as const;
    const supervisor = stage.supervise([helper, stage.spec("a", ["--ready-after", "0"])]);
    await supervisor.start();
    expect(supervisor.urls()["a"]).toEqual({ http: "http://a" });
    const deaths = () => stage.events.filter(({ kind, name }) => kind === "died" && name === "helper");
    await until(() => deaths().length > EXTRA_DEATHS_MAX);
    expect(stage.events.map(({ kind }) => kind)).not.toContain("given_up");
    await supervisor.stop();
    const before = deaths().length;
    await sleep(200);
    expect(deaths()).toHaveLength(before);
  });
});

test("a dead child is missed although a process that it had started hangs: that one ends with it", async () => {
  const folder = newFolder();
  const script = path.join(folder, "leaves-one.mjs");
  writeFileSync(
    script,
    `import { spawn } from "node:child_process";
     const left = spawn("sleep", ["60"], { stdio: ["ignore", "inherit", "inherit"] });
     console.log(left.pid);
     process.send({ kind: "ready", urls: {} }, () => process.exit(3));`,
  );
  const lines: string[] = [];
  const child = launchChild({
    name: "a",
    script,
    args: [],
    env: process.env,
    onLine: (line) => lines.push(line),
  });
  await child.ready;
  expect(await child.exited).toBe("exit code 3");
  expect(lines[0]).toMatch(/^\d+$/);
  await until(() => !isProcessAlive(Number(lines[0])));
});

describe("order", () => {
  test("each starts when the one before is ready, and they stop the other way round", async () => {
    const stage = createStage();
    const supervisor = stage.supervise([
      stage.spec("a", ["--ready-after", "150", "--stop-after", "100"]),
      stage.spec("b", ["--ready-after", "0", "--stop-after", "100"]),
    ]);
    await supervisor.start();
    expect(supervisor.urls()).toEqual({ a: { http: "http://a" }, b: { http: "http://b" } });
    expect(readdirSync(stage.folder).filter((name) => name.endsWith(".pid"))).toEqual(["a.pid", "b.pid"]);
    await supervisor.stop();
    const started = ["a started", "a ready", "b started", "b ready"];
    const stopped = ["b SIGTERM", "b stopped", "a SIGTERM", "a stopped"];
    expect(stage.story()).toEqual([...started, ...stopped]);
    expect(readdirSync(stage.folder)).toEqual(["story"]);
  });

  test("the order of stopping can be another", async () => {
    const stage = createStage();
    const ready = ["--ready-after", "0"];
    const specs = ["a", "b", "c"].map((name) => stage.spec(name, ready));
    const supervisor = stage.supervise(specs, ["b", "c", "a"]);
    await supervisor.start();
    await supervisor.stop();
    const stopped = stage.events.filter(({ kind }) => kind === "stopped").map(({ name }) => name);
    expect(stopped).toEqual(["b", "c", "a"]);
  });

  test("one that does not start stops those before it, and the reason is the child's own", async () => {
    const stage = createStage();
    const supervisor = stage.supervise([
      stage.spec("a", ["--ready-after", "0"]),
      stage.spec("b", ["--say", "cannot listen on 127.0.0.1:1"]),
      stage.spec("c", ["--ready-after", "0"]),
    ]);
    await expect(supervisor.start()).rejects.toThrow("b did not start: cannot listen on 127.0.0.1:1");
    expect(stage.story()).toEqual(["a started", "a ready", "b started", "a SIGTERM", "a stopped"]);
  });

  test("one that does not become ready in time is killed", async () => {
    const stage = createStage();
    const supervisor = stage.supervise([stage.spec("a", [], { readyMsMax: 200 })]);
    const starting = supervisor.start();
    await until(() => readPidFile(path.join(stage.folder, "a.pid")) !== undefined);
    const pid = readPidFile(path.join(stage.folder, "a.pid"))!;
    await expect(starting).rejects.toThrow("a was not ready within 0.2 s: see its log");
    await until(() => !isProcessAlive(pid));
    expect(stage.story()).not.toContain("a ready");
  });

  test("stopping while starting ends what runs and starts no more", async () => {
    const stage = createStage();
    const supervisor = stage.supervise([stage.spec("a", []), stage.spec("b", ["--ready-after", "0"])]);
    const starting = supervisor.start();
    await until(() => stage.story().includes("a started"));
    await Promise.all([supervisor.stop(), expect(starting).rejects.toThrow("a did not start")]);
    expect(stage.story()).toEqual(["a started", "a SIGTERM", "a stopped"]);
  });

  test("one that will not stop is killed after its time, and the others are stopped all the same", async () => {
    const stage = createStage();
    const supervisor = stage.supervise([
      stage.spec("a", ["--ready-after", "0"]),
      stage.spec("b", ["--ready-after", "0", "--deaf"], { stopMsMax: 200 }),
    ]);
    await supervisor.start();
    await supervisor.stop();
    const how = stage.events.flatMap((event) => (event.kind === "stopped" ? [[event.name, event.how]] : []));
    expect(how).toEqual([
      ["b", "killed"],
      ["a", "stopped"],
    ]);
  });
});

describe("restarts", () => {
  test("one that dies is started again with a longer pause each time, the others are left alone", async () => {
    const stage = createStage();
    const supervisor = stage.supervise([
      stage.spec("a", ["--ready-after", "0"]),
      stage.spec("b", ["--ready-after", "0", "--die-after", "0"]),
    ]);
    await supervisor.start();
    await until(() => stage.events.filter(({ kind }) => kind === "died").length >= 4);
    await supervisor.stop();
    const died = stage.events.flatMap((event) => (event.kind === "died" ? [event] : []));
    expect(died.slice(0, 4).map(({ name, reason, pauseMs }) => [name, reason, pauseMs])).toEqual([
      ["b", "exit code 3", 20],
      ["b", "exit code 3", 40],
      ["b", "exit code 3", 50],
      ["b", "exit code 3", 50],
    ]);
    expect(stage.story().filter((line) => line === "a started")).toHaveLength(1);
  });

  test("one killed from outside gets a new process and a new pid file", async () => {
    const stage = createStage();
    const supervisor = stage.supervise([stage.spec("a", ["--ready-after", "0"])]);
    await supervisor.start();
    const pidFile = path.join(stage.folder, "a.pid");
    const first = readPidFile(pidFile)!;
    process.kill(first, "SIGKILL");
    await until(() => stage.events.filter(({ kind }) => kind === "ready").length === 2);
    expect(readPidFile(pidFile)).not.toBe(first);
    expect(isProcessAlive(readPidFile(pidFile)!)).toBe(true);
    expect(supervisor.urls()).toEqual({ a: { http: "http://a" } });
  });

  test("nothing is started again once stopping has begun", async () => {
    const stage = createStage();
    const supervisor = stage.supervise([stage.spec("a", ["--ready-after", "0", "--die-after", "0"])]);
    await supervisor.start();
    await until(() => stage.events.some(({ kind }) => kind === "died"));
    await supervisor.stop();
    const starts = stage.story().filter((line) => line === "a started").length;
    await sleep(200);
    expect(stage.story().filter((line) => line === "a started")).toHaveLength(starts);
  });
});

describe("a supervisor that is killed", () => {
  /** A parent that launches the child as a supervisor does, and can be killed. */
  async function startAbandonedChild(folder: string, args: readonly string[]): Promise<number> {
    const options = `{ detached: true, stdio: ["ignore", "ignore", "ignore", "ipc"] }`;
    const childArgs = JSON.stringify([CHILD, "--log", path.join(folder, "story"), "--name", "a", ...args]);
    const code = `const child = require("node:child_process").spawn(process.execPath, ${childArgs}, ${options});
      child.on("message", () => console.log(child.pid));`;
    const parent = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] });
    const [output] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(output.toString());
    cleanups.push(() => {
      if (isProcessAlive(pid)) process.kill(pid, "SIGKILL");
    });
    writePidFile(path.join(folder, "a.pid"), pid);
    parent.kill("SIGKILL");
    await once(parent, "exit");
    return pid;
  }

  test("leaves children that stop by themselves, and the next start waits for them", async () => {
    const folder = newFolder();
    const pid = await startAbandonedChild(folder, ["--ready-after", "0", "--stop-after", "300"]);
    let found = 0;
    const pidFile = path.join(folder, "a.pid");
    await endOrphanChild({ pidFile, script: CHILD, onFound: () => (found += 1) });
    expect([found, isProcessAlive(pid)]).toEqual([1, false]);
    const story = readFileSync(path.join(folder, "story"), "utf8").trim().split("\n");
    expect(story).toEqual(["a started", "a ready", "a disconnect", "a stopped"]);
  });

  test("leaves a child that hangs, and the next start ends it", async () => {
    const folder = newFolder();
    const pid = await startAbandonedChild(folder, ["--ready-after", "0", "--deaf"]);
    await endOrphanChild({ pidFile: path.join(folder, "a.pid"), script: CHILD, stopMsMax: 150 });
    expect(isProcessAlive(pid)).toBe(false);
    expect(readFileSync(path.join(folder, "story"), "utf8")).toContain("a SIGTERM");
  });

  test("a pid that belongs to another program by now is left alone", async () => {
    const folder = newFolder();
    const bystander = spawn("sleep", ["60"]);
    cleanups.push(() => void bystander.kill("SIGKILL"));
    await once(bystander, "spawn");
    writePidFile(path.join(folder, "a.pid"), bystander.pid!);
    await endOrphanChild({ pidFile: path.join(folder, "a.pid"), script: CHILD, stopMsMax: 50 });
    expect(isProcessAlive(bystander.pid!)).toBe(true);
  });
});

describe("the lock file", () => {
  test("is refused to a second process, names the first, and is free after release", async () => {
    const file = path.join(newFolder(), "run", "lock.pid");
    const holder = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", "holder-of-the-lock"]);
    cleanups.push(() => void holder.kill("SIGKILL"));
    await once(holder, "spawn");
    writePidFile(file, holder.pid!);
    expect(takeLock({ file, program: "holder-of-the-lock" })).toEqual({ kind: "held", pid: holder.pid });
    holder.kill("SIGKILL");
    await once(holder, "exit");
    const taken = takeLock({ file, program: "holder-of-the-lock" });
    expect([taken.kind, readPidFile(file)]).toEqual(["locked", process.pid]);
    if (taken.kind === "locked") taken.release();
    expect(readdirSync(path.dirname(file))).toEqual([]);
  });

  test.each([
    ["of a dead process", "999999999\n"],
    ["whose number another program has now", "1\n"],
    ["that was written half", ""],
  ])("%s is taken over", (_, content) => {
    const file = path.join(newFolder(), "lock.pid");
    writeFileSync(file, content);
    expect(takeLock({ file, program: "no-program-has-this-name" }).kind).toBe("locked");
    expect(readPidFile(file)).toBe(process.pid);
  });
});
