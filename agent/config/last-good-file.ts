// A copy of the configuration file as it was right last, so that an agent that dies while somebody has broken the file
// comes back with what was in force. Enters: the text of a right file. Leaves: a file that only this user reads.
import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import type { ConfigResult, Environment } from "../../runtime/config-file.ts";
import { loadSettings } from "./load.ts";
import type { Settings } from "./schema.ts";

/** It may hold secrets, as the file itself does. */
const ONLY_THIS_USER = 0o600;

/** Whole or not at all: whoever is killed half-way leaves the copy before. */
export async function keepLastGood(copy: string, text: string): Promise<void> {
  await writeFile(`${copy}.new`, text, { mode: ONLY_THIS_USER });
  await rename(`${copy}.new`, copy);
}

export type FirstSettings =
  | { readonly kind: "loaded"; readonly config: Settings }
  /** The file has mistakes; these are the settings of the copy. */
  | { readonly kind: "last_good"; readonly config: Settings; readonly broken: Invalid }
  | Invalid;
type Invalid = Extract<ConfigResult<Settings>, { kind: "invalid" }>;

/** What to start with: the file, or else the copy of it, where there is one that is right. */
export function loadFirstSettings({
  file,
  copy,
  env,
}: {
  readonly file: string;
  readonly copy: string | undefined;
  readonly env: Environment;
}): FirstSettings {
  const loaded = loadSettings({ file, env });
  if (loaded.kind === "loaded" || copy === undefined) return loaded;
  const text = readCopy(copy);
  if (text === undefined) return loaded;
  // As if it stood where the file is: paths in it start there.
  const before = loadSettings({ file, text, env });
  return before.kind === "loaded" ? { kind: "last_good", config: before.config, broken: loaded } : loaded;
}

function readCopy(copy: string): string | undefined {
  try {
    return readFileSync(copy, "utf8");
  } catch {
    return undefined;
  }
}
