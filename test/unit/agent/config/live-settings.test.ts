// What of a changed configuration takes effect at once, and what waits for a restart: setting by setting.
import { describe, expect, test } from "vitest";
import { liveChange } from "../../../../agent/config/live-settings.ts";
import { loadSettings } from "../../../../agent/config/load.ts";
import type { Settings } from "../../../../agent/config/schema.ts";

const FILE = `
data_dir: ./data
agent:
  listen: 0.0.0.0:8082
  operators: [{ name: ana, role: admin, token: a-token-of-ana }]
apps:
  com.acme.till:
    ingest_keys: [example-ingest-key]
    ota_server: { type: http, url: "http://127.0.0.1:9500", secret: example-ota-secret }
    channels:
      beta: { policy: loose }
      production: { policy: standard, minimum_version: 1.0.0 }
policies:
  loose: { mode: shadow, rules: [{ signal: update_failure, limit: 20% }] }
  standard:
    rules: [{ signal: update_failure, limit: 5% }]
    guards: { freeze_windows: [{ cron: "0 18 * * 5", for: 2h }] }
`;

function settingsOf(text: string): Settings {
  const loaded = loadSettings({ file: "/etc/lastgood.yaml", text, env: {} });
  if (loaded.kind === "invalid") throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}

const running = settingsOf(FILE);
function change(from: string | RegExp, to: string) {
  const text = FILE.replace(from, to);
  expect(text).not.toBe(FILE);
  return liveChange(running, settingsOf(text));
}

test("a file that says the same changes nothing", () => {
  const same = liveChange(running, settingsOf(`# A comment.\n${FILE}`));
  expect([same.applied, same.needsRestart]).toEqual([[], []]);
});

describe("at once", () => {
  test.each([
    ["limit: 5%", "limit: 2%", ['policies["standard"]']],
    ["for: 2h", "for: 3h", ['policies["standard"]']],
    ["mode: shadow", "mode: automatic", ['policies["loose"]']],
    ["minimum_version: 1.0.0", "minimum_version: 1.1.0", ['apps["com.acme.till"].channels["production"]']],
    ["policy: loose", "policy: standard", ['apps["com.acme.till"].channels["beta"]']],
    ["role: admin", "role: viewer", ["agent.operators"]],
    ["9500", "9501", ['apps["com.acme.till"].ota_server']],
  ])("%s -> %s", (from, to, applied) => {
    const wanted = settingsOf(FILE.replace(from, to));
    const result = change(from, to);
    expect([result.applied, result.needsRestart]).toEqual([applied, []]);
    expect(JSON.stringify([...result.settings.apps])).toEqual(JSON.stringify([...wanted.apps]));
    expect(JSON.stringify([...result.settings.policies])).toEqual(JSON.stringify([...wanted.policies]));
    expect(result.settings.agent).toEqual(wanted.agent);
  });
});

describe("after a restart", () => {
  test.each([
    ["./data", "./other", ["data_dir"]],
    ["data_dir", 'redis: { url: "redis://127.0.0.1" }\ndata_dir', ["redis"]],
    ["data_dir", "shards: 4\ndata_dir", ["shards"]],
    ["data_dir", "log_level: debug\ndata_dir", ["log_level"]],
    ["data_dir", "sentry_dsn: https://a@sentry.example/1\ndata_dir", ["sentry_dsn"]],
    ["data_dir", "ingest: { listen: ':9000' }\ndata_dir", ["ingest"]],
    ["data_dir", "observability: off\ndata_dir", ["observability"]],
    ["data_dir", "retention: { devices: 60d }\ndata_dir", ["retention"]],
    ["8082", "8083", ["agent.listen"]],
    ["listen:", "trusted_proxies: [10.0.0.0/8]\n  listen:", ["agent.trusted_proxies"]],
    ["example-ingest-key", "another-ingest-key", ['apps["com.acme.till"].ingest_keys']],
    ["ingest_keys", "strata: { max: 5 }\n    ingest_keys", ['apps["com.acme.till"].strata']],
    ["beta:", "gamma: { policy: loose }\n      beta:", ['apps["com.acme.till"].channels["gamma"]']],
    [/ {6}beta.*\n/, "", ['apps["com.acme.till"].channels["beta"]']],
    ["com.acme.till", "com.acme.kiosk", ['apps["com.acme.kiosk"]', 'apps["com.acme.till"]']],
  ])("%s -> %s", (from, to, needsRestart) => {
    const result = change(from, to);
    expect([result.applied, result.needsRestart]).toEqual([[], needsRestart]);
    expect(result.settings).toEqual(running);
  });

  test("a channel that left the file with its policy keeps it until then", () => {
    const result = liveChange(
      running,
      settingsOf(FILE.replace(/ {6}beta.*\n/, "").replace(/ {2}loose.*\n/, "")),
    );
    expect(result.applied).toEqual([]);
    expect(result.needsRestart).toEqual(['apps["com.acme.till"].channels["beta"]', 'policies["loose"]']);
    expect(result.settings.policies.get("loose")).toEqual(running.policies.get("loose"));
  });

  test("operators do not leave altogether, wherever the agent listens: a file that was cut off looks like it", () => {
    const here = settingsOf(FILE.replace(/0\.0\.0\.0:8082|:8082/, "127.0.0.1:8082"));
    const none = { ...here, agent: { ...here.agent, operators: [] } };
    const result = liveChange(here, none);
    expect([result.applied, result.needsRestart]).toEqual([[], ["agent.operators"]]);
    expect(result.settings.agent.operators).toEqual(here.agent.operators);
  });

  test("operators do not leave while other machines reach the agent, whatever it would listen on next", () => {
    const result = change(/agent:\n.*\n.*\n/, "agent: { listen: 127.0.0.1:8082 }\n");
    expect(result.applied).toEqual([]);
    expect(result.needsRestart).toEqual(["agent.listen", "agent.operators"]);
    expect(result.settings.agent).toEqual(running.agent);
  });
});
