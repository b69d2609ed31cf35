// `ota_server: { type: hawkbit }` as it is written, and what is said of mistakes in it.
import { describe, expect, it } from "vitest";
import { TARGETS_CHARS_MAX, hawkbitServerSchema } from "../../../../agent/config/ota-servers/hawkbit.ts";

const RIGHT = {
  type: "hawkbit",
  url: "https://hawkbit.acme/",
  username: "ACME\\lastgood",
  password: "example-password",
  distribution_set: "till-firmware",
  channels: { production: { targets: "tag==production" } },
};

function mistakes(fields: Record<string, unknown>): string[] {
  const parsed = hawkbitServerSchema.safeParse({ ...RIGHT, ...fields });
  return parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

describe("ota_server of type hawkbit", () => {
  it("has its defaults", () => {
    expect(hawkbitServerSchema.parse(RIGHT)).toEqual({
      type: "hawkbit",
      url: "https://hawkbit.acme",
      username: "ACME\\lastgood",
      password: "example-password",
      distributionSet: "till-firmware",
      targets: new Map([["production", "tag==production"]]),
      invalidate: false,
      timeoutMs: 10_000,
      pollEveryMs: 10_000,
    });
  });

  it.each([
    [{ username: "a:b" }, /^username: must not hold a colon/],
    [{ password: "short" }, /^password: /],
    [{ distribution_set: "it's" }, /^distribution_set: must not hold quotes/],
    [{ channels: {} }, /^channels: say which targets each channel is/],
    [
      { channels: { production: { targets: "x".repeat(TARGETS_CHARS_MAX + 1) } } },
      /^channels\.production\.targets: /,
    ],
    [{ poll_every: "500ms" }, /^poll_every: must be from 1s to 1h/],
    [{ poll_every: "61m" }, /^poll_every: must be from 1s to 1h/],
  ])("%o is a mistake", (fields, message) => {
    expect(mistakes(fields)).toEqual([expect.stringMatching(message)]);
  });

  it("takes the edges", () => {
    expect(mistakes({ poll_every: "1s" })).toEqual([]);
    expect(mistakes({ poll_every: "1h" })).toEqual([]);
    expect(mistakes({ channels: { production: { targets: "x".repeat(TARGETS_CHARS_MAX) } } })).toEqual([]);
  });
});
