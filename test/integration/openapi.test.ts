// The operator API's description held to a running agent: each answer is what its schema says, to the last field, and
// each refusal is one that the route lists.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { problemSchema } from "../../agent/admin/openapi/answer-parts.ts";
import { errorsOf } from "../../agent/admin/openapi/documented-route.ts";
import type { DocumentedRoute } from "../../agent/admin/openapi/documented-route.ts";
import { DOCUMENTED_ROUTES } from "../../agent/admin/openapi/documented-routes.ts";
import { deadLetterStream } from "../../ingest/contract/stream-names.ts";
import { createLogger } from "../../runtime/logger.ts";
import { createRedis, waitUntilReady } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { agentSettings, createTestFleet, startOtaServer } from "../support/agent.ts";
import type { TestOtaServer } from "../support/agent.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const logger = createLogger({ name: "test", level: "silent" });
const TOKENS = { viewer: "token-of-vi", operator: "token-of-ole", admin: "token-of-ana" } as const;

let server: TestRedis;
let ota: TestOtaServer;
let agent: RunningAgent;
let redis: Redis;
let decisionId: string;

beforeAll(async () => {
  server = await startTestRedis();
  ota = await startOtaServer();
  for (const text of ["1.3.0", "1.4.0"]) ota.publish({ ...TILL, version: version(text) });
  const operators = Object.entries(TOKENS).map(([role, token]) => ({
    name: `the-${role}`,
    role: role as keyof typeof TOKENS,
    token,
  }));
  agent = await startAgent({
    settings: agentSettings([{ name: TILL.app, otaUrl: ota.url }], operators),
    redisUrl: server.url,
    version: "1.2.3",
    logger,
  });
  redis = createRedis({ url: server.url, role: "worker", logger });
  await waitUntilReady(redis, 5_000);
  const fleet = await createTestFleet(server.url);
  const told = { app: TILL.app, version: "1.4.0" };
  await fleet.report({ ...told, version: "1.3.0", devices: [1, 40], events: ["active"] });
  await fleet.report({ ...told, devices: [1, 10], events: ["installed", "install_failed"] });
  await fleet.report({ ...told, devices: [11, 40], events: ["confirmed", "crashed"] });
  await fleet.write([
    { ...TILL, device: "d", version: version("1.4.0"), event: "reverted", reason: "disk_full", model: "T1" },
  ]);
  fleet.close();
  const decisions = () => read<{ decisions: { id: string; outcome: unknown }[] }>("/v1/decisions");
  const done = await waitUntil(decisions, ({ decisions: [first] }) => (first?.outcome ?? null) !== null);
  decisionId = done.decisions[0]!.id;
  await putLetter();
});

afterAll(async () => {
  redis.disconnect();
  await agent.stop(5_000);
  await ota.close();
  await server.stop();
});

async function putLetter(): Promise<string> {
  const payload = JSON.stringify({ id: "1-1", fields: ["f", "9"] });
  return `2:${await redis.xadd(deadLetterStream(2), "*", "reason", "unknown entry format", "payload", payload)}`;
}

function ask(path: string, init: RequestInit = {}, token: string = TOKENS.admin): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  return fetch(`${agent.url}${path}`, { headers, ...init });
}

async function read<T>(path: string): Promise<T> {
  return (await (await ask(path)).json()) as T;
}

function routeOf(name: string): DocumentedRoute {
  return DOCUMENTED_ROUTES.find(({ method, path }) => name === `${method} ${path}`)!;
}

