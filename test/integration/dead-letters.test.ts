// Poison: entries that nobody can decode, of many kinds, between good ones, on a running agent. No shard
// stops, counts are exact, and each letter can be listed, put back and thrown away, over HTTP and from the
// command line; every such act is in the journal.
import { Command } from "commander";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import type { CliContext } from "../../agent/cli/cli-context.ts";
import { registerDeadLetters } from "../../agent/cli/dead-letters.ts";
import { createHealthStore } from "../../agent/health/health-store.ts";
import { metaKey } from "../../agent/health/shard-keys.ts";
import { REDRIVEN_PAIRS_MAX, fieldsOfPayload, payloadOfEntry } from "../../agent/intake/dead-letter.ts";
import { LETTER_EXCERPT_BYTES, createDeadLetterStore } from "../../agent/intake/dead-letters.ts";
import type { DeadLetterStore } from "../../agent/intake/dead-letters.ts";
import { createJournal } from "../../agent/journal/journal.ts";
import type { DeviceEvent } from "../../ingest/contract/device-report.ts";
import { encodeReportEntry } from "../../ingest/contract/report-entry.ts";
import { deadLetterStream, reportStream } from "../../ingest/contract/stream-names.ts";
import { createLogger } from "../../runtime/logger.ts";
import { AGENT_TEST_SHARDS, agentSettings, createTestFleet, startOtaServer } from "../support/agent.ts";
import type { TestFleet, TestOtaServer } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, releaseOf, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const OPERATORS = (["viewer", "operator", "admin"] as const).map((role) => ({
  name: `the-${role}`,
  role,
  token: `token-of-${role}`,
}));
const SHARD_NUMBERS = Array.from({ length: AGENT_TEST_SHARDS }, (_, shard) => shard);

let server: TestRedis;
let redis: Redis;
let ota: TestOtaServer;
/** Without operators, and with them; both fold. */
let agent: RunningAgent;
let guarded: RunningAgent;
let fleet: TestFleet;
let letters: DeadLetterStore;

beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
  ota = await startOtaServer();
  for (const text of ["1.3.0", "1.4.0"]) ota.publish({ ...TILL, version: version(text) });
  const start = (operators: typeof OPERATORS): Promise<RunningAgent> =>
    startAgent({
      settings: agentSettings([{ name: TILL.app, otaUrl: ota.url }], operators),
      redisUrl: server.url,
      version: "1.2.3",
      logger: createLogger({ name: "test", level: "silent" }),
    });
  agent = await start([]);
  guarded = await start(OPERATORS);
  fleet = await createTestFleet(server.url);
  letters = createDeadLetterStore({ redis, shards: AGENT_TEST_SHARDS });
});

afterAll(async () => {
  fleet.close();
  await Promise.all([agent.stop(5_000), guarded.stop(5_000)]);
  await ota.close();
  await redis.quit();
  await server.stop();
});

beforeEach(async () => {
  for (const shard of SHARD_NUMBERS) await redis.del(deadLetterStream(shard));
});

const health = () => createHealthStore({ redis, shards: AGENT_TEST_SHARDS });

async function untilFolded(): Promise<void> {
  await waitUntil(
    () => Promise.all(SHARD_NUMBERS.map((shard) => redis.xlen(reportStream(shard)))),
    (lengths) => lengths.every((length) => length === 0),
  );
}

async function confirmed(text: string): Promise<number> {
  return (await health().readRelease(releaseOf(text))).devices.confirmed;
}

async function ask(
  path: string,
  { url = agent.url, token, ...init }: RequestInit & { url?: string; token?: string } = {},
): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
  const response = await fetch(`${url}/v1/dead-letters${path}`, {
    ...init,
    headers: {
      ...(init.body === undefined ? {} : { "content-type": "application/json" }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(init.headers as Record<string, string> | undefined),
    },
  });
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, body, headers: response.headers };
}

function post(path: string, body: unknown, options: { url?: string; token?: string } = {}) {
  return ask(path, { method: "POST", body: JSON.stringify(body), ...options });
}

