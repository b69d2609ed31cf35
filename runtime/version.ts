// Where Lastgood is installed and which version of it this is, as package.json says: the one place that knows where that
// file is.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

/** The top of the package; found from the sources as well as from dist/, and from wherever the process was started. */
export function packageFolder(): string {
  let folder = import.meta.dirname;
  while (!existsSync(path.join(folder, "package.json"))) folder = path.dirname(folder);
  return folder;
}

export function lastgoodVersion(): string {
  const { version } = JSON.parse(readFileSync(path.join(packageFolder(), "package.json"), "utf8")) as {
    version: string;
  };
  return version;
}
