// `npm run generate`: writes what is generated into the repository, whose root is the working directory, and says which
// files have changed. Tests compare what is committed with what would be written. Enters: nothing. Leaves: files.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { generatedFiles } from "./generated-files.ts";

const read = (file: string): string => readFileSync(file, "utf8");
const files = Object.entries(generatedFiles(read));
const changed = files.filter(([file, text]) => !existsSync(file) || read(file) !== text);
for (const [file, text] of changed) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  process.stdout.write(`wrote ${file}\n`);
}
process.stdout.write(`${files.length} generated files, ${changed.length} of them changed\n`);
