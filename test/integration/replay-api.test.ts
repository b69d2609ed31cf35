// Replays, stories and the journal's chain as operators get them: the API of a running agent, and the commands `replay`,
// `explain` and `journal`, on a real Redis that is also tampered with.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Command } from "commander";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AGENT_HEADER } from "../../agent/admin/agent-header.ts";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import type { CliContext } from "../../agent/cli/cli-context.ts";
import { registerExplain } from "../../agent/cli/explain.ts";
import { registerJournal } from "../../agent/cli/journal.ts";
import { registerReplay } from "../../agent/cli/replay.ts";
import { JOURNAL, JOURNAL_HEAD } from "../../agent/journal/control-keys.ts";
import type { JournalEntry } from "../../agent/journal/journal-entry.ts";
import { JOURNAL_PAGE_MAX, createJournal } from "../../agent/journal/journal.ts";
import type { ReplayAnswer } from "../../agent/replay/replay-answer.ts";
import { createLogger } from "../../runtime/logger.ts";
import { agentSettings, createTestFleet, startOtaServer } from "../support/agent.ts";
import type { TestFleet, TestOtaServer } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const RULE = "rules: [{ signal: update_failure, limit: 5% }]";
const LAX = "rules: [{ signal: update_failure, limit: 90% }]";

let server: TestRedis;
let redis: Redis;
let ota: TestOtaServer;
let agent: RunningAgent;
let fleet: TestFleet;
let folder: string;
/** How far the clock has been set forward since, in milliseconds: windows are looked at when they are over. */
let forwardMs = 0;
let decisionId: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "lg-replay-"));
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
  ota = await startOtaServer();
  for (const text of ["1.3.0", "1.4.0"]) ota.publish({ ...TILL, version: version(text) });
  agent = await startAgent({
    settings: agentSettings(
      [{ name: TILL.app, otaUrl: ota.url }],
      [
        { name: "ana", role: "viewer", token: "token-of-ana" },
        { name: "bo", role: "operator", token: "token-of-bo" },
      ],
    ),
    redisUrl: server.url,
    version: "1.2.3",
    logger: createLogger({ name: "test", level: "silent" }),
    clock: () => Date.now() + forwardMs,
  });
  fleet = await createTestFleet(server.url);
  const told = { app: TILL.app, version: "1.4.0" };
  await fleet.report({ ...told, version: "1.3.0", devices: [1, 40], events: ["confirmed"] });
  await fleet.report({ ...told, devices: [1, 10], events: ["install_failed"] });
  await fleet.report({ ...told, devices: [11, 40], events: ["confirmed"] });
  const decided = await waitUntil(
    async () =>
      (await (await ask("/v1/decisions")).json()) as { decisions: { id: string; outcome: unknown }[] },
    ({ decisions }) => decisions[0]?.outcome !== undefined && decisions[0].outcome !== null,
  );
  decisionId = decided.decisions[0]!.id;
  forwardMs = 120_000;
});

