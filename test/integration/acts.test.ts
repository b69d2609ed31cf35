// People in the loop, on a running agent with real Redis, the real HTTP adapter and simulated OTA servers: approval,
// pausing, paging, freezing, the kill switch, rolling back by hand, absolving, alerts that ask for an act, and a
// condemned version that is offered again. Each scenario is an app of its own; they all run at once.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import { checkChain } from "../../agent/journal/journal-entry.ts";
import type { Freeze } from "../../agent/policy/freeze.ts";
import { createFreezeWindow } from "../../agent/policy/freeze-window.ts";
import type { DeviceEvent } from "../../ingest/contract/device-report.ts";
import type { AppId, Channel, ChannelKey } from "../../ingest/contract/release-key.ts";
import { sleep } from "../../runtime/clock.ts";
import { createLogger } from "../../runtime/logger.ts";
import { agentSettings, createTestFleet, startOtaServer } from "../support/agent.ts";
import type { TestApp, TestFleet, TestOtaServer } from "../support/agent.ts";
import { createOperatorClient } from "../support/operator-client.ts";
import type { ProblemBody } from "../support/operator-client.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { sampleGuards, version } from "../support/verdicts.ts";
import { waitUntil } from "../support/wait-until.ts";

const approval = { mode: "approval" } as const;
const eager = { guards: sampleGuards({ cooldownMs: 0 }) };
const always = createFreezeWindow({ cron: "* * * * *", forMs: 60_000, timezone: "UTC" });

/** App -> its policy. */
const SCENARIOS = {
  approve: approval,
  reject: approval,
  expire: { ...approval, approvalMs: 500 },
  moved: approval,
  pause: { action: "pause" },
  page: { action: "page" },
  manual: { action: "page" },
  frozen: eager,
  window: { guards: sampleGuards({ freezeWindows: [always] }) },
  again: eager,
  hop: eager,
  absolved: eager,
  alerted: eager,
  floor: { action: "page" },
} as const satisfies Record<string, TestApp["policy"]>;
type Scenario = keyof typeof SCENARIOS;
const NAMES = Object.keys(SCENARIOS) as Scenario[];
const TOKENS = { ana: "token-of-ana", bo: "token-of-bo", vi: "token-of-vi" } as const;

let server: TestRedis;
let agent: RunningAgent;
let fleet: TestFleet;
const otas = new Map<Scenario, TestOtaServer>();
const ana = createOperatorClient(() => agent, TOKENS.ana);
const bo = createOperatorClient(() => agent, TOKENS.bo);
const vi = createOperatorClient(() => agent, TOKENS.vi);

function keyOf(app: Scenario): ChannelKey {
  return { app: app as string as AppId, channel: "production" as Channel };
}

beforeAll(async () => {
  server = await startTestRedis();
  const start = Date.now() - 3 * 86_400_000;
  for (const name of NAMES) {
    const ota = await startOtaServer();
    for (const [index, text] of ["1.2.0", "1.3.0", "1.4.0"].entries())
      ota.publish({ ...keyOf(name), version: version(text), releasedAtMs: start + index * 86_400_000 });
    otas.set(name, ota);
  }
  const apps = NAMES.map((name) => ({
    name,
    otaUrl: otas.get(name)!.url,
    policy: SCENARIOS[name],
    ...(name === "floor" ? { minimumVersion: "1.3.0" } : {}),
  }));
  agent = await startAgent({
    settings: agentSettings(apps, [
      { name: "ana", role: "operator", token: TOKENS.ana },
      { name: "bo", role: "admin", token: TOKENS.bo },
      { name: "vi", role: "viewer", token: TOKENS.vi },
    ]),
    redisUrl: server.url,
    version: "0.0.0",
    logger: createLogger({ name: "test", level: "silent" }),
  });
  fleet = await createTestFleet(server.url);
});

afterAll(async () => {
  fleet.close();
  await agent.stop(5_000);
  await Promise.all([...otas.values()].map((ota) => ota.close()));
  await server.stop();
});

async function report(
  app: Scenario,
  {
    text = "1.4.0",
    devices = [1, 40],
    events,
  }: { text?: string; devices?: [number, number]; events: DeviceEvent[] },
): Promise<void> {
  await fleet.report({ app, version: text, devices, events });
}

/** Enough for any budget. */
function reportBad(app: Scenario, text = "1.4.0", devices: [number, number] = [1, 40]): Promise<void> {
  return report(app, { text, devices, events: ["installed", "reverted"] });
}

function acted(app: Scenario) {
  return otas
    .get(app)!
    .calls()
    .filter(({ acted: did }) => did)
    .map(({ call }) => call);
}

