// Names that devices choose, as keys and fields of Redis: braces (a cluster's hash tags), patterns, quotes, names that mean
// something to JavaScript, emoji, the longest. Each device and version is counted as itself, on one server and on a cluster.
import { describe, expect, test } from "vitest";
import { deviceReportSchema } from "../../ingest/contract/device-report.ts";
import type { DeviceReport } from "../../ingest/contract/device-report.ts";
import { useShardForEach } from "../support/shard-for-each.ts";
import { expectDevices } from "../support/test-shard.ts";
import type { TestShard } from "../support/test-shard.ts";
import { releaseOf } from "../support/verdicts.ts";

let shard: TestShard;
useShardForEach((_redis, made) => void (shard = made));

const DEVICES = [
  "{}",
  "{0}",
  "}{",
  "{shard-1}:device",
  "a:b:c",
  "*",
  "?[a-z]",
  "\\",
  '"',
  "'; FLUSHALL; --",
  '") redis.call("flushall") --',
  "%s%n",
  "__proto__",
  "constructor",
  "toString",
  "-1",
  "1e3",
  "NaN",
  " ",
  "a ",
  "🙂",
  "🙂".repeat(64),
  "x".repeat(128),
  "\u{202E}abc",
  "e\u0301",
  "\u00e9",
  "\u2028",
  "\ud800",
];
const VERSIONS = [
  "{}",
  "{1}:x",
  "}{",
  "__proto__",
  "constructor",
  "*",
  "a:b",
  "'",
  "$(id)",
  "%s",
  "v".repeat(128),
];

const valid = (fields: Record<string, unknown>): DeviceReport =>
  deviceReportSchema.parse({ ...releaseOf("1.4.0"), event: "install_failed", ...fields });

describe("names that the schema lets through", () => {
  test(`${DEVICES.length} devices are as many, however often they report`, async () => {
    for (let time = 0; time < 2; time += 1) {
      await shard.tell(...DEVICES.map((device) => valid({ device })));
      await shard.fold();
    }
    await expectDevices(shard, { install_failed: new Set(DEVICES).size });
  });

  test.each(VERSIONS)("the version %j is counted as itself", async (version) => {
    await shard.tell(valid({ device: "till-1", version }), valid({ device: "till-2", version: "1.4.0" }));
    await shard.fold();
    await expectDevices(shard, { install_failed: 1 }, version);
    await expectDevices(shard, { install_failed: 1 });
  });

  test("what devices say of themselves is counted by stratum, whatever it is", async () => {
    await shard.tell(
      ...DEVICES.map((model, index) => valid({ device: `till-${index}`, model, platform: model })),
    );
    await shard.fold();
    await expectDevices(shard, { install_failed: DEVICES.length });
  });
});

test.each([
  ["NUL", { device: "a\u0000b" }],
  ["a line break", { device: "a\nb" }],
  ["129 characters", { device: "x".repeat(129) }],
  ["nothing", { device: "" }],
  ["a bar in a version", { version: "1|2" }],
  ["a line break in a version", { version: "1\n2" }],
  ["a quote in a version", { version: '1"' }],
  ["a brace in an app", { app: "{x}" }],
  ["a colon in a channel", { channel: "a:b" }],
  ["a line break in a reason", { reason: "a\nb" }],
  ["a line break in a model", { model: "a\r\nb" }],
])("names that it does not: %s", (_name, fields) => {
  expect(() => valid({ device: "till-1", ...fields })).toThrow(/"path"/);
});
