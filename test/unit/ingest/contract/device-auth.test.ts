// `apps.<app>.device_auth` in the configuration file: what it becomes, and for each mistake the exact place and
// sentence; ingest and the agent read the section alike, and only ingest looks into the files that it names.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parse } from "yaml";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { loadSettings } from "../../../../agent/config/load.ts";
import { loadIngestSettings } from "../../../../ingest/config.ts";
import { deviceAuthSchema } from "../../../../ingest/contract/device-auth.ts";
import type { DeviceAuthSettings } from "../../../../ingest/contract/device-auth.ts";
import type { AppId } from "../../../../ingest/contract/release-key.ts";
import type { ConfigProblem } from "../../../../runtime/config-file.ts";
import { createIssuer, keySet } from "../../../support/device-tokens.ts";
import type { Issuer } from "../../../support/device-tokens.ts";

const APP = "com.acme.till" as AppId;
const SECRET_32 = "s".repeat(32);

let folder: string;
let file: string;
let issuer: Issuer;
beforeAll(async () => void (issuer = await createIssuer("ES256")));
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "lg-device-auth-"));
  file = path.join(folder, "lastgood.yaml");
  writeFileSync(path.join(folder, "keys.json"), keySet(issuer.jwk));
  writeFileSync(path.join(folder, "key.pem"), issuer.pem);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The section begins on line 7, its values in column 20. */
function write(section: string): void {
  writeFileSync(
    file,
    `apps:
  com.acme.till:
    ingest_keys: [key-of-devices, key-of-gateway]
    ota_server: { type: http, url: "http://127.0.0.1:9500", secret: example-ota-secret }
    channels: { production: { policy: p } }
    device_auth:
      ${section}
policies: { p: { action: rollback, rules: [{ signal: update_failure, limit: 5% }] } }
`,
  );
}

const SECTION = (lines: readonly string[]): string => lines.join("\n      ");

function ofIngest(section: string): DeviceAuthSettings | readonly string[] | undefined {
  write(section);
  const loaded = loadIngestSettings({ file, env: {} });
  return loaded.kind === "invalid" ? told(loaded.problems) : loaded.config.apps.get(APP)!.deviceAuth;
}

function ofAgent(section: string): DeviceAuthSettings | readonly string[] | undefined {
  write(section);
  const loaded = loadSettings({ file, env: {} });
  return loaded.kind === "invalid" ? told(loaded.problems) : loaded.config.apps.get(APP)!.deviceAuth;
}

function told(problems: readonly ConfigProblem[]): string[] {
  expect(JSON.stringify(problems)).not.toMatch(/sss|key-of-gateway|key-of-nobody/);
  return problems.map((problem) => {
    expect(problem.file).toBe(file);
    return `${problem.line}:${problem.column} ${problem.path.replace('apps["com.acme.till"].', "")}: ${problem.message}`;
  });
}

describe("what the section becomes", () => {
  test("a set of keys, with the defaults; the path starts at the file's folder", () => {
    const section = SECTION(["type: jwt", "jwks_file: ./keys.json", "algorithms: [ES256]"]);
    const expected = {
      type: "jwt",
      mode: "enforce",
      trustedKeys: [],
      keys: { kind: "jwks_file", file: path.join(folder, "keys.json"), algorithms: ["ES256"] },
      issuer: undefined,
      audience: undefined,
      header: "x-device-token",
    };
    expect(ofIngest(section)).toEqual(expected);
    expect(ofAgent(section)).toMatchObject({ keys: { file: "./keys.json" } });
  });

  test("every setting", () => {
    const section = SECTION([
      "type: jwt",
      "public_key_file: key.pem",
      "algorithms: [ES256]",
      "issuer: https://acme.example",
      "audience: lastgood",
      "header: X-Till-Token",
      "mode: observe",
      "trusted_keys: [key-of-gateway]",
    ]);
    for (const settings of [ofIngest(section), ofAgent(section)])
      expect(settings).toMatchObject({
        mode: "observe",
        trustedKeys: ["key-of-gateway"],
        keys: { kind: "public_key_file", algorithms: ["ES256"] },
        issuer: "https://acme.example",
        audience: "lastgood",
        header: "x-till-token",
      });
  });

  test("secrets, just long enough", () => {
    const hmac = SECTION(["type: hmac", `secret: ${SECRET_32}`]);
    expect(ofIngest(hmac)).toEqual({ type: "hmac", mode: "enforce", trustedKeys: [], secret: SECRET_32 });
    for (const [algorithm, chars] of [
      ["HS256", 32] as const,
      ["HS384", 48] as const,
      ["HS512", 64] as const,
    ]) {
      const jwt = SECTION(["type: jwt", `secret: ${"s".repeat(chars)}`, `algorithms: [${algorithm}]`]);
      expect(ofAgent(jwt)).toMatchObject({ keys: { kind: "secret", algorithms: [algorithm] } });
    }
  });
});

