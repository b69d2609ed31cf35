// Who is concerned by a release, on the page in a real Chromium: opened by keyboard, asked for once, readable when narrow,
// ids for whoever may act, errors in words, and nothing of a device as code.
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Locator, Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import type { Seen } from "../support/chromium.ts";
import { contrastTooLow } from "../support/contrast.ts";
import { focusedText, signIn, tabTo, usePage } from "../support/page-fixture.ts";
import { namedBy } from "../support/page-scope-story.ts";
import { HOSTILE } from "../support/page-stories.ts";
import { waitUntil } from "../support/wait-until.ts";

const SCREENSHOTS =
  process.env["LASTGOOD_SCREENSHOTS"] ?? mkdtempSync(path.join(tmpdir(), "lg-screenshots-"));
mkdirSync(SCREENSHOTS, { recursive: true });
const EVERY_VIEW = ([360, 1440] as const).flatMap((width) =>
  (["light", "dark"] as const).map((scheme): Seen => ({ width, scheme })),
);

const on = usePage();

function releaseOf(page: Page, name = "1.6.0"): Locator {
  return page.getByRole("article", { name: `Version ${name}` });
}

async function openScope(page: Page, name = "1.6.0"): Promise<Locator> {
  const scope = releaseOf(page, name).locator("details.scope");
  await scope.locator("summary").first().click();
  await scope.locator(".totals").waitFor();
  return scope;
}

/** Two more answers for the status have been drawn by then. */
async function nextLook(): Promise<void> {
  const before = on.api.looks;
  await waitUntil(
    () => Promise.resolve(on.api.looks),
    (looks) => looks >= before + 2,
  );
}

async function expectNoSidewaysScroll(page: Page): Promise<void> {
  const root = `document.documentElement`;
  const [scroll, width] = await page.evaluate<number[]>(`[${root}.scrollWidth, ${root}.clientWidth]`);
  expect(scroll).toBe(width);
}

test.each(EVERY_VIEW)("$width px, $scheme: no complaint, no sideways scroll, readable text", async (seen) => {
  on.api.story.scope.examples = {
    ...on.api.story.scope.examples,
    crashed: { named_by: "id", of: 1, devices: ["W".repeat(128)] },
  };
  const { page, complaints } = await on.open(seen);
  const scope = await openScope(page);
  await scope.getByText("Which devices").click();
  await scope.screenshot({ path: path.join(SCREENSHOTS, `scope-${seen.width}-${seen.scheme}.png`) });
  await expectNoSidewaysScroll(page);
  expect(await contrastTooLow(page)).toEqual([]);
  expect(complaints).toEqual([]);
});

