// The simulated OTA server as a process (built by the tests' set-up): it says where it listens, serves the
// channel it was given, and never outlives whoever started it.
import { spawn } from "node:child_process";
import type { ChildProcess, StdioOptions } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";

const MAIN = fileURLToPath(new URL("../../dist/test/simulation/ota-server-main.js", import.meta.url));
const FLAGS = ["--app", "com.acme.till", "--channel", "production", "--secret", "example-ota-secret"];
const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

function start(flags: readonly string[], stdio: StdioOptions): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...flags], { stdio });
  started.push(child);
  return child;
}

async function urlOf(child: ChildProcess): Promise<string> {
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  return z.object({ url: z.url() }).parse(JSON.parse(line.toString())).url;
}

describe("the simulated OTA server's process", () => {
  const versions = [...FLAGS, "--versions", "1.3.0,1.4.0"];

  it("serves the last of its versions, and stops on SIGTERM", async () => {
    const child = start(versions, ["ignore", "pipe", "inherit"]);
    const answer = await fetch(`${await urlOf(child)}/apps/com.acme.till/channels/production`);
    expect(await answer.json()).toMatchObject({
      version: "1.4.0",
      releases: [{ version: "1.4.0" }, { version: "1.3.0" }],
    });
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  it("stops when its stdin closes", async () => {
    const child = start(versions, ["pipe", "pipe", "inherit"]);
    await urlOf(child);
    child.stdin!.end();
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  it("stops when its IPC channel closes", async () => {
    const child = start(versions, ["ignore", "pipe", "inherit", "ipc"]);
    await urlOf(child);
    child.disconnect();
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  it("does not start with wrong flags, and says how to call it", async () => {
    const child = start(FLAGS, ["ignore", "pipe", "pipe"]);
    const [text] = (await once(child.stderr!, "data")) as [Buffer];
    expect(text.toString()).toMatch(/versions[\s\S]*usage: ota-server-main/);
    expect(await once(child, "exit")).toEqual([1, null]);
  });
});