interface Mistake {
  readonly name: string;
  readonly lines: readonly string[];
  readonly told: string;
}

const MISTAKES: readonly Mistake[] = [
  {
    name: "no type",
    lines: ["mode: observe"],
    told: "6:5 device_auth.type: this setting is missing: write jwt or hmac",
  },
  {
    name: "another type",
    lines: ["type: mtls"],
    told: "7:13 device_auth.type: not known here: write jwt or hmac",
  },
  {
    name: "another mode",
    lines: ["type: hmac", `secret: ${SECRET_32}`, "mode: warn"],
    told: "9:13 device_auth.mode: not known here: write enforce or observe",
  },
  {
    name: "a secret one character too short",
    lines: ["type: hmac", `secret: ${SECRET_32.slice(1)}`],
    told: "8:15 device_auth.secret: must have at least 32 characters",
  },
  {
    name: "hmac without a secret",
    lines: ["type: hmac"],
    told: "6:5 device_auth.secret: this setting is missing",
  },
  {
    name: "a setting of jwt under hmac",
    lines: ["type: hmac", `secret: ${SECRET_32}`, "issuer: me"],
    told: "9:7 device_auth.issuer: does not go with the type that is chosen here: take it out",
  },
  {
    name: "no keys",
    lines: ["type: jwt", "algorithms: [ES256]"],
    told: "7:7 device_auth: say what tokens are checked with: jwks_file, public_key_file or secret",
  },
  {
    name: "two kinds of keys",
    lines: ["type: jwt", "jwks_file: keys.json", "public_key_file: key.pem", "algorithms: [ES256]"],
    told: "9:24 device_auth.public_key_file: jwks_file is set too: keep one of the two",
  },
  {
    name: "no algorithms",
    lines: ["type: jwt", "jwks_file: keys.json"],
    told: "6:5 device_auth.algorithms: this setting is missing",
  },
  {
    name: "an empty list of algorithms",
    lines: ["type: jwt", "jwks_file: keys.json", "algorithms: []"],
    told: "9:19 device_auth.algorithms: must list at least 1 entry",
  },
  {
    name: "alg none",
    lines: ["type: jwt", "jwks_file: keys.json", "algorithms: [ES256, none]"],
    told: "9:27 device_auth.algorithms[1]: not known here: write ES256, ES384, ES512, EdDSA, Ed25519, RS256, RS384, RS512, PS256, PS384, PS512, HS256, HS384 or HS512",
  },
  {
    name: "an algorithm of secrets with public keys",
    lines: ["type: jwt", "jwks_file: keys.json", "algorithms: [ES256, HS256]"],
    told: "9:27 device_auth.algorithms[1]: goes with a secret, and what jwks_file holds is public: write ES256, ES384, ES512, EdDSA, Ed25519, RS256, RS384, RS512, PS256, PS384, PS512",
  },
  {
    name: "an algorithm of public keys with a secret",
    lines: ["type: jwt", `secret: ${SECRET_32}`, "algorithms: [RS256]"],
    told: "9:20 device_auth.algorithms[0]: goes with a public key, and secret is none: write HS256, HS384, HS512, or name a jwks_file",
  },
  {
    name: "a secret too short for its algorithm",
    lines: ["type: jwt", `secret: ${"s".repeat(63)}`, "algorithms: [HS256, HS512]"],
    told: "8:15 device_auth.secret: must have at least 64 characters for these algorithms",
  },
  {
    name: "a header that carries the ingest key",
    lines: ["type: jwt", "jwks_file: keys.json", "algorithms: [ES256]", "header: Authorization"],
    told: "10:15 device_auth.header: this header has a use of its own already: choose another, such as x-device-token",
  },
  {
    name: "a header with a space",
    lines: ["type: jwt", "jwks_file: keys.json", "algorithms: [ES256]", "header: x token"],
    told: "10:15 device_auth.header: must be the name of a header: letters, digits and dashes",
  },
  {
    name: "a trusted key that is no ingest key",
    lines: ["type: hmac", `secret: ${SECRET_32}`, "trusted_keys: [key-of-gateway, key-of-nobody]"],
    told: "9:38 device_auth.trusted_keys[1]: is no ingest key of this app: list it under ingest_keys too",
  },
  {
    name: "nothing but trusted keys",
    lines: ["type: hmac", `secret: ${SECRET_32}`, "trusted_keys: [key-of-gateway, key-of-devices]"],
    told: "9:21 device_auth.trusted_keys: every ingest key of the app is trusted, so nothing would be checked: devices need another",
  },
];

