// The `http` adapter against its double: the common contract, then what only this make has: the signature,
// the idempotency key, the limits on an answer, and what each status means.
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { ANSWER_BYTES_MAX, RETRY_AFTER_MS_MAX } from "../../agent/rollback/http-call.ts";
import type { RollbackRequest } from "../../agent/rollback/ota-server.ts";
import { createHttpOtaServer } from "../../agent/rollback/servers/http.ts";
import type { HttpOtaServerOptions } from "../../agent/rollback/servers/http.ts";
import { SIGNATURE_AGE_MS_MAX, SIGNATURE_HEADER, signBody } from "../../agent/rollback/signature.ts";
import { appIdSchema, channelSchema } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import { systemClock } from "../../runtime/clock.ts";
import { startHttpServer } from "../../runtime/http-server.ts";
import { createSimulatedOtaServer } from "../simulation/ota-server.ts";
import type { SimulatedOtaServer, SimulatedOtaServerOptions } from "../simulation/ota-server.ts";
import type { FaultInput } from "../simulation/ota-server-faults.ts";
import { NEW, NEWER, OLD, OLDER, otaServerContract } from "./ota-server.ts";
import type { NeutralFault, OtaServerHarness } from "./ota-server.ts";

const SECRET = "example-ota-secret";
const TIMEOUT_MS = 300;
const LOOPBACK = { host: "127.0.0.1", port: 0 };
const key: ChannelKey = {
  app: appIdSchema.parse("com.acme.till"),
  channel: channelSchema.parse("production"),
};
const request: RollbackRequest = {
  decisionId: "decision-1",
  ...key,
  from: NEW,
  to: OLD,
  reason: "8 % échouent",
};

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

interface Double {
  readonly double: SimulatedOtaServer;
  readonly url: string;
  readonly stop: () => Promise<void>;
}

async function startDouble(options: Partial<SimulatedOtaServerOptions> = {}): Promise<Double> {
  const double = createSimulatedOtaServer({ secret: SECRET, clock: systemClock, ...options });
  const startMs = systemClock() - 3 * 86_400_000;
  [OLDER, OLD, NEW].forEach((version, day) => {
    double.publish({ ...key, version, releasedAtMs: startMs + day * 86_400_000 });
  });
  const running = await startHttpServer(double.express, LOOPBACK);
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= running.stop(100));
  cleanups.push(stop);
  return { double, url: running.url, stop };
}

function adapter(options: Partial<HttpOtaServerOptions> & { readonly url: string }) {
  return createHttpOtaServer({ secret: SECRET, timeoutMs: TIMEOUT_MS, clock: systemClock, ...options });
}

