// What ingest reads of the configuration file.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { deserialize, serialize } from "node:v8";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadIngestSettings } from "../../../ingest/config.ts";
import { PROCESSES_MAX } from "../../../ingest/contract/settings.ts";
import { SPOOL_FOLDERS_MAX } from "../../../ingest/spool/spool-folder.ts";
import { makeCertificate } from "../../support/certificate.ts";

let folder: string;
beforeAll(() => void (folder = mkdtempSync(path.join(tmpdir(), "lg-config-"))));
afterAll(() => rmSync(folder, { recursive: true }));

function load(text: string, env: Record<string, string> = {}): ReturnType<typeof loadIngestSettings> {
  const file = path.join(folder, "lastgood.yaml");
  writeFileSync(file, text);
  return loadIngestSettings({ file, env });
}

const SMALL = "apps: { com.acme.till: { ingest_keys: [some-ingest-key], channels: { production: {} } } }";

/** Every kind of value that settings may hold. */
const WITH_EVERYTHING = `
ingest: { trusted_proxies: [10.0.0.0/8] }
apps:
  com.acme.till:
    ingest_keys: [some-ingest-key]
    channels: { production: {}, beta: {} }
    sources:
      codepush: { deployments: { key-of-till: production }, server: "https://codepush.example" }
      otlp: { channel: production }
      sentry:
        projects: { "1": { key: pub, environments: { live: production, test: beta }, forward: { dsn: "https://k@sentry.example/2" } } }
        release: [{ from: release, match: "^till@(?<version>[0-9.]+)$" }]
`;

describe("loadIngestSettings", () => {
  test("a small file gets the defaults", () => {
    expect(load(SMALL)).toEqual({
      kind: "loaded",
      config: {
        dataDir: path.join(folder, "data"),
        redisUrl: undefined,
        replicaAcks: 0,
        shards: 16,
        logLevel: "info",
        sentryDsn: undefined,
        ingest: {
          listen: { host: "127.0.0.1", port: 8080 },
          operationsListen: { host: "127.0.0.1", port: 8081 },
          processes: 1,
          bodyBytesMax: 5 * 1024 ** 2,
          streamEntriesMax: 250_000,
          trustedProxies: [],
          connectionsMax: 10_000,
          requestsPerSecond: {},
          spool: { dir: undefined, bytesMax: 256 * 1024 ** 2 },
        },
        apps: new Map([
          [
            "com.acme.till",
            { ingestKeys: ["some-ingest-key"], channels: new Set(["production"]), sources: {} },
          ],
        ]),
      },
    });
  });

  test("servers of a cluster, and how many replicas must have a report", () => {
    const servers = ["redis://127.0.0.1:7001", "redis://127.0.0.1:7002"];
    const text = `${SMALL}\nredis: { cluster: ${JSON.stringify(servers)} }`;
    expect(load(text)).toMatchObject({ config: { redisUrl: servers, replicaAcks: 1 } });
  });

  test("settings of the agent, known or not, are none of its business", () => {
    expect(load(`${SMALL}\npolicies: 5\nagent: { listen: nowhere }\nfuture: true`).kind).toBe("loaded");
  });

  test("a mistake in its own part has a place", () => {
    const result = load(`${SMALL}\ningest:\n  limits: { body_bytes: much }`);
    expect(result).toMatchObject({
      kind: "invalid",
      problems: [{ line: 3, column: 25, path: "ingest.limits.body_bytes" }],
    });
  });

  test.each([
    ["off", undefined],
    ["{ max_bytes: 1MiB }", { dir: undefined, bytesMax: 1024 ** 2 }],
    ["{ dir: ./kept }", { dir: "kept", bytesMax: 256 * 1024 ** 2 }],
    ["{ dir: /var/spool/lastgood }", { dir: "/var/spool/lastgood", bytesMax: 256 * 1024 ** 2 }],
  ])("spool: %s; its folder is absolute, from the file's own", (text, expected) => {
    const loaded = load(`${SMALL}\ningest: { spool: ${text} }`);
    if (loaded.kind === "invalid") throw new Error(JSON.stringify(loaded.problems));
    const { spool } = loaded.config.ingest;
    const dir = expected?.dir === undefined ? undefined : path.resolve(folder, expected.dir);
    expect(spool).toEqual(expected === undefined ? undefined : { ...expected, dir });
  });

  test.each(["on", "{ max_bytes: 1023KiB }", "{ folder: /tmp }"])("spool: %s is a mistake", (text) => {
    const result = load(`${SMALL}\ningest:\n  spool: ${text}`);
    expect(result).toMatchObject({ kind: "invalid", problems: [{ line: 3 }] });
  });

  test("keys come from the environment", () => {
    const text = SMALL.replace("some-ingest-key", '"${TILL_KEY}"');
    expect(load(text, { TILL_KEY: "key-of-the-till" })).toMatchObject({ kind: "loaded" });
    expect(load(text)).toMatchObject({ kind: "invalid", problems: [{ line: 1 }] });
  });

  test("the example file is good", () => {
    const file = path.resolve(import.meta.dirname, "../../../lastgood.example.yaml");
    expect(loadIngestSettings({ file, env: {} })).toMatchObject({ kind: "loaded" });
  });
});

