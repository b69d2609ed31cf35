// Envelopes that go on from ingest to the real Sentry, as copies: what arrives there, and that nothing about it is in the
// SDK's way.
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startCodePushUpstream } from "../support/codepush-upstream.ts";
import type { CodePushUpstream } from "../support/codepush-upstream.ts";
import { connectTo, useListeningIngest } from "../support/listening-ingest.ts";
import { startTestRedis } from "../support/redis.ts";
import { envelopeOf, postEnvelope, session } from "../support/sentry-envelopes.ts";
import type { Posted } from "../support/sentry-envelopes.ts";
import { waitUntil } from "../support/wait-until.ts";

const PROJECT = { key: "pub", channel: "production" };
const sourcesOf = (project: object = PROJECT) => ({ sources: { sentry: { projects: { "42": project } } } });
const ingest = useListeningIngest(sourcesOf());
const post = (body: string | Buffer, posted?: Posted) => postEnvelope(ingest.url(), body, posted);

describe("a copy goes on to the real Sentry", () => {
  let real: CodePushUpstream;
  beforeEach(async () => void (real = await startCodePushUpstream()));
  afterEach(() => real.stop());
  const forwardTo = (dsn: string) => sourcesOf({ ...PROJECT, forward: { dsn } });
  const dsnOf = (key: string, project = "7"): string =>
    real.url.replace("://", `://${key}@`).concat("/base/", project);

  test("byte for byte, with the key of the real DSN in the query", async () => {
    await ingest.start(forwardTo(dsnOf("realkey")));
    const body = gzipSync(
      envelopeOf({ event_id: "a".repeat(32) }, ["session", session()], ["of_tomorrow", { a: 1 }]),
    );
    const posted = {
      headers: {
        "content-encoding": "gzip",
        "user-agent": "sdk/1",
        cookie: "a=b",
        authorization: "Bearer secret",
      },
    };
    expect((await post(body, posted)).status).toBe(200);
    await waitUntil(
      () => real.got.length,
      (length) => length === 1,
    );
    const [got] = real.got;
    expect(got!.url).toBe("/base/api/7/envelope/?sentry_key=realkey&sentry_version=7");
    expect(got!.body.equals(body)).toBe(true);
    expect(got!.headers).toMatchObject({
      "content-encoding": "gzip",
      "user-agent": "sdk/1",
      "x-forwarded-for": "127.0.0.1",
    });
    expect(got!.headers.cookie).toBeUndefined();
    expect(got!.headers.authorization).toBeUndefined();
  });

  test("a key in X-Sentry-Auth is swapped there", async () => {
    await ingest.start(forwardTo(dsnOf("realkey")));
    const headers = {
      "X-Sentry-Auth": "Sentry sentry_version=7, sentry_key=pub, sentry_client=sentry.cocoa/8",
    };
    await post(envelopeOf({}, ["session", session()]), { query: "", headers });
    await waitUntil(
      () => real.got.length,
      (length) => length === 1,
    );
    expect(real.got[0]!.headers["x-sentry-auth"]).toBe(
      "Sentry sentry_version=7, sentry_key=realkey, sentry_client=sentry.cocoa/8",
    );
  });

  test("a DSN in the envelope is swapped, and the items stay as they are", async () => {
    await ingest.start(forwardTo(dsnOf("realkey")));
    const items = '\n{"type":"session"}\n {"odd" : "spacing 🙂"}\n\n';
    const header = {
      dsn: "https://pub@lastgood.example/42",
      trace: { public_key: "pub", trace_id: "t" },
      sdk: { name: "x" },
    };
    const body = gzipSync(JSON.stringify(header) + items);
    await post(body, { query: "", headers: { "content-encoding": "gzip" } });
    await waitUntil(
      () => real.got.length,
      (length) => length === 1,
    );
    const [got] = real.got;
    expect(got!.headers["content-encoding"]).toBeUndefined();
    const text = got!.body.toString();
    expect(text.endsWith(items)).toBe(true);
    expect(JSON.parse(text.slice(0, -items.length))).toEqual({
      dsn: dsnOf("realkey"),
      trace: { public_key: "realkey", trace_id: "t" },
      sdk: { name: "x" },
    });
  });

  test("with the real project's number and key here nothing but the host changes", async () => {
    await ingest.start(forwardTo(dsnOf("pub", "42")));
    const body = envelopeOf({ trace: { public_key: "pub" } }, ["session", session()]);
    await post(body);
    await waitUntil(
      () => real.got.length,
      (length) => length === 1,
    );
    expect(real.got[0]!.body.toString()).toBe(body);
  });

  test("also while Redis is away; and nothing of what was not let in", async () => {
    const gone = await startTestRedis();
    const connection = await connectTo(gone);
    await ingest.start({ ...forwardTo(dsnOf("realkey")), redis: connection });
    await gone.kill();
    expect((await post(envelopeOf({}, ["session", session()]), { query: "?sentry_key=other" })).status).toBe(
      403,
    );
    expect((await post("x")).status).toBe(400);
    expect((await post(envelopeOf({}, ["session", session()]))).status).toBe(503);
    await waitUntil(
      () => real.got.length,
      (length) => length === 1,
    );
    connection.disconnect();
    await gone.stop();
  });

  test("a real Sentry that is slow, refuses, or is away is not in the SDK's way", async () => {
    real.answerWith(() => {});
    await ingest.start(forwardTo(dsnOf("realkey")));
    const startedAt = performance.now();
    expect((await post(envelopeOf({}, ["session", session()]))).status).toBe(200);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    await waitUntil(
      () => real.got.length,
      (length) => length === 1,
    );
    real.answerWith((_request, response) => void response.writeHead(429, { "Retry-After": "60" }).end());
    const limited = await post(envelopeOf({}, ["session", session()]));
    expect(limited.status).toBe(200);
    expect(limited.headers.get("retry-after")).toBeNull();
  });

  test("a header that nests so deep that nothing could write it anew is none, and no copy is made", async () => {
    await ingest.start(forwardTo(dsnOf("realkey")));
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    expect((await post(`{"dsn":"https://pub@x.example/42","a":${deep}}\n`)).status).toBe(400);
    expect((await post(envelopeOf({}, ["session", session()]))).status).toBe(200);
    await waitUntil(
      () => real.got.length,
      (length) => length > 0,
    );
    expect(real.got).toHaveLength(1);
  });

  test("a DSN that leads back here ends at once", async () => {
    await ingest.start(forwardTo(dsnOf("realkey")));
    await post(envelopeOf({}, ["session", session()]), { headers: { via: "1.1 lastgood-ingest" } });
    await post(envelopeOf({}, ["session", session()]));
    await waitUntil(
      () => real.got.length,
      (length) => length > 0,
    );
    expect(real.got).toHaveLength(1);
  });
});
