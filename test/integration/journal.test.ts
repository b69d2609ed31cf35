// The journal on a real Redis: many writers at once leave no gap and one chain, a changed entry shows,
// and an entry is written together with its state or not at all.
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DECISIONS, HOLDS, JOURNAL, JOURNAL_HEAD, OUTBOX } from "../../agent/journal/control-keys.ts";
import { GENESIS_HASH, checkChain, hashEntry } from "../../agent/journal/journal-entry.ts";
import type { JournalEntry } from "../../agent/journal/journal-entry.ts";
import { JOURNAL_PAGE_MAX, createJournal } from "../../agent/journal/journal.ts";
import type { Journal } from "../../agent/journal/journal.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";

const AT = "2026-01-31T12:00:00.000Z";

let server: TestRedis;
let connections: Redis[];
let journals: Journal[];
beforeAll(async () => {
  server = await startTestRedis();
  connections = [1, 2].map(() => new Redis({ ...server.options, replyMapping: "legacy" }));
  journals = connections.map((redis) => createJournal({ redis }));
});
afterAll(async () => {
  await Promise.all(connections.map((redis) => redis.quit()));
  await server.stop();
});
beforeEach(async () => void (await connections[0]!.flushall()));

function draft(body: Record<string, unknown>) {
  return { kind: "verdict" as const, at: AT, body };
}

function readAll(): Promise<JournalEntry[]> {
  return journals[0]!.read({ afterSeq: 0, limit: JOURNAL_PAGE_MAX });
}

describe("200 appends at once from two connections", () => {
  it("leave no gap, lose nothing, and make one chain", async () => {
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, index) => journals[index % 2]!.append(draft({ index }))),
    );
    expect(new Set(results)).toEqual(new Set(["appended"]));
    const entries = await readAll();
    expect(entries.map(({ seq }) => seq)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
    expect(new Set(entries.map(({ body }) => body["index"])).size).toBe(200);
    expect(entries[0]!.prev).toBe(GENESIS_HASH);
    expect(checkChain(entries)).toEqual({ kind: "intact", entries: 200 });
    expect(await connections[0]!.hgetall(JOURNAL_HEAD)).toEqual({ seq: "200", hash: entries[199]!.hash });
  });
});

describe("what was written", () => {
  it("comes back as it was, text beyond ASCII and numbers included", async () => {
    const body = { sentence: 'échoué 😀 "quoted" \\ \u2028', ratio: 0.1 + 0.2, tiny: 5e-324, nothing: null };
    await journals[0]!.append(draft(body));
    await journals[1]!.append(draft({ after: true }));
    const [entry] = await readAll();
    expect(entry).toMatchObject({ seq: 1, at: AT, kind: "verdict", body });
    expect(checkChain(await readAll())).toEqual({ kind: "intact", entries: 2 });
  });

  it("has a hash that follows from it even when a value of the body was undefined", async () => {
    await journals[0]!.append(draft({ given: 1, left: undefined }));
    expect(checkChain(await readAll())).toEqual({ kind: "intact", entries: 1 });
  });

  it("is read in pages, after a number", async () => {
    for (let index = 0; index < 5; index += 1) await journals[0]!.append(draft({ index }));
    const page = await journals[0]!.read({ afterSeq: 2, limit: 2 });
    expect(page.map(({ seq }) => seq)).toEqual([3, 4]);
    const [, second] = await readAll();
    expect(checkChain(page, second)).toEqual({ kind: "intact", entries: 2 });
    expect(await journals[0]!.read({ afterSeq: 5, limit: 10 })).toEqual([]);
  });

  it("is read in pages of JOURNAL_PAGE_MAX at most", async () => {
    const pipeline = connections[0]!.pipeline();
    for (let seq = 1; seq <= JOURNAL_PAGE_MAX + 1; seq += 1)
      pipeline.xadd(JOURNAL, `${seq}-0`, "entry", JSON.stringify({ seq }));
    await pipeline.exec();
    const page = await journals[0]!.read({ afterSeq: 0, limit: 1_000_000 });
    expect(page.length).toBe(JOURNAL_PAGE_MAX);
    expect((await journals[0]!.read({ afterSeq: 0, limit: 0 })).length).toBe(1);
  });
});

