// What is committed is what the code says: dashboards and pictures.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { dashboardFiles } from "../../../dashboards/generated-files.ts";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const files = Object.entries(dashboardFiles());

test.each(files)("%s is as it is generated", (file, text) => {
  const there = existsSync(path.join(ROOT, file)) ? readFileSync(path.join(ROOT, file), "utf8") : "";
  expect(there === text, `${file} is not what dashboards/ makes: run npm run generate`).toBe(true);
});

test.each(["dashboards/json", "docs/dashboards"])("%s has nothing else in it", (folder) => {
  const made = files.map(([file]) => file).filter((file) => path.dirname(file) === folder);
  expect(readdirSync(path.join(ROOT, folder)).toSorted()).toEqual(
    made.map((file) => path.basename(file)).toSorted(),
  );
});
