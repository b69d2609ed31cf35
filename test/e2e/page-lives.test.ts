// The page in a real Chromium while time goes by: an update disturbs nobody, and an agent or a Redis that does not answer
// is told loudly.
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { dialogOf, focusedText, usePage } from "../support/page-fixture.ts";
import { waitUntil } from "../support/wait-until.ts";

const on = usePage();

/** Two more answers for the status: what was changed in the story is drawn by then. */
async function nextLook(): Promise<void> {
  const before = on.api.looks;
  await waitUntil(
    () => Promise.resolve(on.api.looks),
    (looks) => looks >= before + 2,
  );
}

/** As when another tab is looked at. */
async function setHidden(page: Page, isHidden: boolean): Promise<void> {
  await page.evaluate(`
    Object.defineProperty(document, "hidden", { configurable: true, get: () => ${isHidden} });
    document.dispatchEvent(new Event("visibilitychange"));
  `);
}

describe("it lives", () => {
  /** A new version at the top of a channel, a new number, a new alarm above all of it. */
  function changeStory(): void {
    const [till, kiosk] = on.api.story.status.channels;
    const [bad, ...rest] = till!.releases;
    const counted = { ...bad!, devices: { ...bad!.devices, running: 9_999 } };
    const published = { ...rest[0]!, version: "1.7.0", first_seen: new Date().toISOString() };
    on.api.story.status.channels = [{ ...till!, releases: [published, counted, ...rest] }, kiosk!];
    on.api.story.freezes = [
      { id: "fr_1", scope: "all", by: "bo", reason: "a test", since: new Date().toISOString(), until: null },
    ];
  }

  test("an update keeps the focus, what is open and what is selected", async () => {
    const { page } = await on.open();
    const bad = page.getByRole("article", { name: "Version 1.6.0" });
    await bad.getByText("3 other statements of the policy").click();
    await page.evaluate(`getSelection().selectAllChildren(document.querySelector(".release .sentence"))`);
    await page.getByRole("button", { name: "Absolve… 1.4.2" }).focus();
    changeStory();
    await page.getByRole("article", { name: "Version 1.7.0" }).waitFor();
    expect(await focusedText(page)).toContain("Absolve…");
    expect(await page.evaluate(`getSelection().toString()`)).toContain("289 of 4,510 devices failed");
    expect(await bad.locator("details").first().getAttribute("open")).toBe("");
    expect(await bad.innerText()).toContain("9,999 devices");
  });

  test.each(["pointer", "focus", "neither"] as const)(
    "an update moves nothing away from the %s",
    async (kept) => {
      const { page } = await on.open({ width: 360 });
      const button = page.getByRole("button", { name: "Absolve… 1.4.2" });
      const roll = page.getByRole("button", { name: "Roll back… com.acme.till" });
      if (kept === "focus") await button.focus();
      else if (kept === "pointer") await page.getByRole("button", { name: "Reject… 1.6.0" }).hover();
      else await roll.evaluate((element) => element.scrollIntoView({ block: "center" }));
      const watched =
        kept === "focus" ? button : kept === "neither" ? roll : page.getByRole("button", { name: "Reject…" });
      const before = await watched.boundingBox();
      changeStory();
      await page.getByRole("article", { name: "Version 1.7.0" }).waitFor();
      const after = await watched.boundingBox();
      expect(Math.abs(after!.y - before!.y)).toBeLessThan(1);
    },
  );

  test("an update leaves an open dialog, and what was typed into it, alone", async () => {
    const { page } = await on.open();
    await page.getByRole("button", { name: "Roll back… com.acme.till" }).click();
    const field = dialogOf(page).getByRole("textbox", { name: "Reason" });
    await field.fill("the printer");
    on.api.story.decisions = on.api.story.decisions.slice(1);
    await page.getByRole("listitem", { name: "Decision about 1.6.0" }).waitFor({ state: "detached" });
    expect(await field.inputValue()).toBe("the printer");
    expect(await page.evaluate(`document.activeElement?.name`)).toBe("reason");
  });

  test("what changed is said to those who hear the page", async () => {
    const { page } = await on.open();
    const [till, kiosk] = on.api.story.status.channels;
    on.api.story.status.channels = [{ ...till!, current_version: "1.5.0" }, kiosk!];
    const news = page.locator("#news");
    await news.getByText("now offers").waitFor({ state: "attached" });
    expect(await news.textContent()).toBe("com.acme.till / production now offers 1.5.0.");
  });

  test("it says loudly that the agent does not answer, and blocks acts without losing the focus", async () => {
    const { page } = await on.open();
    const button = page.getByRole("button", { name: "Pause… com.acme.till" });
    await button.focus();
    on.api.health = "away";
    const banner = page.getByRole("alert").filter({ hasText: "Lastgood's agent has not answered since" });
    await banner.waitFor();
    expect(await page.title()).toBe("No answer · Lastgood");
    expect(await page.locator("#stamp").innerText()).toMatch(/no answer; as of \d\d:\d\d:\d\d/);
    expect(await focusedText(page)).toContain("Pause…");
    expect(await button.getAttribute("aria-disabled")).toBe("true");
    await page.keyboard.press("Enter");
    expect(await page.locator("dialog[open]").count()).toBe(0);
    on.api.health = "well";
    await banner.waitFor({ state: "detached" });
    expect(await button.getAttribute("aria-disabled")).toBeNull();
  });

  test("it says that Redis does not answer", async () => {
    const { page } = await on.open();
    on.api.health = "redis_away";
    const banner = page.getByRole("alert").filter({ hasText: "Redis has not answered the agent since" });
    await banner.waitFor();
    expect(await banner.innerText()).toContain("Look at Redis");
  });

  test("it asks nothing while nobody looks", async () => {
    const { page } = await on.open();
    await setHidden(page, true);
    const looks = on.api.looks;
    await page.waitForTimeout(900);
    expect(on.api.looks - looks).toBeLessThanOrEqual(1);
    await setHidden(page, false);
    await nextLook();
  });
});
