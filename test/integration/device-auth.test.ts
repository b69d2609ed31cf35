// device_auth against a real Redis: somebody with a stolen ingest key, but without a device's token or key,
// moves nothing; devices with theirs are counted; observe mode refuses nobody and tells; keys are rotated.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import type { RequestListener } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { DeviceAuthSettings } from "../../ingest/contract/device-auth.ts";
import { REPORTS_PER_REQUEST_MAX } from "../../ingest/contract/device-report.ts";
import { deviceKeyOf, signAsDevice } from "../../ingest/contract/device-signature.ts";
import { KEY_FILE_CHECK_MS } from "../../ingest/device-auth/key-file.ts";
import { DEVICE_AUTH_RESULTS } from "../../ingest/metrics.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { closeRedis } from "../../runtime/redis.ts";
import type { Redis } from "../../runtime/redis.ts";
import { TOKEN_NOW_MS, createIssuer, keySet, unsignedToken } from "../support/device-tokens.ts";
import type { Issuer } from "../support/device-tokens.ts";
import {
  SHARED_KEY,
  createTestIngest,
  manyReports,
  sampleOf,
  sampleReport,
  sendReports,
  storedEntries,
  storedReports,
  toNdjson,
} from "../support/ingest-app.ts";
import type { Sent } from "../support/ingest-app.ts";
import { connectTo } from "../support/listening-ingest.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";

const SECRET = "a-provisioning-secret-of-32-chars-or-more";
const TILL = "com.acme.till";

let server: TestRedis;
let redis: Redis;
let app: RequestListener;
let registry: Registry;
let folder: string;
let keyFile: string;
let issuer: Issuer;
let foreign: Issuer;
let nowMs: number;

beforeAll(async () => {
  server = await startTestRedis();
  redis = await connectTo(server);
  [issuer, foreign] = await Promise.all([createIssuer("ES256", "one"), createIssuer("ES256", "two")]);
  folder = mkdtempSync(path.join(tmpdir(), "lg-device-auth-"));
  keyFile = path.join(folder, "keys.json");
});

afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
  rmSync(folder, { recursive: true });
});

beforeEach(async () => {
  await redis.flushall();
  nowMs = TOKEN_NOW_MS;
  writeFileSync(keyFile, keySet(issuer.jwk));
});

function start(deviceAuth: Partial<DeviceAuthSettings> & Pick<DeviceAuthSettings, "type">): void {
  const common = { mode: "enforce", trustedKeys: [SHARED_KEY] } as const;
  const jwt = { issuer: undefined, audience: undefined, header: "x-device-token" };
  const keys = { kind: "jwks_file", file: keyFile, algorithms: ["ES256"] } as const;
  const settings =
    deviceAuth.type === "jwt"
      ? { ...common, ...jwt, keys, ...deviceAuth }
      : { ...common, secret: SECRET, ...deviceAuth };
  const made = createTestIngest({ redis, clock: () => nowMs, deviceAuth: settings });
  ({ app, registry } = made);
}

const send = (body: unknown, sent?: Sent): ReturnType<typeof sendReports> => sendReports(app, body, sent);
const withToken = (token: string): Sent => ({ headers: { "X-Device-Token": token } });

/** Results that are not zero. */
async function counted(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const result of DEVICE_AUTH_RESULTS) {
    const count = await sampleOf(registry, `ota_ingest_device_auth_total{app="${TILL}",result="${result}"}`);
    if (count !== 0) counts[result] = count!;
  }
  return counts;
}

function signed(body: string | Uint8Array, device = "till-1", atMs = nowMs): Record<string, string> {
  const deviceKey = deviceKeyOf({ secret: SECRET, app: TILL, device });
  return { "X-Device-Signature": signAsDevice({ deviceKey, body, atMs }) };
}

