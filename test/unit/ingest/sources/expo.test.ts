// What the headers of an expo-updates manifest request mean, one by one.
import { describe, expect, test } from "vitest";
import { parseStringList } from "../../../../ingest/sources/expo/failed-update-ids.ts";
import { FAILED_UPDATES_MAX, readManifestRequest } from "../../../../ingest/sources/expo/manifest-event.ts";
import { appWithSources } from "../../../support/source-app.ts";

const idOf = (number: number): string => `11111111-aaaa-4bbb-8ccc-${String(number).padStart(12, "0")}`;
const listOf = (...numbers: readonly number[]): string => numbers.map((each) => `"${idOf(each)}"`).join(", ");

const app = appWithSources({ expo: { channel: "production", channels: { main: "beta" } } }, [
  "production",
  "beta",
  "production-ios",
]);

const base = { "eas-client-id": "device-1", "expo-platform": "android" };
const read = (headers: Record<string, unknown>, more: Record<string, unknown> = {}): unknown =>
  readManifestRequest({ headers: { ...base, ...headers }, ...more }, app);

interface Said {
  readonly drafts: readonly { event: string; version: string; crash?: { message: string } }[];
}
const said = (headers: Record<string, unknown>): string[] =>
  (read(headers) as Said).drafts.map(({ event, version }) => `${event} ${Number(version.slice(-12))}`);

describe("what counts", () => {
  test("the update that runs is up, with the time that the update server had it", () => {
    const headers = { "expo-current-update-id": idOf(11), "expo-embedded-update-id": idOf(1) };
    expect(read(headers, { receivedAt: "2026-01-31T12:00:00Z" })).toEqual({
      kind: "drafts",
      drafts: [
        {
          channel: "production",
          device: "device-1",
          at: "2026-01-31T12:00:00Z",
          platform: "android",
          version: idOf(11),
          event: "confirmed",
        },
      ],
    });
  });

  test("failed updates: each once, the newest first, beside the one that runs", () => {
    const headers = {
      "Expo-Current-Update-ID": idOf(11),
      "Expo-Recent-Failed-Update-IDs": `${listOf(13, 12)},${listOf(13).toUpperCase()}`,
    };
    expect(said(headers)).toEqual(["reverted 13", "reverted 12", "confirmed 11"]);
  });

  test("the check that looks for a way out names the crashing update as the running one", () => {
    expect(said({ "expo-current-update-id": idOf(12), "expo-recent-failed-update-ids": listOf(12) })).toEqual(
      ["reverted 12"],
    );
  });

  test(`${FAILED_UPDATES_MAX} failed updates at most, which is what clients send; those beyond do not run either`, () => {
    const five = [17, 16, 15, 14, 13];
    expect(said({ "expo-recent-failed-update-ids": listOf(...five) })).toHaveLength(FAILED_UPDATES_MAX);
    expect(
      said({ "expo-recent-failed-update-ids": listOf(...five, 12), "expo-current-update-id": idOf(12) }),
    ).toEqual(five.map((each) => `reverted ${each}`));
  });

  test.each([
    ["no update that was downloaded", {}],
    [
      "the embedded update",
      { "expo-current-update-id": idOf(1), "expo-embedded-update-id": idOf(1).toUpperCase() },
    ],
    [
      "the embedded update that failed",
      { "expo-recent-failed-update-ids": listOf(1), "expo-embedded-update-id": idOf(1) },
    ],
  ])("%s is no outcome of a release", (_what, headers) => {
    expect(read(headers)).toEqual({ kind: "nothing", result: "no_outcome" });
  });

  test("channels: by the header, as mapped, with the platform if the app has that; without it the configured one", () => {
    const current = { "expo-current-update-id": idOf(11) };
    const channelOf = (headers: Record<string, unknown>): unknown =>
      (read({ ...current, ...headers }) as { drafts: { channel: string }[] }).drafts[0]!.channel;
    expect(channelOf({})).toBe("production");
    expect(channelOf({ "expo-channel-name": "main" })).toBe("beta");
    expect(channelOf({ "expo-channel-name": "production" })).toBe("production");
    expect(channelOf({ "expo-channel-name": "production", "expo-platform": "ios" })).toBe("production-ios");
    const bare = appWithSources({ expo: {} });
    expect(readManifestRequest({ headers: { ...base, ...current } }, bare)).toMatchObject({
      kind: "wrong",
      detail: expect.stringContaining("expo-channel-name is missing"),
    });
  });

  test("values in lists, as Go and Node have them, are one value", () => {
    expect(said({ "Expo-Recent-Failed-Update-Ids": [listOf(13), listOf(12)] })).toEqual([
      "reverted 13",
      "reverted 12",
    ]);
  });
});

