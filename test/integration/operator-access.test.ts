// Who gets in at a running agent, and what they may do there: tokens and their ends, sessions of the page, pages of
// other sites, and the queues that admins look at.
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { LOGIN_FAILURES_MAX } from "../../agent/admin/login-attempts.ts";
import {
  SESSIONS_PER_OPERATOR_MAX,
  SESSION_EXTEND_MS,
  SESSION_IDLE_MS,
  SESSION_LIFE_MS_MAX,
  createSessionStore,
} from "../../agent/admin/session-store.ts";
import { digestOfToken } from "../../agent/config/operators.ts";
import type { Operator } from "../../agent/config/operators.ts";
import { SESSIONS } from "../../agent/journal/control-keys.ts";
import { createLogger } from "../../runtime/logger.ts";
import { createRedis, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { agentSettings } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL } from "../support/verdicts.ts";

const logger = createLogger({ name: "test", level: "silent" });
const OPERATORS: readonly Operator[] = [
  { name: "vi", role: "viewer", tokenSha256: digestOfToken("token-of-vi") },
  { name: "ole", role: "operator", token: "token-of-ole", expiresAtMs: Date.UTC(2100, 0, 1) },
  { name: "ana", role: "admin", token: "token-of-ana" },
  { name: "old", role: "admin", token: "token-of-old", expiresAtMs: Date.now() - 1 },
];

let server: TestRedis;
let agent: RunningAgent;
let open: RunningAgent;
let redis: Redis;

function start(operators: readonly Operator[], trustedProxies: readonly string[]): Promise<RunningAgent> {
  const settings = agentSettings([{ name: TILL.app, otaUrl: "http://127.0.0.1:9" }], operators);
  return startAgent({
    settings: { ...settings, agent: { ...settings.agent, trustedProxies } },
    redisUrl: server.url,
    version: "1.2.3",
    logger,
  });
}

beforeAll(async () => {
  server = await startTestRedis();
  agent = await start(OPERATORS, []);
  open = await start([], ["127.0.0.1"]);
  redis = createRedis({ url: server.url, role: "worker", logger });
  await waitUntilReady(redis, 5_000);
});

afterAll(async () => {
  redis.disconnect();
  await agent.stop(5_000);
  await open.stop(5_000);
  await server.stop();
});

