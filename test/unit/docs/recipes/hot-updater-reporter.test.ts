// The reporter of docs/recipes/hot-updater.md: what it sends is what ingest reads, what could not be sent is kept and sent
// later, and the app never notices.
import { afterEach, expect, test } from "vitest";
// @ts-expect-error A recipe in plain JavaScript has no types.
import { lastgoodReporter } from "../../../../docs/recipes/hot-updater-reporter.mjs";
import { readNotifyEvent } from "../../../../ingest/sources/hot-updater/notify-event.ts";
import { appWithSources } from "../../../support/source-app.ts";
import { startJsonDouble } from "../../../support/json-double.ts";
import type { JsonDouble } from "../../../support/json-double.ts";

const NEW = "0198c5a2-0000-7000-8000-000000000002";
const OLD = "0198c5a2-0000-7000-8000-000000000001";
const BUILT_IN = "01980000-0000-7000-8000-000000000000";

type Report = (told: { status: string; crashedBundleId?: string }) => Promise<void>;

const doubles: JsonDouble[] = [];
afterEach(async () => {
  for (const double of doubles.splice(0)) await double.close();
});

async function start({ running = OLD } = {}) {
  const ingest = await startJsonDouble();
  doubles.push(ingest);
  const kept = new Map<string, string>();
  let ids = 0;
  const report = lastgoodReporter({
    ingestUrl: `${ingest.url}/`,
    ingestKey: "example-ingest-key",
    platform: "ios",
    hotUpdater: {
      getAppVersion: () => "1.4.0",
      getFingerprintHash: () => null,
      getChannel: () => "production",
      getBundleId: () => running,
      getMinBundleId: () => BUILT_IN,
    },
    storage: {
      getItem: (name: string) => Promise.resolve(kept.get(name) ?? null),
      setItem: (name: string, text: string) => Promise.resolve(void kept.set(name, text)),
    },
    randomId: () => `install-${(ids += 1)}`,
    timeoutMs: 200,
  }) as Report;
  const sent = (): Record<string, unknown>[][] =>
    ingest.requests.map(({ body }) => body as Record<string, unknown>[]);
  return { ingest, kept, report, sent };
}

test("a crash is sent so that ingest blames the bundle that crashed", async () => {
  const { ingest, report, sent } = await start();
  await report({ status: "RECOVERED", crashedBundleId: NEW });
  expect(ingest.requests[0]).toMatchObject({
    method: "POST",
    path: "/hot-updater/reports",
    authorization: "Bearer example-ingest-key",
  });
  const app = appWithSources({ hot_updater: { channels: { "production/ios": "apple" } } }, ["apple"]);
  expect(readNotifyEvent(sent()[0]![0], app)).toMatchObject({
    kind: "drafts",
    drafts: [
      { channel: "apple", device: "install-1", version: NEW, event: "reverted", native_version: "1.4.0" },
      { channel: "apple", device: "install-1", version: OLD, event: "active" },
    ],
  });
});

test("a start on the built-in bundle is sent, and means nothing to ingest", async () => {
  const { report, sent } = await start({ running: BUILT_IN });
  await report({ status: "STABLE" });
  const app = appWithSources({ hot_updater: { channels: {} } }, ["production"]);
  expect(readNotifyEvent(sent()[0]![0], app)).toMatchObject({ kind: "nothing" });
});

test.each([[500], [503], [429], [408], ["silence"]] as const)(
  "%s: what was not taken comes again at the next start, with its own time",
  async (trouble) => {
    const { ingest, report, sent } = await start();
    ingest.answer(() => (trouble === "silence" ? "silence" : { status: trouble }));
    await report({ status: "RECOVERED", crashedBundleId: NEW });
    ingest.answer(() => ({ status: 202 }));
    await report({ status: "STABLE" });
    await report({ status: "STABLE" });
    expect(sent().map((reports) => reports.map(({ status }) => status))).toEqual([
      ["RECOVERED"],
      ["RECOVERED", "STABLE"],
      ["STABLE"],
    ]);
    expect(sent()[1]![0]).toEqual(sent()[0]![0]);
    expect(new Set(sent().flatMap((reports) => reports.map(({ installId }) => installId)))).toEqual(
      new Set(["install-1"]),
    );
  },
);

test("what is refused is not sent again", async () => {
  const { ingest, report, sent } = await start();
  ingest.answer(() => ({ status: 401 }));
  await report({ status: "STABLE" });
  await report({ status: "STABLE" });
  expect(sent().map(({ length }) => length)).toEqual([1, 1]);
});

test("20 are kept, the newest", async () => {
  const { ingest, kept, report } = await start();
  ingest.answer(() => ({ status: 500 }));
  for (let launch = 1; launch <= 21; launch += 1) await report({ status: `S${launch}` });
  const unsent = JSON.parse(kept.get("lastgood.unsent")!) as { status: string }[];
  expect([unsent.length, unsent[0]!.status, unsent.at(-1)!.status]).toEqual([20, "S2", "S21"]);
});

test("broken storage and no network are nothing to the app", async () => {
  const { ingest, kept, report } = await start();
  kept.set("lastgood.unsent", "{broken");
  await expect(report({ status: "STABLE" })).resolves.toBeUndefined();
  kept.delete("lastgood.unsent");
  await ingest.close();
  await expect(report({ status: "STABLE" })).resolves.toBeUndefined();
});
