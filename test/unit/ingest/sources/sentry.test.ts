// What the items of Sentry's envelopes mean for a release: sessions, aggregates, events, and where the version stands.
import { describe, expect, test } from "vitest";
import { MATCHED_CHARS_MAX } from "../../../../ingest/contract/sources/bounded-pattern.ts";
import type { SentrySource } from "../../../../ingest/contract/sources/sentry.ts";
import { ITEMS_MAX, parseEnvelope } from "../../../../ingest/sources/sentry/envelope.ts";
import { crashIn, readEvent } from "../../../../ingest/sources/sentry/event-item.ts";
import { EVENTS_MAX, SESSIONS_MAX, readEnvelope } from "../../../../ingest/sources/sentry/read-envelope.ts";
import type { ItemContext, ReadItem } from "../../../../ingest/sources/sentry/read-item.ts";
import { releaseOf } from "../../../../ingest/sources/sentry/release-of.ts";
import { clockShiftMs, timeMsOf } from "../../../../ingest/sources/sentry/sentry-time.ts";
import {
  BUCKETS_MAX,
  HOURS_PER_SESSION_MAX,
  readAggregates,
  readSession,
} from "../../../../ingest/sources/sentry/session-item.ts";
import { appWithSources } from "../../../support/source-app.ts";

const NOON_MS = Date.UTC(2026, 0, 31, 12);
const HOUR_MS = 3_600_000;
const at = (timeMs: number): string => new Date(timeMs).toISOString();

function sourceOf(source: object = {}, project: object = { channel: "production" }): SentrySource {
  return appWithSources({ sentry: { projects: { "42": { key: "pub", ...project } }, ...source } }, [
    "production",
    "beta",
  ]).sources!.sentry!;
}

function contextOf(source: SentrySource = sourceOf(), more: Partial<ItemContext> = {}): ItemContext {
  return { source, project: source.projects.get("42")!, shiftMs: 0, ...more };
}

const SID = "1f0c2a9e5b7d4c6f8a1b2c3d4e5f6071";
function session(fields: object = {}): Record<string, unknown> {
  return {
    sid: SID,
    init: true,
    started: at(NOON_MS),
    timestamp: at(NOON_MS + 90_000),
    status: "ok",
    errors: 0,
    did: "till-1",
    attrs: { release: "com.acme.till@1.4.0+v12", environment: "production" },
    ...fields,
  };
}

/** `event@hours after noon` of each draft, or why there is none. */
function told(item: ReadItem): string {
  if (item.kind === "nothing") return item.result;
  return item.drafts
    .map(({ event, at: atMs }) => `${event}@${((atMs as number) - NOON_MS) / HOUR_MS}`)
    .join(" ");
}

