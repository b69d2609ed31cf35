// The page in a real Chromium: what it shows on a narrow and a wide window, in light and dark, from whatever an agent says.
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { Seen } from "../support/chromium.ts";
import { contrastTooLow } from "../support/contrast.ts";
import { dialogOf, usePage } from "../support/page-fixture.ts";
import { HOSTILE, failureSignal } from "../support/page-stories.ts";
import { waitUntil } from "../support/wait-until.ts";

const SCREENSHOTS =
  process.env["LASTGOOD_SCREENSHOTS"] ?? mkdtempSync(path.join(tmpdir(), "lg-screenshots-"));
mkdirSync(SCREENSHOTS, { recursive: true });
const EVERY_VIEW = ([360, 1440] as const).flatMap((width) =>
  (["light", "dark"] as const).map((scheme): Seen => ({ width, scheme })),
);

const on = usePage();

describe("how it looks", () => {
  test.each(EVERY_VIEW)(
    "$width px, $scheme: no complaint, no sideways scroll, readable text",
    async (seen) => {
      const { page, complaints } = await on.open(seen);
      await page.screenshot({ path: shot(seen, "page"), fullPage: true });
      // The last first: what is opened may hold summaries of its own, which come after it.
      const summaries = await page.locator("summary").all();
      for (const summary of summaries.toReversed()) await summary.click();
      await waitUntil(
        () => page.locator(".totals").count(),
        (scopes) => scopes === 4,
      );
      await page.evaluate(`scrollTo(0, 0)`);
      await page.screenshot({ path: shot(seen, "open"), fullPage: true });
      expect(await contrastTooLow(page)).toEqual([]);
      await page.getByRole("button", { name: "Roll back… com.acme.till" }).click();
      await page.getByRole("radio", { name: "1.4.2" }).check();
      await page.screenshot({ path: shot(seen, "rollback") });
      expect(await contrastTooLow(page)).toEqual([]);
      const root = `document.documentElement`;
      const [scroll, width] = await page.evaluate<number[]>(`[${root}.scrollWidth, ${root}.clientWidth]`);
      expect(scroll).toBe(width);
      expect(complaints).toEqual([]);
    },
  );

  test.each(EVERY_VIEW)("$width px, $scheme: frozen and without an answer, still readable", async (seen) => {
    on.api.story.freezes = [
      {
        id: "fr_1",
        scope: "all",
        by: "ana",
        reason: "the backend moves",
        since: new Date().toISOString(),
        until: null,
      },
    ];
    const { page } = await on.open(seen);
    on.api.health = "away";
    await page.waitForSelector("#banner > p");
    await page.screenshot({ path: shot(seen, "no-answer") });
    expect(await contrastTooLow(page)).toEqual([]);
  });

  test("the policy of the page lets nothing in but its own files", async () => {
    const response = await fetch(on.api.url);
    expect(response.headers.get("content-security-policy")?.split(";").toSorted()).toEqual(
      [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
      ].toSorted(),
    );
    expect(await response.text()).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/);
  });

  test("landmarks, headings and names are there for those who hear the page", async () => {
    const { page } = await on.open();
    for (const landmark of ["banner", "main"] as const)
      expect(await page.getByRole(landmark).count()).toBe(1);
    expect(await page.getByRole("heading", { level: 1 }).allTextContents()).toEqual(["Lastgood"]);
    expect(await page.getByRole("heading", { level: 2 }).allTextContents()).toEqual([
      "Needs a person",
      "Channels",
      "Decisions",
    ]);
    const buttons = await page.getByRole("button").evaluateAll((all) => all.map((one) => one.textContent));
    expect(buttons.length).toBeGreaterThan(8);
    expect(new Set(buttons).size).toBe(buttons.length);
  });
});

function shot({ width, scheme }: Seen, what: string): string {
  return path.join(SCREENSHOTS, `${what}-${width}-${scheme}.png`);
}

