// Writes what is generated into the repository, whose root is the working directory (`npm run generate`): dashboards and
// pictures of their layout. Tests compare what is committed with what would be written. Enters: nothing. Leaves: files.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { dashboardFiles } from "../../dashboards/generated-files.ts";
import { deployFiles } from "./deploy-files.ts";

for (const [file, text] of Object.entries({ ...dashboardFiles(), ...deployFiles() })) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  process.stdout.write(`${file}\n`);
}