/** What is wrong with an answer, in words; empty = it is as described. */
async function mistakesOf(route: DocumentedRoute, response: Response): Promise<readonly string[]> {
  const answer = route.answers[response.status];
  if (answer === undefined) return [`${response.status} is not described: ${await response.text()}`];
  if (!("json" in answer)) return [];
  const { success, error } = answer.json.safeParse(await response.json());
  return success ? [] : error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

/** One good request at least for each route that needs no body. */
const GOOD: readonly (readonly [route: string, ask: () => string | Promise<string>])[] = [
  ["get /v1/status", () => "/v1/status"],
  ["get /v1/lag", () => "/v1/lag"],
  ["get /v1/decisions", () => "/v1/decisions"],
  ["get /v1/decisions/{id}", () => `/v1/decisions/${decisionId}`],
  ["get /v1/channels/{app}/{channel}/targets", () => "/v1/channels/com.acme.till/production/targets"],
  ["get /v1/freezes", () => "/v1/freezes"],
  ["get /v1/journal", () => "/v1/journal?limit=1000"],
  [
    "get /v1/releases/{app}/{channel}/{version}",
    () => "/v1/releases/com.acme.till/production/1.4.0?windows=all",
  ],
  [
    "get /v1/releases/{app}/{channel}/{version}",
    () => "/v1/releases/com.acme.till/production/1.3.0?windows=none",
  ],
  ["get /v1/devices/{app}/{device}", () => "/v1/devices/com.acme.till/device-1"],
  ["get /v1/devices/{device}", () => "/v1/devices/device-1"],
  ["get /v1/scope/{app}/{version}", () => "/v1/scope/com.acme.till/1.4.0"],
  ["get /v1/decisions/{id}/story", () => `/v1/decisions/${decisionId}/story`],
  ["get /v1/dead-letters", () => "/v1/dead-letters"],
  ["get /v1/dead-letters/{id}", async () => `/v1/dead-letters/${await putLetter()}`],
  ["get /v1/whoami", () => "/v1/whoami"],
  ["get /healthz", () => "/healthz"],
  ["get /readyz", () => "/readyz"],
  ["get /metrics", () => "/metrics"],
  ["get /openapi.json", () => "/openapi.json"],
];

describe("answers", () => {
  it.each(GOOD)("%s is what its schema says", async (name, pathOf) => {
    const route = routeOf(name);
    expect(await mistakesOf(route, await ask(await pathOf()))).toEqual([]);
  });

  it.each(["redrive", "discard"])("post /v1/dead-letters/%s", async (what) => {
    const route = routeOf(`post /v1/dead-letters/${what}`);
    const body = JSON.stringify({ ids: [await putLetter(), "1:1-1"] });
    expect(await mistakesOf(route, await ask(route.path, { method: "POST", body }))).toEqual([]);
  });

  it("signing in and out", async () => {
    const body = JSON.stringify({ token: TOKENS.viewer });
    const signedIn = await ask("/v1/session", { method: "POST", body });
    expect(await mistakesOf(routeOf("post /v1/session"), signedIn)).toEqual([]);
    const out = await ask("/v1/session", { method: "DELETE" });
    expect(await mistakesOf(routeOf("delete /v1/session"), out)).toEqual([]);
  });

  const post = (path: string, body: object) => ask(path, { method: "POST", body: JSON.stringify(body) });

  it("freezing and lifting", async () => {
    const frozen = await post("/v1/freezes", { scope: "all", reason: "a test", for: "2h" });
    expect(await mistakesOf(routeOf("post /v1/freezes"), frozen.clone())).toEqual([]);
    const { id } = (await frozen.json()) as { id: string };
    expect(await mistakesOf(routeOf("get /v1/freezes"), await ask("/v1/freezes"))).toEqual([]);
    expect(await mistakesOf(routeOf("get /v1/status"), await ask("/v1/status"))).toEqual([]);
    const lifted = await ask(`/v1/freezes/${id}?reason=done`, { method: "DELETE" });
    expect(await mistakesOf(routeOf("delete /v1/freezes/{id}"), lifted)).toEqual([]);
  });

  it("rolling back, pausing, absolving", async () => {
    const channel = "/v1/channels/com.acme.till/production";
    const isDone = ({ decisions: all }: { decisions: { outcome: unknown }[] }) =>
      all.every(({ outcome }) => outcome !== null);
    for (const [act, body] of [
      ["rollback", { to: "1.4.0", reason: "a test", override: true }],
      ["pause", { reason: "a test" }],
    ] as const) {
      const answer = await post(`${channel}/${act}`, body);
      expect(answer.status).toBe(200);
      expect(await mistakesOf(routeOf(`post /v1/channels/{app}/{channel}/${act}`), answer)).toEqual([]);
      await waitUntil(() => read<{ decisions: { outcome: unknown }[] }>("/v1/decisions"), isDone);
    }
    const absolved = await post("/v1/releases/com.acme.till/production/1.4.0/absolve", { reason: "a test" });
    const route = routeOf("post /v1/releases/{app}/{channel}/{version}/absolve");
    expect(await mistakesOf(route, absolved)).toEqual([]);
    expect(await mistakesOf(routeOf("get /v1/decisions"), await ask("/v1/decisions"))).toEqual([]);
  });

  it("post /v1/replay", async () => {
    const policy = "mode: automatic\nrules: [{ signal: update_failure, limit: 5% }]\n";
    const answer = await post("/v1/replay", { policy, since: "1h" });
    expect(answer.status).toBe(200);
    expect(await mistakesOf(routeOf("post /v1/replay"), answer)).toEqual([]);
  });

  it("post /v1/alertmanager", async () => {
    const labels = { app: TILL.app, channel: TILL.channel, version: "1.3.0", ota_action: "page" };
    const answer = await post("/v1/alertmanager", {
      alerts: [
        { status: "firing", labels },
        { status: "resolved", labels },
        { status: "firing", labels: {} },
      ],
    });
    expect(await mistakesOf(routeOf("post /v1/alertmanager"), answer)).toEqual([]);
  });

  it("every route without a body was asked", () => {
    const reading = DOCUMENTED_ROUTES.filter(({ method }) => method === "get");
    const asked = new Set(GOOD.map(([name]) => name));
    expect(reading.map(({ method, path }) => `${method} ${path}`).filter((name) => !asked.has(name))).toEqual(
      [],
    );
  });

  it("a viewer sees no device ids, and that is described as well", async () => {
    await putLetter();
    const response = await ask("/v1/dead-letters?limit=1", {}, TOKENS.viewer);
    expect(await mistakesOf(routeOf("get /v1/dead-letters"), response.clone())).toEqual([]);
    expect(await response.json()).toMatchObject({ dead_letters: [{ excerpt: null }] });
  });
});

describe("refusals", () => {
  const RANK = { anybody: 0, viewer: 1, operator: 2, admin: 3 } as const;

  it.each(DOCUMENTED_ROUTES.map((route) => [`${route.method} ${route.path}`, route] as const))(
    "%s lets in whom it says, and refuses with what it lists",
    async (_name, route) => {
      const path = route.path.replaceAll(/\{\w+\}/g, "nothing");
      const method = route.method.toUpperCase();
      for (const [role, token] of [["anybody", ""], ...Object.entries(TOKENS)] as const) {
        const headers = token === "" ? {} : { authorization: `Bearer ${token}` };
        const response = await fetch(`${agent.url}${path}`, { method, headers });
        const refused = response.status === 401 || response.status === 403;
        // Whoever comes with nothing but a body that is wrong gets past the check of who asks.
        expect([role, refused]).toEqual([role, RANK[role as keyof typeof RANK] < RANK[route.role]]);
        if (response.status < 400 || route.answers[response.status] !== undefined) continue;
        const problem = problemSchema.parse(await response.json());
        expect(errorsOf(route)).toContain(problem.code);
        expect(problem.status).toBe(response.status);
      }
    },
  );
});

it("the document is served to whoever asks, as JSON", async () => {
  const response = await fetch(`${agent.url}/openapi.json`);
  expect([response.status, response.headers.get("content-type")]).toEqual([
    200,
    "application/json; charset=utf-8",
  ]);
  expect(await response.json()).toMatchObject({ openapi: "3.1.1", paths: { "/v1/status": { get: {} } } });
});
