// Every mistake a configuration file may hold, one fixture each, with the exact place and sentence that the
// user gets. A new mistake gets a new file in fixtures/ and a line here.
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { exampleConfigFile, findConfig, loadSettings } from "../../../../agent/config/load.ts";
import type { Settings } from "../../../../agent/config/schema.ts";
import type { Environment } from "../../../../runtime/config-file.ts";

const FIXTURES = path.join(import.meta.dirname, "fixtures");
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** Fixture -> `line:column path: message`, in the order of the file. */
const MISTAKES: Readonly<Record<string, readonly string[]>> = {
  "action-unknown": ["9:13 policies.standard.action: not known here: write rollback, pause or page"],
  "agent-processes-too-many": ["1:21 agent.processes: must be a whole number from 1 to 64"],
  "app-name-with-space": [
    '2:3 apps["com acme till"]: not usable as a name: use letters, digits, dot, dash and underscore, and start with a letter or a digit',
  ],
  "body-bytes-too-small": ["1:33 ingest.limits.body_bytes: must be from 1KiB to 256MiB"],
  "bracket-not-closed": ["4:5 something above is not closed: a ] is missing before this place"],
  "budget-too-large": ["10:28 policies.standard.false_rollback_budget: must be above 0% and at most 50%"],
  "budget-zero": ["10:28 policies.standard.false_rollback_budget: must be above 0% and at most 50%"],
  "cooldown-without-unit": [
    "10:25 policies.standard.guards.cooldown: not a duration: write a number and ms, s, m, h or d, such as 90s or 6h",
  ],
  "deadline-of-another-signal": [
    "11:56 policies.standard.rules[0].deadline: only a rule for silence has a deadline: take it out here",
  ],
  "deadline-too-long": ["11:49 policies.standard.rules[0].deadline: must be from 5m to 7d"],
  "deadline-too-short": ["11:49 policies.standard.rules[0].deadline: must be from 5m to 7d"],
  "deadline-without-unit": [
    "11:49 policies.standard.rules[0].deadline: not a duration: write a number and ms, s, m, h or d, such as 90s or 6h",
  ],
  "empty-value": ['4:5 apps["com.acme.till"].ota_server: must be a mapping (key: value lines), not empty'],
  empty: ["1:1 the file is empty: copy lastgood.example.yaml and change it"],
  "ingest-key-is-a-number": [
    '3:19 apps["com.acme.till"].ingest_keys[0]: must be text: put it in quotes, or YAML reads it as a number',
  ],
  "ingest-key-too-short": ['3:19 apps["com.acme.till"].ingest_keys[0]: must have at least 8 characters'],
  "key-twice": ["10:5 this key stands here a second time: keep one of the two"],
  "limit-not-a-share": [
    "11:42 policies.standard.rules[0].limit: not a share: write 0% to 100%, or a number from 0 to 1",
  ],
  "limit-whole": [
    "11:42 policies.standard.rules[0].limit: must be from 0.01% to 99%: further out the rule would always or never speak",
  ],
  "limit-zero": [
    "11:42 policies.standard.rules[0].limit: must be from 0.01% to 99%: further out the rule would always or never speak",
  ],
  "list-instead-of-mapping": ["1:1 must be a mapping (key: value lines), not a list"],
  "listen-is-a-port": ["1:19 ingest.listen: not an address: write host:port, such as 127.0.0.1:8080"],
  "log-level-unknown": ["1:12 log_level: not known here: write trace, debug, info, warn, error or silent"],
  "min-devices-zero": [
    "10:28 policies.standard.guards.min_devices: must be a whole number from 1 to 1000000000",
  ],
  "minimum-version-is-a-number": [
    '6:56 apps["com.acme.till"].channels.production.minimum_version: must be text: put it in quotes, or YAML reads it as a number',
  ],
  "missing-apps": ["1:1 apps: this setting is missing"],
  "missing-ingest-keys": ['2:3 apps["com.acme.till"].ingest_keys: this setting is missing'],
  "missing-rule-limit": [
    "11:19 policies.standard.rules[0].signal: the rule says nothing about it: give it a limit (5%), or worse_than_baseline (1.5x or +1pp)",
  ],
  "freeze-windows-wrong": [
    "12:45 policies.standard.guards.max_rollbacks.per_channel_per_day: must be a whole number from 1 to 1000",
    "14:19 policies.standard.guards.freeze_windows[0].cron: not a cron expression: write minute, hour, day of month, month, day of week, such as 0 18 * * 5",
    "15:38 policies.standard.guards.freeze_windows[1].for: must be from 1m to 31d",
    "16:53 policies.standard.guards.freeze_windows[2].timezone: not a time zone: write its IANA name, such as Europe/Berlin",
  ],
  "mode-unknown": ["10:11 policies.standard.mode: not known here: write automatic, approval or shadow"],
  "no-channels": ['5:15 apps["com.acme.till"].channels: name at least one channel'],
  "no-ingest-keys": ['3:18 apps["com.acme.till"].ingest_keys: must list at least 1 entry'],
  "no-rules": [
    "10:12 policies.standard.rules: name at least one rule, such as { signal: update_failure, limit: 5% }",
  ],
  "open-agent-without-operators": [
    "1:18 agent.listen: other machines reach this address, so somebody must be named under agent.operators; or listen on 127.0.0.1",
  ],
  "operator-role-unknown": ["3:26 agent.operators[0].role: not known here: write viewer, operator or admin"],
  "operator-token-shared": [
    "4:41 agent.operators[1].token: an operator above has this token already: each needs their own",
  ],
  "ota-secret-too-short": ['4:69 apps["com.acme.till"].ota_server.secret: must have at least 8 characters'],
  "ota-server-timeout-zero": ['4:98 apps["com.acme.till"].ota_server.timeout: must be from 100ms to 5m'],
  "ota-server-type-missing": [
    '4:17 apps["com.acme.till"].ota_server.type: this setting is missing: write capgo, codepush, hawkbit, hot_updater, http or mender',
  ],
  "ota-server-type-unknown": [
    '4:25 apps["com.acme.till"].ota_server.type: not known here: write capgo, codepush, hawkbit, hot_updater, http or mender',
  ],
  "ota-server-url-with-fragment": [
    '4:36 apps["com.acme.till"].ota_server.url: must be http(s)://host[:port][/path], without user, query or fragment',
  ],
  "ota-server-url-with-query": [
    '4:36 apps["com.acme.till"].ota_server.url: must be http(s)://host[:port][/path], without user, query or fragment',
  ],
  "ota-server-url-with-user": [
    '4:36 apps["com.acme.till"].ota_server.url: must be http(s)://host[:port][/path], without user, query or fragment',
  ],
  "ota-server-url-without-scheme": [
    '4:36 apps["com.acme.till"].ota_server.url: must be an http:// or https:// address',
  ],
  "policy-unknown-without-likeness": [
    '6:29 apps["com.acme.till"].channels.production.policy: there is no such policy under policies; it has standard',
  ],
  "policy-unknown": [
    '6:29 apps["com.acme.till"].channels.production.policy: there is no such policy under policies (did you mean "standard"?)',
  ],
  "redis-cluster-empty": ["1:19 redis.cluster: must list at least 1 entry"],
  "redis-cluster-not-a-list": ["1:19 redis.cluster: must be a list, not text"],
  "redis-cluster-two-passwords": [
    "1:57 redis.cluster[1]: must have the scheme, user and password of the first: servers that are found through these get them too",
  ],
  "redis-cluster-with-database": [
    "1:46 redis.cluster[1]: must be redis://host:port or rediss://host:port: a cluster is on the network, and has one database",
  ],
  "redis-url-and-cluster": [
    "1:50 redis.cluster: redis.url is set too: keep url for one server, or cluster for a Redis Cluster",
  ],
  "proto-as-name": [
    '7:7 apps["com.acme.till"].channels.__proto__: __proto__ cannot be a name: choose another',
  ],
  "redis-url-not-redis": [
    "1:15 redis.url: must be redis://host:port, rediss://host:port or unix:///path; without it a private Redis is started",
  ],
  "reference-not-complete": [
    '4:69 apps["com.acme.till"].ota_server.secret: this reference is not complete: write ${NAME} or ${NAME:-default}, or $${ for a literal ${',
  ],
  "replica-acks-too-many": ["1:55 redis.replica_acks: must be a whole number from 0 to 5"],
  "replica-acks-without-redis": [
    "1:24 redis.replica_acks: the private Redis has no replicas: name your own Redis as url or cluster",
  ],
  "retention-too-long": ["1:23 retention.devices: must be from 30d to 3650d"],
  "retention-too-short": ["1:23 retention.devices: must be from 30d to 3650d"],
  "several-mistakes": [
    '4:69 apps["com.acme.till"].ota_server.secret: the environment variable NOT_SET_ANYWHERE is not set: set it, or write ${NOT_SET_ANYWHERE:-default}',
    '6:19 apps["com.acme.till"].channels.production.policy: this setting is missing',
    '6:21 apps["com.acme.till"].channels.production.policie: there is no setting of this name (did you mean "policy"?)',
    "11:42 policies.standard.rules[0].limit: must be from 0.01% to 99%: further out the rule would always or never speak",
  ],
  "shards-too-many": ["1:9 shards: must be a whole number from 1 to 256"],
  "signal-twice": [
    "13:19 policies.standard.rules[2].signal: a rule above has a limit for this signal already: keep one of the two",
  ],
  "signal-unknown": [
    "11:19 policies.standard.rules[0].signal: not known here: write update_failure, download_failure, crash, not_responding or silence",
  ],
  "stream-entries-zero": ["1:37 ingest.limits.stream_entries: must be a whole number from 1 to 100000000"],
  "strata-by-is-text": ['5:19 apps["com.acme.till"].strata.by: must be a list, not text'],
  "strata-field-twice": [
    '5:37 apps["com.acme.till"].strata.by[2]: stands in this list already: name each field once',
  ],
  "strata-field-unknown": [
    '5:30 apps["com.acme.till"].strata.by[1]: not known here: write platform, model, os_version or native_version',
  ],
  "strata-misspelt": [
    '5:15 apps["com.acme.till"].strata.fields: there is no setting of this name; known here: by, max',
  ],
  "strata-too-many": ['5:20 apps["com.acme.till"].strata.max: must be a whole number from 1 to 10000'],
  "strata-zero": ['5:28 apps["com.acme.till"].strata.max: must be a whole number from 1 to 10000'],
  "tab-as-indent": ["9:1 a tab can't indent YAML: use spaces"],
  "two-documents": ["12:1 a second document starts here: keep one document in the file"],
  "unknown-key-nested": [
    '9:5 policies.standard.acton: there is no setting of this name (did you mean "action"?)',
  ],
  "unknown-key-without-likeness": [
    '6:39 apps["com.acme.till"].channels.production.colour: there is no setting of this name; known here: policy, minimum_version',
  ],
  "unknown-section": ['1:1 polices: there is no setting of this name (did you mean "policies"?)'],
  "variable-not-set": [
    '4:69 apps["com.acme.till"].ota_server.secret: the environment variable NOT_SET_ANYWHERE is not set: set it, or write ${NOT_SET_ANYWHERE:-default}',
  ],
};