describe("session", () => {
  test("proves that its release ran, on the device that it names", () => {
    expect(readSession(session(), contextOf())).toEqual({
      kind: "drafts",
      drafts: [
        {
          channel: "production",
          device: "till-1",
          version: "1.4.0+v12",
          event: "active",
          at: NOON_MS,
          id: SID,
        },
      ],
    });
  });

  test.each([
    ["ok", "active@0"],
    ["exited", "active@0"],
    ["errored", "active@0"],
    ["unhandled", "active@0"],
    ["abnormal", "active@0"],
    ["something of tomorrow", "active@0"],
    [undefined, "active@0"],
    [7, "active@0"],
    ["crashed", "active@0 crashed@0.5"],
  ])("status %s", (status, expected) => {
    expect(told(readSession(session({ status, timestamp: at(NOON_MS + HOUR_MS / 2) }), contextOf()))).toBe(
      expected,
    );
  });

  test.each([
    ["anr_foreground", "active@0 not_responding@0.5"],
    ["anr_background", "active@0 not_responding@0.5"],
    ["oom", "active@0"],
    [undefined, "active@0"],
  ])("abnormal, %s", (abnormal_mechanism, expected) => {
    const item = session({ status: "abnormal", abnormal_mechanism, timestamp: at(NOON_MS + HOUR_MS / 2) });
    expect(told(readSession(item, contextOf()))).toBe(expected);
  });

  test("what no handler caught is a crash where the configuration says so", () => {
    const item = session({ status: "unhandled", timestamp: at(NOON_MS) });
    expect(told(readSession(item, contextOf(sourceOf({ unhandled_is_crash: true }))))).toBe(
      "active@0 crashed@0",
    );
  });

  test("with crashes_from: events a session still proves use, and never a crash", () => {
    const byEvents = contextOf(sourceOf({ crashes_from: "events", unhandled_is_crash: true }));
    for (const status of ["crashed", "unhandled"])
      expect(told(readSession(session({ status }), byEvents))).toBe("active@0");
  });

  test("hours in use are those of its duration; without one its start and its end", () => {
    const long = { timestamp: at(NOON_MS + 3.5 * HOUR_MS), status: "exited" };
    expect(told(readSession(session(long), contextOf()))).toBe("active@0 active@3.5");
    expect(told(readSession(session({ ...long, duration: 3.5 * 3_600 }), contextOf()))).toBe(
      "active@0 active@1 active@2 active@3",
    );
    // A duration that leads past the end is wrong; one that ends before says how long somebody used it.
    expect(told(readSession(session({ ...long, duration: 1e9 }), contextOf()))).toBe(
      "active@0 active@1 active@2 active@3",
    );
    expect(told(readSession(session({ ...long, duration: 3_700 }), contextOf()))).toBe(
      "active@0 active@1 active@3.5",
    );
  });

  test("a session of weeks is as many hours as may be, its end among them", () => {
    const hoursOf = (hours: number): number => {
      const item = readSession(
        session({ timestamp: at(NOON_MS + hours * HOUR_MS), duration: hours * 3_600 }),
        contextOf(),
      );
      return item.kind === "drafts" ? item.drafts.length : 0;
    };
    expect(hoursOf(HOURS_PER_SESSION_MAX - 1)).toBe(HOURS_PER_SESSION_MAX);
    expect(hoursOf(HOURS_PER_SESSION_MAX)).toBe(HOURS_PER_SESSION_MAX);
    expect(hoursOf(500)).toBe(HOURS_PER_SESSION_MAX);
  });

  test("a crash counts when it happened, for the release of then, however late it comes", () => {
    const late = session({
      status: "crashed",
      timestamp: undefined,
      duration: 1_800,
      attrs: { release: "com.acme.till@1.3.0" },
    });
    const read = readSession(late, contextOf());
    expect(told(read)).toBe("active@0 crashed@0.5");
    expect(read).toMatchObject({ drafts: [{ version: "1.3.0" }, { version: "1.3.0" }] });
  });

  test("a clock that was set back meanwhile ends no session before it began", () => {
    expect(
      told(readSession(session({ status: "crashed", timestamp: at(NOON_MS - HOUR_MS) }), contextOf())),
    ).toBe("active@0 crashed@0");
  });

  test.each([
    [{ did: undefined }, "no_device"],
    [{ did: "" }, "no_device"],
    [{ did: { a: 1 } }, "no_device"],
    [{ started: undefined }, "invalid"],
    [{ started: "yesterday" }, "invalid"],
    [{ attrs: undefined }, "unattributed"],
    [{ attrs: { release: "" } }, "unattributed"],
    [{ attrs: { release: "com.acme.till@" } }, "unattributed"],
    [{ attrs: { release: "My App@1.0 (5)" } }, "unattributed"],
    [{ attrs: { release: `a@${"1".repeat(MATCHED_CHARS_MAX)}` } }, "unattributed"],
    [{ sid: "nonsense", did: 7 }, "active@0"],
  ])("%j", (fields, expected) => {
    expect(told(readSession(session({ timestamp: at(NOON_MS), ...fields }), contextOf()))).toBe(expected);
  });

  test.each([null, 7, "x", [], [session()], true])("%j is none", (value) => {
    expect(told(readSession(value, contextOf()))).toBe("invalid");
  });

  test("environments lead to channels; one that is not named is not of the fleet", () => {
    const context = contextOf(sourceOf({}, { environments: { production: "production", staging: "beta" } }));
    const channelOf = (environment: unknown): string => {
      const read = readSession(session({ attrs: { release: "1.0.0", environment } }), context);
      return read.kind === "drafts" ? read.drafts[0]!.channel : read.result;
    };
    expect(channelOf("production")).toBe("production");
    expect(channelOf("staging")).toBe("beta");
    expect(channelOf("dev")).toBe("excluded");
    expect(channelOf("constructor")).toBe("excluded");
    // As SDKs and Sentry have it when nobody says.
    expect(channelOf(undefined)).toBe("production");
    expect(channelOf("")).toBe("production");
  });
});

