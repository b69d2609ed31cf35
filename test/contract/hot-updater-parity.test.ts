// Whether the double of the hot-updater server is faithful: the same requests, one after the other, to the double and to the
// real `@hot-updater/server` in this process, and the same answers from both. Only the words of a JSON parser and what the
// real server says of storage it has and the double has not are left out.
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createHotUpdaterDouble } from "../doubles/hot-updater.ts";
import type { HotUpdaterHandler, HotUpdaterRecord } from "../doubles/hot-updater.ts";
import { HOT_UPDATER_BASE_PATH, bundleId, bundleRecord } from "../support/hot-updater.ts";
import { startRealHotUpdater } from "../support/real-hot-updater.ts";
import type { RealHotUpdater } from "../support/real-hot-updater.ts";

const OPTIONS = { basePath: HOT_UPDATER_BASE_PATH, routes: { bundles: true } };
const NIL = "00000000-0000-0000-0000-000000000000";

interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly sdk?: string;
}

let real: RealHotUpdater;
let double: HotUpdaterHandler;
beforeAll(async () => void (real = await startRealHotUpdater(OPTIONS)));
afterAll(async () => real.close());

const RECORDS: readonly HotUpdaterRecord[] = [
  bundleRecord(bundleId(1)),
  bundleRecord(bundleId(2), { rolloutCohortCount: 0 }),
  bundleRecord(bundleId(3), { targetCohorts: ["beta"], rolloutCohortCount: 0 }),
  bundleRecord(bundleId(4), {
    targetAppVersion: ">=2.0.0 <3.0.0",
    message: "for 2.x",
    shouldForceUpdate: true,
  }),
  bundleRecord(bundleId(5), { targetAppVersion: null, fingerprintHash: "print-a" }),
  bundleRecord(bundleId(6), { targetAppVersion: null, fingerprintHash: "print-b", enabled: false }),
  bundleRecord(bundleId(7), { platform: "android", channel: "beta" }),
  bundleRecord(bundleId(8)),
];

/** Fields that only the real one has, and that are about storage. */
const STORAGE = new Set([
  "metadata",
  "manifestStorageUri",
  "manifestFileHash",
  "assetBaseStorageUri",
  "patches",
  "patchBaseBundleId",
  "patchBaseFileHash",
  "patchFileHash",
  "patchStorageUri",
]);

async function answerOf(handler: HotUpdaterHandler, { method = "GET", path, body, sdk = "0.36.3" }: Asked) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await handler(
    new Request(`http://server.test${HOT_UPDATER_BASE_PATH}${path}`, {
      method,
      headers: { "Hot-Updater-SDK-Version": sdk },
      ...(body === undefined ? {} : { body: text }),
    }),
  );
  const told = JSON.parse(await response.text(), (name, value: unknown) =>
    STORAGE.has(name) ? undefined : value,
  ) as unknown;
  return { status: response.status, type: response.headers.get("content-type"), told };
}

/** The real server's answer. Throws where the double's is another. */
async function same(asked: Asked): Promise<Awaited<ReturnType<typeof answerOf>>> {
  const expected = await answerOf(real.handler, asked);
  const answered = await answerOf(double, asked);
  if (!isDeepStrictEqual(answered, expected))
    throw new Error(
      `${asked.path}: the double answers ${JSON.stringify(answered)}, and the real server ${JSON.stringify(expected)}`,
    );
  return expected;
}

beforeEach(async () => {
  await real.empty();
  double = createHotUpdaterDouble(OPTIONS).handler;
  await same({ method: "POST", path: "/api/bundles", body: RECORDS });
});