function offered(app: Scenario): string | null {
  return otas.get(app)!.readChannel(keyOf(app))!.version;
}

const untilWaiting = (app: Scenario) => ana.untilDecision(app, (each) => each.approval?.answer === null);
const hasEnded = ({ outcome }: { outcome: unknown }): boolean => outcome !== null;

describe.concurrent("approval", () => {
  it("is waited for, while evaluation goes on; a yes carries it out at once, with the name in the journal", async () => {
    await reportBad("approve");
    const waiting = await untilWaiting("approve");
    expect(waiting).toMatchObject({ mode: "approval", target: "1.3.0", outcome: null });
    await reportBad("approve", "1.4.0", [41, 60]);
    await waitUntil(
      () => ana.release("approve", "1.4.0"),
      (release) => release?.devices["failed"] === 60,
    );
    expect(acted("approve")).toEqual([]);
    const path = `/v1/decisions/${waiting.id}/approve`;
    expect(await vi.send<ProblemBody>("POST", path, {})).toMatchObject({
      status: 403,
      body: { code: "role_not_enough" },
    });
    expect(await ana.send("POST", path, { reason: "seen" })).toMatchObject({
      status: 200,
      body: { approval: { answer: "approved", answered_by: "ana", note: "seen" } },
    });
    expect(await ana.untilDecision("approve", hasEnded)).toMatchObject({ outcome: { kind: "applied" } });
    expect(acted("approve")).toEqual(["rollback"]);
    expect(offered("approve")).toBe("1.3.0");
    expect(await bo.send<ProblemBody>("POST", path, {})).toMatchObject({
      status: 409,
      body: { code: "approval_over" },
    });
    const told = (await ana.journal()).map(({ body }) => body);
    expect(told).toContainEqual(
      expect.objectContaining({ action: "approve", stage: "done", operator: "ana", decision_id: waiting.id }),
    );
    expect(told).toContainEqual(
      expect.objectContaining({ action: "approve", stage: "refused", operator: "bo", code: "approval_over" }),
    );
  });

  it("that is refused leaves the channel alone, and is not asked for again", async () => {
    await reportBad("reject");
    const { id } = await untilWaiting("reject");
    expect(await ana.send("POST", `/v1/decisions/${id}/reject`, { reason: "known issue" })).toMatchObject({
      body: { outcome: { kind: "rejected" } },
    });
    await reportBad("reject", "1.4.0", [41, 60]);
    await ana.untilHeld("reject", "1.4.0", "rejected_by_operator");
    expect((await ana.decisions("reject")).length).toBe(1);
    expect(acted("reject")).toEqual([]);
  });

  it("that comes too late can't fire; the next round asks anew, under an id of its own", async () => {
    await reportBad("expire");
    const first = await untilWaiting("expire");
    await waitUntil(
      () => ana.send<{ outcome: { kind: string } | null }>("GET", `/v1/decisions/${first.id}`),
      ({ body }) => body.outcome?.kind === "expired",
    );
    expect(await ana.send<ProblemBody>("POST", `/v1/decisions/${first.id}/approve`, {})).toMatchObject({
      status: 409,
      body: { code: "approval_over" },
    });
    await reportBad("expire", "1.4.0", [41, 60]);
    const second = await ana.untilDecision("expire", ({ id }) => id !== first.id);
    expect(second.id).toBe(`${first.id}-2`);
    expect(acted("expire")).toEqual([]);
  });

  it("is withdrawn when the channel moves on", async () => {
    await reportBad("moved");
    const { id } = await untilWaiting("moved");
    otas.get("moved")!.publish({ ...keyOf("moved"), version: version("1.4.1") });
    expect(await ana.send<ProblemBody>("POST", `/v1/decisions/${id}/approve`, {})).toMatchObject({
      status: 409,
      body: { code: "stale" },
    });
    await report("moved", { text: "1.4.1", events: ["confirmed"] });
    expect(await ana.untilDecision("moved", hasEnded)).toMatchObject({ outcome: { kind: "withdrawn" } });
  });
});

describe.concurrent("what the policy does", () => {
  it("pause stops the rollout and moves no device", async () => {
    await reportBad("pause");
    expect(await ana.untilDecision("pause", hasEnded)).toMatchObject({
      action: "pause",
      target: null,
      outcome: { kind: "applied" },
    });
    expect(acted("pause")).toEqual(["pause"]);
    expect(offered("pause")).toBe("1.4.0");
  });

  it("page calls a person, once, and touches nothing", async () => {
    await reportBad("page");
    expect(await ana.untilDecision("page", hasEnded)).toMatchObject({
      action: "page",
      outcome: { kind: "paged", attempts: 0 },
    });
    await reportBad("page", "1.4.0", [41, 60]);
    await waitUntil(
      () => ana.release("page", "1.4.0"),
      (release) => release?.devices["failed"] === 60,
    );
    expect((await ana.decisions("page")).length).toBe(1);
    expect(acted("page")).toEqual([]);
  });

  it("nothing by itself in a freeze window", async () => {
    await reportBad("window");
    await ana.untilHeld("window", "1.4.0", "freeze_window");
    expect(acted("window")).toEqual([]);
  });
});