interface Listed {
  readonly kept: number;
  readonly dropped: number;
  readonly dead_letters: {
    readonly id: string;
    readonly shard: number;
    readonly reason: string;
    readonly kind: string;
    readonly payload_bytes: number;
    readonly excerpt: string | null;
  }[];
  readonly next: string | null;
}

async function list(query = ""): Promise<Listed> {
  const { status, body } = await ask(query);
  expect(status).toBe(200);
  return body as unknown as Listed;
}

async function cli(...args: string[]): Promise<{ out: string; err: string; code: number }> {
  const seen = { out: "", err: "", code: 0 };
  const context: CliContext = {
    env: { LASTGOOD_AGENT_URL: agent.url },
    workingDir: "/nonexistent",
    out: (text) => void (seen.out += text),
    err: (text) => void (seen.err += text),
    setExitCode: (code) => void (seen.code = code),
  };
  const program = new Command("lastgood").exitOverride().configureOutput({ writeErr: context.err });
  registerDeadLetters(program, context);
  await program.parseAsync(["dead-letters", ...args], { from: "user" });
  return seen;
}

async function operatorEntries(): Promise<Record<string, unknown>[]> {
  const entries = await createJournal({ redis }).read({ afterSeq: 0, limit: 1_000 });
  return entries.flatMap(({ kind, body }) => (kind === "operator" ? [body] : []));
}

async function putEntry(shard: number, fields: readonly (string | Buffer)[]): Promise<void> {
  await redis.xadd(reportStream(shard), "*", ...fields);
}

/** A letter as an older agent would have left it, that did not know what this one knows. */
async function putLetter(shard: number, ...devices: string[]): Promise<string> {
  const reports = devices.map((device) => ({
    ...releaseOf("3.0.0"),
    device,
    event: "confirmed" as DeviceEvent,
    atMs: Date.now(),
  }));
  const fields = encodeReportEntry({ receivedAtMs: Date.now(), reports });
  const payload = JSON.stringify({ id: "1-1", fields });
  const reason = 'unknown entry format "1"';
  return `${shard}:${await redis.xadd(deadLetterStream(shard), "*", "reason", reason, "payload", payload)}`;
}

const tuple = (...change: (readonly [index: number, value: unknown])[]): string => {
  const parts: unknown[] = [TILL.app, TILL.channel, "a-device", "9.9.9", 4, 5];
  for (const [index, value] of change) parts[index] = value;
  return JSON.stringify([parts]);
};
const entryWith = (r: string | Buffer): (string | Buffer)[] => ["f", "1", "t", "1700000000000", "r", r];

const GARBAGE: readonly (readonly [name: string, fields: (string | Buffer)[], reason: RegExp])[] = [
  ["another format", ["f", "99", "t", "1", "r", "[]"], /unknown entry format "99"/],
  ["an endless format", ["f", "x".repeat(100_000)], /^unknown entry format "x{40}"$/],
  ["none of our fields", ["hello", "world"], /unknown entry format undefined/],
  ["empty names and values", ["", ""], /unknown entry format undefined/],
  ["many fields", Array.from({ length: 9_000 }, (_, index) => `field-${index}`), /unknown entry format/],
  ["no receive time", ["f", "1", "r", "[]"], /no receive time/],
  ["a receive time that is no date", ["f", "1", "t", "9007199254740991", "r", "[]"], /no receive time/],
  ["no reports", ["f", "1", "t", "1700000000000"], /not JSON/],
  ["JSON cut short", entryWith('[["com.acme.till"'), /not JSON/],
  ["control characters", entryWith("\u001b[2J\u0000"), /not JSON/],
  ["an object", entryWith("{}"), /not an array/],
  ["null", entryWith("null"), /not an array/],
  ["a number for a report", entryWith("[5]"), /report 0/],
  ["a device that is a number", entryWith(tuple([2, 7])), /report 0/],
  ["an event that is a word", entryWith(tuple([4, "confirmed"])), /report 0/],
  ["an event of the future", entryWith(tuple([4, 99])), /report 0/],
  ["a time beyond all dates", entryWith(tuple([5, 9e15])), /report 0/],
  ["a time long before all dates", entryWith(tuple([5, -1e300])), /report 0/],
  ["a time with a fraction", entryWith(tuple([5, 1.5])), /report 0/],
  ["an app with the table's separator", entryWith(tuple([0, "a|b"])), /report 0/],
  ["a crash that is an array", entryWith(tuple([13, []])), /report 0/],
  ["deep nesting", entryWith("[".repeat(50_000)), /not JSON/],
  ["megabytes", entryWith(`["${"x".repeat(3_000_000)}`), /not JSON/],
  ["bytes that are no text", entryWith(Buffer.from([0xff, 0xfe, 0x00, 0x80, 0xc3, 0x28])), /not JSON/],
  [
    "a name that is no text",
    [Buffer.from([0x80, 0x81]), Buffer.from([0xff])],
    /unknown entry format undefined/,
  ],
];

