// The double of hawkBit itself, held to what its sources say (shared reference, ota-systems.md 2.1 to 2.3 and 9.2): nothing
// of Lastgood's takes part. What is asserted here is what the adapter's and the poller's tests stand on.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ActionRow } from "../doubles/hawkbit-state.ts";
import { HAWKBIT_SET, addTargets, rollOut, startHawkbit } from "../support/hawkbit.ts";
import type { TestHawkbit } from "../support/hawkbit.ts";

let hawkbit: TestHawkbit;
beforeEach(async () => void (hawkbit = await startHawkbit()));
afterEach(() => hawkbit.stop());

interface Answer {
  readonly status: number;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read what they assert
  readonly json: any;
}

async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const isDevice = path.startsWith("/DEFAULT");
  const response = await fetch(`${hawkbit.url}${isDevice ? "" : "/rest/v1"}${path}`, {
    method,
    headers: {
      "Content-Type": "application/json",
      ...(isDevice
        ? {}
        : { Authorization: `Basic ${Buffer.from("admin:example-password").toString("base64")}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text, json: text === "" ? undefined : (JSON.parse(text) as unknown) };
}

const listOf = async (path: string, q: string): Promise<Answer> =>
  ask("GET", `${path}?q=${encodeURIComponent(q)}`);
const closed = (finished: string, code?: number): unknown => ({
  status: { execution: "closed", result: { finished }, ...(code === undefined ? {} : { code }), details: [] },
});
const feedbackPath = ({ id, target }: ActionRow, kind = "deploymentBase"): string =>
  `/DEFAULT/controller/v1/${target.controllerId}/${kind}/${id}/feedback`;

describe("rollouts at the double", () => {
  it("are made asynchronously: creating, ready, starting, running; verbs answer 204 without a body, or 400", async () => {
    addTargets(hawkbit, 4);
    const set = hawkbit.state.addSet(HAWKBIT_SET, "1.4.0");
    const made = await ask("POST", "/rollouts", {
      name: "1.4.0",
      distributionSetId: set.id,
      targetFilterQuery: "tag==production",
      amountGroups: 2,
    });
    expect([made.status, made.json.status, made.json.totalTargets]).toEqual([201, "creating", 4]);
    const path = `/rollouts/${made.json.id}`;
    const early = await ask("POST", `${path}/start`);
    expect([early.status, early.json.errorCode]).toEqual([400, "hawkbit.server.error.rollout.illegalState"]);
    hawkbit.state.tick();
    expect(await ask("POST", `${path}/start`)).toMatchObject({ status: 204, text: "" });
    expect((await ask("GET", path)).json.status).toBe("starting");
    hawkbit.state.tick();
    expect((await ask("GET", path)).json.status).toBe("running");
    const statuses = hawkbit.state.actions.map(({ status, active }) => `${status} ${active}`);
    expect(statuses).toEqual(["running true", "running true", "scheduled false", "scheduled false"]);
    expect((await ask("POST", `${path}/resume`)).status).toBe(400);
    expect((await ask("POST", `${path}/pause`)).status).toBe(204);
    expect((await ask("POST", `${path}/pause`)).status).toBe(400);
    expect((await ask("POST", `${path}/stop`)).status).toBe(204);
    expect((await ask("GET", path)).json.status).toBe("stopping");
    hawkbit.state.tick();
    expect((await ask("GET", path)).json.status).toBe("stopped");
    // Scheduled ones are deleted, handed out ones have to be confirmed by their devices.
    expect(hawkbit.state.actions.map(({ status }) => status)).toEqual(["canceling", "canceling"]);
  });

  it("are paused by strictly more errors than the threshold, of all targets of the group", () => {
    const targets = addTargets(hawkbit, 20);
    const rollout = rollOut(hawkbit, "1.4.0", targets, { groups: 2, errorPercent: 20 });
    const fail = (): void =>
      hawkbit.state.feedback(
        hawkbit.state.actions.find(({ active }) => active)!,
        {
          execution: "closed",
          finished: "failure",
        },
      );
    for (let count = 0; count < 2; count += 1) fail();
    hawkbit.state.tick();
    expect(rollout.status).toBe("running");
    fail();
    hawkbit.state.tick();
    expect(rollout.status).toBe("paused");
    // Those that were handed out run to their end, and no group begins.
    expect(hawkbit.state.actions.filter(({ active }) => active)).toHaveLength(7);
    for (const action of hawkbit.state.actions)
      if (action.active) hawkbit.state.feedback(action, { execution: "closed", finished: "success" });
    hawkbit.state.tick();
    expect([rollout.status, rollout.groups[1]!.isStarted]).toEqual(["paused", false]);
  });

  it("before 0.10 know no stop, and say nothing of how an action ended but in its detail status", async () => {
    await hawkbit.stop();
    hawkbit = await startHawkbit({ era: "old" });
    const rollout = rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 1));
    expect((await ask("POST", `/rollouts/${rollout.id}/stop`)).status).toBe(404);
    const [action] = hawkbit.state.actions;
    await ask("POST", feedbackPath(action!), closed("failure"));
    const [shown] = (await ask("GET", "/actions")).json.content;
    expect([shown.status, shown.detailStatus]).toEqual(["finished", "error"]);
    expect((await listOf("/actions", "lastmodifiedat=ge=1")).status).toBe(400);
  });

  it("are tried again only when they are finished, over the targets that failed: 201 and a new one", async () => {
    const rollout = rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 2), { successPercent: 0 });
    expect((await ask("POST", `/rollouts/${rollout.id}/retry`)).status).toBe(400);
    const [bad, good] = hawkbit.state.actions;
    await ask("POST", feedbackPath(bad!), closed("failure"));
    await ask("POST", feedbackPath(good!), closed("success"));
    hawkbit.state.tick();
    const again = await ask("POST", `/rollouts/${rollout.id}/retry`);
    expect([again.status, again.json.targetFilterQuery, again.json.totalTargets]).toEqual([
      201,
      `failedrollout==${rollout.id}`,
      1,
    ]);
  });
});

describe("actions at the double", () => {
  it("change by a device's word without their time of change, and a word too late is 410", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 1));
    const [action] = hawkbit.state.actions;
    const before = action!.lastModifiedAt;
    expect((await ask("POST", feedbackPath(action!), closed("failure", 137))).status).toBe(200);
    expect([action!.status, action!.active, action!.lastModifiedAt]).toEqual(["error", false, before]);
    expect([action!.target.assigned, action!.target.updateStatus]).toEqual([null, "error"]);
    expect((await ask("POST", feedbackPath(action!), closed("success"))).status).toBe(410);
    expect((await ask("POST", feedbackPath({ ...action!, id: 9_999 }), closed("success"))).status).toBe(404);
  });

  it("closed with anything but failure are finished", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 1));
    const [action] = hawkbit.state.actions;
    expect((await ask("POST", feedbackPath(action!), { status: { execution: "closed" } })).status).toBe(400);
    await ask("POST", feedbackPath(action!), closed("none"));
    expect([action!.status, action!.target.installed?.version]).toEqual(["finished", "1.4.0"]);
    expect((await ask("GET", `/targets/production-0/installedDS`)).json.version).toBe("1.4.0");
  });

  it("are cancelled softly first, and by force only after that; the device may refuse", async () => {
    rollOut(hawkbit, "1.4.0", addTargets(hawkbit, 2));
    const [one, other] = hawkbit.state.actions;
    const path = (action: ActionRow): string => `/targets/${action.target.controllerId}/actions/${action.id}`;
    expect((await ask("POST", feedbackPath(one!, "cancelAction"), closed("success"))).status).toBe(405);
    expect((await ask("DELETE", `${path(one!)}?force=true`)).status).toBe(405);
    expect(await ask("DELETE", path(one!))).toMatchObject({ status: 204, text: "" });
    const again = await ask("DELETE", path(one!));
    expect([again.status, again.json.errorCode]).toEqual([405, "hawkbit.server.error.action.notCancelable"]);
    const base = `/DEFAULT/controller/v1/${one!.target.controllerId}`;
    // eslint-disable-next-line no-underscore-dangle -- HAL's own name
    expect(Object.keys((await ask("GET", base)).json["_links"])).toEqual(["cancelAction"]);
    expect((await ask("GET", `${base}/deploymentBase/${one!.id}`)).status).toBe(404);
    await ask("POST", feedbackPath(one!, "cancelAction"), closed("failure"));
    expect([one!.status, one!.active]).toEqual(["running", true]);
    await ask("DELETE", path(other!));
    expect((await ask("DELETE", `${path(other!)}?force=true`)).status).toBe(204);
    expect([other!.status, other!.active, other!.target.assigned]).toEqual(["canceled", false, null]);
  });

  it("give way to a new assignment, and the target has that one's set when its device agrees", async () => {
    const [target] = addTargets(hawkbit, 1);
    rollOut(hawkbit, "1.3.0", [target!]);
    await ask("POST", feedbackPath(hawkbit.state.actions[0]!), closed("success"));
    rollOut(hawkbit, "1.4.0", [target!]);
    const old = hawkbit.state.sets.find(({ version }) => version === "1.3.0")!;
    const path = `/distributionsets/${old.id}/assignedTargets`;
    const body = [{ id: "production-0", type: "forced" }, { id: "nobody" }];
    expect((await ask("POST", path, body)).json).toMatchObject({ assigned: 1, alreadyAssigned: 0, total: 1 });
    expect((await ask("POST", path, body)).json).toMatchObject({ assigned: 0, alreadyAssigned: 1, total: 1 });
    const [, bad, repair] = hawkbit.state.actions;
    expect([bad!.status, repair!.status]).toEqual(["canceling", "running"]);
    await ask("POST", feedbackPath(bad!, "cancelAction"), closed("success"));
    expect([bad!.status, target!.assigned?.version]).toEqual(["canceled", "1.3.0"]);
  });
});

describe("lists at the double", () => {
  it("want the right user, come in pages, and refuse what they can't filter or sort by", async () => {
    addTargets(hawkbit, 501);
    const unknown = await fetch(`${hawkbit.url}/rest/v1/targets`);
    expect(unknown.status).toBe(401);
    await unknown.arrayBuffer();
    expect((await ask("GET", "/targets")).json).toMatchObject({ total: 501, size: 50 });
    expect((await ask("GET", "/targets?limit=1000")).json).toMatchObject({ total: 501, size: 500 });
    expect((await ask("GET", "/targets?limit=500&offset=500")).json).toMatchObject({ size: 1 });
    expect((await listOf("/targets", "controllerid=in=(production-1,'production-2')")).json.total).toBe(2);
    expect((await listOf("/targets", "(tag==production);installedds.name==*")).json.total).toBe(0);
    // Whether or not there is anything to list.
    for (const q of ["nonsense==1", "name", "name==", "(name==x", "name=~x", "target.nonsense==1"])
      expect([q, (await listOf("/actions", q)).status]).toEqual([q, 400]);
    expect((await ask("GET", "/actions?sort=nonsense:ASC")).status).toBe(400);
  });
});
