// Finds and loads the configuration file. Enters: what the command line and the environment say. Leaves:
// which file it is and why that one, and Settings or every mistake in it with its place.
import { existsSync } from "node:fs";
import path from "node:path";
import { packageFolder } from "../../runtime/version.ts";
import { readConfigFile, readConfigText } from "../../runtime/config-file.ts";
import type { ConfigResult, Environment } from "../../runtime/config-file.ts";
import { alertmanagerSchema } from "./outlets.ts";
import type { AlertmanagerSettings } from "./outlets.ts";
import { settingsSchema } from "./schema.ts";
import type { Settings } from "./schema.ts";

export interface FoundConfig {
  /** Absolute. */
  readonly file: string;
  readonly foundBy: "--config" | "LASTGOOD_CONFIG" | "./lastgood.yaml" | "example";
}

export interface FindConfigOptions {
  /** The value of `--config`, if it was given. */
  readonly given: string | undefined;
  readonly env: Environment;
  readonly workingDir: string;
}

/** First that applies: `--config`, `LASTGOOD_CONFIG`, `./lastgood.yaml`, the example that comes along. */
export function findConfig({ given, env, workingDir }: FindConfigOptions): FoundConfig {
  if (given !== undefined) return { file: path.resolve(workingDir, given), foundBy: "--config" };
  const named = env["LASTGOOD_CONFIG"];
  if (named !== undefined && named !== "")
    return { file: path.resolve(workingDir, named), foundBy: "LASTGOOD_CONFIG" };
  const local = path.resolve(workingDir, "lastgood.yaml");
  if (existsSync(local)) return { file: local, foundBy: "./lastgood.yaml" };
  return { file: exampleConfigFile(), foundBy: "example" };
}

export function exampleConfigFile(): string {
  return path.join(packageFolder(), "lastgood.example.yaml");
}

/** Where pages go when the file names no Alertmanager; the supervisor sets it when it starts one. */
export const ALERTMANAGER_VARIABLE = "LASTGOOD_ALERTMANAGER_URL";

/** Reads and checks the file, or its text where that was read before; `env` fills `${VAR}`. */
export function loadSettings({
  file,
  text,
  env,
}: {
  file: string;
  text?: string;
  env: Environment;
}): ConfigResult<Settings> {
  const asked = { file, schema: settingsSchema, env };
  const result = text === undefined ? readConfigFile(asked) : readConfigText({ ...asked, text });
  if (result.kind === "invalid") return result;
  const absolute = (written: string): string => path.resolve(path.dirname(file), written);
  const { config } = result;
  const alertmanager = config.alertmanager ?? alertmanagerOf(env);
  const tokenFile = alertmanager?.bearerTokenFile;
  return {
    kind: "loaded",
    config: {
      ...config,
      dataDir: absolute(config.dataDir),
      alertmanager:
        alertmanager === undefined || tokenFile === undefined
          ? alertmanager
          : { ...alertmanager, bearerTokenFile: absolute(tokenFile) },
    },
  };
}

/** An address that is none counts as not set: the file is what gets checked. */
function alertmanagerOf(env: Environment): AlertmanagerSettings | undefined {
  return alertmanagerSchema.safeParse({ url: env[ALERTMANAGER_VARIABLE] ?? "" }).data;
}