describe("sessions", () => {
  const aggregates = (...buckets: unknown[]) => ({
    aggregates: buckets,
    attrs: { release: "com.acme.till@1.4.0", environment: "production" },
  });

  test("a bucket of a device counts the device once; one without counts for nobody", () => {
    const read = readAggregates(
      aggregates(
        { started: at(NOON_MS), did: "u1", exited: 5, errored: 1 },
        { started: at(NOON_MS), did: "u2", exited: 5, crashed: 2 },
        { started: at(NOON_MS), did: "u3", unhandled: 2 },
        { started: at(NOON_MS), exited: 5, crashed: 1 },
        { started: at(NOON_MS), did: "u4" },
        { did: "u5", exited: 1 },
        "x",
      ),
      contextOf(),
    );
    expect(read.map(told)).toEqual([
      "active@0",
      "crashed@0",
      "active@0",
      "no_device",
      "no_outcome",
      "invalid",
      "invalid",
    ]);
  });

  test("as many buckets as Sentry takes", () => {
    const bucket = { started: at(NOON_MS), did: "u1", exited: 1 };
    const many = (count: number) =>
      readAggregates(aggregates(...Array.from({ length: count }, () => bucket)), contextOf());
    expect(many(BUCKETS_MAX)).toHaveLength(BUCKETS_MAX);
    expect(many(BUCKETS_MAX + 1).map(told)).toEqual(["invalid"]);
  });

  test.each([null, {}, { aggregates: {} }, []])("%j is none", (value) => {
    expect(readAggregates(value, contextOf()).map(told)).toEqual(["invalid"]);
  });
});

const CRASH = {
  event_id: "8a57641916df49aca628a3ab3b127cb1",
  timestamp: NOON_MS / 1_000 + 0.25,
  level: "fatal",
  release: "com.acme.till@1.4.0",
  environment: "production",
  user: { id: "till-1" },
  exception: {
    values: [
      { type: "Error", value: "cause", mechanism: { type: "chained", handled: false } },
      {
        type: "TypeError",
        value: "boom",
        mechanism: { type: "onuncaughtexception", handled: false },
        stacktrace: {
          frames: [
            { filename: "node:internal", function: "run", in_app: false },
            { filename: "till.js", function: "pay", in_app: true },
            { filename: "lib.js", function: "inner", in_app: false },
          ],
        },
      },
    ],
  },
};

