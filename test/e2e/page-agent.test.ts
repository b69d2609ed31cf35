// The page of a real agent on a real Redis, in a real Chromium: what the agent answers is what the page understands, from
// the first report to a rollback. What the page does beyond that is tested against a stub (page.test.ts).
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import path from "node:path";
import { pathToFileURL } from "node:url";
import express from "express";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startAgent } from "../../agent/agent.ts";
import type { RunningAgent } from "../../agent/agent.ts";
import type { pageRoutes } from "../../agent/admin/page-routes.ts";
import type { Policy } from "../../agent/policy/policy.ts";
import { createLogger } from "../../runtime/logger.ts";
import { agentSettings, createTestFleet, startOtaServer } from "../support/agent.ts";
import type { TestFleet, TestOtaServer } from "../support/agent.ts";
import { startChromium } from "../support/chromium.ts";
import type { TestBrowser } from "../support/chromium.ts";
import { startTestRedis } from "../support/redis.ts";
import type { TestRedis } from "../support/redis.ts";
import { TILL, version } from "../support/verdicts.ts";

const ASKED = { ...TILL, app: "com.acme.asked" as typeof TILL.app };
const TOKEN = "token-of-bo";

let server: TestRedis;
let ota: TestOtaServer;
let fleet: TestFleet;
let browser: TestBrowser;
const agents: RunningAgent[] = [];

beforeAll(async () => {
  server = await startTestRedis();
  ota = await startOtaServer();
  for (const app of [TILL.app, ASKED.app])
    for (const text of ["1.3.0", "1.4.0"]) ota.publish({ ...TILL, app, version: version(text) });
  fleet = await createTestFleet(server.url);
  browser = await startChromium();
});

afterAll(async () => {
  await browser.close();
  fleet.close();
  for (const agent of agents) await agent.stop(5_000);
  await ota.close();
  await server.stop();
});

async function start(options: { readonly hasOperators?: boolean; readonly asked?: Partial<Policy> } = {}) {
  const apps = [
    { name: TILL.app, otaUrl: ota.url },
    { name: ASKED.app, otaUrl: ota.url, ...(options.asked === undefined ? {} : { policy: options.asked }) },
  ];
  const operators =
    options.hasOperators === true ? [{ name: "bo", role: "admin", token: TOKEN } as const] : [];
  const agent = await startAgent({
    settings: agentSettings(apps, operators),
    redisUrl: server.url,
    version: "1.2.3",
    logger: createLogger({ name: "test", level: "silent" }),
  });
  agents.push(agent);
  return agent;
}

test("a bad release is reported, judged and rolled back, and the page tells all of it", async () => {
  const agent = await start();
  const { page, complaints } = await browser.open(agent.url);
  await page.getByText("Nothing has been decided yet.").waitFor();
  await fleet.report({ app: TILL.app, version: "1.3.0", devices: [1, 40], events: ["active"] });
  await fleet.report({
    app: TILL.app,
    version: "1.4.0",
    devices: [1, 10],
    events: ["installed", "install_failed"],
  });
  await fleet.report({ app: TILL.app, version: "1.4.0", devices: [11, 40], events: ["confirmed"] });
  const decision = page.getByRole("listitem", { name: "Decision about 1.4.0" });
  await decision.getByText("✓done").waitFor();
  expect(await decision.innerText()).toContain("The channel offers 1.3.0.");
  const release = page.getByRole("article", { name: "Version 1.4.0" });
  await release.getByText("condemned").waitFor();
  expect(await release.innerText()).toContain("10 of 40 devices failed to install or boot 1.4.0");
  await page.getByText("offers 1.3.0", { exact: true }).waitFor();
  await release.getByText("Who is concerned").click();
  await release.getByRole("row", { name: "Failed 10 25.0% of those that tried" }).waitFor();
  expect(await release.getByRole("img", { name: "Failed over time: at most 10 devices" }).count()).toBe(1);
  await release.getByText("Which devices").click();
  expect(await release.locator(".examples").first().getByRole("listitem").count()).toBe(10);
  expect(complaints).toEqual([]);
  await page.close();
});

