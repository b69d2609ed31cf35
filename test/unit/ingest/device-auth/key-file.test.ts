// A file of keys that changes while ingest runs: seen within the time that is promised, and never for worse.
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeAll, beforeEach, expect, test, vi } from "vitest";
import { KEY_FILE_CHECK_MS, openKeyFile, readKeyFile } from "../../../../ingest/device-auth/key-file.ts";
import type { KeyFile, KeyFileSource } from "../../../../ingest/device-auth/key-file.ts";
import { createLogger } from "../../../../runtime/logger.ts";
import { createIssuer, keySet } from "../../../support/device-tokens.ts";
import type { Issuer } from "../../../support/device-tokens.ts";

let one: Issuer;
let two: Issuer;
let source: KeyFileSource;
let nowMs: number;
const logger = createLogger({ name: "test", level: "silent" });
const error = vi.spyOn(logger, "error");

beforeAll(
  async () =>
    void ([one, two] = await Promise.all([createIssuer("ES256", "one"), createIssuer("ES256", "two")])),
);
beforeEach(() => {
  const folder = mkdtempSync(path.join(tmpdir(), "lg-keys-"));
  source = { kind: "jwks_file", file: path.join(folder, "keys.json"), algorithms: ["ES256"] };
  writeFileSync(source.file, keySet(one.jwk));
  nowMs = 0;
  error.mockClear();
});

const open = (): KeyFile => openKeyFile({ source, clock: () => nowMs, logger });

async function kidsOf(keys: KeyFile): Promise<string[]> {
  const find = await keys.current();
  const found = await Promise.all(
    ["one", "two"].map((kid) =>
      Promise.resolve(find({ alg: "ES256", kid }, { payload: "", signature: "" })).then(
        () => [kid],
        () => [],
      ),
    ),
  );
  return found.flat();
}

test("a file that changed is read again when a second has gone by, and not before", async () => {
  const keys = open();
  expect(await kidsOf(keys)).toEqual(["one"]);
  writeFileSync(source.file, keySet(one.jwk, two.jwk));
  nowMs += KEY_FILE_CHECK_MS - 1;
  expect(await kidsOf(keys)).toEqual(["one"]);
  nowMs += 1;
  expect(await kidsOf(keys)).toEqual(["one", "two"]);
  writeFileSync(source.file, keySet(two.jwk));
  nowMs += KEY_FILE_CHECK_MS;
  expect(await kidsOf(keys)).toEqual(["two"]);
});

test("what changed between the start and the first request is seen", async () => {
  const keys = open();
  writeFileSync(source.file, keySet(two.jwk));
  expect(await kidsOf(keys)).toEqual(["two"]);
});

test("a clock that is set back does not keep old keys alive", async () => {
  nowMs = 1_000_000;
  const keys = open();
  await keys.current();
  writeFileSync(source.file, keySet(two.jwk));
  nowMs = 0;
  expect(await kidsOf(keys)).toEqual(["two"]);
});

test("a folder swapped behind a symbolic link, as Kubernetes does it", async () => {
  const folder = path.dirname(source.file);
  const linked = { ...source, file: path.join(folder, "current", "keys.json") };
  for (const [name, issuer] of [["a", one] as const, ["b", two] as const]) {
    mkdirSync(path.join(folder, name));
    writeFileSync(path.join(folder, name, "keys.json"), keySet(issuer.jwk));
  }
  symlinkSync("a", path.join(folder, "current"));
  const keys = openKeyFile({ source: linked, clock: () => nowMs, logger });
  expect(await kidsOf(keys)).toEqual(["one"]);
  symlinkSync("b", path.join(folder, "next"));
  renameSync(path.join(folder, "next"), path.join(folder, "current"));
  nowMs += KEY_FILE_CHECK_MS;
  expect(await kidsOf(keys)).toEqual(["two"]);
});

test.each([
  ["half written", () => writeFileSync(source.file, keySet(two.jwk).slice(0, 40))],
  ["gone", () => rmSync(source.file)],
])("a file that is %s leaves the keys as they were, with one line in the log", async (_, spoil) => {
  const keys = open();
  await keys.current();
  spoil();
  for (let check = 0; check < 3; check += 1) {
    nowMs += KEY_FILE_CHECK_MS;
    expect(await kidsOf(keys)).toEqual(["one"]);
  }
  expect(error).toHaveBeenCalledTimes(1);
  writeFileSync(source.file, keySet(two.jwk));
  nowMs += KEY_FILE_CHECK_MS;
  expect(await kidsOf(keys)).toEqual(["two"]);
});

test("a start with a file that is of no use fails, and says which", () => {
  writeFileSync(source.file, "{}");
  expect(open).toThrow(`${source.file}: the file is no JWK Set`);
});

test.each([
  ["missing", /^there is no such file/],
  [".", /^this is a folder/],
])("reading %s", (name, reason) => {
  const file = path.join(path.dirname(source.file), name);
  expect(readKeyFile({ ...source, file })).toMatchObject({
    kind: "unusable",
    reason: expect.stringMatching(reason) as string,
  });
});