describe("a wave of forged failures with a stolen ingest key moves nothing", () => {
  const wave = (): unknown[] =>
    manyReports(REPORTS_PER_REQUEST_MAX).map((one) => ({ ...one, event: "reverted" }));

  test("without a token: 401 for the whole request, with what is asked for", async () => {
    start({ type: "jwt" });
    const answer = await send(wave()).expect(401);
    expect(answer.body).toMatchObject({ code: "device_token_missing", status: 401 });
    expect(answer.headers["www-authenticate"]).toBe('DeviceToken realm="lastgood", header="x-device-token"');
    expect(await storedEntries(redis)).toBe(0);
    expect(await counted()).toEqual({ missing: REPORTS_PER_REQUEST_MAX });
    expect(await sampleOf(registry, 'ota_ingest_requests_refused_total{code="device_token_missing"}')).toBe(
      1,
    );
    expect(await sampleOf(registry, 'ota_ingest_reports_total{result="device_token_missing"}')).toBe(
      REPORTS_PER_REQUEST_MAX,
    );
  });

  test("with a token of another issuer, of alg none, or that has expired", async () => {
    start({ type: "jwt" });
    for (const [token, code] of [
      [await foreign.token(), "device_token_invalid"],
      [unsignedToken({ alg: "none" }), "device_token_invalid"],
      [await issuer.token({ exp: 1 }), "device_token_expired"],
    ] as const) {
      const answer = await send(toNdjson(manyReports(100)), {
        ...withToken(token),
        type: "application/x-ndjson",
      }).expect(401);
      expect(answer.body).toMatchObject({ code });
    }
    expect(await storedEntries(redis)).toBe(0);
    expect(await counted()).toEqual({ invalid: 200, expired: 100 });
  });

  test("with the token of one device that was stolen too: only that device can be spoken for", async () => {
    start({ type: "jwt" });
    const answer = await send(manyReports(1_000), withToken(await issuer.token({ sub: "till-7" }))).expect(
      202,
    );
    expect(answer.body.accepted).toBe(1);
    expect(answer.body.rejected).toHaveLength(999);
    expect((await storedReports(redis)).map(({ device }) => device)).toEqual(["till-7"]);
    expect(await counted()).toEqual({ ok: 1, mismatch: 999 });
  });

  test("with a signature made by a guessed key, and with one over another body", async () => {
    start({ type: "hmac" });
    const body = JSON.stringify(manyReports(100));
    const guessed = signAsDevice({ deviceKey: "0".repeat(64), body, atMs: nowMs });
    const answer = await send(body, { headers: { "X-Device-Signature": guessed } }).expect(401);
    expect(answer.body).toMatchObject({ code: "device_token_invalid" });
    expect(answer.headers["www-authenticate"]).toBe(
      'DeviceSignature realm="lastgood", header="x-device-signature"',
    );
    const own = JSON.stringify(sampleReport());
    const forged = JSON.stringify(sampleReport({ event: "reverted" }));
    await send(forged, { headers: signed(own) }).expect(401);
    expect(await storedEntries(redis)).toBe(0);
    expect(await counted()).toEqual({ invalid: 101 });
  });
});

describe("devices with a right proof are counted", () => {
  test("a token, for one report and for a batch", async () => {
    start({ type: "jwt" });
    const token = withToken(await issuer.token());
    await send(sampleReport(), token).expect(202);
    await send([sampleReport(), sampleReport({ event: "active" })], token).expect(202);
    expect(await storedReports(redis)).toHaveLength(3);
    expect(await counted()).toEqual({ ok: 3 });
  });

  test("a signature over the bytes as sent, gzip or not; the same request again does no harm", async () => {
    start({ type: "hmac" });
    const body = JSON.stringify([sampleReport(), sampleReport({ event: "active" })]);
    const zipped = gzipSync(body);
    await send(body, { headers: signed(body) }).expect(202);
    await send(body, { headers: signed(body) }).expect(202);
    await send(zipped, { headers: signed(zipped), encoding: "gzip" }).expect(202);
    await send(zipped, { headers: signed(body), encoding: "gzip" }).expect(401);
    expect(await counted()).toEqual({ ok: 6, invalid: 2 });
  });

  test("a signature that is too old says so, and what to do", async () => {
    start({ type: "hmac" });
    const body = JSON.stringify(sampleReport());
    const answer = await send(body, { headers: signed(body, "till-1", nowMs - 301_000) }).expect(401);
    expect(answer.body).toMatchObject({
      code: "device_token_expired",
      detail:
        "The signature was made 301 s before this server's time, and 300 s are allowed: sign anew, with t by the Date header of this answer.",
    });
    expect(answer.headers["date"]).toBeDefined();
  });
});

