// Where the programs beside Lastgood run, as the file says it; and which Alertmanager the agent takes when the file names none.
import { describe, expect, test } from "vitest";
import { loadSettings } from "../../../../agent/config/load.ts";
import type { Environment } from "../../../../runtime/config-file.ts";

const REST = `
apps:
  com.acme.till:
    ingest_keys: [example-ingest-key]
    ota_server: { type: http, url: "http://127.0.0.1:9500", secret: example-ota-secret }
    channels: { production: { policy: standard } }
policies: { standard: { rules: [{ signal: update_failure, limit: 5% }] } }
`;
const load = (section: string, env: Environment = {}) =>
  loadSettings({ file: "/etc/lastgood.yaml", text: `${section}\n${REST}`, env });

function placesOf(section: string): unknown {
  const loaded = load(section);
  if (loaded.kind === "invalid") throw new Error(loaded.problems[0]?.message);
  return loaded.config.observability;
}

const DEFAULTS = {
  prometheus: { host: "127.0.0.1", port: 9090 },
  alertmanager: { host: "127.0.0.1", port: 9093 },
  grafana: { host: "127.0.0.1", port: 3000 },
};

test.each([
  ["", DEFAULTS],
  ["observability: {}", DEFAULTS],
  ["observability: off", { prometheus: "off", alertmanager: "off", grafana: "off" }],
  ["observability: { grafana: off }", { ...DEFAULTS, grafana: "off" }],
  ['observability: { prometheus: "[::1]:1" }', { ...DEFAULTS, prometheus: { host: "::1", port: 1 } }],
])("%s", (section, places) => {
  expect(placesOf(section)).toEqual(places);
});

test.each([
  ["observability: { prometheus: 0.0.0.0:9090 }", "other machines reach this address"],
  ['observability: { alertmanager: ":9093" }', "other machines reach this address"],
  ["observability: { grafana: 127.0.0.1:0 }", "name one, such as 9090"],
  ["observability: { grafana: nowhere }", "not an address: write host:port"],
  ["observability: { grafana: 3000 }", "write host:port, or off"],
  ["observability: { grafna: off }", "there is no setting of this name"],
  ["observability: true", ""],
])("%s is a mistake", (section, message) => {
  const loaded = load(section);
  if (loaded.kind !== "invalid") throw new Error("it was taken");
  expect(loaded.problems).toHaveLength(1);
  expect(loaded.problems[0]?.path).toMatch(/^observability/);
  expect(loaded.problems[0]?.message).toContain(message);
});

describe("the Alertmanager of the agent", () => {
  const urlsOf = (section: string, url: string | undefined): readonly string[] | undefined => {
    const loaded = load(section, { LASTGOOD_ALERTMANAGER_URL: url });
    if (loaded.kind === "invalid") throw new Error(loaded.problems[0]?.message);
    return loaded.config.alertmanager?.urls;
  };

  test("is the one of the environment where the file names none", () => {
    expect(urlsOf("", "http://127.0.0.1:9093")).toEqual(["http://127.0.0.1:9093"]);
    expect(urlsOf('alertmanager: { url: "" }', "http://127.0.0.1:9093")).toEqual(["http://127.0.0.1:9093"]);
  });

  test("is the one of the file where it names one", () => {
    const section = 'alertmanager: { url: "http://pager.example:9093" }';
    expect(urlsOf(section, "http://127.0.0.1:9093")).toEqual(["http://pager.example:9093"]);
  });

  test("is none when neither names one, or the environment names what is no address", () => {
    for (const url of [undefined, "", "nonsense"]) expect(urlsOf("", url)).toBeUndefined();
  });
});
