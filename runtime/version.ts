// Which version of Lastgood this is, as package.json says: the one place that knows where that file is.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

/** Found from the sources as well as from dist/, and from wherever the process was started. */
export function lastgoodVersion(): string {
  let folder = import.meta.dirname;
  while (!existsSync(path.join(folder, "package.json"))) folder = path.dirname(folder);
  const { version } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) as {
    version: string;
  };
  return version;
}