describe("what it shows", () => {
  test("by keyboard: totals with shares, the worst kinds, the course of time", async () => {
    const { page } = await on.open();
    expect(on.api.scopesAsked).toEqual([]);
    await tabTo(page, "Who is concerned by 1.6.0");
    await page.keyboard.press("Enter");
    const scope = releaseOf(page).locator("details.scope");
    await scope.locator(".totals").waitFor();
    expect(await focusedText(page)).toContain("Who is concerned");
    expect(on.api.scopesAsked).toEqual(["/v1/scope/com.acme.till/1.6.0?channel=production"]);
    const rows = await scope
      .getByRole("row")
      .evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent)));
    expect(rows).toEqual([
      ["Ever tried it", "4,510", ""],
      ["Run it now", "4,221", "93.6% of those that tried"],
      ["Confirmed it", "4,012", "89.0% of those that tried"],
      ["Failed", "1,289", "28.6% of those that tried"],
      ["Failed to download", "41", "0.91% of those that tried"],
      ["Crashed", "31", "in 64 of 5,120 device-hours of use (1.3%)"],
      ["Not responding", "0", "in 0 of 5,120 device-hours of use (0%)"],
      ["Silent now", "2", "0.04% of those that tried"],
      ["Came back: recovered", "12", "failed, and confirmed it as well"],
      ["Came back: returned late", "3", "were silent, and were heard of again"],
    ]);
    const kinds = scope.locator(".kinds");
    expect(await kinds.getByRole("listitem").count()).toBe(10);
    expect(await kinds.getByRole("listitem").first().innerText()).toContain(
      "platform=android, model=till-9 201 failed (33.0%), 9 failed to download, 31 crashed, 2 silent, of 610 that tried",
    );
    expect(await kinds.innerText()).toContain("and 2 more kinds: lastgood scope com.acme.till 1.6.0 --json");
    const label = "Failed over time: at most 30 devices in an hour";
    // The first hour and the one of 900 attempts had no failure.
    expect(await scope.getByRole("img", { name: label }).locator("rect").count()).toBe(9);
    await tabTo(page, "Which devices");
    await page.keyboard.press("Enter");
    await tabTo(page, "Copy all 41 ids of Failed to download 1.6.0 on com.acme.till / production");
  });

  test("the first 20 of each outcome, and all of them to copy, one a line", async () => {
    const examples = on.api.story.scope.examples!;
    on.api.story.scope.examples = { ...examples, crashed: namedBy("id", "desk", 21) };
    const { page, complaints } = await on.open();
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const scope = await openScope(page);
    await scope.getByText("Which devices").click();
    const listOf = (what: string) =>
      scope.locator(".examples").filter({ has: page.getByRole("heading", { name: what }) });
    expect(await listOf("Crashed").getByRole("listitem").count()).toBe(20);
    expect(await listOf("Crashed").innerText()).toContain("and 1 more");
    expect(await listOf("Came back: recovered").innerText()).not.toContain("more");
    expect(await listOf("Failed 1,289").innerText()).toContain("Of 1,289, the first 1,000 are kept.");
    expect(await listOf("Silent").innerText()).toContain("Named by digest");
    await listOf("Crashed").getByRole("button").click();
    await page.locator("#told", { hasText: "Copied 21 ids, one a line." }).waitFor();
    expect(await page.evaluate<string>(`navigator.clipboard.readText()`)).toBe(
      namedBy("id", "desk", 21)
        .devices.map((id) => `${id}\n`)
        .join(""),
    );
    // Plain HTTP from another machine: there is no navigator.clipboard.
    await page.evaluate(`globalThis.kept = navigator.clipboard;
      Object.defineProperty(navigator, "clipboard", { configurable: true, value: undefined });`);
    await listOf("Silent").getByRole("button").click();
    await page.locator("#told", { hasText: "Copied 2 digests, one a line." }).waitFor();
    expect(await page.evaluate<string>(`kept.readText()`)).toBe("b2f498b0df291b49\n324338abc0da2d20\n");
    expect(complaints).toEqual([]);
  });

  test("a viewer sees all counts and no ids", async () => {
    on.api.caller = { name: "vera", role: "viewer" };
    const { page } = await on.open();
    await signIn(page);
    const scope = await openScope(page);
    const text = await scope.innerText();
    expect(text).toContain("4,510");
    expect(text).toContain("Which devices they are is shown to the roles operator and admin.");
    expect(text).not.toContain("till-0001");
    expect(await scope.locator(".which, .examples").count()).toBe(0);
  });

  test("whoever signs in after an operator does not see the operator's ids", async () => {
    on.api.caller = { name: "ana", role: "operator" };
    const { page } = await on.open();
    await signIn(page);
    await openScope(page);
    expect(await page.content()).toContain("till-0001");
    await page.context().clearCookies();
    await page.waitForSelector("#login[open]");
    expect(await page.content()).not.toContain("till-0001");
    on.api.caller = { name: "vera", role: "viewer" };
    await signIn(page);
    await releaseOf(page).getByText("Which devices they are").waitFor();
    expect(await page.content()).not.toContain("till-0001");
    expect(on.api.scopesAsked.length).toBe(2);
  });

  test("what a device wrote is text, and one id is one line", async () => {
    const lines = `till-1\nrm -rf /\u202E`;
    const { scope } = on.api.story;
    scope.strata = [
      { stratum: { platform: HOSTILE, model: HOSTILE }, devices: { attempted: 1, failed: 1 } },
      { stratum: HOSTILE, devices: { attempted: 1 } },
    ];
    scope.examples = {
      failed: { named_by: "id", of: 2, devices: [HOSTILE, lines] },
      crashed: { named_by: HOSTILE, of: 1, devices: [HOSTILE] },
    };
    scope.time = [{ start: HOSTILE, devices: { attempted: 1 }, hours: scope.hours }];
    scope.channels = [{ last_failure: HOSTILE }];
    const { page, complaints } = await on.open({ width: 360 });
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const details = await openScope(page);
    await details.getByText("Which devices").click();
    expect(await details.locator(".examples code").allTextContents()).toEqual([
      HOSTILE,
      "till-1?rm -rf /?",
      HOSTILE,
    ]);
    expect(await details.locator(".kinds").innerText()).toContain(`platform=${HOSTILE}`);
    await details.getByRole("button", { name: "Copy all 2 ids" }).click();
    await page.locator("#told", { hasText: "Copied" }).waitFor();
    expect(await page.evaluate<string>(`navigator.clipboard.readText()`)).toBe(
      `${HOSTILE}\ntill-1?rm -rf /?\n`,
    );
    expect(await page.locator("img, script:not([src])").count()).toBe(0);
    expect(await page.title()).not.toContain("owned");
    await expectNoSidewaysScroll(page);
    expect(complaints).toEqual([]);
  });

  test("a release of which nothing is kept", async () => {
    const { scope } = on.api.story;
    Object.assign(scope, { devices: {}, hours: { active: 0, crashed: 0, not_responding: 0 }, time: [] });
    Object.assign(scope, {
      strata: [{ stratum: "unknown", devices: {} }],
      channels: [{ last_failure: null }],
    });
    scope.examples = { failed: namedBy("id", "", 0) };
    const { page, complaints } = await on.open();
    const text = await (await openScope(page)).innerText();
    expect(text).not.toMatch(/NaN|undefined|Infinity|%/);
    expect(text).toContain("The devices did not tell of what kind they are.");
    expect(text).toContain("Nothing was tried or used in the last seven days.");
    expect(text).toContain("No device is named");
    expect(complaints).toEqual([]);
  });
});