describe("management", () => {
  it.each(
    [
      "",
      "?limit=2",
      `?limit=2&after=${bundleId(5)}`,
      `?limit=2&before=${bundleId(5)}`,
      `?limit=3&after=${bundleId(1)}`,
      "?limit=3&page=2",
      "?limit=3&page=9",
      "?channel=beta",
      "?channel=nowhere",
      "?channel=production&platform=ios&enabled=true",
      "?enabled=false",
      `?idLt=${bundleId(4)}&enabled=true`,
      `?idGte=${bundleId(7)}`,
      `?idEq=${bundleId(2)}`,
      `?idIn=${bundleId(2)}&idIn=${bundleId(8)}`,
      "?targetAppVersion=null",
      "?fingerprintHash=print-a",
    ].map((query) => [query]),
  )("lists %s", async (query) => {
    expect(await same({ path: `/api/bundles${query}` })).toMatchObject({ status: 200 });
  });

  it.each(
    ["?limit=0", "?limit=101", "?limit=ten", "?page=0", "?offset=5", "?enabled=yes", "?platform=web"].map(
      (query) => [query],
    ),
  )("refuses %s with 400", async (query) => {
    expect(await same({ path: `/api/bundles${query}` })).toMatchObject({ status: 400 });
  });

  it("changes a record, by the fields that are sent, as often as it is asked", async () => {
    const path = `/api/bundles/${bundleId(8)}`;
    for (const body of [{ enabled: false }, { enabled: false }, [{ rolloutCohortCount: 5, id: bundleId(8) }]])
      expect(await same({ method: "PATCH", path, body })).toMatchObject({
        status: 200,
        told: { success: true },
      });
    expect(await same({ path })).toMatchObject({ told: { enabled: false, rolloutCohortCount: 5 } });
  });

  it.each([
    ["another id in the body", 400, bundleId(8), { id: bundleId(1), enabled: false }],
    ["no record", 400, bundleId(8), "null"],
    ["an id that is not there", 500, bundleId(99), { enabled: false }],
    ["more cohorts than there are", 500, bundleId(8), { rolloutCohortCount: 1_001 }],
    ["no app version and no fingerprint", 500, bundleId(8), { targetAppVersion: " " }],
  ])("answers %s with %i", async (_what, status, id, body) => {
    expect(await same({ method: "PATCH", path: `/api/bundles/${id}`, body })).toMatchObject({ status });
  });

  it("answers broken JSON with 500", async () => {
    const asked = { method: "PATCH", path: `/api/bundles/${bundleId(8)}`, body: "{" };
    for (const handler of [real.handler, double])
      expect(await answerOf(handler, asked)).toMatchObject({
        status: 500,
        told: { error: "Internal server error" },
      });
  });

  it("deletes, also what is not there, and says what channels there are", async () => {
    for (const id of [bundleId(7), bundleId(7)])
      expect(await same({ method: "DELETE", path: `/api/bundles/${id}` })).toMatchObject({ status: 200 });
    expect(await same({ path: `/api/bundles/${bundleId(7)}` })).toMatchObject({ status: 404 });
    expect(await same({ path: "/api/bundles/channels" })).toMatchObject({
      told: { data: { channels: ["production"] } },
    });
  });

  it.each([
    ["GET", "/api/bundle"],
    ["PUT", "/api/bundles"],
    ["GET", "/api/bundles/a/b"],
    ["POST", "/version"],
  ])("has no %s %s", async (method, path) => {
    expect(await same({ method, path })).toMatchObject({ status: 404, told: { error: "Not found" } });
  });

  it("has no bundles routes unless they are asked for", async () => {
    const basePath = HOT_UPDATER_BASE_PATH;
    const bare = await startRealHotUpdater({ basePath });
    try {
      for (const handler of [bare.handler, createHotUpdaterDouble({ basePath }).handler])
        expect(await answerOf(handler, { path: "/api/bundles" })).toMatchObject({ status: 404 });
    } finally {
      await bare.close();
    }
  });
});

describe("update checks", () => {
  const currents = [NIL, ...Array.from({ length: 9 }, (_, hour) => bundleId(hour))];

  it.each([
    ["app-version/ios/1.4.0", undefined],
    ["app-version/ios/1.4.0", "7"],
    ["app-version/ios/1.4.0", "beta"],
    ["app-version/ios/1.4.0", "qa"],
    ["app-version/ios/2.1", "7"],
    ["app-version/ios/not-a-version", "7"],
    ["app-version/android/1.4.0", "7"],
    ["fingerprint/ios/print-a", "7"],
    ["fingerprint/ios/print-b", "7"],
  ])("%s, cohort %s: the same offer from each bundle, whatever was built in", async (way, cohort) => {
    let offers = 0;
    for (const minBundleId of [NIL, bundleId(0), bundleId(3)])
      for (const current of currents) {
        const tail = cohort === undefined ? "" : `/${cohort}`;
        const { told } = await same({ path: `/${way}/production/${minBundleId}/${current}${tail}` });
        if ((told as { status: string }).status !== "UP_TO_DATE") offers += 1;
      }
    expect(offers).toBeGreaterThan(0);
  });

  it("goes back by what is enabled alone, whatever was disabled", async () => {
    for (const hour of [8, 3, 2, 1]) {
      const patched = await same({
        method: "PATCH",
        path: `/api/bundles/${bundleId(hour)}`,
        body: { enabled: false },
      });
      expect(patched.status).toBe(200);
      for (const current of currents)
        await same({ path: `/app-version/ios/1.4.0/production/${bundleId(0)}/${current}/7` });
    }
  });

  it.each([["0.30.9"], ["0.31.0"], ["v0.36.3"], [""]])(
    "says to SDK %s that there is nothing, in the words that it knows",
    async (sdk) => {
      const path = `/app-version/ios/1.4.0/production/${NIL}/${bundleId(8)}/7`;
      expect(await same({ path, sdk })).toMatchObject({ status: 200 });
    },
  );

  it("refuses another platform", async () => {
    expect(await same({ path: `/app-version/web/1.4.0/production/${NIL}/${NIL}/7` })).toMatchObject({
      status: 400,
    });
  });
});
