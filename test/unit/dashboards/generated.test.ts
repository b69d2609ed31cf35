// No dashboard is left that no code makes any more. That those there are as generated: test/unit/generated-files.test.ts.
import { readdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { dashboardFiles } from "../../../dashboards/generated-files.ts";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const files = Object.keys(dashboardFiles());

test.each(["dashboards/json", "docs/dashboards"])(
  "%s has what npm run generate makes, and nothing else",
  (folder) => {
    const made = files.filter((file) => path.dirname(file) === folder).map((file) => path.basename(file));
    expect(made.length).toBe(4);
    expect(readdirSync(path.join(ROOT, folder)).toSorted()).toEqual(made.toSorted());
  },
);
