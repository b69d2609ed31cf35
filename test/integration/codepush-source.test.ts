// The device API of a CodePush server at ingest, against a real Redis and a server behind it: what is answered and counted
// of reports, that they go on to the server, and that update checks pass through unchanged.
import { createServer, request as httpRequest } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { REPORT_BYTES_MAX } from "../../ingest/sources/codepush/codepush-router.ts";
import { UPSTREAM_BYTES_MAX } from "../../ingest/sources/codepush/update-check-proxy.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { closeRedis } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { createCodePushDevice } from "../simulation/codepush-device.ts";
import { createRandom } from "../simulation/random.ts";
import { startCodePushUpstream } from "../support/codepush-upstream.ts";
import type { CodePushUpstream } from "../support/codepush-upstream.ts";
import { createTestIngest, sampleOf, storedEntries, storedReports } from "../support/ingest-app.ts";
import { connectTo } from "../support/listening-ingest.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { HOSTILE_TEXTS, anyJson } from "../support/source-app.ts";
import { waitUntil } from "../support/wait-until.ts";

const RECEIVED_AT_MS = Date.UTC(2026, 0, 31, 12);
const DEPLOY = "/v0.1/public/codepush/report_status/deploy";
const DOWNLOAD = "/v0.1/public/codepush/report_status/download";
const CHECK = "/v0.1/public/codepush/update_check";

let redisServer: TestRedis;
let redis: Redis;
let upstream: CodePushUpstream;
let ingest: Server | undefined;
let registry: Registry;
let closes: (() => Promise<void>)[];
let url: string;

beforeAll(async () => {
  redisServer = await startTestRedis();
  redis = await connectTo(redisServer);
});

afterAll(async () => {
  await closeRedis(redis);
  await redisServer.stop();
});

beforeEach(async () => {
  await redis.flushall();
  upstream = await startCodePushUpstream();
  await startIngest(upstream.url);
});

afterEach(async () => {
  await stopIngest();
  await upstream.stop();
});

