// Annotations in Grafana, from the journal in a real Redis to a double of Grafana: each at most once over restarts, lost
// answers and two agents; Grafana being down loses none.
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createJournal } from "../../agent/journal/journal.ts";
import type { JournalDraft } from "../../agent/journal/journal-entry.ts";
import { JOURNAL_CURSORS } from "../../agent/journal/control-keys.ts";
import { createChangeLog } from "../../agent/paging/change-log.ts";
import { BEGUN_MS_MAX, ENTRIES_PER_LOOK_MAX, annotate, createGrafana } from "../../agent/paging/grafana.ts";
import { createJournalCursor } from "../../agent/paging/journal-cursor.ts";
import { createLogger } from "../../runtime/logger.ts";
import { startJsonDouble } from "../support/json-double.ts";
import type { JsonDouble } from "../support/json-double.ts";
import { freePort, startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { releaseOf } from "../support/verdicts.ts";

const AT = "2026-01-31T12:00:00.000Z";
const AT_MS = Date.parse(AT);
const decision = {
  id: "rb_1",
  at: AT,
  ...releaseOf("1.4.0"),
  action: "rollback",
  mode: "automatic",
  sentence: "20 of 100 devices failed. Rolling back to 1.3.0.",
};

let server: TestRedis;
let redis: Redis;
let grafana: JsonDouble;
let nowMs: number;

beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
});
beforeEach(async () => {
  await redis.flushall();
  grafana = await startJsonDouble();
  nowMs = AT_MS;
  // Somebody configured Grafana when the journal was empty.
  await look();
});
afterEach(() => grafana.close());
afterAll(async () => {
  await redis.quit();
  await server.stop();
});

/** One look, as a process of its own would do it. */
async function look(url = grafana.url): Promise<void> {
  const logger = createLogger({ name: "test", level: "silent" });
  const journal = createJournal({ redis });
  await annotate({
    grafana: createGrafana({ url, token: "token-of-grafana", timeoutMs: 200 }),
    cursor: createJournalCursor({ redis, journal, name: "grafana" }),
    readDecision: (id) => Promise.resolve(id === decision.id ? decision : undefined),
    state: createChangeLog({ logger, name: "Grafana" }),
    nowMs: () => nowMs,
    logger,
  });
}

const append = (kind: JournalDraft["kind"], body: object, at = AT) =>
  createJournal({ redis }).append({ kind, at, body: { ...body } });
const posts = () => grafana.requests.filter(({ method }) => method === "POST");
const texts = () => posts().map(({ body }) => (body as { text: string }).text);
const firstSeen = (text: string) => append("verdict", { release: releaseOf(text), before: null });

describe("what is drawn", () => {
  it("a new release, a decision, and its outcome as a region", async () => {
    await firstSeen("1.4.0");
    await append("verdict", { release: releaseOf("1.4.0"), before: "inconclusive" });
    await append("hold", { release: releaseOf("1.4.0"), reason: "too_few_devices" });
    await append("decision", decision);
    const outcome = { decision_id: "rb_1", kind: "applied", detail: "The channel offers 1.3.0." };
    await append("outcome", outcome, "2026-01-31T12:00:03.000Z");
    await look();
    expect(posts().map(({ path, authorization }) => [path, authorization])).toEqual(
      Array.from({ length: 3 }, () => ["/api/annotations", "Bearer token-of-grafana"]),
    );
    const release = ["app:com.acme.till", "channel:production", "version:1.4.0"];
    const mark = expect.stringMatching(/^lastgood:[0-9a-f]{16}$/) as unknown;
    expect(posts().map(({ body }) => body)).toEqual([
      { time: AT_MS, tags: ["ota", "release", ...release, mark], text: "1.4.0 was seen for the first time." },
      { time: AT_MS, tags: ["ota", "rollback", ...release, "decision", mark], text: decision.sentence },
      {
        time: AT_MS,
        timeEnd: AT_MS + 3_000,
        tags: ["ota", "rollback", ...release, "outcome", "outcome:applied", mark],
        text: "applied: The channel offers 1.3.0.",
      },
    ]);
    await look();
    expect(posts().length).toBe(3);
  });

  it("not what was there before anybody wanted to know, and not what has no decision", async () => {
    await redis.del(JOURNAL_CURSORS);
    await firstSeen("1.2.0");
    await look();
    await append("outcome", { decision_id: "rb_2", kind: "applied", detail: "" });
    await firstSeen("1.3.0");
    await look();
    expect(texts()).toEqual(["1.3.0 was seen for the first time."]);
  });

  it("more than one look reads comes with the next", async () => {
    const all = Array.from({ length: ENTRIES_PER_LOOK_MAX + 1 }, (_, index) => `1.0.${index}`);
    for (const text of all) await firstSeen(text);
    await look();
    expect(posts().length).toBe(ENTRIES_PER_LOOK_MAX);
    await look();
    expect(texts()).toEqual(all.map((text) => `${text} was seen for the first time.`));
  });
});

