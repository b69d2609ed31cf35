// What `apps.<app>.sources` may hold for CodePush, hot-updater, Expo, Sentry and OTLP, as ingest reads it from the file.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadSettings } from "../../../../agent/config/load.ts";
import { loadIngestSettings } from "../../../../ingest/config.ts";
import type { IngestAppSettings } from "../../../../ingest/config.ts";
import { RELEASE_DEFAULT } from "../../../../ingest/contract/sources/sentry.ts";

let folder: string;
beforeAll(() => void (folder = mkdtempSync(path.join(tmpdir(), "lg-sources-"))));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(sources: string, kiosk: string): string {
  const file = path.join(folder, "lastgood.yaml");
  const ota = 'ota_server: { type: http, url: "http://127.0.0.1:1", secret: long-enough }';
  writeFileSync(
    file,
    `apps:
  till:
    ingest_keys: [some-ingest-key]
    ${ota}
    channels: { production: { policy: p }, beta: { policy: p } }
    sources: ${sources}
  kiosk:
    ingest_keys: [some-ingest-key]
    ${ota}
    channels: { stable: { policy: p } }
    sources: ${kiosk}
policies: { p: { rules: [{ signal: crash, limit: 5% }] } }
`,
  );
  return file;
}

/** Both rooms read the same file, and must find the same. */
function mistakesIn(sources: string, kiosk = "{}"): string[] {
  const file = fileOf(sources, kiosk);
  const [ingest, agent] = [loadIngestSettings({ file, env: {} }), loadSettings({ file, env: {} })].map(
    (result) =>
      (result.kind === "invalid" ? result.problems : []).map(({ path: at, message }) => `${at}: ${message}`),
  );
  expect(agent).toEqual(ingest);
  return ingest!;
}

function tillOf(sources: string): IngestAppSettings {
  const result = loadIngestSettings({ file: fileOf(sources, "{}"), env: {} });
  if (result.kind === "invalid") throw new Error(JSON.stringify(result));
  return [...result.config.apps.values()][0]!;
}

describe("capgo", () => {
  test("an empty section serves the app by its own name; nothing but production devices counts", () => {
    expect(tillOf("{ capgo: {} }").sources).toEqual({
      capgo: {
        channel: "production",
        channels: new Map(),
        include_emulators: false,
        include_development: false,
      },
    });
  });

  test("everything", () => {
    expect(
      tillOf(
        "{ capgo: { app_id: com.acme.till, channel: beta, channels: { Production: production, constructor: beta }, relay: 'https://plugin.capgo.app/stats', include_emulators: true, include_development: true } }",
      ).sources?.capgo,
    ).toEqual({
      app_id: "com.acme.till",
      channel: "beta",
      channels: new Map([
        ["Production", "production"],
        ["constructor", "beta"],
      ]),
      relay: "https://plugin.capgo.app/stats",
      include_emulators: true,
      include_development: true,
    });
  });

  test.each([
    ["{ capgo: { channel: nowhere } }", "sources.capgo.channel: the app has no channel"],
    ["{ capgo: { channels: { Live: nowhere } } }", "sources.capgo.channels.Live: the app has no channel"],
    ["{ capgo: { app_id: '' } }", "sources.capgo.app_id"],
    [`{ capgo: { app_id: '${"x".repeat(129)}' } }`, "sources.capgo.app_id"],
    ["{ capgo: { relay: 'plugin.capgo.app/stats' } }", "must be the http:// or https:// address"],
    ["{ capgo: { relay: 'https://u:p@plugin.capgo.app/stats' } }", "without user and fragment"],
    ["{ capgo: { include_emulators: yes please } }", "sources.capgo.include_emulators"],
    ["{ capgo: { appId: x } }", "appId"],
  ])("%s is refused", (sources, message) => {
    const mistakes = mistakesIn(sources);
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toContain(message);
  });

  test("the default channel has to be there as well", () => {
    expect(mistakesIn("{}", "{ capgo: {} }")).toEqual([
      'apps.kiosk.sources.capgo.channel: the app has no channel "production": name it under channels, or one that stands there',
    ]);
  });

  test.each([
    ["{ capgo: { app_id: com.acme } }", "{ capgo: { app_id: com.acme, channel: stable } }"],
    ["{ capgo: {} }", "{ capgo: { app_id: till, channel: stable } }"],
    ["{ capgo: { app_id: kiosk } }", "{ capgo: { channel: stable } }"],
  ])("two apps are not one Capgo app: %s and %s", (till, kiosk) => {
    const mistakes = mistakesIn(till, kiosk);
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toMatch(
      /^apps\.kiosk\.sources\.capgo\.app_id: till takes the events of the Capgo app /,
    );
  });
});

