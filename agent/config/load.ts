// Finds and loads the configuration file. Enters: what the command line and the environment say. Leaves:
// which file it is and why that one, and Settings or every mistake in it with its place.
import { existsSync } from "node:fs";
import path from "node:path";
import { plainHttpWarning } from "../../ingest/contract/listener.ts";
import { packageFolder } from "../../runtime/version.ts";
import { readConfigFile, readConfigText } from "../../runtime/config-file.ts";
import type { ConfigResult, Environment, FoundMistake } from "../../runtime/config-file.ts";
import { readTlsPair, tlsFilesIn } from "../../runtime/tls-files.ts";
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

export interface LoadOptions {
  readonly file: string;
  readonly text?: string;
  readonly env: Environment;
  /** `with_files`: certificates that it names are read, too. Whoever only asks a running agent may not read them. */
  readonly look?: "file_alone" | "with_files";
}

/** Reads and checks the file, or its text where that was read before; `env` fills `${VAR}`. */
export function loadSettings({ file, text, env, look = "file_alone" }: LoadOptions): ConfigResult<Settings> {
  const inspect = (settings: Settings): FoundMistake[] => tlsFileMistakes(settings, path.dirname(file));
  const asked = { file, schema: settingsSchema, env, ...(look === "with_files" ? { inspect } : {}) };
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
      ingest: { ...config.ingest, tls: tlsFilesIn(config.ingest.tls, path.dirname(file)) },
      agent: { ...config.agent, tls: tlsFilesIn(config.agent.tls, path.dirname(file)) },
      alertmanager:
        alertmanager === undefined || tokenFile === undefined
          ? alertmanager
          : { ...alertmanager, bearerTokenFile: absolute(tokenFile) },
    },
  };
}

function tlsFileMistakes(settings: Settings, folder: string): FoundMistake[] {
  return (["ingest", "agent"] as const).flatMap((section) => {
    const files = tlsFilesIn(settings[section].tls, folder);
    if (files === undefined) return [];
    const read = readTlsPair(files);
    return read.kind === "pair" ? [] : [{ path: [section, "tls", read.setting], message: read.reason }];
  });
}

/** What check-config and start say of settings that are right, and still not what somebody should want. */
export function settingsHints({ ingest, agent }: Settings): string[] {
  return [
    plainHttpWarning({ section: "ingest", ...ingest }),
    plainHttpWarning({ section: "agent", ...agent }),
  ].filter((hint) => hint !== undefined);
}

/** An address that is none counts as not set: the file is what gets checked. */
function alertmanagerOf(env: Environment): AlertmanagerSettings | undefined {
  return alertmanagerSchema.safeParse({ url: env[ALERTMANAGER_VARIABLE] ?? "" }).data;
}