function load(file: string, env: Environment = {}): Settings {
  const result = loadSettings({ file, env });
  if (result.kind === "invalid") throw new Error(JSON.stringify(result.problems));
  return result.config;
}

describe("mistakes in the file", () => {
  test.each(Object.entries(MISTAKES))("%s", (name, expected) => {
    const file = path.join(FIXTURES, `${name}.yaml`);
    const result = loadSettings({ file, env: {} });
    const problems = result.kind === "invalid" ? result.problems : [];
    const told = problems.map(
      ({ line, column, path, message }) => `${line}:${column} ${path === "" ? "" : `${path}: `}${message}`,
    );
    expect(told).toEqual(expected);
    expect(problems.every((problem) => problem.file === file)).toBe(true);
  });

  test("every fixture is used", () => {
    const files = readdirSync(FIXTURES).map((name) => name.replace(/\.yaml$/, ""));
    expect(files.toSorted()).toEqual([...Object.keys(MISTAKES), "right"].toSorted());
  });

  test("no literal secret of a fixture is repeated in any message or excerpt", () => {
    for (const name of Object.keys(MISTAKES)) {
      const result = loadSettings({ file: path.join(FIXTURES, `${name}.yaml`), env: {} });
      expect(JSON.stringify(result)).not.toMatch(
        /seven77|12345678|ana-has-a-token|example-ota-secret|example-password/,
      );
    }
  });
});