describe.concurrent("a person", () => {
  const path = "/v1/channels/manual/production/rollback";

  it("rolls back to any release that the server has, through the same preconditions, once for each key", async () => {
    const targets = await vi.send("GET", "/v1/channels/manual/production/targets");
    expect(targets.body).toMatchObject({
      current: "1.4.0",
      targets: [{ version: "1.3.0" }, { version: "1.2.0" }],
    });
    for (const [body, status, code] of [
      [{ to: "9.9.9", reason: "x" }, 422, "unknown_target"],
      [{ to: "1.3.0", from: "1.3.5", reason: "x" }, 409, "stale"],
      [{ to: "1.4.0", reason: "x" }, 409, "already_there"],
      [{ to: "1.3.0" }, 400, "invalid_body"],
      [{ to: "1.3.0", reason: " " }, 400, "invalid_body"],
    ] as const)
      expect(await ana.send<ProblemBody>("POST", path, body)).toMatchObject({ status, body: { code } });
    expect(await vi.send<ProblemBody>("POST", path, { to: "1.2.0", reason: "x" })).toMatchObject({
      status: 403,
    });
    expect(acted("manual")).toEqual([]);
    expect(await ana.send("POST", path, { to: "1.2.0", reason: "tills freeze" })).toMatchObject({
      status: 200,
      body: { mode: "manual", operator: "ana", cause: "operator", target: "1.2.0" },
    });
    expect(await ana.untilDecision("manual", hasEnded)).toMatchObject({ outcome: { kind: "applied" } });
    expect(offered("manual")).toBe("1.2.0");
    const told = (await ana.journal()).filter(({ body }) => body["app"] === "manual");
    expect(told.map(({ body }) => body["code"] ?? body["operator"])).toEqual([
      "unknown_target",
      "stale",
      "already_there",
      "role_not_enough",
      "ana",
    ]);
    expect(told[3]!.body).toMatchObject({ operator: "vi", action: "rollback", stage: "refused" });
  });

  it("is warned by the guards; only an admin may overrule them, with a reason", async () => {
    const floor = "/v1/channels/floor/production/rollback";
    const asked = { to: "1.2.0", reason: "1.3.0 is worse" };
    const objected = await ana.send<ProblemBody>("POST", floor, asked);
    expect(objected).toMatchObject({ status: 409, body: { code: "guards_object" } });
    expect(objected.body.warnings).toMatchObject([
      { guard: "good_target", reason: "target_below_minimum_version" },
    ]);
    expect(await ana.send<ProblemBody>("POST", floor, { ...asked, override: true })).toMatchObject({
      status: 403,
      body: { code: "role_not_enough" },
    });
    expect(acted("floor")).toEqual([]);
    expect(await bo.send("POST", floor, { ...asked, override: true })).toMatchObject({ status: 200 });
    await ana.untilDecision("floor", hasEnded);
    expect(offered("floor")).toBe("1.2.0");
    const entry = (await ana.journal()).find(
      ({ kind, body }) => kind === "decision" && body["app"] === "floor",
    );
    expect(entry?.body).toMatchObject({ operator: "bo", overruled: ["good_target"] });
  });

  it("freezes a channel and lifts it again; what was held back goes on by itself", async () => {
    const scope = { app: "frozen", channel: "production" };
    expect(await vi.send("POST", "/v1/freezes", { scope, reason: "x" })).toMatchObject({ status: 403 });
    for (const body of [
      { scope: { app: "frozen", channel: "nowhere" }, reason: "x" },
      { scope, reason: "x", for: "2h", until: "2099-01-01T00:00:00Z" },
      { scope, reason: "x", until: "2001-01-01T00:00:00Z" },
      { scope: "everything", reason: "x" },
    ])
      expect((await ana.send("POST", "/v1/freezes", body)).status).toBeGreaterThanOrEqual(400);
    const { status, body: freeze } = await ana.send<Freeze>("POST", "/v1/freezes", {
      scope,
      reason: "audit",
      for: "2h",
    });
    expect(status).toBe(201);
    await reportBad("frozen");
    await ana.untilHeld("frozen", "1.4.0", "frozen");
    expect((await ana.channel("frozen")).freezes).toMatchObject([
      { id: freeze.id, by: "ana", reason: "audit" },
    ]);
    expect(acted("frozen")).toEqual([]);
    expect((await ana.send("DELETE", `/v1/freezes/${freeze.id}?reason=done`)).status).toBe(200);
    expect((await ana.send("DELETE", `/v1/freezes/${freeze.id}`)).status).toBe(404);
    expect(await ana.untilDecision("frozen", hasEnded)).toMatchObject({ outcome: { kind: "applied" } });
  });

  it("absolves a release: it is judged by what happens from then on", async () => {
    await reportBad("absolved");
    await ana.untilDecision("absolved", hasEnded);
    otas.get("absolved")!.publish({ ...keyOf("absolved"), version: version("1.4.0") });
    const path = "/v1/releases/absolved/production/1.4.0/absolve";
    expect(await ana.send<{ times: number }>("POST", path, { reason: "the backend was down" })).toMatchObject(
      {
        status: 200,
        body: { times: 1 },
      },
    );
    await report("absolved", { devices: [101, 140], events: ["confirmed"] });
    await waitUntil(
      () => ana.release("absolved", "1.4.0"),
      (release) => release?.verdict.kind !== "failing" && release?.condemned === false,
    );
    await sleep(300);
    expect(offered("absolved")).toBe("1.4.0");
  });
});