afterAll(async () => {
  fleet.close();
  await agent.stop(5_000);
  await ota.close();
  await redis.quit();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

function ask(route: string, body?: unknown, token = "token-of-bo"): Promise<Response> {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const sent = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  return fetch(`${agent.url}${route}`, { headers, ...sent });
}

async function problemOf(response: Response): Promise<[string, string]> {
  const { status, code, detail } = (await response.json()) as {
    status: number;
    code: string;
    detail: string;
  };
  expect(response.status).toBe(status);
  return [`${status} ${code}`, detail];
}

async function cli(...args: string[]): Promise<{ out: string; err: string; code: number }> {
  const seen = { out: "", err: "", code: 0 };
  const context: CliContext = {
    env: { LASTGOOD_AGENT_URL: agent.url, LASTGOOD_TOKEN: "token-of-bo" },
    workingDir: folder,
    out: (text) => void (seen.out += text),
    err: (text) => void (seen.err += text),
    setExitCode: (code) => void (seen.code = code),
  };
  const program = new Command("lastgood").exitOverride().configureOutput({ writeErr: context.err });
  for (const register of [registerReplay, registerJournal, registerExplain]) register(program, context);
  await program.parseAsync(args, { from: "user" });
  return seen;
}

function write(name: string, text: string): string {
  writeFileSync(path.join(folder, name), text);
  return name;
}

describe("POST /v1/replay", () => {
  it("tells what the policy would have done beside what did happen, twice the same", async () => {
    const body = {
      policy: RULE,
      since: "1h",
      until: new Date(Date.now() + forwardMs).toISOString(),
      ...TILL,
    };
    const response = await ask("/v1/replay", body);
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(await (await ask("/v1/replay", body)).text()).toBe(text);
    const answer = JSON.parse(text) as ReplayAnswer;
    expect(answer.assumptions.length).toBeGreaterThan(5);
    expect(answer.channels).toMatchObject([{ ...TILL, policy: "replayed", releases_left_out: 0 }]);
    const [newest, older] = answer.channels[0]!.releases;
    expect(newest).toMatchObject({
      version: "1.4.0",
      devices: 40,
      verdict: { kind: "failing" },
      replayed: { action: "rollback", target: "1.3.0", devices: 40, resolution_minutes: 1 },
      happened: { decision_id: decisionId, target: "1.3.0", outcome: "applied" },
      difference: { acts: "same" },
    });
    expect(older).toMatchObject({
      version: "1.3.0",
      replayed: null,
      happened: null,
      difference: { acts: "neither" },
    });
  });

  it("a channel for which the file has no policy is named", async () => {
    const policies = `policies: { a: { ${RULE} }, "${TILL.app}": { ${LAX} } }`;
    const answer = (await (
      await ask("/v1/replay", { policy: policies, since: "1h" })
    ).json()) as ReplayAnswer;
    expect(answer.channels[0]!.releases[0]).toMatchObject({
      replayed: null,
      difference: { acts: "only_happened" },
    });
    const others = `policies: { a: { ${RULE} }, b: { ${LAX} } }`;
    const [code, detail] = await problemOf(await ask("/v1/replay", { policy: others, since: "1h" }));
    expect(code).toBe("400 invalid_policy");
    expect(detail).toContain(TILL.app);
  });

  it("mistakes of the policy have their line and column", async () => {
    const response = await ask("/v1/replay", {
      policy: `mode: automatic\nrules:\n  - { signal: crash, limit: 200% }\n`,
      since: "1h",
    });
    const problem = (await response.clone().json()) as { problems: unknown[] };
    expect(problem.problems).toMatchObject([{ line: 3, column: 29, path: "rules[0].limit" }]);
    const [code, detail] = await problemOf(response);
    expect(code).toBe("400 invalid_policy");
    expect(detail).toMatch(/^policy:3:29: rules\[0\]\.limit: not a share/);
  });

  it.each([
    ["no policy", { since: "1h" }, "400 invalid_body"],
    ["no period", { policy: RULE }, "400 invalid_body"],
    ["longer than windows are kept", { policy: RULE, since: "2161h" }, "400 invalid_body"],
    ["shorter than a window", { policy: RULE, since: "59s" }, "400 invalid_body"],
    ["an end that is no time", { policy: RULE, since: "1h", until: "now" }, "400 invalid_body"],
    ["something that nobody reads", { policy: RULE, since: "1h", chanel: "x" }, "400 invalid_body"],
    ["an app that is not watched", { policy: RULE, since: "1h", app: "com.acme.tv" }, "404 unknown_channel"],
    [
      "a variable of the agent's",
      { policy: 'rules: [{ signal: crash, limit: "${HOME}" }]', since: "1h" },
      "400 invalid_policy",
    ],
  ])("%s: %j is %s", async (_what, body, expected) => {
    expect((await problemOf(await ask("/v1/replay", body)))[0]).toBe(expected);
  });

  it.each(["1m", "90d"])("as far as %s back", async (since) => {
    expect((await ask("/v1/replay", { policy: RULE, since })).status).toBe(200);
  });

  it("only operators may ask, and only with POST", async () => {
    const body = { policy: RULE, since: "1h" };
    expect((await problemOf(await ask("/v1/replay", body, "token-of-ana")))[0]).toBe("403 role_not_enough");
    expect((await problemOf(await ask("/v1/replay")))[0]).toBe("405 method_not_allowed");
  });

  it("one at a time: the others are told to come back", async () => {
    const asked = await Promise.all(
      Array.from({ length: 6 }, () => ask("/v1/replay", { policy: RULE, since: "90d" })),
    );
    const busy = asked.filter(({ status }) => status === 429);
    expect(asked.filter(({ status }) => status === 200).length).toBe(6 - busy.length);
    for (const response of busy) {
      expect(response.headers.get("retry-after")).toBe("5");
      expect((await problemOf(response))[0]).toBe("429 replay_running");
    }
    expect((await ask("/v1/replay", { policy: RULE, since: "1h" })).status).toBe(200);
  });
});

describe("lastgood replay", () => {
  it("prints a table", async () => {
    const { out, code } = await cli("replay", "--policy", write("same.yaml", RULE), "--since", "1h");
    expect(code).toBe(0);
    expect(out).toMatch(/com\.acme\.till\/production, policy replayed, .* to the minute/);
    expect(out).toMatch(
      /1\.4\.0 +rollback to 1\.3\.0 +\S+ \S+ +40 +rollback to 1\.3\.0 +\S+ \S+ +40 +40 +the same/,
    );
    expect(out).toMatch(/1\.3\.0 +nothing: healthy|1\.3\.0 +nothing: inconclusive/);
  });

  it("--json prints what the API says", async () => {
    const { out } = await cli("replay", "--policy", write("lax.yaml", LAX), "--json", "--app", TILL.app);
    const answer = JSON.parse(out) as ReplayAnswer;
    expect(answer.channels[0]!.releases[0]!.difference.acts).toBe("only_happened");
  });

  it("a bad policy file: exit code 2, with file, line and column", async () => {
    const file = write("bad.yaml", "rules:\n  - { signal: crahs, limit: 5% }\n");
    const { err, code, out } = await cli("replay", "--policy", file);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(/^bad\.yaml:2:15: rules\[0\]\.signal: /);
    expect(await cli("replay", "--policy", "none.yaml")).toMatchObject({
      code: 2,
      err: expect.stringContaining("none.yaml:1:1: "),
    });
  });

  it("a channel that is not there, or an agent: exit code 1", async () => {
    const file = write("good.yaml", RULE);
    expect(await cli("replay", "--policy", file, "--app", "com.acme.tv")).toMatchObject({ code: 1, out: "" });
    expect(await cli("replay", "--policy", file, "--app", "com.acme.tv", "--channel", "x")).toMatchObject({
      code: 1,
      err: expect.stringContaining("There is no such channel: Those that are watched: "),
    });
    expect(await cli("replay", "--policy", file, "--agent", "http://127.0.0.1:1")).toMatchObject({ code: 1 });
  });
});

describe("the story of a decision", () => {
  it("GET /v1/decisions/:id/story has the decision and its entries, in order", async () => {
    const response = await ask(`/v1/decisions/${decisionId}/story`, undefined, "token-of-ana");
    const {
      decision,
      entries,
      is_whole: isWhole,
    } = (await response.json()) as {
      decision: unknown;
      entries: JournalEntry[];
      is_whole: boolean;
    };
    expect(decision).toEqual(await (await ask(`/v1/decisions/${decisionId}`)).json());
    expect(isWhole).toBe(true);
    expect(entries.map(({ seq }) => seq)).toEqual(entries.map(({ seq }) => seq).toSorted((a, b) => a - b));
    expect(entries.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(["verdict", "decision", "outcome"]),
    );
    const releases = entries.flatMap(
      ({ body }) => (body["release"] as { version: string } | undefined)?.version ?? [],
    );
    expect(new Set(releases)).toEqual(new Set(["1.4.0"]));
    expect((await problemOf(await ask("/v1/decisions/rb_none/story")))[0]).toBe("404 unknown_decision");
  });

  it("lastgood explain prints it, and the decision as before", async () => {
    const { out, code } = await cli("explain", decisionId);
    expect(code).toBe(0);
    expect(out).toMatch(/^rb_\w+: com\.acme\.till\/production from 1\.4\.0 to 1\.3\.0\n/);
    expect(out).toMatch(/update_failure +10 of \d+ +limit 5\.0%/);
    expect(out).toContain("newest failing report taken in");
    expect(out).toMatch(/baseline: (1\.3\.0|none)/);
    expect(out).toContain("guards: none objected");
    expect(out).toMatch(/ verdict +com\.acme\.till\/production\/1\.4\.0 \S.* -> failing: /);
    expect(out).toMatch(/ decision +com\.acme\.till\/production\/1\.4\.0 rb_\w+, automatic: /);
    expect(out).toMatch(/ outcome +rb_\w+ applied: /);
    const json = JSON.parse((await cli("explain", decisionId, "--json")).out) as Record<string, unknown>;
    expect(json).toMatchObject({ id: decisionId, target: "1.3.0", journal: expect.any(Array) });
    expect(await cli("explain", "rb_none")).toMatchObject({ code: 1 });
  });
});

describe("lastgood journal", () => {
  it("lists the newest entries, oldest of them first; or after one", async () => {
    const { seq } = await createJournal({ redis }).head();
    const newest = await cli("journal", "--limit", "2");
    expect(
      newest.out
        .trim()
        .split("\n")
        .map((line) => Number.parseInt(line.trim(), 10)),
    ).toEqual([seq - 1, seq]);
    const second = await cli("journal", "--after", "1", "--limit", "1", "--json");
    expect(JSON.parse(second.out)).toMatchObject({ seq: 2, prev: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(await cli("journal", "--limit", "0")).toMatchObject({ code: 1 });
    expect(await cli("journal", "--after", "x")).toMatchObject({ code: 1 });
  });
});

describe("lastgood journal --follow", () => {
  it("goes on from the newest entries, and ends with the agent", async () => {
    const entry = (seq: number) => ({
      seq,
      at: "2026-01-31T12:00:00.000Z",
      kind: "outcome",
      body: {},
      prev: "",
      hash: "",
    });
    const asked: string[] = [];
    const stub = createServer((request, response) => {
      asked.push(request.url!);
      const after = Number(/after=(\d+)/.exec(request.url!)![1]);
      if (asked.length === 4) return void response.destroy();
      response.setHeader(AGENT_HEADER, "1");
      response.end(JSON.stringify({ entries: [entry(after + 1)], head: { seq: 9, hash: "" } }));
    });
    await new Promise<void>((resolve) => void stub.listen(0, "127.0.0.1", resolve));
    const { port } = stub.address() as AddressInfo;
    const { out, code } = await cli("journal", "-f", "-n", "1", "--agent", `http://127.0.0.1:${port}`);
    stub.close();
    expect(asked).toEqual([
      "/v1/journal?after=0&limit=1",
      "/v1/journal?after=8&limit=1",
      "/v1/journal?after=9&limit=1",
      "/v1/journal?after=10&limit=1",
    ]);
    expect(out.split("\n").map((line) => line.trim().split(" ")[0])).toEqual(["9", "10", ""]);
    expect(code).toBe(1);
  });
});

describe("lastgood journal verify", () => {
  const intact = /^([\d,]+) entries checked: the chain is intact\.\nhead: (\d+) ([0-9a-f]{64})\n$/;

  /** Puts another text where entry `seq` is, and leaves everything else as it was. */
  async function withRows(change: (rows: string[]) => string[], check: () => Promise<void>): Promise<void> {
    const kept = await redis.xrange(JOURNAL, "-", "+");
    const put = async (rows: readonly (readonly [string, string])[]): Promise<void> => {
      await redis.del(JOURNAL);
      const pipeline = redis.pipeline();
      for (const [id, row] of rows) pipeline.xadd(JOURNAL, id, "entry", row);
      await pipeline.exec();
    };
    const rows = kept.map(([id, fields]) => [id, fields[1]!] as const);
    const changed = change(rows.map(([, row]) => row));
    try {
      await put(changed.flatMap((row, index) => (row === "" ? [] : [[rows[index]![0], row] as const])));
      await check();
    } finally {
      await put(rows);
    }
  }

  it("walks all pages, says how far it is, and prints the head", async () => {
    const journal = createJournal({ redis });
    for (let index = 0; index < JOURNAL_PAGE_MAX + 50; index += 1)
      await journal.append({ kind: "operator", at: "2026-01-31T12:00:00.000Z", body: { index } });
    const { out, code } = await cli("journal", "verify");
    const head = await journal.head();
    expect(code).toBe(0);
    expect(intact.exec(out)?.slice(2)).toEqual([String(head.seq), head.hash]);
    expect(head.seq).toBeGreaterThan(JOURNAL_PAGE_MAX);
    const json = JSON.parse((await cli("journal", "verify", "--json")).out) as unknown;
    expect(json).toEqual({ intact: true, entries: head.seq, head, broken: null });
  });

  it("--export writes it, and --file verifies that without an agent", async () => {
    const { out } = await cli("journal", "verify", "--export", "all.ndjson");
    const offline = await cli("journal", "verify", "--file", "all.ndjson", "--agent", "http://127.0.0.1:1");
    expect(offline).toEqual({ out, err: "", code: 0 });
    const lines = readFileSync(path.join(folder, "all.ndjson"), "utf8").trim().split("\n");
    const lost = write("lost.ndjson", [...lines.slice(0, 6), ...lines.slice(7)].join("\n"));
    expect(await cli("journal", "verify", "--file", lost)).toMatchObject({
      code: 1,
      err: expect.stringContaining("broken at entry 7: it is missing: entry 8 stands in its place"),
    });
    const torn = write("torn.ndjson", `${lines.slice(0, 3).join("\n")}\n${lines[3]!.slice(0, 40)}`);
    expect(await cli("journal", "verify", "--file", torn)).toMatchObject({
      code: 1,
      err: expect.stringContaining("broken at entry 4: it is no journal entry"),
    });
    expect(await cli("journal", "verify", "--file", "none.ndjson")).toMatchObject({
      code: 1,
      err: expect.stringContaining("none.ndjson"),
    });
    expect(await cli("journal", "verify", "--export", "no/such/folder/x")).toMatchObject({ code: 1 });
    expect(await cli("journal", "verify", "--file", "all.ndjson", "--export", "x")).toMatchObject({
      code: 1,
    });
  });

  it.each<[string, (rows: string[]) => string[], string]>([
    [
      "a changed entry",
      (rows) => rows.with(4, rows[4]!.replace(/"at":"[^"]+"/, '"at":"2020-01-01T00:00:00.000Z"')),
      "broken at entry 5: its content was changed",
    ],
    [
      "a missing entry",
      (rows) => rows.with(2, ""),
      "broken at entry 3: it is missing: entry 4 stands in its place",
    ],
    [
      "entries that changed places",
      (rows) => rows.with(2, rows[3]!).with(3, rows[2]!),
      "broken at entry 3: it is missing: entry 4",
    ],
    ["the first one gone", (rows) => rows.with(0, ""), "broken at entry 1: it is missing"],
    [
      "the last two gone",
      (rows) => rows.map((row, index) => (index < rows.length - 2 ? row : "")),
      "is missing: the last one should be",
    ],
    [
      "an entry on another page",
      (rows) => rows.with(JOURNAL_PAGE_MAX + 10, ""),
      `broken at entry ${JOURNAL_PAGE_MAX + 11}: it is missing`,
    ],
    ["what is no JSON", (rows) => rows.with(6, "{"), "entry 7 cannot be read, those before it are intact"],
  ])("in Redis itself, %s is named", async (_what, change, message) => {
    await withRows(change, async () => {
      const { out, err, code } = await cli("journal", "verify");
      expect([code, out]).toEqual([1, ""]);
      expect(err).toContain(message);
    });
    expect(await cli("journal", "verify")).toMatchObject({ code: 0 });
  });

  it("a head that names another hash shows", async () => {
    const { hash } = await createJournal({ redis }).head();
    await redis.hset(JOURNAL_HEAD, "hash", "f".repeat(64));
    expect(await cli("journal", "verify")).toMatchObject({
      code: 1,
      err: expect.stringContaining("its hash is not the one that is kept beside the journal"),
    });
    await redis.hset(JOURNAL_HEAD, "hash", hash);
  });
});