test("the page is served by what `npm run build` makes, with all of its files", async () => {
  const file = path.resolve(import.meta.dirname, "../../dist/agent/admin/page-routes.js");
  const built = (await import(pathToFileURL(file).href)) as { pageRoutes: typeof pageRoutes };
  const http = createServer(express().use(built.pageRoutes()));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { page, complaints } = await browser.open(
    `http://127.0.0.1:${(http.address() as AddressInfo).port}/`,
  );
  await page.getByText("Something that is not Lastgood's agent answered (HTTP 404).").waitFor();
  expect(complaints.filter((one) => !/404 \(Not Found\)/.test(one))).toEqual([]);
  await page.close();
  http.closeAllConnections();
  await new Promise((resolve) => void http.close(resolve));
});

describe("on a real agent", () => {
  test("sign in, freeze, lift the freeze, roll back", async () => {
    const agent = await start({ hasOperators: true });
    const { page, complaints } = await browser.open(agent.url);
    await page.getByRole("textbox", { name: "Operator token" }).fill(TOKEN);
    await page.keyboard.press("Enter");
    await page.getByText("bo admin").waitFor();

    await page.getByRole("button", { name: "Freeze everything…" }).click();
    await page.getByRole("textbox", { name: "Reason" }).fill("a test");
    await page.getByRole("button", { name: "Freeze everything", exact: true }).click();
    await page.getByRole("group", { name: "Everything is frozen" }).waitFor();
    await page.getByRole("button", { name: "Unfreeze… Everything" }).click();
    await page.getByRole("button", { name: "Lift the freeze" }).click();
    await page.getByRole("group", { name: "Everything is frozen" }).waitFor({ state: "detached" });

    const channel = page.getByRole("article", { name: `Channel ${ASKED.app}` });
    await channel.getByText("offers 1.4.0", { exact: true }).waitFor();
    await channel.getByRole("button", { name: "Roll back…" }).click();
    await page.getByRole("radio", { name: "1.3.0" }).check();
    await page.getByRole("textbox", { name: "Reason" }).fill("a test");
    const override = page.getByRole("checkbox", { name: "Override" });
    if (await override.isVisible()) await override.check();
    await page.getByRole("button", { name: "Roll back to 1.3.0" }).click();
    await channel.getByText("offers 1.3.0", { exact: true }).waitFor();
    const decision = page.getByRole("listitem", { name: `Decision about 1.4.0 on ${ASKED.app}` });
    await decision.getByText("✓done").waitFor();
    expect(await decision.innerText()).toContain("by bo");
    // The one before the sign-in is refused, as it must be.
    expect(complaints.filter((one) => !/status of 401/.test(one))).toEqual([]);
    await page.close();
  });

  test("approve what a policy asks for", async () => {
    const app = "com.acme.approved";
    for (const text of ["1.3.0", "1.4.0"])
      ota.publish({ ...TILL, app: app as typeof TILL.app, version: version(text) });
    const policy = { mode: "approval" } as unknown as Partial<Policy>;
    const agent = await startAgent({
      settings: agentSettings([{ name: app, otaUrl: ota.url, policy }]),
      redisUrl: server.url,
      version: "1.2.3",
      logger: createLogger({ name: "test", level: "silent" }),
    });
    agents.push(agent);
    await fleet.report({ app, version: "1.3.0", devices: [1, 40], events: ["active"] });
    await fleet.report({ app, version: "1.4.0", devices: [1, 20], events: ["installed", "install_failed"] });
    const { page, complaints } = await browser.open(agent.url);
    await page.getByRole("button", { name: "Approve… 1.4.0" }).click();
    await page.getByRole("button", { name: "Approve: go back to 1.3.0" }).click();
    await page.getByText("offers 1.3.0", { exact: true }).waitFor();
    expect(complaints).toEqual([]);
    await page.close();
  });
});