describe("event", () => {
  const byEvents = contextOf(sourceOf({ crashes_from: "events" }));

  test("tells of a crash: type, message, and where in the app", () => {
    const words = crashIn(CRASH)!;
    expect(words).toMatchObject({ type: "TypeError", message: "boom" });
    expect(words.fingerprint).toMatch(/^[0-9a-f]{16}$/);
    const other = structuredClone(CRASH);
    other.exception.values[1]!.stacktrace!.frames[2]!.function = "elsewhere in a library";
    other.exception.values[1]!.value = "another message";
    expect(crashIn(other)!.fingerprint).toBe(words.fingerprint);
    other.exception.values[1]!.stacktrace!.frames[1]!.function = "refund";
    expect(crashIn(other)!.fingerprint).not.toBe(words.fingerprint);
  });

  test.each([
    [
      "handled",
      { level: "error", exception: { values: [{ type: "E", mechanism: { handled: true } }] } },
      false,
    ],
    ["no mechanism", { level: "error", exception: { values: [{ type: "E" }] } }, false],
    ["a message", { level: "info", message: "hello", exception: undefined }, false],
    ["a fatal message", { level: "fatal", message: "bye", exception: undefined }, true],
    [
      "a list of exceptions",
      { level: "error", exception: [{ type: "E", mechanism: { handled: false } }] },
      true,
    ],
    ["exceptions that are none", { level: "error", exception: { values: [null, 7, "x"] } }, false],
    ["exceptions that are no list", { level: "error", exception: { values: "x" } }, false],
  ])("%s", (_name, fields, isCrash) => {
    const event = { ...CRASH, ...fields };
    expect(crashIn(event) !== undefined).toBe(isCrash);
    expect(told(readEvent(event, contextOf(), crashIn(event)))).toBe("no_outcome");
    expect(readEvent(event, byEvents, crashIn(event)).kind).toBe(isCrash ? "drafts" : "nothing");
  });

  test("counts where the configuration says that crashes are counted by events, and only there", () => {
    expect(told(readEvent(CRASH, contextOf(), crashIn(CRASH)))).toBe("no_outcome");
    expect(readEvent(CRASH, byEvents, crashIn(CRASH))).toMatchObject({
      drafts: [
        {
          event: "crashed",
          device: "till-1",
          version: "1.4.0",
          at: NOON_MS + 250,
          id: CRASH.event_id,
          crash: { type: "TypeError" },
        },
      ],
    });
  });

  test.each([
    [{ user: undefined }, "no_device"],
    [{ user: { ip_address: "1.2.3.4" } }, "no_device"],
    [{ user: { email: "a@b.example" } }, "a@b.example"],
    [{ user: { username: "u" } }, "u"],
    [{ user: { id: 7, email: "a@b.example" } }, "7"],
    [{ release: undefined }, "unattributed"],
    [{ environment: "dev", release: undefined }, "unattributed"],
  ])("%j", (fields, expected) => {
    const event = { ...CRASH, ...fields };
    const read = readEvent(event, byEvents, crashIn(event));
    expect(read.kind === "drafts" ? read.drafts[0]!.device : read.result).toBe(expected);
  });

  test("of very many exceptions and frames those nearest to the crash are looked at", () => {
    const frames = (count: number) =>
      Array.from({ length: count }, (_, index) => ({
        function: index === 0 ? "pay" : "lib",
        in_app: index === 0,
      }));
    const fingerprintOf = (count: number) =>
      crashIn({
        exception: [{ type: "E", mechanism: { handled: false }, stacktrace: { frames: frames(count) } }],
      })!.fingerprint;
    expect(fingerprintOf(250)).toBe(fingerprintOf(1));
    expect(fingerprintOf(251)).not.toBe(fingerprintOf(1));
    const unhandled = { type: "E", mechanism: { handled: false } };
    const among = (count: number) => [unhandled, ...Array.from({ length: count - 1 }, () => ({ type: "H" }))];
    expect(crashIn({ exception: among(50) })).toBeDefined();
    expect(crashIn({ exception: among(51) })).toBeUndefined();
  });

  test("a type with control characters, or of any length, is still a crash", () => {
    const exception = { values: [{ type: `a\u0000b${"x".repeat(500)}`, mechanism: { handled: false } }] };
    const words = crashIn({ ...CRASH, exception })!;
    expect(words.type).toBe(`a b${"x".repeat(125)}`);
  });
});

