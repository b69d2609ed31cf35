// `lastgood device-key` as a function: the key and nothing else on stdout, or why there is none.
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import type { CliContext } from "../../../../agent/cli/cli-context.ts";
import { printDeviceKey } from "../../../../agent/cli/device-key.ts";

const DEVICE_AUTH = {
  hmac: "device_auth: { type: hmac, secret: a-provisioning-secret-of-32-chars-or-more }",
  jwt: "device_auth: { type: jwt, jwks_file: only-ingest-has-it.json, algorithms: [ES256] }",
  none: "",
};

function run(
  { app = "com.acme.till", device = "till-0002", asJson = false, auth = "hmac" as keyof typeof DEVICE_AUTH },
  more = "",
): { out: string; err: string; code: number | undefined } {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-device-key-"));
  const seen = { out: "", err: "", code: undefined as number | undefined };
  const context: CliContext = {
    env: {},
    workingDir: folder,
    out: (text) => void (seen.out += text),
    err: (text) => void (seen.err += text.replaceAll(`${folder}/`, "")),
    setExitCode: (code) => void (seen.code = code),
  };
  writeFileSync(
    path.join(folder, "c.yaml"),
    `apps:
  com.acme.till:
    ingest_keys: [example-ingest-key]
    ota_server: { type: http, url: "http://127.0.0.1:9500", secret: example-ota-secret }
    channels: { production: { policy: p } }
    ${DEVICE_AUTH[auth]}
policies: { p: { action: rollback, rules: [{ signal: update_failure, limit: 5% }] } }
${more}`,
  );
  printDeviceKey({ app, device, given: "c.yaml", asJson }, context);
  return seen;
}

// As openssl makes it: test/unit/ingest/contract/device-signature.test.ts.
const KEY = "bbbb452e88022365c8090b001de82e2a2ad76b0dc26e95f048604ede5231eca4";

test("the key, and nothing else", () => {
  expect(run({})).toEqual({ out: `${KEY}\n`, err: "", code: 0 });
});

test("--json: for programs, one line", () => {
  const line = { app: "com.acme.till", device: "till-0002", key: KEY };
  expect(run({ asJson: true })).toEqual({ out: `${JSON.stringify(line)}\n`, err: "", code: 0 });
});

test.each([
  [{ app: "com.acme.tll" }, 'c.yaml: no app is called "com.acme.tll" (did you mean "com.acme.till"?)\n'],
  [{ app: "other" }, 'c.yaml: no app is called "other"; there are com.acme.till\n'],
  [{ device: "a\nb" }, "c.yaml: this is no device id: 1 to 128 characters, no control characters\n"],
  [{ device: "d".repeat(129) }, "c.yaml: this is no device id: 1 to 128 characters, no control characters\n"],
  [
    { auth: "none" as const },
    'c.yaml: "com.acme.till" asks devices for no proof: add device_auth: { type: hmac, secret } to it first\n',
  ],
  [
    { auth: "jwt" as const },
    'c.yaml: "com.acme.till" asks for tokens (device_auth of type jwt): whoever issues them hands them out\n',
  ],
])("%j: no key, a reason, code 1", (options, err) => {
  expect(run(options)).toEqual({ out: "", err, code: 1 });
});

test("a configuration with a mistake: its place, code 2", () => {
  const { out, err, code } = run({}, "shards: 0\n");
  expect([out, code]).toEqual(["", 2]);
  expect(err).toMatch(/^c\.yaml:8:9: shards: must be a whole number from 1 to 256/);
});
