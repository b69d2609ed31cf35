// The commands with which people act, against a running agent: what they print, their exit codes, and what they do.
import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { registerActs } from "../../agent/cli/acts.ts";
import { registerExplain } from "../../agent/cli/explain.ts";
import { createLogger } from "../../runtime/logger.ts";
import { agentSettings, createTestFleet, startOtaServer } from "../support/agent.ts";
import type { TestFleet, TestOtaServer } from "../support/agent.ts";
import { createOperatorClient } from "../support/operator-client.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, version } from "../support/verdicts.ts";

let server: TestRedis;
let ota: TestOtaServer;
let agent: RunningAgent;
let fleet: TestFleet;

beforeAll(async () => {
  server = await startTestRedis();
  ota = await startOtaServer();
  for (const [index, text] of ["1.2.0", "1.3.0", "1.4.0"].entries())
    ota.publish({ ...TILL, version: version(text), releasedAtMs: Date.UTC(2026, 0, index + 1) });
  agent = await startAgent({
    settings: agentSettings([{ name: TILL.app, otaUrl: ota.url, policy: { mode: "approval" } }]),
    redisUrl: server.url,
    version: "0.0.0",
    logger: createLogger({ name: "test", level: "silent" }),
  });
  fleet = await createTestFleet(server.url);
});
afterAll(async () => {
  fleet.close();
  await agent.stop(5_000);
  await ota.close();
  await server.stop();
});

interface Run {
  readonly out: string;
  readonly err: string;
  readonly code: number;
}

async function lastgood(...words: readonly string[]): Promise<Run> {
  let [out, err, code] = ["", "", 0];
  const program = new Command("lastgood")
    .exitOverride()
    .configureOutput({ writeErr: (text) => void (err += text) });
  const context = {
    env: { LASTGOOD_AGENT_URL: agent.url },
    workingDir: process.cwd(),
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
    setExitCode: (next: number) => void (code = next),
  };
  registerActs(program, context);
  registerExplain(program, context);
  for (const command of program.commands)
    command.exitOverride().configureOutput({ writeErr: (text) => void (err += text) });
  await program.parseAsync(words, { from: "user" }).catch(() => (code = 1));
  return { out, err, code };
}

const ON = [TILL.app, TILL.channel];

describe("in the order of an incident", () => {
  it("targets: what the channel can go back to", async () => {
    const { out, code } = await lastgood("targets", ...ON);
    expect(code).toBe(0);
    expect(out).toBe(
      [
        "The channel offers 1.4.0.",
        "  version  released (UTC)       what speaks against it",
        "  1.3.0    2026-01-02 00:00:00  -",
        "  1.2.0    2026-01-01 00:00:00  -",
        "",
      ].join("\n"),
    );
  });

  it("freeze: refuses half a wish, lists, sets, lifts", async () => {
    expect((await lastgood("freeze")).out).toBe("Nothing is frozen: Lastgood acts by itself.\n");
    expect(await lastgood("freeze", ...ON)).toMatchObject({
      code: 1,
      err: expect.stringContaining("--reason"),
    });
    expect(await lastgood("freeze", ...ON, "--all", "--reason", "x")).toMatchObject({ code: 1 });
    expect(await lastgood("freeze", "--all", "--reason", "x", "--for", "soon")).toMatchObject({
      code: 1,
      err: expect.stringContaining("not a duration"),
    });
    const set = await lastgood("freeze", "--all", "--reason", "incident 4711");
    const id = /fr_[0-9a-f]{12}/.exec(set.out)![0];
    expect(set.out).toBe(`Frozen: ${id}  everything (kill switch), until lifted, by local: incident 4711\n`);
    expect((await lastgood("freeze")).out).toContain("incident 4711");
    expect(await lastgood("unfreeze", id, "--reason", "over")).toMatchObject({ code: 0 });
    expect(await lastgood("unfreeze", id)).toMatchObject({
      code: 1,
      err: expect.stringContaining("no freeze"),
    });
  });

  it("approve: a decision that waits is carried out, and explain tells who said yes", async () => {
    await fleet.report({
      app: TILL.app,
      version: "1.4.0",
      devices: [1, 40],
      events: ["installed", "reverted"],
    });
    const { id } = await createOperatorClient(() => agent).untilDecision(
      TILL.app,
      ({ approval }) => approval?.answer === null,
    );
    expect((await lastgood("explain", id)).out).toContain("It waits for a person's yes until");
    expect((await lastgood("explain")).out).toContain("waits for approval");
    const yes = await lastgood("approve", id);
    expect(yes).toMatchObject({ code: 0, err: `${id}: asking the OTA server …\n` });
    expect(yes.out).toBe(`${id}: rollback from 1.4.0 to 1.3.0: applied. The channel offers 1.3.0.\n`);
    expect(await lastgood("approve", id)).toMatchObject({
      code: 1,
      err: expect.stringContaining("waits no longer"),
    });
  });

  it("rollback: dry, refused by guards, overruled", async () => {
    const dry = await lastgood("rollback", ...ON, "1.2.0", "--reason", "x", "--dry-run");
    expect(dry).toMatchObject({ code: 0 });
    expect(dry.out).toMatch(
      /^The channel would go from 1\.3\.0 to 1\.2\.0\.\nWhat speaks against it:\n {2}The channel was rolled back/,
    );
    expect(await lastgood("rollback", ...ON, "9.9.9", "--reason", "x", "--dry-run")).toMatchObject({
      code: 1,
    });
    expect(await lastgood("rollback", ...ON, "1.2.0")).toMatchObject({
      code: 1,
      err: expect.stringContaining("--reason"),
    });
    expect(await lastgood("rollback", ...ON, "1.2.0", "--reason", "1.3.0 is worse")).toMatchObject({
      code: 1,
      err: expect.stringContaining("Guards object"),
    });
    const done = await lastgood("rollback", ...ON, "1.2.0", "--reason", "1.3.0 is worse", "--override");
    expect(done.out).toMatch(
      /^op_[0-9a-f]{20}: rollback from 1\.3\.0 to 1\.2\.0: applied\. The channel offers 1\.2\.0\.\n$/,
    );
    expect(ota.readChannel(TILL)!.version).toBe("1.2.0");
  });

  it("pause, and absolve; --json prints the answer as it is", async () => {
    const paused = await lastgood("pause", ...ON, "--reason", "looking", "--json");
    expect(JSON.parse(paused.out)).toMatchObject({ action: "pause", outcome: { kind: "applied" } });
    expect(ota.readChannel(TILL)!.paused).toBe(true);
    expect((await lastgood("absolve", ...ON, "1.4.0", "--reason", "the backend was down")).out).toBe(
      "1.4.0 is judged by what happens from now on (absolved once).\n",
    );
  });
});