describe("while time goes by", () => {
  test("it is asked for once, says that it waits, and again when told to", async () => {
    let answer = (): void => {};
    on.api.scopeGate = new Promise<void>((resolve) => (answer = resolve));
    const { page } = await on.open();
    const scope = releaseOf(page).locator("details.scope");
    await scope.locator("summary").click();
    await scope.getByRole("status").filter({ hasText: "Asking the agent who is concerned…" }).waitFor();
    answer();
    await scope
      .getByRole("status")
      .filter({ hasText: /as of \d\d:\d\d:\d\d; last failure/ })
      .waitFor();
    await scope.locator("summary").first().click();
    await scope.locator("summary").first().click();
    await nextLook();
    expect(on.api.scopesAsked.length).toBe(1);
    on.api.story.scope.devices = { ...on.api.story.scope.devices, attempted: 9_876 };
    const again = scope.getByRole("button", { name: "Look again" });
    await again.focus();
    await page.keyboard.press("Enter");
    await scope.getByRole("cell", { name: "9,876" }).waitFor();
    expect(on.api.scopesAsked.length).toBe(2);
    expect(await focusedText(page)).toContain("Look again");
  });

  test("an update neither closes nor moves nor changes it", async () => {
    const { page } = await on.open({ width: 360 });
    const scope = await openScope(page);
    await scope.getByText("Which devices").click();
    const button = scope.getByRole("button", { name: "Copy all 41 ids" });
    await button.focus();
    const before = await button.boundingBox();
    const [till, kiosk] = on.api.story.status.channels;
    const published = { ...till!.releases[1]!, version: "1.7.0" };
    on.api.story.status.channels = [{ ...till!, releases: [published, ...till!.releases] }, kiosk!];
    await releaseOf(page, "1.7.0").waitFor();
    expect(Math.abs((await button.boundingBox())!.y - before!.y)).toBeLessThan(1);
    expect(await focusedText(page)).toContain("Copy all 41 ids");
    // Four newer ones: it goes among the older versions, and stays open.
    const newer = Array.from({ length: 4 }, (_, nth) => ({ ...published, version: `2.${nth}.0` }));
    on.api.story.status.channels = [
      { ...till!, current_version: "2.3.0", releases: [...newer.toReversed(), ...till!.releases] },
      kiosk!,
    ];
    await page.getByText("3 older versions").click();
    await releaseOf(page).locator(".totals").waitFor();
    expect(on.api.scopesAsked.length).toBe(1);
  });

  test("errors are told in words, and what was seen last stays", async () => {
    on.api.scopeRefusal = {
      status: 404,
      code: "unknown_release",
      detail: "No device of com.acme.till has reported about 1.6.0.",
    };
    const { page } = await on.open({ width: 360 });
    const scope = releaseOf(page).locator("details.scope");
    await scope.locator("summary").click();
    const status = scope.getByRole("status");
    await status.filter({ hasText: "No device of com.acme.till has reported about 1.6.0." }).waitFor();
    await page.screenshot({ path: path.join(SCREENSHOTS, "scope-error-360-light.png") });
    expect(await contrastTooLow(page)).toEqual([]);
    on.api.scopeRefusal = null;
    await scope.getByRole("button", { name: "Look again" }).click();
    await scope.locator(".totals").waitFor();
    on.api.health = "away";
    await scope.getByRole("button", { name: "Look again" }).click();
    await status.filter({ hasText: /The agent did not answer\. .* Shown is what was known as of/ }).waitFor();
    expect(await scope.locator(".totals").innerText()).toContain("4,510");
  });
});