describe("mistakes, to ingest and to the agent alike", () => {
  test.each(MISTAKES)("$name", ({ lines, told }) => {
    expect(ofIngest(SECTION(lines))).toEqual([told]);
    expect(ofAgent(SECTION(lines))).toEqual([told]);
  });
});

describe("files of keys, which only ingest opens", () => {
  test.each([
    [
      "a set that is not there",
      ["jwks_file: none.json", "algorithms: [ES256]"],
      "8:18 device_auth.jwks_file: there is no such file: check the path; one that is not absolute starts at the configuration's folder",
    ],
    [
      "a key where a set is meant",
      ["jwks_file: key.pem", "algorithms: [ES256]"],
      '8:18 device_auth.jwks_file: the file is no JWK Set: it must be JSON such as {"keys": [{"kty": "EC", …}]}',
    ],
    [
      "a set without a key for the algorithm",
      ["jwks_file: keys.json", "algorithms: [RS256]"],
      "8:18 device_auth.jwks_file: the file has no public key for RS256: add one, or name its algorithm",
    ],
    [
      "a key of another algorithm",
      ["public_key_file: key.pem", "algorithms: [ES384]"],
      "8:24 device_auth.public_key_file: the key in the file is no key for ES384: name its own algorithm",
    ],
  ])("%s", (_, lines, expected) => {
    const section = SECTION(["type: jwt", ...lines]);
    expect(ofIngest(section)).toEqual([expected]);
    expect(ofAgent(section)).toMatchObject({ type: "jwt" });
  });
});

describe("what the pages show", () => {
  const read = (name: string): string =>
    readFileSync(path.resolve(import.meta.dirname, "../../../..", name), "utf8").replaceAll(
      /\$\{\w+\}/g,
      SECRET_32,
    );
  const page = Array.from(read("docs/device-auth.md").matchAll(/```yaml\n(.*?)```/gs), ([, text]) => text!);
  const commented = ["lastgood.example.yaml", "README.md"].flatMap((name) =>
    Array.from(read(name).matchAll(/^ +# (device_auth: \{.*\})/gm), ([, text]) => text!),
  );

  test("sections were found", () => {
    expect([page.length, commented.length]).toEqual([2, 3]);
  });

  test.each([...page, ...commented])("can be copied: %s", (text) => {
    const found = JSON.stringify(parse(text));
    const section = /"device_auth":(\{.*?\})/.exec(found)?.[1];
    expect(deviceAuthSchema.safeParse(JSON.parse(section!))).toMatchObject({ success: true });
  });
});