type Headers = Record<string, string>;
const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` });
const JSON_TYPE = { "content-type": "application/json" };
const HERE = { "sec-fetch-site": "same-origin" };

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly body: Record<string, unknown>;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** fetch lets neither Host nor Origin be chosen; node:http does. */
function ask(
  path: string,
  headers: Headers = {},
  { method = "GET", body = "", of = agent } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = body === "" ? headers : { "content-length": String(Buffer.byteLength(body)), ...headers };
    const request = httpRequest(`${of.url}${path}`, { method, headers: sent }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk));
      response.on("end", () => {
        const parsed = text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : {};
        const code = parsed["code"] as string | undefined;
        resolve({ status: response.statusCode!, code, body: parsed, text, headers: response.headers });
      });
    });
    request.on("error", reject).end(body);
  });
}

function signIn(token: string, headers: Headers = {}, of = agent): Promise<Answer> {
  const body = JSON.stringify({ token });
  return ask("/v1/session", { ...JSON_TYPE, ...headers }, { method: "POST", body, of });
}

function cookieOf({ headers }: Answer): string {
  return (headers["set-cookie"] as string[] | undefined)?.[0] ?? "";
}

async function sessionOf(token: string): Promise<Headers> {
  const answer = await signIn(token);
  expect(answer.status).toBe(204);
  return { cookie: cookieOf(answer).split(";")[0]! };
}

const redriveAll = (headers: Headers) =>
  ask("/v1/dead-letters/redrive", headers, { method: "POST", body: '{"all":true}' });

describe("tokens", () => {
  it.each([
    ["token-of-vi", { name: "vi", role: "viewer", via: "token" }],
    ["token-of-ole", { name: "ole", role: "operator", via: "token" }],
    ["token-of-ana", { name: "ana", role: "admin", via: "token" }],
  ])("%s, as a token or by its digest, not yet over", async (token, who) => {
    expect(await ask("/v1/whoami", bearer(token))).toMatchObject({ status: 200, body: who });
  });

  it("one that is over is refused, by the moment", async () => {
    expect(await ask("/v1/whoami", bearer("token-of-old"))).toMatchObject({
      status: 401,
      code: "expired_token",
    });
    expect(await signIn("token-of-old")).toMatchObject({ status: 401, code: "expired_token" });
    const sessions = createSessionStore({ redis, clock: () => nowMs });
    const operator: Operator = { name: "ole", role: "operator", token: "token-of-ole", expiresAtMs: 1_000 };
    let nowMs = 999;
    const id = await sessions.create(operator);
    expect(await sessions.use(id, [operator])).toEqual(operator);
    nowMs = 1_000;
    await expect(sessions.use(id, [operator])).rejects.toThrow("expired_token");
  });

  it("the digest itself is no token", async () => {
    const answer = await ask("/v1/whoami", bearer(digestOfToken("token-of-vi")));
    expect(answer).toMatchObject({ status: 401, code: "unknown_token" });
  });

  it("where no operators are configured, whoever is on this machine is admin", async () => {
    const local = { name: "local", role: "admin", via: "local" };
    expect(await ask("/v1/whoami", {}, { of: open })).toMatchObject({ status: 200, body: local });
    expect(await signIn("token-of-ana", {}, open)).toMatchObject({
      status: 409,
      code: "sessions_not_needed",
    });
  });
});

describe("sessions", () => {
  it("a cookie that no script reads and no other site sends, opaque, whose digest alone is kept", async () => {
    const answer = await signIn("token-of-ole");
    expect([answer.status, answer.text]).toEqual([204, ""]);
    const cookie = cookieOf(answer);
    expect(cookie).toMatch(
      /^lastgood_session=[A-Za-z0-9_-]{43}; Max-Age=604800; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Strict$/,
    );
    const id = /=([^;]+)/.exec(cookie)![1]!;
    const kept = JSON.stringify(await redis.hgetall(SESSIONS));
    for (const secret of [id, "token-of-ole", digestOfToken("token-of-ole")])
      expect(kept).not.toContain(secret);
    expect(kept).toContain(digestOfToken(id));
    const who = await ask("/v1/whoami", { cookie: `other=1; lastgood_session=${id}; more=2` });
    expect(who).toMatchObject({ status: 200, body: { name: "ole", role: "operator", via: "session" } });
    expect(who.headers["set-cookie"]).toBeUndefined();
  });

  it("Secure where a trusted proxy says that it came over https, and only there", async () => {
    const forwarded = { "x-forwarded-proto": "https" };
    expect(cookieOf(await signIn("token-of-ole", forwarded))).not.toContain("Secure");
    const out = await ask("/v1/session", forwarded, { method: "DELETE", of: open });
    expect([out.status, cookieOf(out)]).toEqual([204, expect.stringContaining("; Secure")]);
  });

  it("is over when somebody signs out, and when the token signs in anew in the same browser", async () => {
    const first = await sessionOf("token-of-ole");
    const out = await ask("/v1/session", { ...first, ...HERE }, { method: "DELETE" });
    expect([out.status, cookieOf(out)]).toEqual([204, expect.stringMatching(/^lastgood_session=;/)]);
    expect(await ask("/v1/whoami", first)).toMatchObject({ status: 401, code: "unknown_session" });
    const second = await sessionOf("token-of-ole");
    expect((await signIn("token-of-ole", { ...second, ...HERE })).status).toBe(204);
    expect(await ask("/v1/whoami", second)).toMatchObject({ status: 401, code: "unknown_session" });
  });

  it("a cookie that was never ours is none; a token goes before a cookie", async () => {
    expect(await ask("/v1/whoami", { cookie: "lastgood_session=short" })).toMatchObject({
      code: "missing_token",
    });
    const made = { cookie: `lastgood_session=${"a".repeat(43)}` };
    expect(await ask("/v1/whoami", made)).toMatchObject({ status: 401, code: "unknown_session" });
    const both = { ...(await sessionOf("token-of-ole")), ...bearer("token-of-vi") };
    expect(await ask("/v1/whoami", both)).toMatchObject({ body: { name: "vi", via: "token" } });
  });

  it("ends when it was not used for its time, and at the latest after its life", async () => {
    let nowMs = 1_000_000;
    const sessions = createSessionStore({ redis, clock: () => nowMs });
    const ana = OPERATORS[2]!;
    const idle = await sessions.create(ana);
    nowMs += SESSION_IDLE_MS - 1;
    const busy = await sessions.create(ana);
    expect(await sessions.use(idle, OPERATORS)).toBe(ana);
    nowMs += SESSION_IDLE_MS;
    await expect(sessions.use(idle, OPERATORS)).rejects.toThrow("unknown_session");
    await expect(sessions.use(busy, OPERATORS)).rejects.toThrow("unknown_session");

    const createdAtMs = nowMs;
    const long = await sessions.create(ana);
    while (nowMs + SESSION_IDLE_MS / 2 < createdAtMs + SESSION_LIFE_MS_MAX) {
      nowMs += SESSION_IDLE_MS / 2;
      expect(await sessions.use(long, OPERATORS)).toBe(ana);
    }
    nowMs = createdAtMs + SESSION_LIFE_MS_MAX - 1;
    expect(await sessions.use(long, OPERATORS)).toBe(ana);
    nowMs += 1;
    await expect(sessions.use(long, OPERATORS)).rejects.toThrow("unknown_session");
  });

  it("is written anew only when enough of its time is gone", async () => {
    let nowMs = 2_000_000_000;
    const sessions = createSessionStore({ redis, clock: () => nowMs });
    const id = await sessions.create(OPERATORS[2]!);
    const kept = () => redis.hget(SESSIONS, digestOfToken(id));
    const before = await kept();
    nowMs += SESSION_EXTEND_MS - 1;
    await sessions.use(id, OPERATORS);
    expect(await kept()).toBe(before);
    nowMs += 1;
    await sessions.use(id, OPERATORS);
    expect(await kept()).not.toBe(before);
  });

  it("does what the configuration says now: another role, another token, or nobody", async () => {
    const sessions = createSessionStore({ redis, clock: Date.now });
    const id = await sessions.create({ name: "ole", role: "operator", token: "token-of-ole" });
    const viewer: Operator = { name: "ole", role: "viewer", tokenSha256: digestOfToken("token-of-ole") };
    expect(await sessions.use(id, [viewer])).toBe(viewer);
    await expect(sessions.use(id, [{ ...viewer, tokenSha256: digestOfToken("token-two") }])).rejects.toThrow(
      "unknown_session",
    );
    await expect(sessions.use(id, [{ ...viewer, name: "ola" }])).rejects.toThrow("unknown_session");
  });

  it(`an operator has ${SESSIONS_PER_OPERATOR_MAX} at once, then the oldest gives way`, async () => {
    let nowMs = 5_000_000_000_000;
    const sessions = createSessionStore({ redis, clock: () => nowMs });
    const ids: string[] = [];
    for (let count = 0; count < SESSIONS_PER_OPERATOR_MAX; count += 1) {
      nowMs += 1;
      ids.push(await sessions.create(OPERATORS[2]!));
    }
    expect(await sessions.use(ids[0]!, OPERATORS)).toMatchObject({ name: "ana" });
    await sessions.create(OPERATORS[2]!);
    await expect(sessions.use(ids[0]!, OPERATORS)).rejects.toThrow("unknown_session");
    expect(await sessions.use(ids[1]!, OPERATORS)).toMatchObject({ name: "ana" });
    await redis.del(SESSIONS);
  });
});

describe("a page of another site", () => {
  const host = () => new URL(agent.url).host;

  it.each([
    ["a browser says so", { "sec-fetch-site": "cross-site" }],
    ["a sister of ours", { "sec-fetch-site": "same-site" }],
    ["a foreign origin", { origin: "https://evil.example" }],
    ["a hidden origin", { origin: "null" }],
    ["our host on another port", { origin: "http://127.0.0.1:1" }],
    ["a browser that says nothing", {}],
  ])("cannot act with a cookie: %s", async (_name, headers: Headers) => {
    const session = await sessionOf("token-of-ole");
    expect(await redriveAll({ ...session, ...JSON_TYPE, ...headers })).toMatchObject({
      status: 403,
      code: "cross_site",
    });
    const out = await ask("/v1/session", { ...session, ...headers }, { method: "DELETE" });
    expect([out.status, out.code]).toEqual([403, "cross_site"]);
    expect((await ask("/v1/whoami", session)).status).toBe(200);
  });

  it("our own page can, by what its browser says of it", async () => {
    const session = await sessionOf("token-of-ole");
    for (const headers of [HERE, { "sec-fetch-site": "none" }, { origin: `http://${host()}` }])
      expect((await redriveAll({ ...session, ...JSON_TYPE, ...headers })).status).toBe(200);
    const form = { ...session, ...HERE, "content-type": "text/plain" };
    expect(await redriveAll(form)).toMatchObject({ status: 415, code: "unsupported_media_type" });
  });

  it("cannot sign a visitor in, or act where nobody needs a token", async () => {
    const foreign = { origin: "https://evil.example" };
    expect(await signIn("token-of-ole", foreign)).toMatchObject({ status: 403, code: "cross_site" });
    const path = "/v1/dead-letters/redrive";
    const send = (headers: Headers) =>
      ask(path, { ...JSON_TYPE, ...headers }, { method: "POST", body: '{"all":true}', of: open });
    expect(await send(foreign)).toMatchObject({ status: 403, code: "cross_site" });
    expect((await send({})).status).toBe(200);
  });

  it("a program with a token is none, whatever it sends beside it", async () => {
    const headers = { ...bearer("token-of-ole"), ...JSON_TYPE, "sec-fetch-site": "cross-site" };
    expect((await redriveAll(headers)).status).toBe(200);
  });
});

