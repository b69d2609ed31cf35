// That the double of a CodePush server is one: what the shared reference (ota-systems.md, 4.2, 4.3, 4.5 and 9.2) says that
// such a server does, ugly parts included, asked over HTTP as clients and operators ask it.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createCodePushDouble } from "../doubles/codepush.ts";
import type { CodePushDouble } from "../doubles/codepush.ts";
import { rolloutBucket } from "../doubles/codepush-rollout.ts";
import { toWholeVersion } from "../doubles/codepush-updates.ts";

const ACCESS_KEY = "example-access-key";
const DEPLOYMENT_KEY = "KEYA";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** With v1, v2 and v3, of which each has content of its own. */
async function start(): Promise<{ readonly double: CodePushDouble; readonly url: string }> {
  const double = createCodePushDouble({
    app: "till",
    deployment: "Production",
    deploymentKey: DEPLOYMENT_KEY,
    accessKey: ACCESS_KEY,
    clock: () => 1_790_000_000_000,
  });
  for (const hash of ["hash-1", "hash-2", "hash-3"]) double.release(hash);
  const server = createServer(double.express);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  cleanups.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return { double, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly location: string | null;
  readonly text: string;
}

async function manage(url: string, method: string, path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${url}/apps/till/deployments${path}`, {
    method,
    headers: { Authorization: `Bearer ${ACCESS_KEY}`, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const { status, headers } = response;
  const type = headers.get("content-type") ?? "";
  return { status, type, location: headers.get("location"), text: await response.text() };
}

describe("rollback", () => {
  it("appends a release, 201 without its label, and the newest's rollout ends", async () => {
    const { double, url } = await start();
    double.history[0]!.isMandatory = true;
    double.history[2]!.rollout = 20;
    const { status, location, text } = await manage(url, "POST", "/Production/rollback/v1");
    expect([status, location]).toEqual([201, "/apps/till/deployments/Production"]);
    const { package: told } = JSON.parse(text) as { package: Record<string, unknown> };
    expect(told).toMatchObject({ originalLabel: "v1", packageHash: "hash-1", isMandatory: true });
    expect(told).not.toHaveProperty("label");
    expect(double.history.map(({ label, rollout }) => [label, rollout]).slice(2)).toEqual([
      ["v3", null],
      ["v4", null],
    ]);
  });

  it("without a target goes to and fro between the newest two, whatever they are", async () => {
    const { double, url } = await start();
    for (let times = 0; times < 3; times += 1) await manage(url, "POST", "/Production/rollback");
    expect(double.history.map(({ packageHash }) => packageHash).slice(2)).toEqual([
      "hash-3",
      "hash-2",
      "hash-3",
      "hash-2",
    ]);
  });

  it("to a disabled release makes a disabled one", async () => {
    const { double, url } = await start();
    double.history[1]!.isDisabled = true;
    expect((await manage(url, "POST", "/Production/rollback/v2")).status).toBe(201);
    expect(double.history.at(-1)).toMatchObject({ label: "v4", isDisabled: true });
  });

  it("is refused in words, as text", async () => {
    const { double, url } = await start();
    double.history[0]!.appVersion = "^1.2.0";
    for (const [target, status, words] of [
      ["v3", 409, /already the latest/],
      ["v1", 409, /different app version/],
      ["v9", 404, /could not be found/],
    ] as const) {
      const answer = await manage(url, "POST", `/Production/rollback/${target}`);
      expect([answer.status, answer.text]).toEqual([status, expect.stringMatching(words)]);
      expect(answer.type).toMatch(/^text\/plain/);
    }
    expect(await manage(url, "DELETE", "/Production/history")).toMatchObject({ status: 204, text: "" });
    expect(await manage(url, "POST", "/Production/rollback/v2")).toMatchObject({ status: 404 });
  });
});

describe("PATCH of a release", () => {
  const patch = (url: string, packageInfo: object): Promise<Answer> =>
    manage(url, "PATCH", "/Production/release", { packageInfo });

  it("is 204 where nothing changes, and 404 for a label that is not there", async () => {
    const { double, url } = await start();
    expect(await patch(url, { label: "v2", isDisabled: true })).toMatchObject({ status: 200 });
    expect(double.history[1]!.isDisabled).toBe(true);
    expect(await patch(url, { label: "v2", isDisabled: true })).toMatchObject({ status: 204, text: "" });
    expect(await patch(url, { label: "v9", isDisabled: true })).toMatchObject({ status: 404 });
  });

  it("takes a rollout up, never down, and not once it is complete", async () => {
    const { double, url } = await start();
    double.release("hash-4", { rollout: 20 });
    expect(await patch(url, { rollout: 10 })).toMatchObject({ status: 409 });
    expect(await patch(url, { rollout: 0 })).toMatchObject({ status: 409 });
    expect(await patch(url, { rollout: 50 })).toMatchObject({ status: 200 });
    expect(await patch(url, { label: "v3", rollout: 50 })).toMatchObject({ status: 409 });
    expect(double.history.at(-1)!.rollout).toBe(50);
  });
});

it("lists its deployments with their keys", async () => {
  const { url } = await start();
  const { text } = await manage(url, "GET", "");
  expect(JSON.parse(text)).toMatchObject({
    deployments: [{ key: DEPLOYMENT_KEY, name: "Production", package: { label: "v3" } }],
  });
});

describe("update check", () => {
  it.each([
    ["device-1", "v7", 36],
    ["device-2", "v7", 27],
    ["11111111-2222-3333-4444-555555555555", "v12", 14],
  ])("puts %s of %s into bucket %i, as the server does", (device, release, bucket) => {
    expect(rolloutBucket(device, release)).toBe(bucket);
  });

  it.each([
    ["1", "1.0.0"],
    ["1.2", "1.2.0"],
    ["1.2-rc.1", "1.2.0-rc.1"],
    ["1.2.3", "1.2.3"],
    ["undefined", null],
    ["1.2.3.4", null],
    ["1-rc", null],
  ])("takes app_version %s for %s", (asked, whole) => {
    expect(toWholeVersion(asked)).toBe(whole);
  });

  async function ask(url: string, path: string, query: Record<string, string>): Promise<Response> {
    return fetch(`${url}${path}?${new URLSearchParams(query).toString()}`);
  }
  async function check(url: string, query: Record<string, string> = {}): Promise<Record<string, unknown>> {
    const fields = { deployment_key: DEPLOYMENT_KEY, app_version: "1.2.0", ...query };
    const response = await ask(url, "/v0.1/public/codepush/update_check", fields);
    return ((await response.json()) as { update_info: Record<string, unknown> }).update_info;
  }

  it("answers each path family in its spelling, and echoes the version asked with", async () => {
    const { url } = await start();
    expect(await check(url, { app_version: "1.2" })).toEqual({
      download_url: "https://files.example.test/hash-3",
      description: "",
      is_available: true,
      is_mandatory: false,
      target_binary_range: "1.2",
      app_version: "1.2",
      package_hash: "hash-3",
      label: "v3",
      package_size: 481_223,
      update_app_version: false,
      should_run_binary_version: false,
    });
    const old = await ask(url, "/updateCheck", { deploymentKey: DEPLOYMENT_KEY, appVersion: "1.2.0" });
    expect(await old.json()).toMatchObject({
      updateInfo: {
        downloadURL: "https://files.example.test/hash-3",
        isAvailable: true,
        appVersion: "1.2.0",
        packageHash: "hash-3",
        shouldRunBinaryVersion: false,
      },
    });
  });

  it.each([
    ["no key", { app_version: "1.2.0" }],
    ["no version", { deployment_key: DEPLOYMENT_KEY }],
    ["a version that is none", { deployment_key: DEPLOYMENT_KEY, app_version: "abc1.2.3" }],
  ])("is 400 in text with %s", async (_what, query) => {
    const { url } = await start();
    const answer = await ask(url, "/v0.1/public/codepush/update_check", query);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([
      400,
      expect.stringMatching(/^text/),
    ]);
    await answer.arrayBuffer();
  });

  it("has nothing for who runs the newest, and says whose store binary is too old", async () => {
    const { double, url } = await start();
    expect(await check(url, { package_hash: "hash-3", label: "v3" })).toMatchObject({
      is_available: false,
      app_version: "",
      should_run_binary_version: false,
    });
    double.release("hash-4", { appVersion: "1.3.0" });
    expect(await check(url, { package_hash: "hash-3", label: "v3" })).toMatchObject({
      is_available: false,
      update_app_version: true,
      app_version: "1.3.0",
    });
    expect(await check(url, { app_version: "2.0.0" })).toMatchObject({
      update_app_version: false,
      should_run_binary_version: true,
      app_version: "1.3.0",
    });
    for (const each of double.history) each.isDisabled = true;
    expect(await check(url)).toMatchObject({ is_available: false, should_run_binary_version: true });
  });

  it("offers an older content to who runs a newer one that was disabled", async () => {
    const { double, url } = await start();
    double.history[2]!.isDisabled = true;
    expect(await check(url, { package_hash: "hash-3", label: "v3" })).toMatchObject({
      is_available: true,
      label: "v2",
    });
  });

  it("offers a partial release to the selected, and the one before it to the others", async () => {
    const { double, url } = await start();
    double.release("hash-4", { rollout: 50, isMandatory: true });
    const offered = await Promise.all(
      Array.from({ length: 40 }, (_, index) => check(url, { client_unique_id: `device-${index}` })),
    );
    const selected = offered.map((_, index) => rolloutBucket(`device-${index}`, "v4") < 50);
    expect(new Set(selected).size).toBe(2);
    offered.forEach((info, index) =>
      expect([info["label"], info["is_mandatory"]]).toEqual(selected[index] ? ["v4", true] : ["v3", false]),
    );
  });

  it("makes the offer mandatory for a device that names no label, where any older one was", async () => {
    const { double, url } = await start();
    double.history[0]!.isMandatory = true;
    expect(await check(url, { package_hash: "hash-2", label: "v2" })).toMatchObject({ is_mandatory: false });
    expect(await check(url, { package_hash: "hash-2", label: "" })).toMatchObject({ is_mandatory: false });
    expect(await check(url, { package_hash: "hash-2" })).toMatchObject({ is_mandatory: true, label: "v3" });
    double.history[1]!.isDisabled = true;
    expect(await check(url, { package_hash: "hash-2", label: "v2" })).toMatchObject({ is_mandatory: false });
  });
});

describe("status reports", () => {
  async function report(
    url: string,
    body: object | string,
    { path = "deploy", sdk }: { readonly path?: "deploy" | "download"; readonly sdk?: string } = {},
  ): Promise<string> {
    const response = await fetch(`${url}/v0.1/public/codepush/report_status/${path}`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        ...(sdk === undefined ? {} : { "X-CodePush-SDK-Version": sdk }),
      },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    return `${response.status} ${await response.text()}`;
  }
  const SUCCESS = {
    deployment_key: DEPLOYMENT_KEY,
    app_version: "1.2.0",
    client_unique_id: "7c1e",
    label: "v3",
    status: "DeploymentSucceeded",
    previous_label_or_app_version: "v2",
  };
  const modern = { sdk: "4.2.3" };

  it("of new SDKs count each time, also below zero; of old ones once per client", async () => {
    const { double, url } = await start();
    for (let times = 0; times < 2; times += 1) expect(await report(url, SUCCESS, modern)).toBe("200 OK");
    expect(double.metrics.get("v3")).toMatchObject({ active: 2, installed: 2 });
    expect(double.metrics.get("v2")).toMatchObject({ active: -2 });
    for (let times = 0; times < 2; times += 1)
      expect(await report(url, { ...SUCCESS, label: "v1" })).toBe("200 OK");
    expect(double.metrics.get("v1")).toMatchObject({ active: 1, installed: 1 });
  });

  it("take the label before off under its own key, and count failures and downloads", async () => {
    const { double, url } = await start();
    await report(url, { ...SUCCESS, previous_deployment_key: "KEYB" }, modern);
    expect(double.metrics.get("v2")).toBeUndefined();
    await report(url, { ...SUCCESS, status: "DeploymentFailed" }, modern);
    await report(url, { deploymentKey: DEPLOYMENT_KEY, label: "v3" }, { path: "download" });
    expect(double.metrics.get("v3")).toEqual({ active: 1, installed: 1, failed: 1, downloaded: 1 });
  });

  it("that can't be right are 400, or fail in the handler", async () => {
    const { url } = await start();
    expect(await report(url, { ...SUCCESS, deployment_key: "" }, modern)).toMatch(/^400 .*deploymentKey/);
    expect(await report(url, { ...SUCCESS, status: "Odd" }, modern)).toBe("400 Invalid status: Odd");
    expect(await report(url, { ...SUCCESS, client_unique_id: "" })).toMatch(/^400 .*clientUniqueId/);
    expect(await report(url, { deployment_key: DEPLOYMENT_KEY }, { path: "download" })).toMatch(/^400 /);
    expect(await report(url, "not JSON", modern)).toMatch(/^500 /);
  });
});