describe("codepush", () => {
  test("deployment keys lead to channels; the server has no slash at its end", () => {
    const sources = tillOf(
      "{ codepush: { deployments: { KEYA: production, KEYB: beta }, server: 'https://codepush.acme/base/' } }",
    );
    expect(sources.sources).toEqual({
      codepush: {
        deployments: new Map([
          ["KEYA", "production"],
          ["KEYB", "beta"],
        ]),
        server: "https://codepush.acme/base",
      },
    });
  });

  test.each([
    [
      "{ codepush: { deployments: { K: nowhere } } }",
      "sources.codepush.deployments.K: the app has no channel",
    ],
    ["{ codepush: { deployments: {} } }", "name at least one deployment key"],
    ["{ codepush: {} }", "sources.codepush.deployments"],
    ["{ codepush: { deployments: { A: beta, B: beta } } }", "another deployment key leads to beta too"],
    [
      "{ codepush: { deployments: { A: beta }, server: 'ftp://x' } }",
      "must be the http:// or https:// address",
    ],
    [
      "{ codepush: { deployments: { A: beta }, server: 'https://u:p@x' } }",
      "without user, query and fragment",
    ],
    [
      "{ codepush: { deployments: { A: beta }, server: 'https://x/?a=b' } }",
      "without user, query and fragment",
    ],
    ["{ codepush: { deployments: { A: beta }, servers: 'https://x' } }", "servers"],
  ])("%s is refused", (sources, message) => {
    const mistakes = mistakesIn(sources);
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toContain(message);
  });

  test("a deployment key of two apps is refused where it stands again", () => {
    const mistakes = mistakesIn(
      "{ codepush: { deployments: { SAME: production } } }",
      "{ codepush: { deployments: { SAME: stable } } }",
    );
    expect(mistakes).toEqual([
      "apps.kiosk.sources.codepush.deployments.SAME: till has this deployment key too: leave it with the app that it belongs to",
    ]);
  });
});

describe("hot_updater and expo", () => {
  test("an empty section serves the system", () => {
    expect(tillOf("{ hot_updater: {}, expo: {} }").sources).toEqual({
      hot_updater: { channels: new Map() },
      expo: { channels: new Map() },
    });
  });

  test("a name that every object has is a name like any other", () => {
    const { sources } = tillOf(
      "{ hot_updater: { channels: { constructor: beta, 'production/ios': production } } }",
    );
    expect(sources?.hot_updater?.channels).toEqual(
      new Map([
        ["constructor", "beta"],
        ["production/ios", "production"],
      ]),
    );
  });

  test.each([
    ["{ expo: { channel: nowhere } }", "sources.expo.channel: the app has no channel"],
    [
      "{ expo: { channels: { main/ios: nowhere } } }",
      'sources.expo.channels["main/ios"]: the app has no channel',
    ],
    [
      "{ hot_updater: { channels: { main: constructor } } }",
      "sources.hot_updater.channels.main: the app has no channel",
    ],
    ["{ hot_updater: { channels: { main: 'no good' } } }", "sources.hot_updater.channels.main: "],
    ["{ hot_updater: 5 }", "sources.hot_updater: "],
  ])("%s is refused", (sources, message) => {
    const mistakes = mistakesIn(sources);
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toContain(message);
  });
});

