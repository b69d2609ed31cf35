// What each test of the page begins with: one Chromium for a file, and for each test a stub of the agent with a story of its
// own (page-api.ts) and a page that has drawn it. Enters: what a test asks for. Leaves: an open page; all is closed again.
import type { Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { startChromium } from "./chromium.ts";
import type { Seen, TestBrowser, TestPage } from "./chromium.ts";
import { STUB_TOKEN, startPageApi } from "./page-api.ts";
import type { PageApi } from "./page-api.ts";

export interface PageFixture {
  /** Of the test that runs. */
  readonly api: PageApi;
  /** Opens the page, and waits until it has drawn `awaited`: a channel, or the question for a token. */
  open(seen?: Partial<Seen>, awaited?: string): Promise<TestPage>;
}

/** Call it at the top of a test file. */
export function usePage(): PageFixture {
  let browser: TestBrowser;
  let api: PageApi;
  const pages: Page[] = [];
  beforeAll(async () => {
    browser = await startChromium();
  });
  afterAll(() => browser.close());
  beforeEach(async () => {
    api = await startPageApi();
  });
  afterEach(async () => {
    for (const page of pages.splice(0)) await page.close();
    await api.close();
  });
  return {
    get api() {
      return api;
    },
    async open(seen = {}, awaited = api.caller === null ? ".channel" : "#login[open]") {
      const opened = await browser.open(api.url, seen);
      pages.push(opened.page);
      await opened.page.waitForSelector(awaited);
      return opened;
    },
  };
}

export async function signIn(page: Page, token = STUB_TOKEN): Promise<void> {
  await page.getByRole("textbox", { name: "Operator token" }).fill(token);
  await page.keyboard.press("Enter");
}

export function dialogOf(page: Page): Locator {
  return page.locator("dialog#act");
}

export function focusedText(page: Page): Promise<string> {
  return page.evaluate<string>(`document.activeElement?.textContent ?? ""`);
}

/** Moves on by Tab until the element that has the focus, or its label, says this. */
export async function tabTo(page: Page, text: string): Promise<void> {
  for (let presses = 0; presses < 100; presses += 1) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate<string>(
      `(document.activeElement?.labels?.[0] ?? document.activeElement)?.textContent ?? ""`,
    );
    if (focused.includes(text)) return;
  }
  throw new Error(`Tab never reached ${text}`);
}
