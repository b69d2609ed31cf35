// Which Lastgood channel another system's channel is.
import { expect, test } from "vitest";
import type { Channel } from "../../../../ingest/contract/release-key.ts";
import { channelOf } from "../../../../ingest/sources/channel-of.ts";

const mapped = new Map([
  ["main", "beta"],
  ["main/ios", "beta-ios"],
  ["main/ios/1.4.0", "beta-ios-14"],
] as [string, Channel][]);
const channels = new Set(["production", "production-ios"]);

test.each([
  [{ channel: "main" }, "beta"],
  [{ channel: "main", platform: "android" }, "beta"],
  [{ channel: "main", platform: "ios" }, "beta-ios"],
  [{ channel: "main", platform: "ios", runtimeVersion: "1.3.0" }, "beta-ios"],
  [{ channel: "main", platform: "ios", runtimeVersion: "1.4.0" }, "beta-ios-14"],
  [{ channel: "production", platform: "ios" }, "production-ios"],
  [{ channel: "production", platform: "android" }, "production"],
  [{ channel: "production" }, "production"],
  [{ channel: "constructor", platform: "__proto__" }, "constructor"],
])("%j is %s", (foreign, channel) => {
  expect(channelOf(mapped, channels, foreign)).toBe(channel);
});
