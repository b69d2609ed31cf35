// Stock Sentry SDKs whose DSN leads to ingest, and nothing else about them is changed: @sentry/node in processes of its own,
// and @sentry/browser in a real Chromium, on a page of another origin. What the agent counts is who crashed.
import { spawn } from "node:child_process";
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startChromium } from "../support/chromium.ts";
import type { TestBrowser } from "../support/chromium.ts";
import { useListeningIngest } from "../support/listening-ingest.ts";
import { waitUntil } from "../support/wait-until.ts";

const sourcesOf = (source: object = {}) => ({
  sources: {
    sentry: { projects: { "42": { key: "pub", environments: { production: "production" } } }, ...source },
  },
});
const ingest = useListeningIngest(sourcesOf());
const RELEASE = "com.acme.till@1.4.0+v12";
const VERSION = "1.4.0+v12";

function dsn(): string {
  return `${ingest.url().replace("://", "://pub@")}/42`;
}

async function expectResults(expected: Record<string, number>): Promise<void> {
  const results = await waitUntil(
    () => ingest.results("sentry"),
    (seen) => Object.entries(expected).every(([result, count]) => (seen[result] ?? 0) >= count),
  );
  expect(results).toEqual(expected);
}

describe("@sentry/node", () => {
  const script = fileURLToPath(new URL("fixtures/sentry-app.mjs", import.meta.url));

  /** Resolves when the process has ended, and with it all that it sends. */
  async function runApp(how: string, installation?: string, environment = "production"): Promise<void> {
    const app = spawn(
      process.execPath,
      [script, how, ...(installation === undefined ? [] : [installation])],
      {
        env: {
          PATH: process.env["PATH"],
          SENTRY_DSN: dsn(),
          SENTRY_RELEASE: RELEASE,
          SENTRY_ENVIRONMENT: environment,
        },
        stdio: "ignore",
        timeout: 30_000,
      },
    );
    await new Promise<void>(
      (resolve, reject) => void app.once("exit", () => resolve()).once("error", reject),
    );
  }

  test("of eight devices three crash: crash-free devices are five", async () => {
    const ends = ["run", "run", "run", "run", "handle", "crash", "crash", "reject"];
    for (let index = 0; index < ends.length; index += 2)
      await Promise.all([
        runApp(ends[index]!, `till-${index}`),
        runApp(ends[index + 1]!, `till-${index + 1}`),
      ]);
    // One of them comes twice: it is the same device in the same hour.
    await runApp("crash", "till-5");
    // Sessions: one each, and a second state of the one with the handled error. Events: 1 handled, 4 that were not.
    await expectResults({ reported: 10, no_outcome: 5 });
    const { devices, hours } = await ingest.counted(VERSION);
    expect(devices).toMatchObject({ active: 8, crashed: 3, running: 8, not_responding: 0, attempted: 0 });
    expect(hours.firstCrashed).toBe(3);
    // The hour may change while the test runs.
    expect(hours.crashed).toBeLessThanOrEqual(4);
    expect(hours.active).toBeLessThanOrEqual(16);
    expect(devices.active - devices.crashed).toBe(5);
  });

  test("an app that does not say who it is counts for nobody; nor does one of another environment", async () => {
    await runApp("crash");
    await runApp("crash", "till-1", "development");
    await expectResults({ no_device: 1, excluded: 1, no_outcome: 2 });
    expect(await ingest.stored()).toEqual([]);
  });

  test("a server that answers requests sends aggregates, which name no device, and no session of its own", async () => {
    await runApp("serve", "till-1");
    await expectResults({ no_device: 1 });
  });
});

const MODULES = path.resolve("node_modules");
/** What browsers load by name: no bundler stands between the package as published and the test. */
const IMPORTS = {
  "@sentry/browser": "@sentry/browser/build/npm/esm/prod/index.js",
  "@sentry/browser-utils": "@sentry/browser-utils/build/esm/index.js",
  "@sentry/core": "@sentry/core/build/esm/index.js",
  "@sentry/core/browser": "@sentry/core/build/esm/browser.js",
  "@sentry/conventions/attributes": "@sentry/conventions/dist/attributes.mjs",
  "@sentry/conventions/metrics": "@sentry/conventions/dist/metrics.mjs",
  "@sentry/conventions/op": "@sentry/conventions/dist/op.mjs",
  "@sentry/feedback": "@sentry/feedback/build/npm/esm/index.js",
  "@sentry/replay": "@sentry/replay/build/npm/esm/index.js",
  "@sentry/replay-canvas": "@sentry/replay-canvas/build/npm/esm/index.js",
  "web-vitals": "web-vitals/dist/web-vitals.js",
};