describe("how many processes ingest is", () => {
  const withProcesses = (processes: unknown): ReturnType<typeof load> =>
    load(`${SMALL}\ningest: { processes: ${String(processes)} }`);

  test("from 1 to as many as may spool to one folder", () => {
    expect(PROCESSES_MAX).toBe(SPOOL_FOLDERS_MAX);
    for (const processes of [1, 2, PROCESSES_MAX])
      expect(withProcesses(processes)).toMatchObject({ config: { ingest: { processes } } });
    for (const wrong of [0, PROCESSES_MAX + 1, 1.5, "all"]) expect(withProcesses(wrong).kind).toBe("invalid");
  });

  test("what the first process has read can be sent to its workers, patterns and all", () => {
    const loaded = load(WITH_EVERYTHING);
    if (loaded.kind === "invalid") throw new Error(JSON.stringify(loaded.problems));
    expect(deserialize(serialize(loaded.config))).toEqual(loaded.config);
  });
});

describe("how ingest's listener is guarded", () => {
  const guarded = (ingest: string): ReturnType<typeof load> => load(`${SMALL}\ningest: ${ingest}`);

  test("limits of requests and connections, at their edges", () => {
    expect(
      guarded("{ limits: { connections: 1, requests_per_second: { per_address: 1, per_key: 1000000 } } }"),
    ).toMatchObject({
      config: { ingest: { connectionsMax: 1, requestsPerSecond: { perAddress: 1, perKey: 1_000_000 } } },
    });
    for (const wrong of ["connections: 0", "requests_per_second: { per_key: 1000001 }"])
      expect(guarded(`{ limits: { ${wrong} } }`).kind).toBe("invalid");
  });

  test("certificates: from the folder of the file, read at the start, and 1.2 at least unless said", () => {
    const { cert, key } = makeCertificate("first");
    writeFileSync(path.join(folder, "tls.crt"), cert);
    writeFileSync(path.join(folder, "tls.key"), key);
    const files = { certFile: path.join(folder, "tls.crt"), keyFile: path.join(folder, "tls.key") };
    expect(guarded("{ tls: { cert_file: tls.crt, key_file: ./tls.key } }")).toMatchObject({
      config: { ingest: { tls: { ...files, minVersion: "TLSv1.2" } } },
    });
    expect(guarded("{ tls: { cert_file: tls.crt, key_file: tls.key, min_version: 1.3 } }")).toMatchObject({
      config: { ingest: { tls: { minVersion: "TLSv1.3" } } },
    });
  });

  test.each([
    ["{ tls: { cert_file: tls.crt, key_file: nowhere.key } }", "ingest.tls.key_file", /no such file/],
    ["{ tls: { cert_file: tls.crt } }", "ingest.tls.key_file", /missing/],
    [
      "{ tls: { cert_file: tls.crt, key_file: tls.key, min_version: 1.1 } }",
      "ingest.tls.min_version",
      /1\.2 or 1\.3/,
    ],
    [
      "{ plain_http: behind_proxy, tls: { cert_file: tls.crt, key_file: tls.key } }",
      "ingest.plain_http",
      /keep one of the two/,
    ],
    ["{ plain_http: yes }", "ingest.plain_http", /behind_proxy/],
    ["{ trusted_proxies: [everybody] }", "ingest.trusted_proxies[0]", /address or a network/],
  ])("%s is refused with its place", (text, at, message) => {
    const result = guarded(text);
    const problems = result.kind === "invalid" ? result.problems : [];
    expect(problems.map((problem) => problem.path)).toEqual([at]);
    expect(problems[0]?.message).toMatch(message);
  });
});