describe("Grafana in trouble", () => {
  it("is down: nothing is lost, and what comes next waits its turn", async () => {
    await firstSeen("1.4.0");
    await firstSeen("1.5.0");
    const nobody = `http://127.0.0.1:${await freePort()}`;
    await look(nobody);
    await look(nobody);
    await look();
    expect(texts()).toEqual(["1.4.0 was seen for the first time.", "1.5.0 was seen for the first time."]);
  });

  it.each([401, 403, 404, 429, 500, 503])("answers %i: later", async (status) => {
    await firstSeen("1.4.0");
    grafana.answer(() => ({ status }));
    await look();
    grafana.answer(() => ({}));
    await look();
    await look();
    expect(posts().length).toBe(2);
  });

  it.each([400, 422])("answers %i: this one is left out, the next is drawn", async (status) => {
    await firstSeen("1.4.0");
    await firstSeen("1.5.0");
    grafana.answer(({ body }) => ((body as { text: string }).text.startsWith("1.4") ? { status } : {}));
    await look();
    await look();
    expect(texts().length).toBe(2);
  });

  describe("an answer that was lost", () => {
    beforeEach(async () => {
      await append("hold", { release: releaseOf("1.4.0") });
      await firstSeen("1.4.0");
      grafana.answer(() => "silence");
      await look();
    });

    it("is not posted again while somebody may still be at it", async () => {
      nowMs += BEGUN_MS_MAX - 1;
      await look();
      expect(grafana.requests.length).toBe(1);
    });

    it.each([
      ["has it", { body: [{ id: 1 }] }, 1],
      ["has it not", { body: [] }, 2],
      ["does not let us look", { status: 403 }, 1],
    ])("Grafana %s", async (_what, reply, times) => {
      grafana.answer(({ method }) => (method === "GET" ? reply : {}));
      nowMs += BEGUN_MS_MAX;
      await look();
      await look();
      expect(posts().length).toBe(times);
      const { tags } = posts()[0]!.body as { tags: string[] };
      const asked = grafana.requests.filter(({ method }) => method === "GET").map(({ path }) => path);
      expect(asked).toEqual([`/api/annotations?tags=${encodeURIComponent(tags.at(-1)!)}&limit=1`]);
      await firstSeen("1.5.0");
      await look();
      expect(posts().length).toBe(times + 1);
    });

    it("Grafana does not answer that either: later", async () => {
      nowMs += BEGUN_MS_MAX;
      await look();
      grafana.answer(({ method }) => (method === "GET" ? { body: [] } : {}));
      await look();
      expect(posts().length).toBe(2);
    });
  });
});

describe("the cursor", () => {
  const cursor = () => createJournalCursor({ redis, journal: createJournal({ redis }), name: "grafana" });

  it("two that look at the same time draw each entry once", async () => {
    for (const text of ["1.4.0", "1.5.0", "1.6.0"]) await firstSeen(text);
    await Promise.all([look(), look(), look()]);
    await look();
    expect(texts()).toEqual([...new Set(texts())]);
    expect(posts().length).toBe(3);
  });

  it("never goes back, and keeps what was begun beyond it", async () => {
    for (const text of ["1.4.0", "1.5.0", "1.6.0"]) await firstSeen(text);
    await cursor().advance(2);
    await cursor().begin(3, nowMs);
    await cursor().advance(1);
    const { entries, begun } = await cursor().read(10);
    expect(entries.map(({ seq }) => seq)).toEqual([3]);
    expect(begun).toEqual({ seq: 3, atMs: nowMs });
    await cursor().advance(3);
    expect((await cursor().read(10)).begun).toBeUndefined();
  });

  it("what was begun by one that stood still does not block the next", async () => {
    await firstSeen("1.4.0");
    await cursor().advance(1);
    await cursor().begin(1, nowMs);
    await firstSeen("1.5.0");
    await look();
    await look();
    expect(texts()).toEqual(["1.5.0 was seen for the first time."]);
  });
});