describe("a right file", () => {
  test("gets every default", () => {
    const settings = load(path.join(FIXTURES, "right.yaml"));
    expect(settings).toEqual({
      dataDir: path.join(FIXTURES, "data"),
      redisUrl: undefined,
      replicaAcks: 0,
      shards: 16,
      logLevel: "info",
      sentryDsn: undefined,
      ingest: {
        listen: { host: "127.0.0.1", port: 8080 },
        operationsListen: { host: "127.0.0.1", port: 8081 },
        processes: 1,
        bodyBytesMax: 5 * 1024 * 1024,
        streamEntriesMax: 250_000,
        trustedProxies: [],
        connectionsMax: 10_000,
        requestsPerSecond: {},
        spool: { dir: undefined, bytesMax: 256 * 1024 ** 2 },
      },
      agent: { listen: { host: "127.0.0.1", port: 8082 }, operators: [], trustedProxies: [], processes: 1 },
      retention: { devicesMs: 90 * DAY_MS },
      observability: {
        prometheus: { host: "127.0.0.1", port: 9090 },
        alertmanager: { host: "127.0.0.1", port: 9093 },
        grafana: { host: "127.0.0.1", port: 3000 },
      },
      apps: new Map([
        [
          "com.acme.till",
          {
            ingestKeys: ["example-ingest-key"],
            otaServer: {
              type: "http",
              url: "http://127.0.0.1:9500",
              secret: "example-ota-secret",
              timeoutMs: 10_000,
            },
            channels: new Map([["production", { policyName: "standard", minimumVersion: undefined }]]),
            strata: { by: ["platform", "model", "os_version", "native_version"], max: 1_000 },
            sources: {},
          },
        ],
      ]),
      policies: new Map([
        [
          "standard",
          {
            name: "standard",
            action: "rollback",
            mode: "automatic",
            target: "previous",
            approvalMs: 4 * 3_600_000,
            followUpMs: 24 * 3_600_000,
            falseRollbackBudget: 0.01,
            rules: [{ form: "limit", signal: "update_failure", limit: 0.05 }],
            guards: {
              minDevices: 5,
              cooldownMs: 3_600_000,
              shareOfFleetLeast: 0,
              maxRollbacks: { perChannelPerDay: undefined, overallPerHour: undefined },
              freezeWindows: [],
              knownDevicesLeast: 0,
            },
          },
        ],
      ]),
    });
  });

  test("the example that comes along loads without any variable set", () => {
    const settings = load(exampleConfigFile());
    const app = [...settings.apps.values()][0]!;
    expect([...settings.apps.keys()]).toEqual(["com.acme.till"]);
    expect(app.ingestKeys).toEqual(["example-ingest-key"]);
    expect(app.otaServer).toMatchObject({ type: "http", secret: "example-ota-secret" });
    expect([...app.channels.keys()]).toEqual(["production"]);
  });

  test("the example takes its secrets from the environment", () => {
    const env = { LASTGOOD_INGEST_KEY: "a: [b, #c] key", LASTGOOD_OTA_SECRET: '"quoted"\nand: more' };
    const app = [...load(exampleConfigFile(), env).apps.values()][0]!;
    expect(app.ingestKeys).toEqual([env.LASTGOOD_INGEST_KEY]);
    expect(app.otaServer).toMatchObject({ secret: env.LASTGOOD_OTA_SECRET });
  });
});