describe("sentry", () => {
  test("one channel, and all else as it is by default", () => {
    const { sources } = tillOf("{ sentry: { projects: { 42: { key: pub, channel: production } } } }");
    expect(sources?.sentry).toEqual({
      projects: new Map([
        ["42", { key: "pub", channels: { kind: "all", channel: "production" }, forward: undefined }],
      ]),
      release: RELEASE_DEFAULT,
      crashesFrom: "sessions",
      unhandledIsCrash: false,
      origins: undefined,
    });
  });

  test("everything there is", () => {
    const { sources } = tillOf(
      `{ sentry: {
        projects: { "42": { key: pub, environments: { production: production, staging: beta }, forward: { dsn: "https://real@o1.ingest.sentry.example/base/7" } } },
        release: [{ from: context, name: ota_updates.update_id }, { from: release, match: '[+](?<version>v.+)$' }],
        crashes_from: events, unhandled_is_crash: true, origins: ["https://app.acme.example", "capacitor://localhost"] } }`,
    );
    expect(sources?.sentry).toEqual({
      projects: new Map([
        [
          "42",
          {
            key: "pub",
            channels: {
              kind: "named",
              channels: new Map([
                ["production", "production"],
                ["staging", "beta"],
              ]),
            },
            forward: { base: "https://o1.ingest.sentry.example/base", key: "real", project: "7" },
          },
        ],
      ]),
      release: [
        { from: "context", name: "ota_updates.update_id" },
        { from: "release", match: /[+](?<version>v.+)$/u },
      ],
      crashesFrom: "events",
      unhandledIsCrash: true,
      origins: new Set(["https://app.acme.example", "capacitor://localhost"]),
    });
  });

  const project = (fields: string): string => `{ sentry: { projects: { "42": { ${fields} } } } }`;
  const beside = (fields: string): string =>
    `{ sentry: { projects: { "42": { key: pub, channel: beta } }, ${fields} } }`;

  test.each([
    ["{ sentry: {} }", "sources.sentry.projects"],
    ["{ sentry: { projects: {} } }", "name at least one project"],
    ["{ sentry: { projects: { till: { key: pub, channel: beta } } } }", "must be a number"],
    [project("key: 'pub@x', channel: beta"), "must be the public key of the DSN"],
    [project("key: pub"), "name either channel"],
    [project("key: pub, channel: beta, environments: { production: beta }"), "name either channel"],
    [project("key: pub, channel: nowhere"), 'projects["42"].channel: the app has no channel'],
    [project("key: pub, environments: { staging: nowhere }"), "environments.staging: the app has no channel"],
    [project("key: pub, channel: beta, forward: { dsn: 'https://sentry.example/7' }"), "must be a DSN"],
    [project("key: pub, channel: beta, forward: { dsn: 'https://k@sentry.example/x' }"), "must be a DSN"],
    [project("key: pub, channel: beta, forward: { dsn: 'ftp://k@sentry.example/7' }"), "must be a DSN"],
    [beside("release: []"), "sources.sentry.release"],
    [beside("release: [{ from: nowhere }]"), "sources.sentry.release"],
    [beside("release: [{ from: tag }]"), "sources.sentry.release"],
    [beside("release: [{ from: release, match: '(?<version>(a+)+)$' }]"), "must not repeat a group"],
    [beside("release: [{ from: release, match: 'v.+' }]"), "must hold a group (?<version>…)"],
    [beside("origins: [app.acme.example]"), "must be an origin"],
    [beside("origins: ['https://app.acme.example/page']"), "must be an origin"],
    [beside("crashes_from: both"), "sources.sentry.crashes_from"],
  ])("%s is refused", (sources, message) => {
    const mistakes = mistakesIn(sources);
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toContain(message);
  });

  test("a project of two apps is refused where it stands again", () => {
    expect(
      mistakesIn(
        project("key: a, channel: beta"),
        '{ sentry: { projects: { "42": { key: b, channel: stable } } } }',
      ),
    ).toEqual([
      'apps.kiosk.sources.sentry.projects["42"]: till has the project 42 too: an envelope names its app by this alone',
    ]);
  });
});

describe("otlp", () => {
  test("by default the attributes that there are", () => {
    expect(tillOf("{ otlp: { channel: production } }").sources?.otlp).toEqual({
      channels: { kind: "all", channel: "production" },
      serviceName: undefined,
      releaseAttribute: "app.ota.release",
      deviceAttribute: "app.installation.id",
      activeEvents: new Set(["session.start", "session.end", "device.app.lifecycle", "app.lifecycle"]),
    });
  });

  test.each([
    ["{ otlp: {} }", "name either channel"],
    ["{ otlp: { channel: nowhere } }", "sources.otlp.channel: the app has no channel"],
    ["{ otlp: { environments: { a: nowhere } } }", "sources.otlp.environments.a: the app has no channel"],
    ["{ otlp: { channel: beta, release_attribute: '' } }", "sources.otlp.release_attribute"],
  ])("%s is refused", (sources, message) => {
    const mistakes = mistakesIn(sources);
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toContain(message);
  });
});
