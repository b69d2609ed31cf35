// `ota_server: { type: hot_updater }` as it is written, and what is said of mistakes in it.
import { describe, expect, it } from "vitest";
import { hotUpdaterServerSchema } from "../../../../agent/config/ota-servers/hot-updater.ts";

const IOS = { channel: "production", platform: "ios" };
const RIGHT = {
  type: "hot_updater",
  url: "https://updates.acme/hot-updater/",
  channels: { "production-ios": IOS },
};

function mistakes(fields: Record<string, unknown>): string[] {
  const parsed = hotUpdaterServerSchema.safeParse({ ...RIGHT, ...fields });
  return parsed.success
    ? []
    : parsed.error.issues.map((issue) => {
        // Of a name in a record zod says in `issues` what is wrong with it; so do messages to people (config-issue.ts).
        const message = issue.code === "invalid_key" ? issue.issues[0]!.message : issue.message;
        return `${issue.path.join(".")}: ${message}`;
      });
}

describe("ota_server of type hot_updater", () => {
  it("takes the base path, the deployer's headers, and a channel and platform for each channel", () => {
    const headers = { Authorization: "Bearer example", "X-Tenant": "a" };
    expect(hotUpdaterServerSchema.parse({ ...RIGHT, headers, timeout: "100ms" })).toEqual({
      type: "hot_updater",
      url: "https://updates.acme/hot-updater",
      headers,
      channels: new Map([["production-ios", IOS]]),
      timeoutMs: 100,
    });
    expect(hotUpdaterServerSchema.parse(RIGHT)).toMatchObject({ headers: {}, timeoutMs: 10_000 });
  });

  it.each([
    [{ url: "https://updates.acme/hot-updater?a=1" }, /^url: must be http/],
    [{ channels: undefined }, /^channels: name each channel: production-ios: \{ channel: production/],
    [{ channels: {} }, /^channels: name at least one/],
    [
      { channels: { "production-ios": { channel: "production" } } },
      /^channels\.production-ios\.platform: must be ios/,
    ],
    [{ channels: { "production-ios": { ...IOS, platform: "web" } } }, /platform: must be ios or android/],
    [{ channels: { "production-ios": { ...IOS, channel: "" } } }, /^channels\.production-ios\.channel: /],
    [{ channels: { "no spaces": IOS } }, /^channels\.no spaces: /],
    [{ headers: { "X Tenant": "a" } }, /^headers\.X Tenant: is no name that a header may have/],
    [{ headers: { Host: "elsewhere" } }, /^headers\.Host: is set by Lastgood itself/],
    [
      { headers: { Authorization: "Bearer a\r\nX-Other: b" } },
      /^headers\.Authorization: must be printable ASCII/,
    ],
    [{ timeout: "99ms" }, /^timeout: must be from 100ms to 5m/],
    [{ timeout: "301s" }, /^timeout: must be from 100ms to 5m/],
    [{ token: "not asked for" }, /Unrecognized key: "token"/],
  ])("%o is a mistake", (fields, message) => {
    expect(mistakes(fields)).toEqual([expect.stringMatching(message)]);
  });
});
