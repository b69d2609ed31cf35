// A real Chromium for tests of the page, through playwright-core, with an empty profile and without any network of its
// own. Enters: how a page is to be seen. Leaves: pages that note every console error, every violation of the page's
// content policy and every request that fails, so that a test can insist that there were none.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import type { BrowserContext, Page } from "playwright-core";

const EXECUTABLES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
const ARGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface Seen {
  readonly width: 360 | 1440;
  readonly scheme: "light" | "dark";
}

export interface TestPage {
  readonly page: Page;
  /** What went wrong in the browser, oldest first. */
  readonly complaints: readonly string[];
}

export interface TestBrowser {
  open(url: string, seen?: Partial<Seen>): Promise<TestPage>;
  close(): Promise<void>;
}

export async function startChromium(): Promise<TestBrowser> {
  const profile = mkdtempSync(path.join(tmpdir(), "lg-chromium-"));
  const context: BrowserContext = await chromium.launchPersistentContext(profile, {
    executablePath: findChromium(),
    args: ARGS,
    headless: true,
    timezoneId: "Europe/Berlin",
    locale: "en-GB",
  });
  return {
    async open(url, { width = 1440, scheme = "light" } = {}) {
      // Cookies know no ports: the session of another test must not get in here.
      await context.clearCookies();
      const page = await context.newPage();
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      const complaints = noteComplaints(page);
      await page.goto(url);
      return { page, complaints };
    },
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

function findChromium(): string {
  const found = process.env["LASTGOOD_CHROMIUM"] ?? EXECUTABLES.find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new Error(
    "there is no Chromium: install it (Debian: apt-get install chromium), or name one in LASTGOOD_CHROMIUM",
  );
}

function noteComplaints(page: Page): string[] {
  const complaints: string[] = [];
  // Violations of the content policy are console errors as well: "Refused to …".
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  return complaints;
}