describe("a request that is right in part", () => {
  test("one foreign device in a batch costs only itself, wherever it stands", async () => {
    for (const type of ["jwt", "hmac"] as const)
      for (const foreignAt of [0, 1, 2]) {
        await redis.flushall();
        start({ type });
        const reports = [0, 1, 2].map((index) =>
          sampleReport(index === foreignAt ? { device: "till-2" } : { at: nowMs - index }),
        );
        const body = JSON.stringify(reports);
        const headers = { ...signed(body), "X-Device-Token": await issuer.token() };
        const answer = await send(body, { headers }).expect(202);
        expect(answer.body).toMatchObject({
          accepted: 2,
          rejected: [{ index: foreignAt, code: "device_mismatch" }],
        });
        expect((await storedReports(redis)).map(({ device }) => device)).toEqual(["till-1", "till-1"]);
      }
  });

  test("a single report about another device is 403, and another proof is not asked for", async () => {
    start({ type: "jwt" });
    const token = withToken(await issuer.token());
    const answer = await send(sampleReport({ device: "till-2" }), token).expect(403);
    expect(answer.body).toMatchObject({ code: "device_mismatch" });
    expect(answer.headers["www-authenticate"]).toBeUndefined();
    expect(await storedEntries(redis)).toBe(0);
  });

  test("a batch about other devices alone is answered 202 with the reasons", async () => {
    start({ type: "jwt" });
    const reports = [sampleReport({ device: "till-2" }), { app: 5 }];
    const answer = await send(reports, withToken(await issuer.token())).expect(202);
    expect(answer.body).toMatchObject({
      accepted: 0,
      rejected: [{ code: "device_mismatch" }, { code: "invalid_report" }],
    });
  });

  test("apps that ask for nothing are not held up by one that does; the places stay in order", async () => {
    // A key of both apps that neither trusts.
    start({ type: "jwt", trustedKeys: [] });
    const kiosk = sampleReport({ app: "com.acme.kiosk", channel: "stable" });
    const reports = [sampleReport(), { app: 5 }, kiosk, sampleReport({ device: "till-9" })];
    const answer = await send(reports, { key: SHARED_KEY }).expect(202);
    expect(answer.body).toMatchObject({
      accepted: 1,
      rejected: [
        { index: 0, code: "device_token_missing" },
        { index: 1, code: "invalid_report" },
        { index: 3, code: "device_token_missing" },
      ],
    });
    expect(answer.headers["www-authenticate"]).toBeUndefined();
    expect(Object.keys(answer.body.rejected[0])).toEqual(["index", "code", "detail"]);
    expect((await storedReports(redis)).map((report) => report.app)).toEqual(["com.acme.kiosk"]);
  });

  test("what is wrong with a report anyhow is told first, token or not", async () => {
    start({ type: "jwt" });
    await send(sampleReport({ event: "exploded" })).expect(400);
    await send([sampleReport({ event: "exploded" })]).expect(202);
    expect(await counted()).toEqual({});
  });
});

describe("observe", () => {
  test("takes everything, and counts what would have been refused", async () => {
    start({ type: "jwt", mode: "observe" });
    const reports = [sampleReport(), sampleReport({ device: "till-2" })];
    for (const [sent, kind] of [
      [{}, "missing"],
      [withToken(await foreign.token()), "invalid"],
      [withToken(await issuer.token({ exp: 1 })), "expired"],
    ] as const) {
      const answer = await send(reports, sent).expect(202);
      expect([kind, answer.body]).toEqual([kind, { accepted: 2, rejected: [] }]);
    }
    await send(reports, withToken(await issuer.token())).expect(202);
    expect(await storedReports(redis)).toHaveLength(8);
    expect(await counted()).toEqual({ missing: 2, invalid: 2, expired: 2, ok: 1, mismatch: 1 });
  });
});

describe("a gateway with a trusted key", () => {
  test("reports for any device without a proof, and is counted as such; another key does not", async () => {
    start({ type: "hmac" });
    await send(manyReports(50), { key: SHARED_KEY }).expect(202);
    expect(await counted()).toEqual({ unsigned_trusted: 50 });
    await send(manyReports(50)).expect(401);
    expect(await storedReports(redis)).toHaveLength(50);
  });
});

describe("keys are rotated without a restart", () => {
  test("a new key is taken beside the old one, then instead of it", async () => {
    start({ type: "jwt" });
    const [old, next] = [withToken(await issuer.token()), withToken(await foreign.token())];
    await send(sampleReport(), old).expect(202);
    await send(sampleReport(), next).expect(401);
    writeFileSync(keyFile, keySet(issuer.jwk, foreign.jwk));
    nowMs += KEY_FILE_CHECK_MS;
    await send(sampleReport(), next).expect(202);
    await send(sampleReport(), old).expect(202);
    writeFileSync(keyFile, keySet(foreign.jwk));
    nowMs += KEY_FILE_CHECK_MS;
    await send(sampleReport(), old).expect(401);
    await send(sampleReport(), next).expect(202);
    writeFileSync(keyFile, "half a fi");
    nowMs += KEY_FILE_CHECK_MS;
    await send(sampleReport(), next).expect(202);
    expect(await counted()).toEqual({ ok: 5, invalid: 2 });
  });
});