describe("where the version stands", () => {
  const facts = {
    release: "com.acme.till@1.2.0+v12",
    dist: "987",
    environment: "production",
    tags: { ota: "v7" },
    contexts: {
      ota_updates: { update_id: "11111111-aaaa-4bbb-8ccc-000000000011", is_embedded_launch: false },
    },
  };
  const found = (release: unknown[] | undefined, more: object = {}): string | undefined =>
    releaseOf(sourceOf(release === undefined ? {} : { release }).release, { ...facts, ...more });

  test("by default Expo's update, else what stands after the package", () => {
    expect(found(undefined)).toBe("11111111-aaaa-4bbb-8ccc-000000000011");
    const embedded = { ota_updates: { ...facts.contexts.ota_updates, is_embedded_launch: true } };
    expect(found(undefined, { contexts: embedded })).toBe("1.2.0+v12");
    expect(found(undefined, { contexts: undefined })).toBe("1.2.0+v12");
    expect(found(undefined, { contexts: null, release: "@acme/till@2.0.0" })).toBe("2.0.0");
    expect(found(undefined, { contexts: 7, release: "0a1b2c3" })).toBe("0a1b2c3");
    expect(found(undefined, { contexts: undefined, release: undefined })).toBeUndefined();
  });

  test.each([
    [[{ from: "dist" }], "987"],
    [[{ from: "environment" }], "production"],
    [[{ from: "tag", name: "ota" }], "v7"],
    [[{ from: "tag", name: "constructor" }, { from: "dist" }], "987"],
    [[{ from: "context", name: "ota_updates.update_id.length" }], undefined],
    [[{ from: "release", match: "\\+(?<version>v\\d+)$" }], "v12"],
    [[{ from: "release", match: "#(?<version>.+)$" }], undefined],
    [[{ from: "release", match: "#(?<version>.+)$" }, { from: "dist" }], "987"],
    // It found something: what it is can't be told, and the next one might name another release.
    [[{ from: "release", match: "(?<version>com.*) ?$" }, { from: "dist" }], "com.acme.till@1.2.0+v12"],
  ])("%j finds %s", (release, version) => {
    expect(found(release)).toBe(version);
  });

  test("tags may be a list of pairs", () => {
    expect(found([{ from: "tag", name: "ota" }], { tags: [["a", "b"], null, ["ota", "v9"]] })).toBe("v9");
  });

  test("a text that no version can be called is told by nobody", () => {
    expect(found([{ from: "dist" }, { from: "release" }], { dist: "1 2" })).toBeUndefined();
  });

  test("texts are looked at up to a length", () => {
    const match = [{ from: "release", match: "(?<version>v\\d)$" }];
    expect(found(match, { release: `${"x".repeat(MATCHED_CHARS_MAX - 2)}v1` })).toBe("v1");
    expect(found(match, { release: `${"x".repeat(MATCHED_CHARS_MAX - 1)}v1` })).toBeUndefined();
  });
});

describe("times", () => {
  test.each([
    ["2026-01-31T12:00:00Z", NOON_MS],
    ["2026-01-31T12:00:00.250Z", NOON_MS + 250],
    ["2026-01-31T12:00:00.250999Z", NOON_MS + 250],
    ["2026-01-31T12:00:00", NOON_MS],
    ["2026-01-31 12:00:00", NOON_MS],
    ["2026-01-31T14:00:00+02:00", NOON_MS],
    ["2026-01-31T14:00:00+0200", NOON_MS],
    [NOON_MS / 1_000, NOON_MS],
    [NOON_MS / 1_000 + 0.5, NOON_MS + 500],
    ["31 January 2026", undefined],
    ["2026-13-31T12:00:00Z", undefined],
    ["", undefined],
    [1e300, undefined],
    [Number.NaN, undefined],
    [null, undefined],
    [{}, undefined],
  ])("%j", (value, expected) => {
    expect(timeMsOf(value)).toBe(expected);
  });

  test("an envelope's clock is put right only where it is further off than a report's time may be", () => {
    const minute = 60_000;
    const day = 24 * HOUR_MS;
    for (const offMs of [0, 5 * minute, -HOUR_MS, -7 * day])
      expect(clockShiftMs(at(NOON_MS + offMs), NOON_MS)).toBe(0);
    expect(clockShiftMs(at(NOON_MS + 5 * minute + 1), NOON_MS)).toBe(-5 * minute - 1);
    expect(clockShiftMs(at(NOON_MS - 7 * day - 1), NOON_MS)).toBe(7 * day + 1);
    expect(clockShiftMs("never", NOON_MS)).toBe(0);
  });
});