describe("numbers at their edges", () => {
  const right = {
    redis: "{}",
    shards: 1,
    limit: "0.1%",
    budget: "50%",
    minDevices: 1,
    bytes: "1KiB",
    cooldown: "0s",
    knownDevices: "0%",
    retention: "{}",
    strata: "{}",
    deadline: "6h",
  };
  const write = (values: Partial<Record<keyof typeof right, string | number>>): string => {
    const { redis, shards, limit, budget, minDevices, bytes, cooldown, knownDevices, ...rest } = {
      ...right,
      ...values,
    };
    const { retention, strata, deadline } = rest;
    const file = path.join(mkdtempSync(path.join(tmpdir(), "lg-config-")), "lastgood.yaml");
    const text = `
redis: ${redis}
shards: ${shards}
retention: ${retention}
ingest: { limits: { body_bytes: ${bytes} } }
apps:
  a:
    ingest_keys: [12345678a]
    ota_server: { type: http, url: "https://ota.example/api/", secret: 12345678b }
    channels: { "2024.10": { policy: p, minimum_version: "1.10" } }
    strata: ${strata}
policies:
  p:
    action: rollback
    false_rollback_budget: ${budget}
    rules: [{ signal: update_failure, limit: ${limit} }, { signal: silence, limit: 2%, deadline: ${deadline} }]
    guards: { min_devices: ${minDevices}, cooldown: ${cooldown}, known_devices: ${knownDevices} }
`;
    writeFileSync(file, text);
    return file;
  };

  test.each([
    {},
    { shards: 256 },
    { limit: "99%" },
    { limit: "0.01%" },
    { limit: 0.5 },
    { budget: "0.01%" },
    { bytes: "256MiB" },
    { cooldown: "30d" },
    { knownDevices: "100%" },
    { shards: '"${SHARDS}"' },
    { minDevices: '"${SHARDS}"' },
    { strata: '{ max: "${SHARDS}" }' },
  ])("%o is taken", (values) => {
    expect(loadSettings({ file: write(values), env: { SHARDS: "7" } }).kind).toBe("loaded");
  });

  test.each([
    { shards: 0 },
    { shards: 1.5 },
    { limit: "99.01%" },
    { limit: "0.009%" },
    { limit: 1 },
    { budget: "50.01%" },
    { bytes: "257MiB" },
    { bytes: "1023B" },
    { cooldown: "31d" },
    { knownDevices: "100.01%" },
    { knownDevices: "-1%" },
    { minDevices: 0.5 },
    { minDevices: '"${SHARDS}x"' },
    { retention: "{ devices: 2591999999ms }" },
    { retention: "{ devices: 315360000001ms }" },
    { strata: "{ max: 0 }" },
    { strata: "{ max: 1.5 }" },
    { strata: "{ max: 10001 }" },
    { strata: "{ by: [model, model] }" },
    { strata: "{ by: [platform, model, os_version, native_version, platform] }" },
    { deadline: "299999ms" },
    { deadline: "604800001ms" },
  ])("%o is refused", (values) => {
    expect(loadSettings({ file: write(values), env: { SHARDS: "7" } }).kind).toBe("invalid");
  });

  test.each([
    ["{}", 90 * DAY_MS],
    ["{ devices: 30d }", 30 * DAY_MS],
    ["{ devices: 3650d }", 3_650 * DAY_MS],
  ])("retention: %s", (retention, devicesMs) => {
    expect(load(write({ retention })).retention).toEqual({ devicesMs });
  });

  test.each([
    ["{}", ["platform", "model", "os_version", "native_version"], 1_000],
    ["{ by: [] }", [], 1_000],
    ["{ by: [model], max: 1 }", ["model"], 1],
    ["{ max: 10000 }", ["platform", "model", "os_version", "native_version"], 10_000],
    // However they are arranged: moving a name must not give every device a new stratum.
    ["{ by: [native_version, platform] }", ["platform", "native_version"], 1_000],
  ])("strata: %s", (strata, by, max) => {
    const app = [...load(write({ strata })).apps.values()][0]!;
    expect(app.strata).toEqual({ by, max });
  });

  test.each([
    ["5m", 5 * MINUTE_MS],
    ["6h", 360 * MINUTE_MS],
    ["7d", 7 * DAY_MS],
  ])("deadline: %s", (deadline, deadlineMs) => {
    const { rules } = load(write({ deadline })).policies.get("p")!;
    expect(rules).toEqual([
      { form: "limit", signal: "update_failure", limit: 0.001 },
      { form: "limit", signal: "silence", limit: 0.02, deadlineMs },
      { form: "worse_than_baseline", signal: "silence", allowance: { ratio: 1.5, points: 0 }, deadlineMs },
    ]);
  });

  const ONE = "url: unix:///run/redis.sock";
  const CLUSTER = 'cluster: ["redis://:pw@[::1]:7001", "redis://:pw@redis-2"]';
  test.each([
    ["{}", undefined, 0],
    ["{ replica_acks: 0 }", undefined, 0],
    [`{ ${ONE} }`, "unix:///run/redis.sock", 0],
    [`{ ${ONE}, replica_acks: 5 }`, "unix:///run/redis.sock", 5],
    [`{ ${CLUSTER} }`, ["redis://:pw@[::1]:7001", "redis://:pw@redis-2"], 1],
    [`{ ${CLUSTER}, replica_acks: 0 }`, ["redis://:pw@[::1]:7001", "redis://:pw@redis-2"], 0],
  ])("redis: %s", (redis, redisUrl, replicaAcks) => {
    expect(load(write({ redis }))).toMatchObject({ redisUrl, replicaAcks });
  });

  test("a URL loses its last slash, and a channel may look like a number", () => {
    const app = [...load(write({})).apps.values()][0]!;
    expect(app.otaServer.url).toBe("https://ota.example/api");
    expect([...app.channels]).toEqual([["2024.10", { policyName: "p", minimumVersion: "1.10" }]]);
  });
});