describe("what roles may do", () => {
  it.each([
    ["token-of-vi", 403],
    ["token-of-ole", 200],
    ["token-of-ana", 200],
  ])("%s by session: %s", async (token, status) => {
    expect((await redriveAll({ ...(await sessionOf(token)), ...JSON_TYPE, ...HERE })).status).toBe(status);
  });
});

describe("/queues", () => {
  it.each([
    ["nobody", {}, 401, "missing_token"],
    ["a viewer", bearer("token-of-vi"), 403, "role_not_enough"],
    ["an operator", bearer("token-of-ole"), 403, "role_not_enough"],
    ["whose token is over", bearer("token-of-old"), 401, "expired_token"],
  ])("%s does not get in", async (_name, headers: Headers, status, code) => {
    for (const path of ["/queues", "/queues/api/queues", "/queues/static/js/main.js"])
      expect(await ask(path, headers)).toMatchObject({ status, code });
  });

  it("an admin does, by token and by session; nothing comes from elsewhere", async () => {
    for (const headers of [bearer("token-of-ana"), await sessionOf("token-of-ana")]) {
      const { status, text, headers: told } = await ask("/queues", headers);
      expect(status).toBe(200);
      expect(text).toContain('<base href="/queues/"');
      expect(text).toContain("Lastgood's queues");
      expect(text).not.toMatch(/\b(?:src|href)="(?:https?:)?\/\//);
      expect(told["content-security-policy"]).toMatch(/^default-src 'none'; script-src 'self';/);
      expect(told["content-security-policy"]).not.toContain("http");
      const parts = Array.from(text.matchAll(/(?:src|href)="(static\/[^"]+)"/g), ([, part]) => part!);
      expect(parts.length).toBeGreaterThan(4);
      for (const part of parts) expect((await ask(`/queues/${part}`, headers)).status).toBe(200);
    }
  });

  it("shows every queue, and only reads", async () => {
    const admin = bearer("token-of-ana");
    const { body } = await ask("/queues/api/queues", admin);
    const queues = body["queues"] as { name: string; readOnlyMode: boolean }[];
    expect(queues.map(({ name }) => name)).toEqual(["fold", "evaluate", "rollback", "poll", "upkeep"]);
    expect(queues.every(({ readOnlyMode }) => readOnlyMode)).toBe(true);
    for (const path of [
      "/queues/api/queues/fold/pause",
      "/queues/api/queues/pause",
      "/queues/api/queues/fold/add",
    ])
      expect(await ask(path, { ...admin, ...JSON_TYPE }, { method: "PUT", body: "{}" })).toMatchObject({
        status: 405,
        code: "method_not_allowed",
      });
  });

  it("the policy of its pages is no other's", async () => {
    const { headers } = await ask("/v1/whoami", bearer("token-of-ana"));
    expect(headers["content-security-policy"]).not.toContain("default-src 'none'; script-src 'self'");
  });

  it("where no operators are configured, not under the name of another site", async () => {
    expect((await ask("/queues", {}, { of: open })).status).toBe(200);
    const foreign = await ask("/queues", { host: "evil.example" }, { of: open });
    expect(foreign).toMatchObject({ status: 403, code: "foreign_host" });
  });
});

describe("signing in", () => {
  it.each(["{}", '{"token":""}', '{"token":1}', '{"token":"token-of-ana","more":1}', "[]", "{"])(
    "needs a token and nothing else: %s",
    async (body) => {
      const answer = await ask("/v1/session", JSON_TYPE, { method: "POST", body });
      expect(answer).toMatchObject({ status: 400, code: "invalid_body" });
    },
  );

  it("what nests so deep that comparing its length would end the stack is no body", async () => {
    const body = `{"token":{"length":${"[".repeat(20_000)}${"]".repeat(20_000)}}}`;
    const answer = await ask("/v1/session", JSON_TYPE, { method: "POST", body });
    expect(answer).toMatchObject({ status: 400, code: "invalid_body" });
  });

  it(`${LOGIN_FAILURES_MAX} attempts of an address may fail, then it waits, right token or not`, async () => {
    const fresh = await start(OPERATORS, []);
    try {
      const forwarded = { "x-forwarded-for": "192.0.2.7" };
      for (let failed = 0; failed < LOGIN_FAILURES_MAX; failed += 1) {
        expect((await signIn("token-of-ana", {}, fresh)).status).toBe(204);
        expect((await signIn("a-wrong-token", {}, fresh)).status).toBe(401);
      }
      for (const token of ["token-of-ana", "a-wrong-token"]) {
        const answer = await signIn(token, forwarded, fresh);
        expect(answer).toMatchObject({ status: 429, code: "too_many_attempts" });
        expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
      }
      const asked = await ask("/v1/whoami", bearer("token-of-ana"), { of: fresh });
      expect(asked).toMatchObject({ status: 429, code: "too_many_attempts" });
    } finally {
      await fresh.stop(5_000);
    }
  });

  it(`${LOGIN_FAILURES_MAX} different bearer tokens may be wrong; an old one again and again locks nobody out`, async () => {
    const fresh = await start(OPERATORS, []);
    const status = async (token: string): Promise<number> =>
      (await ask("/v1/whoami", bearer(token), { of: fresh })).status;
    try {
      for (let time = 0; time < 3 * LOGIN_FAILURES_MAX; time += 1) {
        expect(await status("a-wrong-token")).toBe(401);
        expect(await status("token-of-old")).toBe(401);
      }
      expect(await status("token-of-ana")).toBe(200);
      for (let guess = 1; guess < LOGIN_FAILURES_MAX; guess += 1)
        expect(await status(`wrong-token-${guess}`)).toBe(401);
      expect(await status("token-of-ana")).toBe(429);
      expect((await signIn("token-of-ana", {}, fresh)).status).toBe(429);
    } finally {
      await fresh.stop(5_000);
    }
  });
});

it("without operators nobody acts by what a proxy says of the host, and nobody who came through one", async () => {
  const freeze = async (headers: Headers): Promise<number> => {
    const { hostname, port } = new URL(open.url);
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        { hostname, port, path: "/v1/freezes", method: "POST", headers: { ...JSON_TYPE, ...headers } },
        (response) => resolve(response.resume().statusCode!),
      );
      request.on("error", reject).end(JSON.stringify({ scope: "all", reason: "test", for: "1m" }));
    });
  };
  expect(await freeze({ ...HERE, host: "evil.example", "x-forwarded-host": "localhost" })).toBe(403);
  expect(await freeze({ ...HERE, "x-forwarded-for": "203.0.113.9" })).toBe(403);
  expect(await freeze(HERE)).toBe(201);
});