function envelopeOf(...lines: (string | object)[]): Buffer {
  return Buffer.from(
    lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"),
  );
}

describe("envelope", () => {
  const itemsOf = (bytes: Buffer): unknown => {
    const parsed = parseEnvelope(bytes);
    return parsed.kind === "envelope"
      ? parsed.items.map(({ type, payload }) => [type, payload.toString()])
      : parsed.kind;
  };

  test.each<[string, Buffer, unknown]>([
    ["a header alone", envelopeOf({}), []],
    ["with a newline", envelopeOf({}, ""), []],
    ["with more of them", envelopeOf({}, "", "", ""), []],
    ["an item without length", envelopeOf({}, { type: "a" }, "payload"), [["a", "payload"]]],
    ["and a newline at the end", envelopeOf({}, { type: "a" }, "payload", ""), [["a", "payload"]]],
    [
      "two items",
      envelopeOf({}, { type: "a" }, "1", { type: "b" }, "2"),
      [
        ["a", "1"],
        ["b", "2"],
      ],
    ],
    [
      "a payload with newlines",
      envelopeOf({}, { type: "a", length: 3 }, "1\n2", { type: "b" }, "2"),
      [
        ["a", "1\n2"],
        ["b", "2"],
      ],
    ],
    ["length in bytes", envelopeOf({}, { type: "a", length: 4 }, "🙂", ""), [["a", "🙂"]]],
    [
      "nothing in it",
      envelopeOf({}, { type: "a", length: 0 }, "", { type: "b" }, "2"),
      [
        ["a", ""],
        ["b", "2"],
      ],
    ],
    ["nothing in it, at the end", envelopeOf({}, { type: "a", length: 0 }), [["a", ""]]],
    ["no payload at the end", envelopeOf({}, { type: "a" }), [["a", ""]]],
    ["no type", envelopeOf({}, { length: 1 }, "1"), [[undefined, "1"]]],
    ["nothing at all", Buffer.alloc(0), "unreadable"],
    ["no JSON", envelopeOf("x"), "unreadable"],
    ["no object", envelopeOf("[]"), "unreadable"],
    ["null", envelopeOf("null"), "unreadable"],
    ["an item's header that is none", envelopeOf({}, "x", "payload"), "unreadable"],
    ["a length past the end", envelopeOf({}, { type: "a", length: 9 }, "1"), "unreadable"],
    ["a length into a line", envelopeOf({}, { type: "a", length: 2 }, "123"), "unreadable"],
    ["a length below 0", envelopeOf({}, { type: "a", length: -1 }, "1"), "unreadable"],
    ["a length that is none", envelopeOf({}, { type: "a", length: "1" }, "1"), "unreadable"],
    ["a length without end", envelopeOf({}, '{"type":"a","length":1e999}', "1"), "unreadable"],
  ])("%s", (_name, bytes, expected) => {
    expect(itemsOf(bytes)).toEqual(expected);
  });

  test("bytes that are no text change nothing", () => {
    const bytes = Buffer.concat([envelopeOf({}, { type: "a", length: 2 }, ""), Buffer.from([0xff, 0xfe])]);
    expect(itemsOf(bytes)).toEqual([["a", "\ufffd\ufffd"]]);
  });

  test("as many items as may be", () => {
    const many = (count: number) =>
      envelopeOf({}, ...Array.from({ length: count }, () => [{ type: "a" }, "1"]).flat());
    expect(itemsOf(many(ITEMS_MAX))).toHaveLength(ITEMS_MAX);
    expect(itemsOf(many(ITEMS_MAX + 1))).toBe("too_many_items");
  });
});

