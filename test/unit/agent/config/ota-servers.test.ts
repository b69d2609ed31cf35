// What an OTA server's `channels` says, held against the channels of the app.
import { describe, expect, it } from "vitest";
import { settingsSchema } from "../../../../agent/config/schema.ts";

const HAWKBIT = {
  type: "hawkbit",
  url: "https://hawkbit.acme",
  username: "lastgood",
  password: "example-password",
  distribution_set: "till-firmware",
};
const MENDER = { type: "mender", url: "https://mender.acme", token: "example-token" };

function mistakes(otaServer: object): string[] {
  const parsed = settingsSchema.safeParse({
    apps: {
      "com.acme.till": {
        ingest_keys: ["example-ingest-key"],
        ota_server: otaServer,
        channels: { production: { policy: "standard" }, beta: { policy: "standard" } },
      },
    },
    policies: { standard: { rules: [{ signal: "update_failure", limit: "5%" }] } },
  });
  return parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => `${path.slice(2).join(".")}: ${message}`);
}

describe("channels of an OTA server", () => {
  it("that the app does not have are mistakes", () => {
    expect(mistakes({ ...MENDER, channels: { producton: { group: "Stores" } } })).toEqual([
      "ota_server.channels.producton: the app has no such channel: name it under channels, or take it out here",
    ]);
    expect(mistakes({ ...MENDER, channels: { production: { group: "Stores" } } })).toEqual([]);
  });

  it("that the app has are missed where nothing follows from a channel's name", () => {
    const production = { targets: "tag==production" };
    expect(mistakes({ ...HAWKBIT, channels: { production } })).toEqual([
      "ota_server.channels: say here too what the channel beta is at the server",
    ]);
    expect(mistakes({ ...HAWKBIT, channels: { production, beta: { targets: "tag==beta" } } })).toEqual([]);
  });

  it("of a server with a mistake of its own are looked at later", () => {
    expect(mistakes({ ...HAWKBIT, url: "nowhere", channels: {} })).not.toContainEqual(
      expect.stringContaining("say here too"),
    );
    expect(mistakes({ type: "nobody" })).toHaveLength(1);
  });
});
