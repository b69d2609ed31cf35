// What people do on the page, in a real Chromium: with the keyboard alone, as viewer, operator or admin, with guards that
// object and answers that get lost.
import { describe, expect, test } from "vitest";
import { STUB_TOKEN } from "../support/page-api.ts";
import { dialogOf, focusedText, signIn, tabTo, usePage } from "../support/page-fixture.ts";

const on = usePage();

describe("acts, by keyboard alone", () => {
  test("approve", async () => {
    const { page } = await on.open();
    await tabTo(page, "Approve…");
    await page.keyboard.press("Enter");
    expect(await dialogOf(page).innerText()).toContain(
      "The OTA server is told to offer 1.5.0 instead of 1.6.0 on com.acme.till / production, as long as it still offers 1.6.0.",
    );
    expect(await dialogOf(page).innerText()).toContain("4,221 devices run 1.6.0 now.");
    await tabTo(page, "Reason");
    await page.keyboard.type("seen in the shop");
    await tabTo(page, "Approve: go back to 1.5.0");
    await page.keyboard.press("Enter");
    await page.locator("#told", { hasText: "Approved: the rollback of 1.6.0 to 1.5.0" }).waitFor();
    expect(on.api.acts).toEqual([
      {
        method: "POST",
        path: "/v1/decisions/rb_ecb7a6eb2b4d1396f354/approve",
        body: { reason: "seen in the shop" },
      },
    ]);
    // The button is gone with the question: the focus must have gone to a place that is there.
    await page.getByRole("button", { name: "Approve…" }).waitFor({ state: "detached" });
    expect(await page.evaluate(`document.activeElement?.id`)).toBe("needs");
  });

  test("roll back", async () => {
    const { page } = await on.open();
    await tabTo(page, "Roll back… com.acme.till / production");
    await page.keyboard.press("Enter");
    await dialogOf(page).getByRole("radio", { name: "1.5.0" }).waitFor();
    expect(await dialogOf(page).getByRole("radio", { name: "1.5.0" }).isChecked()).toBe(true);
    await tabTo(page, "Reason");
    await page.keyboard.type("tills do not print");
    await tabTo(page, "Roll back to 1.5.0");
    await page.keyboard.press("Enter");
    await page.locator("#told", { hasText: "Rollback of com.acme.till / production to 1.5.0" }).waitFor();
    expect(on.api.acts).toEqual([
      {
        method: "POST",
        path: "/v1/channels/com.acme.till/production/rollback",
        body: { to: "1.5.0", from: "1.6.0", reason: "tills do not print" },
      },
    ]);
    expect(await focusedText(page)).toContain("Roll back…");
  });

  test("Escape sends nothing and gives the focus back", async () => {
    const { page } = await on.open();
    await tabTo(page, "Freeze everything…");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Escape");
    expect(await focusedText(page)).toContain("Freeze everything…");
    expect(on.api.acts).toEqual([]);
  });
});