describe("an envelope as a whole", () => {
  function read(bytes: Buffer, source = sourceOf()): readonly ReadItem[] | string {
    const parsed = parseEnvelope(bytes);
    if (parsed.kind !== "envelope") throw new Error(parsed.kind);
    const result = readEnvelope(parsed, {
      source,
      project: source.projects.get("42")!,
      receivedAtMs: NOON_MS,
    });
    return result.kind === "items" ? result.items : result.kind;
  }

  test("a crash that comes as event and session is one crash, in the words of the event", () => {
    const crashed = session({ status: "crashed", timestamp: at(NOON_MS) });
    const items = read(envelopeOf({}, { type: "event" }, CRASH, { type: "session" }, crashed)) as ReadItem[];
    expect(items.map(told)).toEqual(["no_outcome", "active@0 crashed@0"]);
    expect(items[1]).toMatchObject({ drafts: [{}, { crash: { type: "TypeError", message: "boom" } }] });
    const byEvents = read(
      envelopeOf({}, { type: "event" }, CRASH, { type: "session" }, crashed),
      sourceOf({ crashes_from: "events" }),
    ) as ReadItem[];
    expect(byEvents.map((item) => told(item).replace(/@.*/, ""))).toEqual(["crashed", "active"]);
  });

  test("whose crash it was is told only where one session and one crash stand together", () => {
    const crashed = session({ status: "crashed" });
    const wordsIn = (...lines: object[]) =>
      (read(envelopeOf({}, ...lines)) as ReadItem[]).flatMap((item) =>
        item.kind === "drafts" ? item.drafts.flatMap(({ crash }) => crash?.type ?? []) : [],
      );
    const [event, ended] = [
      [{ type: "event" }, CRASH],
      [{ type: "session" }, crashed],
    ] as const;
    expect(wordsIn(...ended, ...event)).toEqual(["TypeError"]);
    expect(wordsIn(...event, ...ended, ...ended)).toEqual([]);
    expect(wordsIn(...event, ...event, ...ended)).toEqual([]);
  });

  test("items of other kinds, of tomorrow, and broken ones spoil none beside them", () => {
    const bytes = envelopeOf(
      { sent_at: at(NOON_MS) },
      ...["transaction", "client_report", "of_tomorrow", "constructor"].flatMap((type) => [{ type }, "{}"]),
      {},
      "{}",
      { type: "session" },
      "{broken",
      { type: "session" },
      session(),
    );
    expect((read(bytes) as ReadItem[]).map(told)).toEqual([
      "no_outcome",
      "no_outcome",
      "unknown_kind",
      "unknown_kind",
      "unknown_kind",
      "invalid",
      "active@0",
    ]);
  });

  test("a clock that runs an hour ahead is put right for all of an envelope", () => {
    const ahead = session({ started: at(NOON_MS + HOUR_MS), timestamp: at(NOON_MS + HOUR_MS) });
    const items = read(envelopeOf({ sent_at: at(NOON_MS + HOUR_MS) }, { type: "session" }, ahead));
    expect((items as ReadItem[]).map(told)).toEqual(["active@0"]);
  });

  test("as many events as are looked at", () => {
    const source = sourceOf({ crashes_from: "events" });
    const many = (count: number): string[] => {
      const lines = Array.from({ length: count }, () => [{ type: "event" }, CRASH]).flat();
      return (read(envelopeOf({}, ...lines), source) as ReadItem[]).map(({ kind }) => kind);
    };
    expect(many(EVENTS_MAX + 1)).toEqual([...Array<string>(EVENTS_MAX).fill("drafts"), "nothing"]);
  });

  test("as many sessions as Sentry takes", () => {
    const many = (count: number) =>
      envelopeOf({}, ...Array.from({ length: count }, () => [{ type: "session" }, session()]).flat());
    expect(read(many(SESSIONS_MAX))).toHaveLength(SESSIONS_MAX);
    expect(read(many(SESSIONS_MAX + 1))).toBe("too_many_sessions");
  });
});