describe("poison between good entries", () => {
  it("stops no shard, costs no count, and each letter says why", async () => {
    let device = 0;
    for (const [, fields] of GARBAGE) {
      await fleet.report({
        app: TILL.app,
        version: "2.0.0",
        devices: [device + 1, device + 20],
        events: ["confirmed"],
      });
      device += 20;
      for (const shard of SHARD_NUMBERS) await putEntry(shard, fields);
    }
    await fleet.report({ app: TILL.app, version: "2.0.0", devices: [1, device + 20], events: ["confirmed"] });
    await untilFolded();

    expect(await confirmed("2.0.0")).toBe(device + 20);
    const { deadLetters } = await health().readFoldTotals();
    expect(deadLetters).toBe(GARBAGE.length * AGENT_TEST_SHARDS);
    const { kept, dropped } = await list();
    expect({ kept, dropped }).toEqual({ kept: deadLetters, dropped: 0 });
    for (const shard of SHARD_NUMBERS) {
      const { dead_letters, next } = await list(`?order=oldest&limit=500&shard=${shard}`);
      expect(next).toBeNull();
      expect(dead_letters.length).toBe(GARBAGE.length);
      for (const [index, [name, , reason]] of GARBAGE.entries())
        expect([name, dead_letters[index]!.reason]).toEqual([name, expect.stringMatching(reason)]);
    }
    const written = await redis.xrange(deadLetterStream(0), "-", "+");
    // As latin1: of buffers with megabytes `toEqual` compares byte by byte, which takes seconds.
    const bytesOf = (field: string | Buffer): string => Buffer.from(field).toString("latin1");
    for (const [index, [name, fields]] of GARBAGE.entries()) {
      const kept = fieldsOfPayload(written[index]![1][3]!)?.map(bytesOf);
      const expected = fields.length > 2 * REDRIVEN_PAIRS_MAX ? undefined : fields.map(bytesOf);
      expect([name, kept]).toEqual([name, expected]);
    }
    expect((await (await fetch(`${agent.url}/v1/status`)).json()) as object).toHaveProperty("channels");
    const metrics = await (await fetch(`${agent.url}/metrics`)).text();
    expect(metrics).toContain(`\nota_dead_letters_total ${deadLetters}\n`);
    expect(metrics).toContain(`\nota_dead_letters_kept ${deadLetters}\n`);
    expect(metrics).toContain("\nota_dead_letters_dropped_total 0\n");
  });

  it("times at the edge of all dates are counted, and the agent can still show them", async () => {
    for (const [index, at] of [-8.64e15, 0, 8.64e15].entries())
      for (const shard of SHARD_NUMBERS)
        await putEntry(shard, ["f", "1", "t", String(at), "r", tuple([2, `edge-${index}`], [5, at])]);
    await fleet.report({ app: TILL.app, version: "2.0.1", devices: [1, 20], events: ["confirmed"] });
    await untilFolded();
    expect(await confirmed("2.0.1")).toBe(20);
    expect((await list()).dead_letters).toEqual([]);
    await waitUntil(
      async () => (await fetch(`${agent.url}/v1/status`)).status,
      (status) => status === 200,
    );
  });
});