async function startIngest(server: string | undefined, more: { redis?: Redis } = {}): Promise<void> {
  await stopIngest();
  closes = [];
  const made = createTestIngest({
    redis: more.redis ?? redis,
    clock: () => RECEIVED_AT_MS,
    streamEntriesMax: 100_000,
    sources: {
      codepush: { deployments: { KEYA: "production" }, ...(server === undefined ? {} : { server }) },
    },
    onClose: (close) => void closes.push(close),
  });
  registry = made.registry;
  ingest = createServer(made.app);
  await new Promise<void>((resolve) => void ingest!.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(ingest.address() as AddressInfo).port}`;
}

async function stopIngest(): Promise<void> {
  if (ingest === undefined) return;
  ingest.closeAllConnections();
  await new Promise<void>((resolve) => void ingest!.close(() => resolve()));
  await Promise.all(closes.map((close) => close()));
  ingest = undefined;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const isRaw = typeof body === "string" || Buffer.isBuffer(body);
  const response = await fetch(url + path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CodePush-SDK-Version": "4.2.3", ...headers },
    body: isRaw ? new Uint8Array(Buffer.from(body)) : JSON.stringify(body),
    redirect: "manual",
  });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

const eventsOf = (result: string): Promise<number | undefined> =>
  sampleOf(registry, `ota_ingest_source_events_total{source="codepush",result="${result}"}`);

const forwarded = (count: number): Promise<unknown> =>
  waitUntil(
    () => upstream.got.length,
    (got) => got >= count,
    5_000,
  );

const SUCCEEDED = {
  app_version: "1.2.0",
  deployment_key: "KEYA",
  client_unique_id: "7c1e",
  label: "v12",
  status: "DeploymentSucceeded",
  previous_label_or_app_version: "v11",
  previous_deployment_key: "KEYA",
};

describe("a report", () => {
  test.each([DEPLOY, "/reportStatus/deploy", `/codepush${DEPLOY}`, "/codepush/reportStatus/deploy"])(
    "%s: OK in text, in Redis by then, and sent on as it came",
    async (path) => {
      const { status, text, headers } = await post(`${path}?a=b`, SUCCEEDED);
      expect([status, text, headers.get("content-type")]).toEqual([200, "OK", "text/plain; charset=utf-8"]);
      expect(await storedReports(redis)).toEqual([
        {
          app: "com.acme.till",
          channel: "production",
          device: "7c1e",
          version: "v12",
          event: "confirmed",
          from: "v11",
          native_version: "1.2.0",
          atMs: RECEIVED_AT_MS,
        },
      ]);
      await forwarded(1);
      const [got] = upstream.got;
      expect(got).toMatchObject({ method: "POST", url: path.replace(/^\/codepush/, "") });
      expect(got!.headers).toMatchObject({
        "content-type": "application/json",
        "x-codepush-sdk-version": "4.2.3",
        "x-forwarded-for": "127.0.0.1",
      });
      expect(JSON.parse(got!.body.toString())).toEqual(SUCCEEDED);
      expect(await eventsOf("reported")).toBe(1);
      expect(
        await sampleOf(
          registry,
          `http_server_request_duration_seconds_count{route="${path.replace(/^\/codepush/, "")}",method="POST",status_class="2xx"}`,
        ),
      ).toBe(1);
    },
  );

  test("of a download begins an attempt; in gzip it goes on in gzip", async () => {
    const body = gzipSync(JSON.stringify({ clientUniqueId: "7c1e", deploymentKey: "KEYA", label: "v12" }));
    expect(await post("/reportStatus/download", body, { "Content-Encoding": "gzip" })).toMatchObject({
      status: 200,
      text: "OK",
    });
    expect(await storedReports(redis)).toMatchObject([{ event: "update_started", version: "v12" }]);
    await forwarded(1);
    expect(upstream.got[0]!.headers["content-encoding"]).toBe("gzip");
    expect(upstream.got[0]!.body).toEqual(body);
  });

  test.each([
    ["of the store binary", { ...SUCCEEDED, label: undefined, status: undefined }, "no_outcome"],
    ["without a device id", { ...SUCCEEDED, client_unique_id: undefined }, "invalid"],
    ["of an id of 129 characters", { ...SUCCEEDED, client_unique_id: "x".repeat(129) }, "invalid"],
    ["of a label that no release can have", { ...SUCCEEDED, label: "v 12|🙂" }, "invalid"],
    ["of a deployment key that is not configured", { ...SUCCEEDED, deployment_key: "NEW" }, "unknown_app"],
    ["of a key that every object has", { ...SUCCEEDED, deployment_key: "__proto__" }, "unknown_app"],
  ])("%s is OK for the device, is not counted, and goes on to the server", async (_what, body, result) => {
    expect(await post(DEPLOY, body)).toMatchObject({ status: 200, text: "OK" });
    expect(await storedEntries(redis)).toBe(0);
    expect(await eventsOf(result)).toBe(1);
    await forwarded(1);
  });

  test.each([
    [DEPLOY, { ...SUCCEEDED, deployment_key: undefined }, /valid appVersion and deploymentKey/],
    [DEPLOY, { ...SUCCEEDED, status: "Great" }, /^Invalid status: Great$/],
    [DEPLOY, "not json", /JSON object/],
    [DEPLOY, Buffer.from([0x22, 0xff, 0x22]), /JSON object/],
    [DEPLOY, [SUCCEEDED], /JSON object/],
    [DOWNLOAD, { deployment_key: "KEYA" }, /valid deploymentKey and package label/],
  ])("%s %j is refused in text, and does not go on", async (path, body, text) => {
    const answer = await post(path, body);
    expect(answer.status).toBe(400);
    expect(answer.text).toMatch(text);
    expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await eventsOf("invalid")).toBe(1);
    expect(upstream.got).toEqual([]);
  });

  test("without an SDK version an id is asked for, as the server does", async () => {
    const nameless = { ...SUCCEEDED, client_unique_id: undefined };
    expect((await post(DEPLOY, nameless, { "X-CodePush-SDK-Version": "1.5.1" })).status).toBe(400);
    expect((await post(DEPLOY, nameless, { "X-CodePush-SDK-Version": "1.5.2-beta" })).status).toBe(200);
    expect((await post(DEPLOY, SUCCEEDED, { "X-CodePush-SDK-Version": "x" })).status).toBe(200);
  });

  test(`${REPORT_BYTES_MAX} bytes are taken, one more is not`, async () => {
    const filled = (bytes: number): string => {
      const text = JSON.stringify({ ...SUCCEEDED, filler: "" });
      return JSON.stringify({ ...SUCCEEDED, filler: "x".repeat(bytes - text.length) });
    };
    expect((await post(DEPLOY, filled(REPORT_BYTES_MAX))).status).toBe(200);
    const tooLarge = await post(DEPLOY, filled(REPORT_BYTES_MAX + 1));
    expect([tooLarge.status, tooLarge.headers.get("content-type")]).toEqual([
      413,
      "text/plain; charset=utf-8",
    ]);
    const bomb = gzipSync(Buffer.alloc(10 * 1024 ** 2, " "));
    expect((await post(DEPLOY, bomb, { "Content-Encoding": "gzip" })).status).toBe(413);
    expect(await sampleOf(registry, 'ota_ingest_requests_refused_total{code="body_too_large"}')).toBe(2);
  });

  test("no JSON value is answered with anything but 200 or 400", async () => {
    const random = createRandom("codepush");
    const names = [...Object.keys(SUCCEEDED), "appVersion", "deploymentKey", "clientUniqueId", "KEYA"];
    const seen = new Set<number>();
    for (let round = 0; round < 400; round += 1) {
      const value = anyJson(random, [...names, ...HOSTILE_TEXTS]);
      const body = random.chance(0.5) ? value : { ...SUCCEEDED, ...(value as object) };
      const { status, headers } = await post(random.pick([DEPLOY, DOWNLOAD]), body);
      expect(headers.get("set-cookie")).toBeNull();
      seen.add(status);
    }
    expect(seen).toEqual(new Set([200, 400]));
    expect((await storedReports(redis)).length).toBeGreaterThan(20);
  });

  test("while Redis is away is answered 503, so that the client keeps it, and does not go on twice", async () => {
    const gone = await startTestRedis();
    const connection = await connectTo(gone);
    await gone.stop();
    await startIngest(upstream.url, { redis: connection });
    const answer = await post(DEPLOY, SUCCEEDED);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([503, "text/plain; charset=utf-8"]);
    expect(answer.headers.get("retry-after")).toBeNull();
    expect(await eventsOf("reported")).toBe(0);
    // What has nothing to keep needs no Redis.
    expect((await post(DEPLOY, { ...SUCCEEDED, deployment_key: "NEW" })).status).toBe(200);
    await forwarded(1);
    expect(upstream.got).toHaveLength(1);
    await closeRedis(connection);
  });

  test("is counted also where no server is behind it, or where it is away", async () => {
    await startIngest(undefined);
    expect((await post(DEPLOY, SUCCEEDED)).status).toBe(200);
    await startIngest("http://127.0.0.1:1");
    expect((await post(DEPLOY, SUCCEEDED)).status).toBe(200);
    expect(await storedReports(redis)).toHaveLength(2);
  });

  test.each(["GET", "PUT", "DELETE"])("%s is answered 405 with Allow", async (method) => {
    for (const path of [DEPLOY, DOWNLOAD]) {
      const response = await fetch(url + path, { method });
      expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
      await response.text();
    }
    const check = await fetch(url + CHECK, { method: "POST", body: "{}" });
    expect([check.status, check.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });
});

/** As it comes over the wire: fetch would decode bodies and join headers. */
async function get(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ message: IncomingMessage; bytes: Buffer }> {
  return await new Promise((resolve, reject) => {
    httpRequest(url + path, { headers }, (message) => {
      const chunks: Buffer[] = [];
      message.on("data", (chunk: Buffer) => chunks.push(chunk));
      message.on("end", () => resolve({ message, bytes: Buffer.concat(chunks) }));
    })
      .on("error", reject)
      .end();
  });
}

describe("an update check", () => {
  const query = "?deployment_key=KEYA&app_version=1.2.0&label=v11&client_unique_id=a%20b&is_companion=";

  test.each([CHECK, "/updateCheck", `/codepush${CHECK}`, "/codepush/updateCheck"])(
    "%s passes through: query and headers there, status, headers and bytes back",
    async (path) => {
      const bytes = gzipSync('{"update_info":{"is_available":false}}');
      upstream.answerWith((_request, response) => {
        response.writeHead(
          203,
          [
            ["Content-Type", "application/json"],
            ["Content-Encoding", "gzip"],
            ["Cache-Control", "max-age=60"],
            ["ETag", 'W/"x"'],
            ["Set-Cookie", "a=1"],
            ["Set-Cookie", "b=2"],
          ].flat(),
        );
        response.end(bytes);
      });
      const got = await get(path + query, {
        "X-CodePush-Plugin-Version": "9.0.1",
        "Accept-Encoding": "gzip",
      });
      expect(got.message.statusCode).toBe(203);
      expect(got.bytes).toEqual(bytes);
      expect(got.message.headers).toMatchObject({
        "content-type": "application/json",
        "content-encoding": "gzip",
        "cache-control": "max-age=60",
        etag: 'W/"x"',
        "set-cookie": ["a=1", "b=2"],
      });
      expect(got.message.headers).not.toHaveProperty("x-content-type-options");
      expect(upstream.got).toHaveLength(1);
      expect(upstream.got[0]!).toMatchObject({ method: "GET", url: path.replace(/^\/codepush/, "") + query });
      expect(upstream.got[0]!.headers).toMatchObject({
        host: new URL(upstream.url).host,
        "x-codepush-plugin-version": "9.0.1",
        "accept-encoding": "gzip",
        "x-forwarded-for": "127.0.0.1",
      });
    },
  );

  test.each([400, 404, 500, 302, 304])("a %i of the server is passed on as it is", async (status) => {
    upstream.answerWith((_request, response) => {
      response.writeHead(status, { Location: "https://elsewhere.example/" });
      response.end(status === 304 ? undefined : "words");
    });
    const { message, bytes } = await get(CHECK + query);
    expect([message.statusCode, message.headers.location, bytes.toString()]).toEqual([
      status,
      "https://elsewhere.example/",
      status === 304 ? "" : "words",
    ]);
  });

  test("a key that is not configured goes to the one server that there is", async () => {
    expect((await get(`${CHECK}?deploymentKey=NEW`)).message.statusCode).toBe(200);
    expect((await get(CHECK)).message.statusCode).toBe(200);
    expect(upstream.got).toHaveLength(2);
  });

  test("502 in text when the server is away, breaks off, or answers with too much", async () => {
    const answers: ((response: ServerResponse) => void)[] = [
      (response) => void response.destroy(),
      (response) =>
        void (response.writeHead(200, { "Content-Length": 100 }),
        response.write("x"),
        setTimeout(() => response.destroy(), 20)),
      (response) => void response.end(Buffer.alloc(UPSTREAM_BYTES_MAX + 1)),
    ];
    for (const answer of answers) {
      upstream.answerWith((_request, response) => answer(response));
      const { message, bytes } = await get(CHECK + query);
      expect([message.statusCode, bytes.toString()]).toEqual([502, "The CodePush server cannot be reached."]);
    }
    upstream.answerWith((_request, response) => void response.end(Buffer.alloc(UPSTREAM_BYTES_MAX)));
    expect((await get(CHECK + query)).bytes).toHaveLength(UPSTREAM_BYTES_MAX);
    await startIngest("http://127.0.0.1:1");
    expect((await get(CHECK + query)).message.statusCode).toBe(502);
  });

  test("a kept connection that the server has closed meanwhile costs no answer", async () => {
    upstream.answerWith((request, response) => {
      response.end("fine");
      // As a server does whose keep-alive time is over just as the next check comes.
      response.once("close", () => request.socket.once("data", () => request.socket.destroy()));
    });
    for (let turn = 0; turn < 6; turn += 1)
      expect((await get(CHECK + query)).message.statusCode, `turn ${turn}`).toBe(200);
  });

  test("HEAD passes through as HEAD", async () => {
    upstream.answerWith((_request, response) => void response.end("words"));
    const response = await fetch(url + CHECK + query, { method: "HEAD" });
    expect([response.status, await response.text(), upstream.got[0]!.method]).toEqual([200, "", "HEAD"]);
  });

  test("404 in text where no server is named", async () => {
    await startIngest(undefined);
    const { message, bytes } = await get(CHECK + query);
    expect([message.statusCode, message.headers["content-type"]]).toEqual([404, "text/plain; charset=utf-8"]);
    expect(bytes.toString()).toContain("sources.codepush.server");
  });
});

test("a server that leads back here is told as such, and no report goes round", async () => {
  // A reverse proxy in front of everything, as somebody may name it by mistake.
  upstream.answerWith((request, response) => {
    const onward = httpRequest(
      url + request.url!,
      { method: request.method!, headers: request.headers },
      (answer) => {
        response.writeHead(answer.statusCode!);
        answer.pipe(response);
      },
    );
    onward.on("error", () => response.destroy());
    onward.end(request.method === "GET" ? undefined : JSON.stringify(SUCCEEDED));
  });
  const { message, bytes } = await get(`${CHECK}?deployment_key=KEYA`);
  expect([message.statusCode, bytes.toString()]).toEqual([508, expect.stringContaining("leads back")]);
  expect(upstream.got).toHaveLength(1);
  expect((await post(DEPLOY, SUCCEEDED)).status).toBe(200);
  await forwarded(2);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await storedReports(redis)).toHaveLength(1);
});

test("a device with the client, whose one URL is ingest: it updates, and both count it", async () => {
  const labels: Record<string, string> = { v12: "good", v13: "bad" };
  let offered = "v12";
  upstream.answerWith((request, response) => {
    if (request.method === "POST") {
      response.end("OK");
      return;
    }
    const hash = labels[offered];
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ update_info: { is_available: true, label: offered, package_hash: hash } }));
  });
  const device = createCodePushDevice({
    serverUrl: url,
    deploymentKey: "KEYA",
    appVersion: "1.2.0",
    clientId: "7c1e",
    boots: (hash) => hash === "good",
  });
  await device.start();
  offered = "v13";
  await device.start();
  await device.start();
  expect(device.running()).toBe("v12");
  const told = (await storedReports(redis)).map(({ event, version }) => `${event} ${version}`);
  expect(told).toEqual(["update_started v12", "confirmed v12", "update_started v13", "reverted v13"]);
  const posts = (): string[] =>
    upstream.got
      .filter(({ method }) => method === "POST")
      .map(({ body }) => JSON.parse(body.toString()).status ?? "download");
  await waitUntil(posts, ({ length }) => length === 4, 5_000);
  expect(posts().toSorted()).toEqual(["DeploymentFailed", "DeploymentSucceeded", "download", "download"]);
});
