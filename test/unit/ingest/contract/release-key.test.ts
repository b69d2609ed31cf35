// The names of a release, their text form, and which of two versions is older.
import { describe, expect, test } from "vitest";
import {
  NAME_CHARS_MAX,
  appIdSchema,
  channelSchema,
  compareVersions,
  formatChannelKey,
  formatReleaseKey,
  parseReleaseKey,
  versionSchema,
} from "../../../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../../../ingest/contract/release-key.ts";

const key: ReleaseKey = {
  app: appIdSchema.parse("com.acme.till"),
  channel: channelSchema.parse("production"),
  version: versionSchema.parse("1.4.0+build.7"),
};

describe("text form", () => {
  test("joins the parts with a bar, and back", () => {
    expect(formatChannelKey(key)).toBe("com.acme.till|production");
    expect(formatReleaseKey(key)).toBe("com.acme.till|production|1.4.0+build.7");
    expect(parseReleaseKey(formatReleaseKey(key))).toEqual(key);
  });

  test.each(["", "a|b", "a|b|c|d", "a b|c|d", "|b|c"])("%j was not made here", (text) => {
    expect(() => parseReleaseKey(text)).toThrow(Error);
  });
});

describe("names", () => {
  test.each(["a", "com.acme.till", "a_b-c.d", "9lives", "a".repeat(NAME_CHARS_MAX)])("app %s", (name) => {
    expect(appIdSchema.safeParse(name).success).toBe(true);
  });

  test.each(["", ".a", "-a", "a b", "a|b", "a/b", "ä", "__proto__", "a\n", "a".repeat(NAME_CHARS_MAX + 1)])(
    "not an app: %j",
    (name) => {
      expect(appIdSchema.safeParse(name).success).toBe(false);
      expect(channelSchema.safeParse(name).success).toBe(false);
    },
  );

  test.each(["1.4.0", "v1", "2024.10", "1.0.0-rc.1+x", "[a]{b}~^!#$%&'()*,/:;<=>?@`"])(
    "version %s",
    (name) => {
      expect(versionSchema.safeParse(name).success).toBe(true);
    },
  );

  test.each(["", "1 2", "1|2", '1"2', "1\\2", "1\t2", "1.0\n", "é", "v".repeat(NAME_CHARS_MAX + 1)])(
    "not a version: %j",
    (name) => {
      expect(versionSchema.safeParse(name).success).toBe(false);
    },
  );
});

describe("compareVersions", () => {
  test.each([
    ["1.9.0", "1.10.0"],
    ["1.0.0-rc.1", "1.0.0"],
    ["1.0.0-alpha.9", "1.0.0-alpha.10"],
    ["v1.2.3", "1.2.4"],
    ["2024.9", "2024.10"],
    ["build-9", "build-10"],
    ["1.2", "1.2.1"],
    // One of the two is no semver: the letter must not decide.
    ["v1.9", "1.10"],
    ["1.9", "v1.10"],
    ["v1.4.0", "1.5"],
    ["V2024.9", "2024.10"],
    ["99999999999999999998", "99999999999999999999"],
  ])("%s is older than %s", (older, newer) => {
    expect(compareVersions(older, newer)).toBeLessThan(0);
    expect(compareVersions(newer, older)).toBeGreaterThan(0);
  });

  test("the same version, also with other build metadata, is neither older nor newer", () => {
    expect(compareVersions("1.0.0", "1.0.0")).toBe(0);
    expect(compareVersions("1.0.0+a", "1.0.0+b")).toBe(0);
    expect(compareVersions("main", "main")).toBe(0);
    expect(compareVersions("v1.2", "1.2")).toBe(0);
  });

  test("a v that belongs to a word stays", () => {
    expect(compareVersions("vanilla", "anilla")).not.toBe(0);
  });
});