describe("the list", () => {
  it("goes through all shards in order, newest or oldest first, page by page", async () => {
    const ids: string[] = [];
    for (let index = 0; index < 12; index += 1) {
      // The same instant in every shard, so that only the shard tells letters apart.
      const entryId = `1700000000${100 + Math.floor(index / 6)}-${Math.floor(index / 3) % 2}`;
      const shard = index % 3;
      await redis.xadd(deadLetterStream(shard), entryId, "reason", `r${index}`, "payload", "{}");
      ids.push(`${shard}:${entryId}`);
    }
    const through = async (order: string, limit: number): Promise<string[]> => {
      const seen: string[] = [];
      let after: string | null = null;
      do {
        const page = await list(`?order=${order}&limit=${limit}${after === null ? "" : `&after=${after}`}`);
        expect(page.dead_letters.length).toBeLessThanOrEqual(limit);
        seen.push(...page.dead_letters.map(({ id }) => id));
        after = page.next;
      } while (after !== null);
      return seen;
    };
    for (const limit of [1, 2, 5, 12, 500]) {
      expect(await through("oldest", limit)).toEqual(ids);
      expect(await through("newest", limit)).toEqual(ids.toReversed());
    }
    const only = await list("?shard=1&order=oldest");
    expect(only.dead_letters.map(({ id }) => id)).toEqual(ids.filter((id) => id.startsWith("1:")));
  });

  it("shows only the beginning of a large payload; one letter is shown whole", async () => {
    const id = await putLetter(2, ...Array.from({ length: 500 }, (_, index) => `ü-device-${index}`));
    const [letter] = (await list()).dead_letters;
    expect(letter).toMatchObject({ id, shard: 2, kind: "entry" });
    expect(Buffer.byteLength(letter!.excerpt!)).toBeLessThanOrEqual(LETTER_EXCERPT_BYTES);
    const { status, body } = await ask(`/${id}`);
    expect(status).toBe(200);
    expect(Buffer.byteLength(body["payload"] as string)).toBe(letter!.payload_bytes);
    expect(JSON.parse(body["payload"] as string)).toHaveProperty("fields");
  });

  it.each([
    "?limit=0",
    "?limit=501",
    "?limit=x",
    "?limit=1&limit=2",
    "?shard=4",
    "?shard=-1",
    "?order=up",
    "?after=7",
    "?after=0:99999999999999999999-0",
  ])("refuses %s", async (query) => {
    expect(await ask(query)).toMatchObject({ status: 400, body: { code: "invalid_query" } });
  });
});