describe("what it shows", () => {
  test("versions, adoption, rate with its interval, evidence, verdict, hold and what stands out", async () => {
    const { page } = await on.open();
    const bad = page.getByRole("article", { name: "Version 1.6.0" });
    const text = await bad.innerText();
    expect(text).toContain("offered now");
    expect(text).toContain("4,221 devices");
    expect(text).toContain("21.1% of 20,000 devices");
    expect(text).toContain("6.4% (95%: 5.2% to 7.8%) limit 5%");
    expect(text).toContain("10^4.1 of 10^2.8 needed");
    expect(text).toContain("289 of 4,510 devices failed to install or boot 1.6.0");
    expect(text).toContain("model=till-9");
    expect(await bad.getByRole("img", { name: "6.4% (95%: 5.2% to 7.8%), limit 5%" }).count()).toBe(1);
    expect(await page.getByRole("article", { name: "Version 7.2.0-rc.1" }).innerText()).toContain(
      "share too small: The failure is confined to 8.0% of the fleet",
    );
    const versions = await page
      .getByRole("article", { name: "Channel com.acme.till / production" })
      .getByRole("heading", { level: 4 })
      .allTextContents();
    expect(versions).toEqual(["1.6.0", "1.5.0", "1.4.2"]);
  });

  test("decisions with their story, local times with UTC in the title", async () => {
    const { page } = await on.open();
    const manual = page.getByRole("listitem", { name: "Decision about 7.1.0" });
    const text = await manual.innerText();
    expect(text).toContain("decided by ana");
    expect(text).toContain("applied after 3 tries: The channel offers 7.0.3.");
    expect(text).toContain("devices do not return");
    expect(await manual.locator("time").first().getAttribute("title")).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/,
    );
    expect(await page.locator("#stamp").innerText()).toMatch(/^as of \d\d:\d\d:\d\d$/);
  });

  test("an answer of an older agent, with half of the fields, is shown all the same", async () => {
    const [till] = on.api.story.status.channels;
    const { action: _, freezes: __, releases_on_server: ___, paused: ____, ...old } = till!;
    const { rate: _____, segments: ______, ...signal } = failureSignal();
    const releases = [
      { ...old.releases[0]!, verdict: { kind: "failing", reason: "x", sentence: "S.", signals: [signal] } },
    ];
    on.api.story.status.channels = [{ ...old, releases }];
    const { approval: _a, follow_up: _f, operator: _o, cause: _c, ...decision } = on.api.story.decisions[1]!;
    on.api.story.decisions = [decision];
    const { page, complaints } = await on.open();
    expect(await page.getByRole("article", { name: "Version 1.6.0" }).innerText()).toContain("6.4% limit 5%");
    expect(await page.locator("#needs").innerText()).toContain("Nothing waits for a person.");
    expect(complaints).toEqual([]);
  });

  test("old versions and old decisions fold away, and none is lost", async () => {
    const [till] = on.api.story.status.channels;
    const [, good] = till!.releases;
    const releases = Array.from({ length: 5 }, (_, nth) => ({ ...good!, version: `1.${9 - nth}.0` }));
    on.api.story.status.channels = [{ ...till!, current_version: "1.9.0", releases }];
    const [, applied] = on.api.story.decisions;
    on.api.story.decisions = Array.from({ length: 21 }, (_, nth) => ({ ...applied!, id: `rb_${nth}` }));
    const { page } = await on.open();
    expect(await page.locator(".channel > .release").count()).toBe(4);
    await page.getByText("1 older version").click();
    expect(await page.getByRole("article", { name: "Version 1.5.0" }).isVisible()).toBe(true);
    expect(await page.locator(".decision").count()).toBe(20);
    await page.getByRole("button", { name: "Show 1 earlier decision" }).click();
    expect(await page.locator(".decision").count()).toBe(21);
  });

  test.each([
    [50_000, "Nothing waits for a person."],
    [61_000, "the OTA server has not answered"],
  ])(
    "an OTA server that does not answer is a person's business after a minute (%d ms)",
    async (agoMs, told) => {
      const [, applied] = on.api.story.decisions;
      on.api.story.status.channels = [];
      const at = new Date(Date.now() - agoMs).toISOString();
      on.api.story.decisions = [{ ...applied!, at, outcome: null, follow_up: null }];
      const { page } = await on.open({}, "#needs > *");
      await page.locator("#needs").getByText(told).waitFor();
      expect(await page.locator("#channels").innerText()).toContain("names no channel");
    },
  );

  test("what a device wrote is text, wherever it stands", async () => {
    const [till] = on.api.story.status.channels;
    const [bad] = till!.releases;
    const segments = [
      {
        segment: `model=${HOSTILE}`,
        failures: 1,
        trials: 1,
        evidence_log10: 3,
        threshold_log10: 2,
        share_of_fleet: 1,
      },
    ];
    const verdict = {
      ...bad!.verdict,
      kind: HOSTILE,
      reason: HOSTILE,
      sentence: HOSTILE,
      baseline: [HOSTILE],
    };
    const signals = [{ ...failureSignal({ signal: HOSTILE, unmeasured: HOSTILE }), segments }];
    const hold = { reason: HOSTILE, guard: HOSTILE, sentence: HOSTILE, since: HOSTILE };
    const release = { ...bad!, version: HOSTILE, verdict: { ...verdict, signals }, hold };
    const freeze = {
      id: HOSTILE,
      scope: "all",
      by: HOSTILE,
      reason: HOSTILE,
      since: HOSTILE,
      until: HOSTILE,
    } as const;
    on.api.story.status.channels = [
      {
        ...till!,
        app: HOSTILE,
        channel: HOSTILE,
        policy: HOSTILE,
        mode: HOSTILE,
        current_version: HOSTILE,
        releases: [release],
      },
    ];
    on.api.story.freezes = [freeze];
    on.api.story.decisions = on.api.story.decisions.map((decision) => ({
      ...decision,
      id: HOSTILE + decision.id,
      version: HOSTILE,
      target: HOSTILE,
      sentence: HOSTILE,
      mode: HOSTILE,
      reason: HOSTILE,
      operator: HOSTILE,
    }));
    on.api.story.targets = {
      current: null,
      targets: [{ version: HOSTILE, released_at: HOSTILE, warnings: [] }],
    };
    const { page, complaints } = await on.open();
    await page.getByRole("button", { name: "Roll back…" }).click();
    await dialogOf(page).getByRole("radio").waitFor();
    expect(await page.locator("img, script:not([src])").count()).toBe(0);
    expect(await page.locator(".release").innerText()).toContain(HOSTILE);
    expect(await page.title()).not.toContain("owned");
    expect(complaints).toEqual([]);
  });
});