describe("which file is taken", () => {
  const empty = mkdtempSync(path.join(tmpdir(), "lg-none-"));
  const withFile = mkdtempSync(path.join(tmpdir(), "lg-with-"));
  writeFileSync(path.join(withFile, "lastgood.yaml"), "");

  test("--config wins over everything", () => {
    const found = findConfig({ given: "a.yaml", env: { LASTGOOD_CONFIG: "b.yaml" }, workingDir: withFile });
    expect(found).toEqual({ file: path.join(withFile, "a.yaml"), foundBy: "--config" });
  });

  test("then LASTGOOD_CONFIG, unless it is empty", () => {
    const found = findConfig({ given: undefined, env: { LASTGOOD_CONFIG: "b.yaml" }, workingDir: withFile });
    expect(found).toEqual({ file: path.join(withFile, "b.yaml"), foundBy: "LASTGOOD_CONFIG" });
    expect(findConfig({ given: undefined, env: { LASTGOOD_CONFIG: "" }, workingDir: withFile }).foundBy).toBe(
      "./lastgood.yaml",
    );
  });

  test("then ./lastgood.yaml, then the example", () => {
    expect(findConfig({ given: undefined, env: {}, workingDir: withFile })).toEqual({
      file: path.join(withFile, "lastgood.yaml"),
      foundBy: "./lastgood.yaml",
    });
    expect(findConfig({ given: undefined, env: {}, workingDir: empty })).toEqual({
      file: exampleConfigFile(),
      foundBy: "example",
    });
  });
});
