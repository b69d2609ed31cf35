// `ota_server: { type: codepush }` as it is written, and what is said of mistakes in it.
import { describe, expect, it } from "vitest";
import { codePushServerSchema } from "../../../../agent/config/ota-servers/codepush.ts";

const RIGHT = {
  type: "codepush",
  url: "https://codepush.acme/",
  access_key: "example-access-key",
  app: "till",
};

function mistakes(fields: Record<string, unknown>): string[] {
  const parsed = codePushServerSchema.safeParse({ ...RIGHT, ...fields });
  return parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

describe("ota_server of type codepush", () => {
  it("takes a channel for the deployment of the same name, unless it says another", () => {
    expect(
      codePushServerSchema.parse({ ...RIGHT, channels: { production: { deployment: "Production" } } }),
    ).toEqual({
      type: "codepush",
      url: "https://codepush.acme",
      accessKey: "example-access-key",
      app: "till",
      deployments: new Map([["production", "Production"]]),
      timeoutMs: 10_000,
    });
    expect(codePushServerSchema.parse(RIGHT).deployments).toEqual(new Map());
  });

  it.each([
    [{ url: "ftp://codepush.acme" }, /^url: must be an http/],
    [{ access_key: "short" }, /^access_key: /],
    [{ app: "" }, /^app: /],
    [{ channels: { production: "Production" } }, /^channels\.production: /],
    [{ timeout: "6m" }, /^timeout: must be from 100ms to 5m/],
    [{ secret: "not asked for" }, /Unrecognized key: "secret"/],
  ])("%o is a mistake", (fields, message) => {
    expect(mistakes(fields)).toEqual([expect.stringMatching(message)]);
  });
});