describe("putting back", () => {
  it("what can be read by now is counted, once, whoever asks how often", async () => {
    const ids = [await putLetter(0, "back-1", "back-2"), await putLetter(1, "back-3")];
    const before = await confirmed("3.0.0");
    const { folded } = await health().readFoldTotals();
    const answers = await Promise.all([1, 2, 3].map(() => post("/redrive", { ids })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    const redriven = answers.map(({ body }) => body["redriven"] as number);
    expect(redriven.reduce((sum, one) => sum + one, 0)).toBe(2);
    await untilFolded();
    expect((await confirmed("3.0.0")) - before).toBe(3);
    expect((await health().readFoldTotals()).folded - folded).toBe(3);
    expect((await list()).dead_letters).toEqual([]);
    expect((await post("/redrive", { ids })).body).toEqual({ redriven: 0, missing: ids, unreadable: [] });
  });

  it("a report that a limit refused goes back alone, with the time it came", async () => {
    const report = {
      ...releaseOf("3.1.0"),
      device: "refused-1",
      event: "confirmed",
      atMs: 1_700_000_000_000,
    };
    const payload = JSON.stringify({ receivedAtMs: 1_700_000_000_000, report });
    await redis.xadd(deadLetterStream(3), "*", "reason", "too_many_releases", "payload", payload);
    expect((await list()).dead_letters[0]!.kind).toBe("report");
    expect((await post("/redrive", { all: true })).body).toMatchObject({ redriven: 1 });
    await untilFolded();
    expect(await health().readRelease(releaseOf("3.1.0"))).toMatchObject({
      devices: { confirmed: 1 },
      firstReportAtMs: 1_700_000_000_000,
    });
  });

  it("what fails again comes back as a letter, and does not go round", async () => {
    for (const shard of SHARD_NUMBERS)
      for (let index = 0; index < 300; index += 1)
        await redis.xadd(reportStream(shard), "*", "f", "99", "n", String(index));
    await untilFolded();
    const { deadLetters: before } = await health().readFoldTotals();
    const all = 300 * AGENT_TEST_SHARDS;
    expect((await list()).kept).toBe(all);
    expect((await post("/redrive", { all: true })).body).toEqual({
      redriven: all,
      missing: [],
      unreadable: [],
    });
    await untilFolded();
    expect((await list()).kept).toBe(all);
    expect((await health().readFoldTotals()).deadLetters).toBe(before + all);
  });

  it("all are those that were there when it began: what comes meanwhile stays", async () => {
    // A shard that no agent looks at, where each look makes one more letter.
    const shard = AGENT_TEST_SHARDS;
    const another = () =>
      redis.xadd(deadLetterStream(shard), "*", "reason", "r", "payload", '{"fields":["f","9"]}');
    const watched = new Proxy(redis, {
      get: (target, name) =>
        name === "xrange"
          ? async (key: string, from: string, to: string) => {
              await another();
              return target.xrange(key, from, to);
            }
          : (Reflect.get(target, name) as unknown),
    });
    await Promise.all([another(), another(), another()]);
    const store = createDeadLetterStore({ redis: watched, shards: shard + 1 });
    expect(await store.redrive({ all: true })).toMatchObject({ moved: 3 });
    expect(await redis.xlen(deadLetterStream(shard))).toBe(3);
    expect(await redis.xlen(reportStream(shard))).toBe(3);
    await redis.del(reportStream(shard), deadLetterStream(shard));
  });

  it("an entry goes back byte for byte, also when it is no text", async () => {
    // Of a shard that no agent looks at.
    const shard = AGENT_TEST_SHARDS;
    const more = createDeadLetterStore({ redis, shards: shard + 1 });
    const fields = ["f", "2", "r", Buffer.from([0xff, 0x00, 0x80]), "ü", "\u2028"].map((field) =>
      Buffer.from(field),
    );
    const payload = payloadOfEntry("5-0", fields);
    await redis.xadd(deadLetterStream(shard), "*", "reason", "binary", "payload", payload);
    expect(await more.redrive({ all: true })).toEqual({ moved: 1, missing: [], unreadable: [] });
    const rows = await redis.xrangeBuffer(reportStream(shard), "-", "+");
    expect(rows[0]![1]).toEqual(fields);
    await redis.del(reportStream(shard));
  });

  it("a payload that is no entry stays where it is, and is named", async () => {
    const payloads = ["", "{", "null", "{}", '{"fields":[]}', '{"fields":["f"]}', '{"fields":[1,2]}'];
    for (const payload of payloads)
      await redis.xadd(deadLetterStream(0), "*", "reason", "?", "payload", payload);
    const id = await putLetter(0, "between-1");
    const { redriven, unreadable } = (await post("/redrive", { all: true })).body;
    expect(redriven).toBe(1);
    expect(unreadable).toHaveLength(payloads.length);
    expect(unreadable).not.toContain(id);
    expect(await redis.xlen(deadLetterStream(0))).toBe(payloads.length);
  });
});

describe("throwing away", () => {
  it("only what was named, or all", async () => {
    const ids = await Promise.all(["gone-1", "gone-2", "stays-1"].map((device) => putLetter(1, device)));
    expect((await post("/discard", { ids: [ids[0], ids[1], "0:1-1", "9:1-1", "?"] })).body).toEqual({
      discarded: 2,
      missing: expect.arrayContaining(["0:1-1", "9:1-1", "?"]),
    });
    expect((await list()).dead_letters.map(({ id }) => id)).toEqual([ids[2]]);
    expect((await post("/discard", { all: true })).body).toEqual({ discarded: 1, missing: [] });
    expect((await list()).kept).toBe(0);
  });
});

describe("who may", () => {
  it("a viewer lists without payloads, which hold device ids, and can change nothing", async () => {
    const id = await putLetter(0, "secret-device");
    const viewer = { url: guarded.url, token: "token-of-viewer" };
    const { body } = await ask("", viewer);
    expect(body).toMatchObject({ kept: 1, dead_letters: [{ id, excerpt: null }] });
    expect(JSON.stringify(body)).not.toContain("secret-device");
    const refused = { status: 403, body: { code: "role_not_enough" } };
    expect(await ask(`/${id}`, viewer)).toMatchObject(refused);
    expect(await post("/redrive", { all: true }, viewer)).toMatchObject(refused);
    expect(await post("/discard", { all: true }, viewer)).toMatchObject(refused);
    expect(await post("/discard", { all: true }, { url: guarded.url })).toMatchObject({ status: 401 });
    expect((await list()).kept).toBe(1);
  });

  it.each(["operator", "admin"])(
    "the role %s may, and the journal has the name and how many",
    async (role) => {
      const access = { url: guarded.url, token: `token-of-${role}` };
      const before = (await operatorEntries()).length;
      const id = await putLetter(0, `${role}-1`);
      expect((await ask(`/${id}`, access)).body).toMatchObject({
        id,
        payload: expect.stringContaining(role),
      });
      expect((await post("/redrive", { ids: [id] }, access)).body).toMatchObject({ redriven: 1 });
      await putLetter(1, `${role}-2`);
      expect((await post("/discard", { all: true }, access)).body).toMatchObject({ discarded: 1 });
      const operator = `the-${role}`;
      expect((await operatorEntries()).slice(before)).toEqual([
        { operator, action: "dead_letters_redrive", stage: "asked", letters: 1 },
        { operator, action: "dead_letters_redrive", stage: "done", letters: 1 },
        { operator, action: "dead_letters_discard", stage: "asked", letters: "all" },
        { operator, action: "dead_letters_discard", stage: "done", letters: 1 },
      ]);
    },
  );

  it("without operators, a page of another site may not act for its visitor", async () => {
    const id = await putLetter(0, "kept-1");
    const form = { method: "POST", body: '{"all":true}' };
    expect(await ask("/discard", { ...form, headers: { "content-type": "text/plain" } })).toMatchObject({
      status: 415,
      body: { code: "unsupported_media_type" },
    });
    // fetch does not let its Host be chosen; node:http does.
    expect(await asForeignHost(`${agent.url}/v1/dead-letters/discard`)).toBe(403);
    expect((await list()).dead_letters.map((letter) => letter.id)).toEqual([id]);
  });

  it.each([
    ["{", 400, "invalid_body"],
    ["[]", 400, "invalid_body"],
    ["{}", 400, "invalid_body"],
    ['{"ids":[]}', 400, "invalid_body"],
    ['{"ids":["0:1-1"],"all":true}', 400, "invalid_body"],
    ['{"all":false}', 400, "invalid_body"],
    [JSON.stringify({ ids: Array.from({ length: 1_001 }, () => "0:1-1") }), 400, "invalid_body"],
    [`"${"x".repeat(200_000)}"`, 413, "body_too_large"],
  ])("refuses a body, case %#", async (body, status, code) => {
    expect(await ask("/redrive", { method: "POST", body })).toMatchObject({ status, body: { code } });
  });

  it("says which method is right, and that there is no such letter", async () => {
    const wrong = await ask("/redrive");
    expect(wrong).toMatchObject({ status: 405, body: { code: "method_not_allowed" } });
    expect(wrong.headers.get("allow")).toBe("POST");
    expect(await ask("", { method: "DELETE" })).toMatchObject({ status: 405 });
    expect(await ask("/0:1-1")).toMatchObject({ status: 404, body: { code: "unknown_dead_letter" } });
    expect(await ask("/nonsense")).toMatchObject({ status: 404, body: { code: "unknown_dead_letter" } });
  });
});

describe("lastgood dead-letters", () => {
  it("lists, puts back and throws away, with exit codes", async () => {
    expect(await cli()).toEqual({ out: "No dead letters.\n", err: "", code: 0 });
    const id = await putLetter(0, "cli-1");
    await redis.xadd(deadLetterStream(1), "*", "reason", "evil \u001b[2J\u202E", "payload", "{}");
    const { out, code } = await cli("--oldest");
    expect(code).toBe(0);
    expect(out).toContain(id);
    expect(out).toContain('unknown entry format "1"');
    expect(out).toContain("evil ?[2J?");
    expect(out).toContain("2 dead letters in all.");
    expect((await cli("--limit", "1")).out).toContain("More: lastgood dead-letters --after 1:");
    expect(JSON.parse((await cli("--json", "--shard", "0")).out)).toMatchObject({ dead_letters: [{ id }] });

    expect(await cli("redrive", id)).toEqual({ out: "Put back 1 dead letter.\n", err: "", code: 0 });
    expect(await cli("redrive", id)).toMatchObject({ code: 1, out: expect.stringContaining("not there") });
    expect(await cli("redrive", "--all")).toMatchObject({ code: 1, out: expect.stringContaining("payload") });
    expect(await cli("discard", "--all")).toMatchObject({ code: 1, err: expect.stringContaining("--yes") });
    const json = await cli("discard", "--all", "--yes", "--json");
    expect([JSON.parse(json.out), json.code]).toEqual([{ discarded: 1, missing: [] }, 0]);
    await untilFolded();
  });

  it("takes no option of the list for one of its acts", async () => {
    const id = await putLetter(0, "cli-2");
    await expect(cli("discard", "--all", "--shard", "1", "--yes")).rejects.toThrow(
      "unknown option '--shard'",
    );
    expect((await list()).dead_letters).toMatchObject([{ id }]);
  });

  it.each([
    [["redrive"], /name the letters/],
    [["redrive", "0:1-1", "--all"], /name the letters/],
    [["discard", "--yes"], /name the letters/],
    [["--limit", "0"], /`limit` must be/],
    [["--agent", "http://127.0.0.1:1"], /does not answer/],
  ])("%j fails with a remedy", async (args, message) => {
    const { err, out, code } = await cli(...args);
    expect([out, code]).toEqual(["", 1]);
    expect(err).toMatch(message);
  });
});

describe("a full dead-letter stream", () => {
  it("lets the oldest go and says how many", async () => {
    const pipeline = redis.pipeline();
    for (let index = 0; index < 11_000; index += 1) pipeline.xadd(reportStream(0), "*", "f", "99");
    await pipeline.exec();
    await untilFolded();
    const { kept, dropped } = await letters.count();
    expect(kept + dropped).toBe(11_000);
    expect(dropped).toBeGreaterThan(700);
    expect(Number(await redis.hget(metaKey(0), "dead_dropped"))).toBe(dropped);
    const metrics = await (await fetch(`${agent.url}/metrics`)).text();
    expect(metrics).toContain(`\nota_dead_letters_dropped_total ${dropped}\n`);
    expect((await cli("--limit", "1")).out).toMatch(/\d dead letters gave way to newer ones/);
    expect(await letters.discard({ all: true })).toEqual({ moved: kept, missing: [], unreadable: [] });
  });
});

async function asForeignHost(url: string): Promise<number | undefined> {
  const { request } = await import("node:http");
  return new Promise((resolve, reject) => {
    const headers = { host: "evil.example:8082", "content-type": "application/json" };
    const sent = request(url, { method: "POST", headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.once("error", reject).end('{"all":true}');
  });
}