describe("acts", () => {
  test("a target with warnings needs an admin's override", async () => {
    const { page } = await on.open();
    await page.getByRole("button", { name: "Roll back… com.acme.till" }).click();
    await page.getByRole("radio", { name: "1.4.2" }).check();
    expect(await dialogOf(page).innerText()).toContain(
      "1.4.2 is below the channel's minimum_version, 1.5.0.",
    );
    await page.getByRole("textbox", { name: "Reason" }).fill("it is safe after all");
    await page.keyboard.press("Enter");
    expect(on.api.acts).toEqual([]);
    await page.getByRole("checkbox", { name: "Override" }).check();
    await page.getByRole("button", { name: "Roll back to 1.4.2" }).click();
    await page.locator("#told", { hasText: "to 1.4.2" }).waitFor();
    expect(on.api.acts[0]?.body).toEqual({
      to: "1.4.2",
      from: "1.6.0",
      reason: "it is safe after all",
      override: true,
    });
  });

  test("guards that object only when asked are shown, and can be overridden then", async () => {
    on.api.objections = [
      { guard: "cooldown", reason: "cooling_down", sentence: "The channel was rolled back 5 min ago." },
    ];
    const { page } = await on.open();
    await page.getByRole("button", { name: "Roll back… com.acme.till" }).click();
    await page.getByRole("radio", { name: "1.5.0" }).waitFor();
    await page.getByRole("textbox", { name: "Reason" }).fill("now");
    await page.getByRole("button", { name: "Roll back to 1.5.0" }).click();
    await page.getByText("The channel was rolled back 5 min ago.").waitFor();
    await page.getByRole("checkbox", { name: "Override" }).check();
    await page.getByRole("button", { name: "Roll back to 1.5.0" }).click();
    await page.locator("#told", { hasText: "to 1.5.0" }).waitFor();
    expect(on.api.acts.map(({ body }) => (body as { override?: true }).override)).toEqual([undefined, true]);
  });

  test("an act whose answer is lost is not called done, nor undone", async () => {
    const { page } = await on.open();
    await page.route("**/pause", (route) => route.abort());
    await page.getByRole("button", { name: "Pause… com.acme.till" }).click();
    await page.getByRole("textbox", { name: "Reason" }).fill("now");
    await page.getByRole("button", { name: "Pause the channel" }).click();
    await dialogOf(page).getByText("It is not known whether it was done").waitFor();
    expect(await page.getByRole("textbox", { name: "Reason" }).inputValue()).toBe("now");
  });

  test("a rollback that is tried again is the same act", async () => {
    const { page } = await on.open();
    on.api.objections = [{ guard: "cooldown", reason: "cooling_down", sentence: "Too soon." }];
    await page.getByRole("button", { name: "Roll back… com.acme.till" }).click();
    await page.getByRole("radio", { name: "1.5.0" }).waitFor();
    await page.getByRole("textbox", { name: "Reason" }).fill("now");
    await page.getByRole("button", { name: "Roll back to 1.5.0" }).click();
    await page.getByText("Too soon.").first().waitFor();
    await page.getByRole("checkbox", { name: "Override" }).check();
    on.api.objections = [];
    await page.route("**/rollback", (route) => route.abort(), { times: 1 });
    await page.getByRole("button", { name: "Roll back to 1.5.0" }).click();
    await dialogOf(page).getByText("Trying again does nothing twice.").waitFor();
    await page.getByRole("button", { name: "Roll back to 1.5.0" }).click();
    await page.locator("#told", { hasText: "to 1.5.0" }).waitFor();
    expect(on.api.keys).toHaveLength(2);
    expect(on.api.keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(on.api.keys[1]).toBe(on.api.keys[0]);
  });

  test("freeze everything, and lift it", async () => {
    const { page } = await on.open();
    await page.getByRole("button", { name: "Freeze everything…" }).click();
    expect(await dialogOf(page).innerText()).toContain("Lastgood moves nothing on any channel by itself");
    await page.getByRole("textbox", { name: "Reason" }).fill("the backend moves");
    await page.getByRole("combobox", { name: "For how long" }).selectOption("8 hours");
    await page.getByRole("button", { name: "Freeze everything", exact: true }).click();
    await page.getByRole("group", { name: "Everything is frozen" }).waitFor();
    await page.getByRole("button", { name: "Unfreeze… Everything" }).click();
    await page.getByRole("textbox", { name: "Reason" }).fill("it has moved");
    await page.getByRole("button", { name: "Lift the freeze" }).click();
    await page.getByRole("group", { name: "Everything is frozen" }).waitFor({ state: "detached" });
    expect(on.api.acts).toEqual([
      { method: "POST", path: "/v1/freezes", body: { scope: "all", reason: "the backend moves", for: "8h" } },
      { method: "DELETE", path: "/v1/freezes/fr_1?reason=it+has+moved" },
    ]);
  });

  test.each([
    ["Pause… com.acme.till", "Pause the channel", "/v1/channels/com.acme.till/production/pause"],
    ["Absolve… 1.4.2", "Absolve 1.4.2", "/v1/releases/com.acme.till/production/1.4.2/absolve"],
    ["Reject… 1.6.0", "Reject: move nothing", "/v1/decisions/rb_ecb7a6eb2b4d1396f354/reject"],
  ])("%s", async (begin, confirm, path) => {
    const { page, complaints } = await on.open();
    await page.getByRole("button", { name: begin }).click();
    await page.getByRole("textbox", { name: "Reason" }).fill("because");
    await page.getByRole("button", { name: confirm }).click();
    await page.locator("#told:not(:empty)").waitFor();
    expect(on.api.acts).toEqual([{ method: "POST", path, body: { reason: "because" } }]);
    expect(complaints).toEqual([]);
  });
});

describe("who may", () => {
  test("signs in with a token that stays nowhere a script can read", async () => {
    on.api.caller = { name: "ana", role: "operator" };
    const { page } = await on.open();
    await signIn(page, "wrong");
    await page.getByText("No operator in the configuration has this token.").waitFor();
    await signIn(page);
    await page.waitForSelector(".channel");
    expect(await page.locator("#caller").innerText()).toContain("ana operator");
    const kept = await page.evaluate<string>(
      `JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])`,
    );
    expect(kept).not.toContain(STUB_TOKEN);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForSelector("#login[open]");
    expect(await page.locator(".channel").count()).toBe(0);
  });

  test("a session that ends asks for the token above whatever is open, and goes on", async () => {
    const { page } = await on.open();
    await page.getByRole("button", { name: "Pause… com.acme.till" }).click();
    await page.getByRole("textbox", { name: "Reason" }).fill("half typed");
    on.api.caller = { name: "ana", role: "operator" };
    await page.waitForSelector("#login[open]");
    await signIn(page);
    await page.waitForSelector("#login:not([open])", { state: "attached" });
    await dialogOf(page).getByText("The journal keeps your name (ana)").waitFor();
    expect(await page.getByRole("textbox", { name: "Reason" }).inputValue()).toBe("half typed");
    await page.getByRole("button", { name: "Pause the channel" }).click();
    await page.locator("#told:not(:empty)").waitFor();
    expect(on.api.acts).toHaveLength(1);
  });

  test("an operator can't override, and is told who can", async () => {
    on.api.caller = { name: "bo", role: "operator" };
    const { page } = await on.open();
    await signIn(page);
    await page.getByRole("button", { name: "Roll back… com.acme.till" }).click();
    await page.getByRole("radio", { name: "1.4.2" }).check();
    expect(await dialogOf(page).innerText()).toContain("Only somebody with the role admin may override");
    await page.getByRole("textbox", { name: "Reason" }).fill("please");
    await page.keyboard.press("Enter");
    expect(on.api.acts).toEqual([]);
  });

  test("a viewer sees everything, no button, and why", async () => {
    on.api.caller = { name: "vi", role: "viewer" };
    const { page } = await on.open();
    await signIn(page);
    await page.waitForSelector(".channel");
    expect(await page.getByRole("button").allTextContents()).toEqual(["Sign out"]);
    expect(await page.locator("#caller").innerText()).toContain("reads only; acts need operator or admin");
    expect(await page.locator("#needs").innerText()).toContain(
      "It waits for somebody with the role operator or admin.",
    );
  });
});