/** `?till=…&crash=1&header=1`: whose page it is, whether it throws, and whether the browser has to ask before it sends. */
function pageOf(url: URL): string {
  const imports = Object.fromEntries(
    Object.entries(IMPORTS).map(([name, file]) => [name, `/modules/${file}`]),
  );
  const till = url.searchParams.get("till");
  const options = {
    dsn: dsn(),
    release: RELEASE,
    environment: "production",
    ...(till === null ? {} : { initialScope: { user: { id: till } } }),
    ...(url.searchParams.has("header")
      ? { transportOptions: { headers: { "X-Sentry-Auth": "Sentry sentry_version=7, sentry_key=pub" } } }
      : {}),
  };
  const crash = url.searchParams.has("crash")
    ? `setTimeout(() => { throw new TypeError("the till is empty"); }, 50);`
    : "";
  return `<!doctype html><title>till</title><link rel="icon" href="data:,"><script type="importmap">${JSON.stringify({ imports })}</script>
<script type="module">
import { init } from "@sentry/browser";
init(${JSON.stringify(options)});
${crash}
</script>`;
}

describe("@sentry/browser", () => {
  let browser: TestBrowser;
  let pages: Server;
  let pagesUrl: string;

  beforeAll(async () => {
    browser = await startChromium();
    pages = createServer((request, response) => {
      const url = new URL(request.url!, "http://pages");
      if (url.pathname === "/") {
        response.setHeader("Content-Type", "text/html").end(pageOf(url));
        return;
      }
      const file = path.join(MODULES, path.normalize(url.pathname.replace(/^\/modules\//, "/")));
      if (!existsSync(file)) {
        response.writeHead(404).end();
        return;
      }
      response.setHeader("Content-Type", "text/javascript");
      createReadStream(file).pipe(response);
    });
    await new Promise<void>((resolve) => void pages.listen(0, "127.0.0.1", resolve));
    pagesUrl = `http://127.0.0.1:${(pages.address() as AddressInfo).port}/`;
  });
  afterAll(async () => {
    await browser.close();
    pages.closeAllConnections();
    await new Promise<void>((resolve) => void pages.close(() => resolve()));
  });

  const open = (query: string) => browser.open(pagesUrl + query);
  const counted = async () => (await ingest.counted(VERSION)).devices;

  test("a page of another origin: session and error arrive, and what lives on has not crashed", async () => {
    const { complaints } = await open("?till=till-1");
    const { complaints: ofCrash } = await open("?till=till-2&crash=1");
    await waitUntil(
      () => ingest.results("sentry"),
      (seen) => (seen["reported"] ?? 0) >= 3 && (seen["no_outcome"] ?? 0) >= 1,
    );
    expect(await counted()).toMatchObject({ active: 2, crashed: 0, running: 2 });
    expect(complaints).toEqual([]);
    expect(ofCrash).toEqual([expect.stringContaining("the till is empty")]);
  });

  test("with unhandled_is_crash the page that threw has: one of three", async () => {
    await ingest.start(sourcesOf({ unhandled_is_crash: true }));
    for (const query of ["?till=till-1", "?till=till-2&crash=1", "?till=till-3"]) await open(query);
    await waitUntil(
      () => ingest.results("sentry"),
      (seen) => (seen["reported"] ?? 0) >= 4 && (seen["no_outcome"] ?? 0) >= 1,
    );
    expect(await counted()).toMatchObject({ active: 3, crashed: 1, running: 3 });
  });

  test("a browser that has to ask first gets leave, also where origins are named; others get none", async () => {
    await ingest.start(sourcesOf({ origins: [new URL(pagesUrl).origin] }));
    const { complaints } = await open("?till=till-1&header=1");
    await waitUntil(
      () => ingest.results("sentry"),
      (seen) => (seen["reported"] ?? 0) >= 1,
    );
    expect(complaints).toEqual([]);
    await ingest.start(sourcesOf({ origins: ["https://app.acme.example"] }));
    const { page, complaints: ofStranger } = await open("?till=till-9&header=1");
    await waitUntil(
      () => ofStranger,
      (seen) => seen.some((text) => text.includes("CORS policy")),
    );
    expect(await ingest.results("sentry")).toEqual({});
    await page.close();
  });
});
