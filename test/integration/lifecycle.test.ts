// The life of a process, on real processes: what makes it stop, and with which exit code it leaves.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";

// Built by the set-up of `npm test` (runtime/setup.mjs).
const BUILT = new URL("../../dist/runtime/", import.meta.url).href;
const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

/** Runs `runProcess` with this start function; resolves when it has announced that it is ready. */
function launch(start: string): ChildProcess {
  const code = `
    import { announceReady, runProcess } from "${BUILT}lifecycle.js";
    import { createLogger } from "${BUILT}logger.js";
    setInterval(() => {}, 1_000);
    await runProcess({ logger: createLogger({ name: "test" }), start: async () => { ${start} } });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  started.push(child);
  return child;
}

async function ready(child: ChildProcess): Promise<unknown> {
  const [message] = (await once(child, "message")) as [unknown];
  return message;
}

function running(stop: string): string {
  return `announceReady({ http: "http://127.0.0.1:1" }); return { stop: async (deadlineMs) => { ${stop} } };`;
}

async function exitOf(child: ChildProcess): Promise<{ code: number | null; log: string }> {
  let log = "";
  child.stdout!.on("data", (chunk: Buffer) => void (log += chunk.toString()));
  // Not "close": Node does not emit it after the parent has disconnected.
  const [[code]] = (await Promise.all([once(child, "exit"), once(child.stdout!, "end")])) as [
    [number | null],
    unknown,
  ];
  return { code, log };
}

describe("a process", () => {
  it("says where it listens", async () => {
    expect(await ready(launch(running("")))).toEqual({ kind: "ready", urls: { http: "http://127.0.0.1:1" } });
  });

  it.each(["SIGTERM", "SIGINT"] as const)("stops in order on %s, and leaves with 0", async (signal) => {
    const child = launch(running('console.log("stopping within " + deadlineMs)'));
    await ready(child);
    child.kill(signal);
    const { code, log } = await exitOf(child);
    expect(code).toBe(0);
    expect(log).toContain("stopping within 14000");
    expect(log).toMatch(/"msg":"stopped"/);
  });

  it("stops when its parent is gone", async () => {
    const child = launch(running(""));
    await ready(child);
    child.disconnect();
    const { code, log } = await exitOf(child);
    expect(code).toBe(0);
    expect(log).toContain('"reason":"parent gone"');
  });

  it("leaves at once on a second signal", async () => {
    const child = launch(running("console.log('begun'); await new Promise(() => {})"));
    await ready(child);
    child.kill("SIGTERM");
    await once(child.stdout!, "data");
    child.kill("SIGTERM");
    expect((await exitOf(child)).code).toBe(130);
  });

  it.each([
    ["could not start", 'throw new Error("no Redis there")', "no Redis there"],
    ["could not stop", running('throw new Error("stuck")'), "stuck"],
  ])("leaves with 1 when it %s, and says why", async (_what, start, message) => {
    const child = launch(start);
    if (start.includes("announceReady")) {
      await ready(child);
      child.kill("SIGTERM");
    }
    const { code, log } = await exitOf(child);
    expect(code).toBe(1);
    expect(log).toContain(message);
  });
});
