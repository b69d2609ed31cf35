// Programs that are not ours under the supervisor: found on the PATH, ready by HTTP, stopped and killed, ended when an
// earlier run left them; and extras, whose end is nobody else's.
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { endOrphanChild } from "../../runtime/child-process.ts";
import { findProgram, isPortFree, launchProgram } from "../../runtime/foreign-program.ts";
import type { ProgramOptions } from "../../runtime/foreign-program.ts";
import { isProcessAlive, writePidFile } from "../../runtime/pid-file.ts";
import { EXTRA_DEATHS_MAX, createSupervisor } from "../../runtime/supervisor.ts";
import type { ProcessSpec, SupervisorEvent } from "../../runtime/supervisor.ts";
import { freePort } from "../support/redis.ts";
import { waitUntil } from "../support/wait-until.ts";

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function newFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-programs-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const ANSWERS = (port: number): string =>
  `require("node:http").createServer((_, response) => response.end("ready")).listen(${port}, "127.0.0.1")`;

/** A program that runs a line of JavaScript. */
async function program(code: (port: number) => string, more: Partial<ProgramOptions> = {}) {
  const port = await freePort();
  const lines: string[] = [];
  const options: ProgramOptions = {
    name: "program",
    command: process.execPath,
    args: ["-e", code(port)],
    env: process.env,
    folder: newFolder(),
    readyUrl: `http://127.0.0.1:${port}/-/ready`,
    urls: { http: `http://127.0.0.1:${port}` },
    onLine: (line) => lines.push(line),
    ...more,
  };
  const launch = () => {
    const handle = launchProgram(options);
    cleanups.push(() => handle.kill());
    return handle;
  };
  return { options, lines, launch };
}

describe("one program", () => {
  test("is ready once it answers, says its lines, and stops when it is told", async () => {
    const { launch, lines, options } = await program((port) => `console.log("hello"); ${ANSWERS(port)}`);
    const handle = launch();
    expect(await handle.ready).toEqual(options.urls);
    expect(lines).toEqual(["hello"]);
    expect(await handle.stop()).toBe("stopped");
    expect(await handle.exited).toBe("SIGTERM");
    expect(isProcessAlive(handle.pid!)).toBe(false);
  });

  test("that ends before is not ready, with its last lines as the reason", async () => {
    const { launch } = await program(() => `console.error("bad flag"); process.exit(2)`);
    await expect(launch().ready).rejects.toThrow("program did not start: exit code 2\nbad flag");
  });

  test("that never answers is ended", async () => {
    const { launch } = await program(() => "setInterval(() => {}, 1000)", { readyMsMax: 300 });
    const handle = launch();
    await expect(handle.ready).rejects.toThrow("program was not ready within 0.3 s");
    expect(await handle.exited).toBe("SIGKILL");
  });

  test("that does not stop is killed", async () => {
    const { launch } = await program((port) => `process.on("SIGTERM", () => {}); ${ANSWERS(port)}`, {
      stopMsMax: 200,
    });
    const handle = launch();
    await handle.ready;
    expect(await handle.stop()).toBe("killed");
  });

  test("that is not there is told", async () => {
    const { launch } = await program(ANSWERS, { command: "/nonexistent/program" });
    await expect(launch().ready).rejects.toThrow(/program did not start: .*ENOENT/);
  });

  test("of an earlier run is told to stop at once", async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", "mark-of-the-orphan"]);
    cleanups.push(() => void child.kill("SIGKILL"));
    const pidFile = path.join(newFolder(), "program.pid");
    writePidFile(pidFile, child.pid!);
    const found: string[] = [];
    const orphan = { pidFile, whose: "foreign", onFound: () => found.push("found") } as const;
    await endOrphanChild({ ...orphan, script: "somebody-else" });
    expect([isProcessAlive(child.pid!), found]).toEqual([true, []]);
    await endOrphanChild({ ...orphan, script: "mark-of-the-orphan" });
    expect([isProcessAlive(child.pid!), found]).toEqual([false, ["found"]]);
  });
});

describe("the PATH and ports", () => {
  test("the first name wins over the first folder; what is no program is passed over", () => {
    const folder = newFolder();
    for (const name of ["one/second", "two/first", "two/second", "two/plain"]) {
      mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      writeFileSync(path.join(folder, name), "#!/bin/sh\n");
      chmodSync(path.join(folder, name), name.endsWith("plain") ? 0o644 : 0o755);
    }
    const searched = [path.join(folder, "one"), "", path.join(folder, "two")].join(path.delimiter);
    expect(findProgram(["first", "second"], searched)).toBe(path.join(folder, "two/first"));
    expect(findProgram(["second"], searched)).toBe(path.join(folder, "one/second"));
    expect(findProgram(["plain", "two"], searched)).toBeUndefined();
    expect(findProgram(["first"], undefined)).toBeUndefined();
  });

  test("a port is free until somebody has it", async () => {
    const at = { host: "127.0.0.1", port: await freePort() };
    expect(await isPortFree(at)).toBe(true);
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen({ ...at }, resolve));
    cleanups.push(() => void server.close());
    expect(await isPortFree(at)).toBe(false);
  });
});

describe("extras", () => {
  async function supervise(extraCode: (port: number) => string) {
    const essential = await program(ANSWERS);
    const extra = await program(extraCode);
    const events: SupervisorEvent[] = [];
    const specs: ProcessSpec[] = [
      { name: "extra", kind: "extra", launch: extra.launch },
      { name: "essential", kind: "essential", launch: essential.launch },
    ];
    const supervisor = createSupervisor({
      specs,
      onEvent: (event) => events.push(event),
      restartPause: { leastMs: 5, mostMs: 10 },
    });
    cleanups.push(() => supervisor.stop());
    await supervisor.start();
    const kindsOf = (name: string) => events.filter((event) => event.name === name).map(({ kind }) => kind);
    return { supervisor, events, kindsOf };
  }

  test("are started after what is essential, whatever the order of the list", async () => {
    const { events, supervisor } = await supervise(ANSWERS);
    expect(events.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      "starting essential",
      "ready essential",
      "starting extra",
      "ready extra",
    ]);
    expect(Object.keys(supervisor.urls()["extra"]!)).toEqual(["http"]);
  });

  test("that do not start are given up, and the others stay", async () => {
    const { kindsOf, supervisor } = await supervise(() => "process.exit(1)");
    expect(kindsOf("extra")).toEqual(["starting", "given_up"]);
    expect(supervisor.urls()["essential"]).toHaveProperty("http");
  });

  test("that die again and again are given up", async () => {
    const { kindsOf, supervisor } = await supervise(
      (port) => `${ANSWERS(port)}; setTimeout(() => process.exit(7), 400)`,
    );
    await waitUntil(
      () => kindsOf("extra"),
      (kinds) => kinds.includes("given_up"),
    );
    expect(kindsOf("extra").filter((kind) => kind === "died")).toHaveLength(EXTRA_DEATHS_MAX - 1);
    expect(kindsOf("extra").filter((kind) => kind === "starting")).toHaveLength(EXTRA_DEATHS_MAX);
    expect(supervisor.urls()["essential"]).toHaveProperty("http");
  });
});
