// What each system's devices are told when too many requests come: never what would keep an update check from a device.
import supertest from "supertest";
import type { RequestListener } from "node:http";
import { describe, expect, test } from "vitest";
import { BURST_SECONDS } from "../../ingest/limits/token-buckets.ts";
import type { Registry } from "../../runtime/metrics.ts";
import { TILL_KEY, createTestIngest, sampleOf, sampleReport, sendReports } from "../support/ingest-app.ts";
import { useIngestRedis } from "../support/listening-ingest.ts";

const redis = useIngestRedis();

const SOURCES = {
  capgo: { channel: "production" },
  codepush: { deployments: { "deployment-key-of-till": "production" } },
  otlp: { channel: "production" },
  sentry: { projects: { "1": { key: "pub", channel: "production" } } },
};

/** An ingest whose one address has sent all that it may. */
async function exhausted(): Promise<{ app: RequestListener; registry: Registry }> {
  const made = createTestIngest({ redis: redis(), requestsPerSecond: { perAddress: 1 }, sources: SOURCES });
  for (let sent = 0; sent < BURST_SECONDS; sent += 1)
    expect((await sendReports(made.app, sampleReport())).status).toBe(202);
  return made;
}

describe("an address that sent more than it may", () => {
  test("native: 429 with a code, when to come back, and a count", async () => {
    const { app, registry } = await exhausted();
    const answer = await sendReports(app, sampleReport());
    expect(answer.status).toBe(429);
    expect(answer.headers["retry-after"]).toBe("1");
    expect(answer.headers["content-type"]).toContain("application/problem+json");
    expect(answer.body).toMatchObject({ code: "rate_limited" });
    expect(await sampleOf(registry, 'ota_ingest_requests_refused_total{code="rate_limited"}')).toBe(1);
  });

  test("Capgo: 503 without any word of when to come back: 429 would stop the update checks", async () => {
    const { app } = await exhausted();
    const answer = await supertest(app).post("/capgo/stats").send([]);
    expect(answer.status).toBe(503);
    expect(answer.headers["retry-after"]).toBeUndefined();
    expect(answer.text).not.toMatch(/retryAfter|rateLimitReset/i);
    expect(answer.body).toMatchObject({ error: "rate_limited" });
  });

  test("CodePush: reports are put off in text, update checks are not touched", async () => {
    const { app } = await exhausted();
    const report = await supertest(app).post("/reportStatus/deploy").send({});
    expect(report.status).toBe(429);
    expect(report.headers["content-type"]).toContain("text/plain");
    const check = await supertest(app).get("/updateCheck?deploymentKey=deployment-key-of-till");
    expect(check.status).toBe(404);
    expect(check.text).toContain("names no CodePush server");
  });

  test("OpenTelemetry and Sentry: 429 with Retry-After, as their SDKs know it", async () => {
    const { app } = await exhausted();
    const logs = await supertest(app)
      .post("/v1/logs")
      .set("Authorization", `Bearer ${TILL_KEY}`)
      .send({ resourceLogs: [] });
    expect([logs.status, logs.headers["retry-after"], logs.body.code]).toEqual([429, "1", 14]);
    const envelope = await supertest(app).post("/api/1/envelope/").type("text/plain").send("{}\n");
    expect([envelope.status, envelope.headers["retry-after"]]).toEqual([429, "1"]);
  });
});
