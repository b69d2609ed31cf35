// Values of the configuration that come from files: NAME_FILE in the environment instead of NAME.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { z } from "zod";
import { readConfigText } from "../../../runtime/config-file.ts";
import type { Environment } from "../../../runtime/config-file.ts";

const folder = mkdtempSync(path.join(tmpdir(), "lg-config-files-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = path.join(folder, "secret");
writeFileSync(file, "from: the file # as it is\n");
const schema = z.strictObject({ value: z.string() });
const read = (text: string, env: Environment) => readConfigText({ file: "/c.yaml", text, schema, env });

test.each<[string, string, Environment, string]>([
  ["the file, without its last line break", "${NAME}", { NAME_FILE: file }, "from: the file # as it is"],
  ["the variable rather than the file", "${NAME}", { NAME: "variable", NAME_FILE: file }, "variable"],
  ["the file rather than nothing", "${NAME}", { NAME: "", NAME_FILE: file }, "from: the file # as it is"],
  ["the file rather than the default", "${NAME:-x}", { NAME_FILE: file }, "from: the file # as it is"],
  ["the default where neither is set", "${NAME:-x}", { NAME_FILE: "" }, "x"],
])("%s", (_, written, env, value) => {
  expect(read(`value: "${written}"`, env)).toEqual({ kind: "loaded", config: { value } });
});

test.each(["${NAME}", "${NAME:-default}"])("%s with a file that is not there is a mistake", (written) => {
  const missing = path.join(folder, "missing");
  expect(read(`value: "${written}"`, { NAME_FILE: missing })).toMatchObject({
    kind: "invalid",
    problems: [{ line: 1, message: `NAME_FILE is ${missing}: there is no such file: check the path given` }],
  });
});