describe("the fatal error", () => {
  const withError = { "expo-recent-failed-update-ids": listOf(13, 12), "expo-fatal-error": "TypeError: x" };

  test("iOS: of the newest failed update", () => {
    const { drafts } = read({ ...withError, "expo-platform": "ios" }) as Said;
    expect(drafts.map(({ crash }) => crash)).toEqual([{ message: "TypeError: x" }, undefined]);
  });

  test("Android: it tells that no update could be loaded, so it is of none in the list", () => {
    const { drafts } = read(withError) as Said;
    expect(drafts.map(({ crash }) => crash)).toEqual([undefined, undefined]);
  });

  test("without a list it can't be told of which update it is", () => {
    const headers = { "expo-fatal-error": "TypeError: x", "expo-platform": "ios" };
    expect(read(headers)).toEqual({ kind: "nothing", result: "unattributed" });
    const running = read({ ...headers, "expo-current-update-id": idOf(11) }) as Said;
    expect(running.drafts).toMatchObject([{ event: "confirmed", version: idOf(11) }]);
    expect(running.drafts[0]!.crash).toBeUndefined();
  });
});

describe("what is wrong", () => {
  test.each([
    ["EAS-Client-ID", { "eas-client-id": undefined }],
    ["EAS-Client-ID", { "eas-client-id": 5 }],
    ["Expo-Current-Update-ID", { "expo-current-update-id": "twelve" }],
    ["Expo-Recent-Failed-Update-IDs", { "expo-recent-failed-update-ids": idOf(12) }],
    ["Expo-Recent-Failed-Update-IDs", { "expo-recent-failed-update-ids": '"twelve"' }],
  ])("%s: %j", (name, headers) => {
    expect(read({ "expo-current-update-id": idOf(11), ...headers })).toMatchObject({
      kind: "wrong",
      result: "invalid",
      detail: expect.stringContaining(name),
    });
  });

  test.each([
    5,
    null,
    [],
    {},
    { headers: null },
    { headers: [] },
    { headers: base, receivedAt: "yesterday" },
  ])("an item that is %j", (item) =>
    expect(readManifestRequest(item, app)).toMatchObject({ kind: "wrong", result: "invalid" }),
  );
});

describe("a list of strings (RFC 8941)", () => {
  test.each([
    ["", []],
    ["  ", []],
    ['"a"', ["a"]],
    ['"a","b" ,\t"c"', ["a", "b", "c"]],
    ['"a";q=1;x, "b";y=?0', ["a", "b"]],
    [String.raw`"a\"b\\c"`, [String.raw`a"b\c`]],
  ])("%j", (text, members) => expect(parseStringList(text)).toEqual(members));

  test.each(['"a', "a", '"a",', ',"a"', '"a" "b"', '"ä"', String.raw`"\a"`, '("a" "b")'])(
    "%j is none",
    (text) => expect(parseStringList(text)).toBeUndefined(),
  );

  test("a long one takes time by its length and no more", () => {
    const text = `${'"a";b=c, '.repeat(200_000)}"`;
    const startedAt = performance.now();
    expect(parseStringList(text)).toBeUndefined();
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});