describe("tampering", () => {
  async function threeEntries(): Promise<JournalEntry[]> {
    for (const name of ["a", "b", "c"]) await journals[0]!.append(draft({ name }));
    return readAll();
  }

  it("a changed body shows, in Redis itself", async () => {
    const [, second] = await threeEntries();
    await connections[0]!.xdel(JOURNAL, "3-0");
    await connections[0]!.xdel(JOURNAL, "2-0");
    await connections[0]!.call("XSETID", JOURNAL, "1-0");
    await connections[0]!.xadd(JOURNAL, "2-0", "entry", JSON.stringify({ ...second!, body: { name: "B" } }));
    expect(checkChain(await readAll())).toEqual({
      kind: "broken",
      seq: 2,
      detail: "its content was changed",
    });
  });

  it.each(["at", "kind"] as const)("a changed %s shows", async (field) => {
    const entries = await threeEntries();
    const changed = entries.map((entry) => (entry.seq === 2 ? { ...entry, [field]: "outcome" } : entry));
    expect(checkChain(changed)).toMatchObject({ kind: "broken", seq: 2 });
  });

  it("an entry that was signed anew does not carry the next one", async () => {
    const entries = await threeEntries();
    const forged = { ...entries[1]!, body: { name: "B" } };
    const resigned = { ...forged, hash: hashEntry(forged) };
    expect(checkChain([entries[0]!, resigned, entries[2]!])).toEqual({
      kind: "broken",
      seq: 3,
      detail: "it does not follow from the entry before",
    });
  });

  it("a missing entry shows, also the first", async () => {
    const entries = await threeEntries();
    expect(checkChain([entries[0]!, entries[2]!])).toEqual({
      kind: "broken",
      seq: 2,
      detail: "entry 2 is missing",
    });
    expect(checkChain(entries.slice(1))).toMatchObject({ kind: "broken", seq: 1 });
  });
});

describe("operations", () => {
  const decide = (journal: Journal, value: string) =>
    journal.append({ kind: "decision", at: AT, body: { value } }, [
      { op: "delete", key: HOLDS, field: "r" },
      { op: "absent", key: DECISIONS, field: "d" },
      { op: "set", key: DECISIONS, field: "d", value },
      { op: "set", key: OUTBOX, field: "d", value },
    ]);

  it("`absent`: of 50 that race, one wins, and the others leave nothing behind", async () => {
    await connections[0]!.hset(HOLDS, "r", "held");
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, index) => decide(journals[index % 2]!, String(index))),
    );
    expect(results.filter((result) => result === "appended").length).toBe(1);
    expect(results.filter((result) => result === "exists").length).toBe(49);
    const entries = await readAll();
    expect(entries.length).toBe(1);
    const { value } = entries[0]!.body as { value: string };
    expect(await connections[0]!.hgetall(DECISIONS)).toEqual({ d: value });
    expect(await connections[0]!.hgetall(OUTBOX)).toEqual({ d: value });
    expect(await connections[0]!.hgetall(HOLDS)).toEqual({});
  });

  it("a condition that comes last still keeps all that stands before it from being written", async () => {
    await connections[0]!.hset(DECISIONS, "d", "there");
    const result = await journals[0]!.append(draft({}), [
      { op: "set", key: OUTBOX, field: "x", value: "1" },
      { op: "absent", key: DECISIONS, field: "d" },
    ]);
    expect(result).toBe("exists");
    expect(await connections[0]!.exists(OUTBOX, JOURNAL, JOURNAL_HEAD)).toBe(0);
  });

  it("`present`: an outcome is told once, however many try", async () => {
    await decide(journals[0]!, "1");
    const results = await Promise.all(
      journals.map((journal) =>
        journal.append({ kind: "outcome", at: AT, body: {} }, [
          { op: "present", key: OUTBOX, field: "d" },
          { op: "delete", key: OUTBOX, field: "d" },
        ]),
      ),
    );
    expect(results.toSorted()).toEqual(["appended", "missing"]);
    expect((await readAll()).map(({ kind }) => kind)).toEqual(["decision", "outcome"]);
  });
});
