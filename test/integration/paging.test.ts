// Pages on their way: a whole agent, a real Redis and a real prometheus-alertmanager with a webhook receiver. A page
// arrives within seconds, is sent again while it lasts, is resolved when it is over, and reaches an Alertmanager that
// starts late; two agents tell it as one.
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import type { AlertmanagerSettings } from "../../agent/config/outlets.ts";
import type { Settings } from "../../agent/config/schema.ts";
import { createHoldStore } from "../../agent/journal/hold-store.ts";
import { createJournal } from "../../agent/journal/journal.ts";
import { tellPages } from "../../agent/jobs/page.ts";
import { ALERTS_PER_POST_MAX, createAlertmanager } from "../../agent/paging/alertmanager.ts";
import type { ServerAnswer } from "../../agent/paging/alertmanager.ts";
import type { PagedFreeze } from "../../agent/paging/page-snapshot.ts";
import { createPageStore } from "../../agent/paging/page-store.ts";
import { createSummaryStore } from "../../agent/journal/summary-store.ts";
import { createDecisionStore } from "../../agent/rollback/decision-store.ts";
import { createLogger } from "../../runtime/logger.ts";
import { agentSettings, createTestFleet, startOtaServer } from "../support/agent.ts";
import type { TestFleet, TestOtaServer } from "../support/agent.ts";
import { startAlertmanager } from "../support/alertmanager.ts";
import type { NotifiedAlert, TestAlertmanager } from "../support/alertmanager.ts";
import { startJsonDouble } from "../support/json-double.ts";
import { freePort, startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, failingVerdict, releaseOf, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const logger = createLogger({ name: "test", level: "silent" });
/** Within seconds, on a machine that is busy with other tests. */
const SECONDS_MS = 15_000;

let server: TestRedis;
let redis: Redis;
let alertmanager: TestAlertmanager;

beforeAll(async () => {
  server = await startTestRedis();
  redis = new Redis({ ...server.options, replyMapping: "legacy" });
  alertmanager = await startAlertmanager();
});

afterAll(async () => {
  await alertmanager.stop();
  await redis.quit();
  await server.stop();
});

function alertmanagerAt(...urls: string[]): AlertmanagerSettings {
  return {
    urls,
    basicAuth: undefined,
    bearerTokenFile: undefined,
    timeoutMs: 2_000,
    labels: { cluster: "eu" },
  };
}

function told(alertname: string, status: NotifiedAlert["status"], app: string = TILL.app): NotifiedAlert[] {
  return alertmanager
    .notified()
    .filter(
      (alert) =>
        alert.labels["alertname"] === alertname && alert.status === status && alert.labels["app"] === app,
    );
}

describe("a running agent", () => {
  const FORKED = "com.acme.forked";
  const ASKING = "com.acme.asking";
  const FROZEN = "com.acme.frozen";
  let ota: TestOtaServer;
  let fleet: TestFleet;
  let agents: RunningAgent[];

  beforeAll(async () => {
    await redis.flushall();
    ota = await startOtaServer();
    for (const text of ["1.3.0", "1.4.0"]) ota.publish({ ...TILL, version: version(text) });
    for (const app of [ASKING, FROZEN] as (typeof TILL.app)[])
      for (const text of ["1.3.0", "1.4.0"]) ota.publish({ ...TILL, app, version: version(text) });
    // Nothing to go back to.
    ota.publish({ ...TILL, app: FORKED as typeof TILL.app, version: version("2.0.0") });
    const settings: Settings = {
      ...agentSettings([
        { name: TILL.app, otaUrl: ota.url },
        { name: FORKED, otaUrl: ota.url },
        { name: FROZEN, otaUrl: ota.url },
        { name: ASKING, otaUrl: ota.url, policy: { mode: "approval" } },
      ]),
      externalUrl: "https://lastgood.example",
      alertmanager: alertmanagerAt(alertmanager.url),
    };
    agents = await Promise.all(
      [1, 2].map(() => startAgent({ settings, redisUrl: server.url, version: "1.2.3", logger })),
    );
    fleet = await createTestFleet(server.url);
  });

  afterAll(async () => {
    fleet.close();
    await Promise.all(agents.map((agent) => agent.stop(5_000)));
    await ota.close();
  });

  it("tells of a rollback within seconds, with a link", async () => {
    const tried = { app: TILL.app, version: "1.4.0" };
    await fleet.report({ ...tried, devices: [1, 20], events: ["installed", "install_failed"] });
    await fleet.report({ ...tried, devices: [21, 60], events: ["confirmed"] });
    const [alert] = await waitUntil(
      () => told("OtaRolledBack", "firing"),
      (alerts) => alerts.length > 0,
      SECONDS_MS,
    );
    expect(alert).toMatchObject({
      labels: {
        alertname: "OtaRolledBack",
        severity: "info",
        service: "lastgood",
        cluster: "eu",
        app: TILL.app,
        channel: TILL.channel,
        version: "1.4.0",
      },
      annotations: {
        summary: `${TILL.app}/${TILL.channel} 1.4.0: the channel was rolled back`,
        runbook: "docs/paging.md#otarolledback",
      },
      generatorURL: "https://lastgood.example/#/com.acme.till/production",
    });
    expect(alert!.annotations["description"]).toContain("The channel offers 1.3.0.");
  });

  it("tells that a release fails with nowhere to go, and that it is over", async () => {
    const bad = { app: FORKED, version: "2.0.0" };
    await fleet.report({ ...bad, devices: [1, 20], events: ["installed", "install_failed"] });
    await fleet.report({ ...bad, devices: [21, 60], events: ["confirmed"] });
    const [alert] = await waitUntil(
      () => told("OtaRollbackHeld", "firing", FORKED),
      (alerts) => alerts.length > 0,
      SECONDS_MS,
    );
    expect(alert!.labels).toMatchObject({ severity: "critical", reason: "no_good_target", version: "2.0.0" });
    const metrics = await (await fetch(`${agents[0]!.url}/metrics`)).text();
    expect(metrics).toContain('ota_pages_standing{severity="critical"} 1');

    // Somebody publishes a repaired release: there is nothing to roll back any more.
    ota.publish({ ...TILL, app: FORKED as typeof TILL.app, version: version("2.0.1") });
    await waitUntil(
      () => told("OtaRollbackHeld", "resolved", FORKED),
      (alerts) => alerts.length > 0,
      3 * SECONDS_MS,
    );
    const firing = told("OtaRollbackHeld", "firing", FORKED);
    expect(new Set(firing.map(({ startsAt }) => startsAt)).size).toBe(1);
  });

  it("asks for approval, and tells that it was given", async () => {
    const bad = { app: ASKING, version: "1.4.0" };
    await fleet.report({ ...bad, devices: [1, 20], events: ["installed", "install_failed"] });
    await fleet.report({ ...bad, devices: [21, 60], events: ["confirmed"] });
    const [alert] = await waitUntil(
      () => told("OtaApprovalWaiting", "firing", ASKING),
      (alerts) => alerts.length > 0,
      SECONDS_MS,
    );
    const id = /lastgood approve (\S+),/.exec(alert!.annotations["description"]!)![1]!;
    const answer = await fetch(`${agents[1]!.url}/v1/decisions/${id}/approve`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: "{}",
    });
    expect(answer.status).toBe(200);
    await waitUntil(
      () => [
        told("OtaApprovalWaiting", "resolved", ASKING).length,
        told("OtaRolledBack", "firing", ASKING).length,
      ],
      (counts) => counts.every((count) => count > 0),
      SECONDS_MS,
    );
  });

  it("the kill switch is told of while a release fails, until it is lifted", async () => {
    const post = (path: string, method: string, body: object) =>
      fetch(`${agents[0]!.url}${path}`, {
        method,
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
    const set = await post("/v1/freezes", "POST", { scope: "all", reason: "the fair" });
    const { id } = (await set.json()) as { id: string };
    const bad = { app: FROZEN, version: "1.4.0" };
    await fleet.report({ ...bad, devices: [1, 20], events: ["installed", "install_failed"] });
    await fleet.report({ ...bad, devices: [21, 60], events: ["confirmed"] });
    await waitUntil(
      () => told("OtaKillSwitchOn", "firing", FROZEN),
      (alerts) => alerts.length > 0,
      SECONDS_MS,
    );
    expect((await post(`/v1/freezes/${id}`, "DELETE", { reason: "it is over" })).ok).toBe(true);
    await waitUntil(
      () => told("OtaKillSwitchOn", "resolved", FROZEN),
      (alerts) => alerts.length > 0,
      2 * SECONDS_MS,
    );
  });

  it("counts what it posted", async () => {
    const texts = await Promise.all(agents.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
    const taken = texts.map((text) => Number(/ota_page_posts_total\{result="taken"\} (\d+)/.exec(text)![1]));
    expect(taken[0]! + taken[1]!).toBeGreaterThan(2);
    expect(texts.join()).toContain('ota_page_posts_total{result="refused"} 0');
  });
});

describe("the page job", () => {
  const HELD = {
    kind: "hold",
    reason: "no_good_target",
    guard: "good_target",
    sentence: "The OTA server lists no release before 1.4.0.",
  } as const;
  let nowMs: number;

  beforeEach(async () => {
    await redis.flushall();
    nowMs = Date.now();
  });

  const holds = () => createHoldStore({ redis, journal: createJournal({ redis }) });
  const hold = (text = "1.4.0", sentence: string = HELD.sentence) =>
    holds().keep({ ...HELD, sentence }, failingVerdict({ release: releaseOf(text) }), nowMs);

  /** One look, as a process of its own would do it. */
  async function look(
    urls: readonly string[],
    freezes: readonly PagedFreeze[] = [],
  ): Promise<ServerAnswer[]> {
    const answers: ServerAnswer[] = [];
    const journal = createJournal({ redis });
    await tellPages({
      holds: createHoldStore({ redis, journal }),
      decisions: createDecisionStore({ redis, journal }),
      summaries: createSummaryStore({ redis }),
      channels: [{ key: TILL }],
      listFreezes: () => Promise.resolve(freezes),
      readRefusedConfig: () => Promise.resolve(undefined),
      readProofs: () => Promise.resolve(new Map()),
      readUnread: () => Promise.resolve(new Map()),
      pages: createPageStore({ redis }),
      alertmanager: createAlertmanager({ settings: alertmanagerAt(...urls), externalUrl: undefined }),
      onAnswer: (answer) => void answers.push(answer),
      nowMs,
    });
    return answers;
  }
  const ofVersion = async (on: TestAlertmanager, text: string) =>
    (await on.list()).filter(({ labels }) => labels["version"] === text);

  it("tells what is new at once, again every half minute, and says when it is over", async () => {
    await hold("7.0.0");
    expect((await look([alertmanager.url])).map(({ result }) => result)).toEqual(["taken"]);
    const [first] = await ofVersion(alertmanager, "7.0.0");
    expect(Date.parse(first!.endsAt) - nowMs).toBe(240_000);
    nowMs += 29_999;
    expect(await look([alertmanager.url])).toEqual([]);
    nowMs += 1;
    expect((await look([alertmanager.url])).length).toBe(1);
    const [again] = await ofVersion(alertmanager, "7.0.0");
    expect(again!.startsAt).toBe(first!.startsAt);
    expect(Date.parse(again!.endsAt) - Date.parse(first!.endsAt)).toBe(30_000);
    await holds().clear(releaseOf("7.0.0"));
    nowMs = Date.now();
    expect((await look([alertmanager.url])).length).toBe(1);
    await waitUntil(
      () => alertmanager.notified().filter(({ labels }) => labels["version"] === "7.0.0"),
      (alerts) => alerts.some(({ status }) => status === "resolved"),
      SECONDS_MS,
    );
    expect(await look([alertmanager.url])).toEqual([]);
    expect((await createPageStore({ redis }).list()).size).toBe(0);
  });

  it("tells what has changed at once, as the same alert", async () => {
    await hold("7.1.0");
    await look([alertmanager.url]);
    await hold("7.1.0", "Each of the 3 releases before 7.1.0 is condemned or failing itself.");
    nowMs += 1;
    expect((await look([alertmanager.url])).length).toBe(1);
    expect((await ofVersion(alertmanager, "7.1.0")).length).toBe(1);
  });

  it("reaches an Alertmanager that starts late, with the start that was", async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    await hold("7.2.0");
    const [answer] = await look([url]);
    expect(answer).toEqual({
      url,
      result: "unavailable",
      detail: `no answer from 127.0.0.1:${port} (ECONNREFUSED)`,
    });
    const beganMs = nowMs;
    nowMs += 5_000;
    const late = await startAlertmanager({ port });
    try {
      expect((await look([url])).map(({ result }) => result)).toEqual(["taken"]);
      const [alert] = await ofVersion(late, "7.2.0");
      expect(Date.parse(alert!.startsAt)).toBe(beganMs);
      await waitUntil(
        () => late.notified(),
        (alerts) => alerts.length === 1,
        SECONDS_MS,
      );
    } finally {
      await late.stop();
    }
  });

  it("says that it is over until somebody takes it; what nobody had heard of is forgotten", async () => {
    await hold("7.3.0");
    await look([alertmanager.url]);
    await holds().clear(releaseOf("7.3.0"));
    await hold("7.4.0");
    const nobody = [`http://127.0.0.1:${await freePort()}`];
    await look(nobody);
    await holds().clear(releaseOf("7.4.0"));
    await look(nobody);
    const kept = [...(await createPageStore({ redis }).list()).values()];
    expect(kept.map(({ page, endedAtMs }) => [page.labels.version, endedAtMs])).toEqual([["7.3.0", nowMs]]);
    expect((await look([alertmanager.url])).length).toBe(1);
    expect((await createPageStore({ redis }).list()).size).toBe(0);
  });

  it.each([
    [ALERTS_PER_POST_MAX, 1],
    [ALERTS_PER_POST_MAX + 1, 2],
  ])("%i pages go in %i requests", async (count, requests) => {
    const double = await startJsonDouble();
    for (let index = 0; index < count; index += 1) await hold(`8.0.${index}`);
    await look([double.url]);
    await double.close();
    const sizes = double.requests.map(({ body }) => (body as unknown[]).length);
    expect([sizes.length, sizes.reduce((sum, size) => sum + size, 0)]).toEqual([requests, count]);
  });

  it("a pair gets everything, and one of them is enough", async () => {
    const down = `http://127.0.0.1:${await freePort()}`;
    await hold("7.5.0");
    expect((await look([down, alertmanager.url])).map(({ result }) => result)).toEqual([
      "unavailable",
      "taken",
    ]);
    nowMs += 1_000;
    expect(await look([down, alertmanager.url])).toEqual([]);
  });

  it("the kill switch: a release that is held for it is told once", async () => {
    const freeze = { by: "ana", reason: "fair", since: new Date(nowMs).toISOString(), until: null };
    await holds().keep({ ...HELD, reason: "kill_switch" }, failingVerdict(), nowMs);
    await look([alertmanager.url], [{ id: "fz_1", scope: "all", ...freeze }]);
    expect([...(await createPageStore({ redis }).list()).keys()]).toEqual([
      "OtaKillSwitchOn|critical|com.acme.till|production|1.4.0|",
    ]);
  });

  describe("what an Alertmanager may answer", () => {
    let double: Awaited<ReturnType<typeof startJsonDouble>>;
    beforeEach(async () => void (double = await startJsonDouble()));
    afterEach(() => double.close());
    const post = (settings: Partial<AlertmanagerSettings> = {}) =>
      createAlertmanager({
        settings: { ...alertmanagerAt(double.url), timeoutMs: 200, ...settings },
        externalUrl: undefined,
      }).post([], nowMs);

    it.each([
      [200, "taken", ""],
      [400, "refused", 'it answered 400: {"code":601}'],
      [401, "refused", 'it answered 401: {"code":601}'],
      [302, "refused", "it answered 302, a redirect, which is never followed: configure the final address"],
      [429, "unavailable", 'it answered 429: {"code":601}'],
      [503, "unavailable", 'it answered 503: {"code":601}'],
    ])("%i: %s", async (status, result, detail) => {
      double.answer(() => ({ status, body: { code: 601 } }));
      expect(await post()).toEqual([{ url: double.url, result, detail }]);
    });

    it("nothing at all, for longer than the time-out", async () => {
      double.answer(() => "silence");
      const [answer] = await post();
      expect(answer!.result).toBe("unavailable");
      expect(answer!.detail).toMatch(/^127\.0\.0\.1:\d+ did not answer within 200 ms$/);
    });

    it("gets a user and password, or a token that is read anew each time", async () => {
      await post({ basicAuth: { username: "ana", password: "pass:word" } });
      const [missing] = await post({ bearerTokenFile: "/nonexistent/token" });
      expect(missing).toMatchObject({ result: "unavailable" });
      expect(missing!.detail).toContain("alertmanager.bearer_token_file cannot be read");
      await post({ bearerTokenFile: import.meta.filename.replace("paging.test.ts", "fixtures/token") });
      expect(double.requests.map(({ authorization }) => authorization)).toEqual([
        `Basic ${Buffer.from("ana:pass:word").toString("base64")}`,
        "Bearer a-token-from-a-file",
      ]);
    });
  });
});