describe.concurrent("by itself", () => {
  it("a condemned version that is offered again is condemned at once, under an id of its own", async () => {
    await reportBad("again");
    const first = await ana.untilDecision("again", hasEnded);
    otas.get("again")!.publish({ ...keyOf("again"), version: version("1.4.0") });
    // Any report has the channel looked at.
    const second = await waitUntil(
      async () => {
        await report("again", { text: "1.3.0", events: ["active"] });
        return (await ana.decisions("again"))[0]!;
      },
      ({ id, outcome }) => id !== first.id && outcome !== null,
      15_000,
    );
    expect(second).toMatchObject({ id: `${first.id}-2`, cause: "offered_again", reason: "offered_again" });
    expect(second.outcome?.kind).toBe("applied");
    expect(offered("again")).toBe("1.3.0");
  });

  it("a target that turns bad as well freezes the channel: no second hop", async () => {
    await reportBad("hop");
    await ana.untilDecision("hop", hasEnded);
    await reportBad("hop", "1.3.0", [1, 40]);
    await ana.untilHeld("hop", "1.3.0", "rolled_back_to_before");
    const { freezes } = await ana.channel("hop");
    expect(freezes).toMatchObject([{ by: "lastgood", until: null, scope: { app: "hop" } }]);
    expect(acted("hop")).toEqual(["rollback"]);
    expect((await ana.journal()).filter(({ kind }) => kind === "freeze")).toMatchObject([
      { body: { stage: "set", by: "lastgood" } },
    ]);
  });

  it("an alert of the user's own goes through the same guards, and is over when it is resolved", async () => {
    const labels = {
      alertname: "TillErrors",
      app: "alerted",
      channel: "production",
      version: "1.4.0",
      ota_action: "rollback",
    };
    const alert = { status: "firing", labels, annotations: { description: "checkout\nfails" } };
    const post = (...alerts: object[]) =>
      ana.send<{ alerts: { result: string; detail?: string }[] }>("POST", "/v1/alertmanager", {
        version: "4",
        alerts,
      });
    expect((await vi.send("POST", "/v1/alertmanager", { alerts: [] })).status).toBe(403);
    const answer = await post(
      { ...alert, labels: { ...labels, ota_action: "reboot" } },
      { ...alert, labels: { ...labels, version: "" } },
      { ...alert, labels: { ...labels, app: "nobody" } },
      { ...alert, status: "resolved" },
      alert,
      alert,
    );
    expect(answer.body.alerts.map(({ result }) => result)).toEqual([
      "ignored",
      "ignored",
      "ignored",
      "ignored",
      "began",
      "goes_on",
    ]);
    // Nobody has tried it: no alert can move a channel on which nothing is known.
    await report("alerted", { devices: [1, 4], events: ["confirmed"] });
    await ana.untilHeld("alerted", "1.4.0", "too_few_devices");
    await report("alerted", { devices: [5, 40], events: ["confirmed"] });
    expect(await ana.untilDecision("alerted", hasEnded)).toMatchObject({
      cause: "alert",
      reason: "alert_fired",
      sentence: "The alert TillErrors is firing: checkout fails. Rolling back to 1.3.0.",
      outcome: { kind: "applied" },
    });
    expect((await post({ ...alert, status: "resolved" })).body.alerts).toMatchObject([{ result: "ended" }]);
  });
});

it("all of it is in one chain", async () => {
  const entries = await ana.journal();
  expect(checkChain(entries).kind).toBe("intact");
});