/** A server that answers everything in one way and counts: for answers that the double never gives. */
async function startFixed(
  status: number,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly url: string; readonly requests: () => number }> {
  let requests = 0;
  const server: Server = createServer((incoming, response) => {
    requests += 1;
    incoming.resume().on("end", () => response.writeHead(status, headers).end(body));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  cleanups.push(async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests: () => requests };
}

function toFault(on: "rollback" | "pause" | "read", fault: NeutralFault): FaultInput {
  switch (fault.kind) {
    case "server_error":
      return { kind: "error", status: 500, on };
    case "rate_limited":
      return { kind: "rate_limited", retry_after_s: fault.retryAfterSeconds, on };
    case "hangs":
      return { kind: "late", ms: TIMEOUT_MS * 3, on };
    case "acts_but_answer_is_lost":
      return { kind: "lost_answer", on };
    case "garbage_answer":
      return { kind: "garbage", on };
    case "oversize_answer":
      return { kind: "oversize", bytes: ANSWER_BYTES_MAX + 1, on };
    case "redirect":
      return { kind: "redirect", location: fault.location, on };
    case "sets_another_version":
      return { kind: "another_version", version: fault.version, on };
    default:
      return fault satisfies never;
  }
}

otaServerContract("http", async (): Promise<OtaServerHarness> => {
  const { double, url, stop } = await startDouble();
  const elsewhere = await startFixed(200, JSON.stringify({ version: OLD }));
  return {
    server: adapter({ url }),
    stranger: adapter({ url, secret: "another-secret" }),
    key,
    publish: (version) => double.publish({ ...key, version }),
    fault: (call, fault) => double.setFaults([toFault(call, fault)]),
    acts: () => double.calls().filter(({ acted }) => acted).length,
    strayRequests: elsewhere.requests,
    elsewhere: elsewhere.url,
    stopServer: stop,
    dispose: stop,
  };
});

describe("what the http adapter sends", () => {
  it("signs reads and rollbacks, and names itself and the decision", async () => {
    const { double, url } = await startDouble({ signedReads: true });
    const server = adapter({ url, productVersion: "0.1.0" });
    expect(await server.readChannel(key)).toMatchObject({ kind: "channel" });
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(double.calls()).toMatchObject([
      { call: "read", signature: "valid", idempotencyKey: null, userAgent: "lastgood/0.1.0", body: null },
      {
        call: "rollback",
        signature: "valid",
        idempotencyKey: "decision-1",
        userAgent: "lastgood/0.1.0",
        body: { decision_id: "decision-1", from: "1.4.0", to: "1.3.0", reason: "8 % échouent" },
      },
    ]);
  });

  it("is refused with a remedy when its clock is off by more than the server takes", async () => {
    const { double, url } = await startDouble();
    const late = adapter({ url, clock: () => systemClock() - SIGNATURE_AGE_MS_MAX - 2_000 });
    const answer = await late.rollback(request);
    expect(answer).toMatchObject({ kind: "refused" });
    expect("detail" in answer && answer.detail).toMatch(/401.*too old.*same secret and the same time of day/);
    expect(double.calls()).toMatchObject([{ signature: "too_old", acted: false }]);
  });

  it("keeps a path in the base URL, with or without a slash at its end", async () => {
    const urls: string[] = [];
    const fetchNothing: typeof fetch = (input) => {
      urls.push(input instanceof URL ? input.href : JSON.stringify(input));
      return Promise.resolve(new Response("{}", { status: 503 }));
    };
    for (const url of ["https://ota.example/base", "https://ota.example/base/"])
      await adapter({ url, fetch: fetchNothing }).readChannel(key);
    expect(urls).toEqual(Array(2).fill("https://ota.example/base/apps/com.acme.till/channels/production"));
  });

  it.each(["ftp://ota.example", "https://user:word@ota.example", "https://ota.example/?a=b", "not a url"])(
    "cannot be made for %s",
    (url) => {
      expect(() => adapter({ url })).toThrow(/url/i);
    },
  );
});

describe("the idempotency key", () => {
  it("holds after the channel was put back on the condemned version by hand", async () => {
    const { double, url } = await startDouble();
    const server = adapter({ url });
    await server.rollback(request);
    double.publish({ ...key, version: NEW });
    expect(await server.rollback(request)).toEqual({ kind: "done", version: OLD });
    expect(double.readChannel(key)?.version).toBe(NEW);
    expect(double.calls().map(({ acted }) => acted)).toEqual([true, false]);
  });

  it("remembers a stale answer too", async () => {
    const { double, url } = await startDouble();
    double.publish({ ...key, version: NEWER });
    const server = adapter({ url });
    expect(await server.rollback(request)).toMatchObject({ kind: "stale" });
    double.publish({ ...key, version: NEW });
    expect(await server.rollback(request)).toMatchObject({ kind: "stale" });
    expect(double.readChannel(key)?.version).toBe(NEW);
  });

  it("is refused for a request that differs", async () => {
    const { url } = await startDouble();
    const server = adapter({ url });
    await server.rollback(request);
    const answer = await server.rollback({ ...request, to: OLDER });
    expect(answer).toMatchObject({ kind: "refused" });
    expect("detail" in answer && answer.detail).toMatch(/422.*another request/);
  });
});

function channelOfBytes(bytes: number): string {
  const frame = JSON.stringify({ version: NEW, releases: [], padding: "" });
  return JSON.stringify({ version: NEW, releases: [], padding: "x".repeat(bytes - frame.length) });
}

describe("the limits on an answer", () => {
  it("reads an answer of exactly the longest size, and not one byte more", async () => {
    const longest = await startFixed(200, channelOfBytes(ANSWER_BYTES_MAX));
    expect(await adapter({ url: longest.url, timeoutMs: 5_000 }).readChannel(key)).toMatchObject({
      kind: "channel",
    });
    const tooLong = await startFixed(200, channelOfBytes(ANSWER_BYTES_MAX + 1));
    const answer = await adapter({ url: tooLong.url, timeoutMs: 5_000 }).readChannel(key);
    expect(answer).toMatchObject({ kind: "unavailable" });
    expect("detail" in answer && answer.detail).toMatch(/more than 1048576 bytes/);
  });

  it("counts the bytes after decompression: a small gzip that grows is cut too", async () => {
    const bomb = gzipSync(channelOfBytes(10 * ANSWER_BYTES_MAX));
    expect(bomb.byteLength).toBeLessThan(ANSWER_BYTES_MAX / 10);
    const { url } = await startFixed(200, bomb, { "Content-Encoding": "gzip" });
    const answer = await adapter({ url, timeoutMs: 5_000 }).readChannel(key);
    expect("detail" in answer && answer.detail).toMatch(/more than 1048576 bytes/);
  });

  it("cuts a server that never stops sending at the time-out", async () => {
    const server = createServer((_request, response) => {
      const timer = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(timer));
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    cleanups.push(async () => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const answer = await adapter({ url }).rollback(request);
    expect(answer).toMatchObject({ kind: "unavailable" });
    expect("detail" in answer && answer.detail).toMatch(/not answered within 300 ms/);
  });

  it.each([
    ["no version", { releases: [] }],
    ["a version that cannot be one", { version: "1.4 beta", releases: [] }],
    ["no releases", { version: "1.4.0" }],
    ["a release without a time", { version: "1.4.0", releases: [{ version: "1.4.0" }] }],
    ["a time that is none", { version: "1.4.0", releases: [{ version: "1.4.0", released_at: "yesterday" }] }],
  ])("does not take a channel with %s", async (_name, body) => {
    const { url } = await startFixed(200, JSON.stringify(body));
    const answer = await adapter({ url }).readChannel(key);
    expect(answer).toMatchObject({ kind: "unavailable" });
    expect("detail" in answer && answer.detail).toMatch(/not as docs\/ota-server-http\.md says: \w+/);
  });

  it("passes over a release whose name no report could ever have", async () => {
    const at = "2026-01-01T00:00:00Z";
    const releases = [NEW, "1.4 beta", OLD].map((version) => ({ version, released_at: at }));
    const { url } = await startFixed(200, JSON.stringify({ version: NEW, releases }));
    const answer = await adapter({ url }).readChannel(key);
    expect(answer.kind === "channel" && answer.state.releases.map(({ version }) => version)).toEqual([
      NEW,
      OLD,
    ]);
  });

  it("takes a channel that offers nothing yet, and sorts releases that came in another order", async () => {
    const releases = [
      { version: "1.2.0", released_at: "2026-01-01T00:00:00Z" },
      { version: "1.3.0", released_at: "2026-01-02T00:00:00+02:00" },
    ];
    const { url } = await startFixed(200, JSON.stringify({ version: null, releases, more: true }));
    expect(await adapter({ url }).readChannel(key)).toEqual({
      kind: "channel",
      state: {
        version: null,
        releases: [
          { version: "1.3.0", releasedAt: "2026-01-02T00:00:00+02:00" },
          { version: "1.2.0", releasedAt: "2026-01-01T00:00:00Z" },
        ],
      },
    });
  });
});

describe("what a status means for a rollback", () => {
  it.each([
    [200, "unavailable"], // with this body: not the contract's answer
    [202, "unavailable"],
    [204, "unavailable"],
    [301, "unavailable"],
    [400, "refused"],
    [401, "refused"],
    [403, "refused"],
    [404, "refused"],
    [405, "refused"],
    [408, "unavailable"],
    [409, "stale"],
    [410, "refused"],
    [422, "refused"],
    [425, "unavailable"],
    [429, "unavailable"],
    [500, "unavailable"],
    [502, "unavailable"],
    [503, "unavailable"],
  ])("%i is %s", async (status, kind) => {
    const { url } = await startFixed(status, status === 204 ? "" : `{"message":"because\\u001b[31m"}`);
    const answer = await adapter({ url }).rollback(request);
    expect(answer).toMatchObject({ kind });
    expect("detail" in answer && answer.detail).not.toContain("\u001b");
  });

  const nowMs = Date.parse("2026-01-01T00:00:00Z");
  it.each([
    ["0", 0],
    ["599", 599_000],
    ["600", RETRY_AFTER_MS_MAX],
    ["601", RETRY_AFTER_MS_MAX],
    ["Thu, 01 Jan 2026 00:00:30 GMT", 30_000],
    ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
    ["soon", undefined],
  ])("Retry-After: %s", async (value, retryAfterMs) => {
    const { url } = await startFixed(503, "", { "Retry-After": value });
    const answer = await adapter({ url, clock: () => nowMs }).rollback(request);
    expect(answer).toMatchObject({ kind: "unavailable" });
    expect("retryAfterMs" in answer ? answer.retryAfterMs : undefined).toBe(retryAfterMs);
  });
});

describe("the double's own routes", () => {
  it("lets devices read without a signature, unless reads must be signed", async () => {
    const open = await startDouble();
    const path = "/apps/com.acme.till/channels/production";
    const answer = await fetch(`${open.url}${path}`);
    expect(await answer.json()).toMatchObject({ version: "1.4.0", releases: [{ version: "1.4.0" }, {}, {}] });
    expect([open.double.deviceReads(), open.double.calls().length]).toEqual([1, 0]);
    const closed = await startDouble({ signedReads: true });
    expect((await fetch(`${closed.url}${path}`)).status).toBe(401);
  });

  it("publishes, plans faults and shows calls over HTTP", async () => {
    const { url } = await startDouble();
    const post = (path: string, body: unknown): Promise<Response> =>
      fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body) });
    expect((await post("/apps/com.acme.till/channels/production/publish", { version: "1.5.0" })).status).toBe(
      200,
    );
    expect((await post("/faults", { faults: [{ kind: "error", status: 503, times: 2 }] })).status).toBe(200);
    expect((await post("/faults", { faults: [{ kind: "unheard_of" }] })).status).toBe(400);
    const server = adapter({ url });
    const from = NEWER;
    for (const kind of ["unavailable", "unavailable", "done"])
      expect(await server.rollback({ ...request, from })).toMatchObject({ kind });
    const { calls } = (await (await fetch(`${url}/calls`)).json()) as { calls: unknown[] };
    expect(calls).toMatchObject([
      { status: 503, acted: false },
      { status: 503, acted: false },
      { status: 200, acted: true, signature: "valid" },
    ]);
  });

  it("answers 400 for a signed body that breaks the contract, and does nothing", async () => {
    const { double, url } = await startDouble();
    for (const body of ["", "{", '{"decision_id":"d"}']) {
      const answer = await fetch(`${url}/apps/com.acme.till/channels/production/rollback`, {
        method: "POST",
        headers: { [SIGNATURE_HEADER]: signBody({ secret: SECRET, body, atMs: systemClock() }) },
        body,
      });
      expect(answer.status).toBe(400);
    }
    expect(double.readChannel(key)?.version).toBe(NEW);
  });
});
