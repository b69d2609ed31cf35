// A file of public keys that may change while ingest runs: keys are added and withdrawn without a restart.
// Enters: the path, what form it has, a clock. Leaves: the keys as of a second ago at most. A file that is
// gone or damaged leaves the keys that were last good, and one line in the log.
import { readFileSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { TokenKeys } from "../contract/device-auth.ts";
import { parseKeySet, parsePublicKey } from "./token-keys.ts";
import type { ParsedKeys, TokenKeyFinder } from "./token-keys.ts";

export type KeyFileSource = Extract<TokenKeys, { file: string }>;

/** How long keys are used before the file is asked whether it changed, in milliseconds. */
export const KEY_FILE_CHECK_MS = 1_000;

export interface KeyFile {
  /** Asks the file first, where that was not done within {@link KEY_FILE_CHECK_MS}. */
  current(): Promise<TokenKeyFinder>;
}

function parse({ kind, algorithms }: KeyFileSource, text: string): ParsedKeys {
  return kind === "jwks_file" ? parseKeySet(text, algorithms) : parsePublicKey(text, algorithms);
}

/** For the start, and for checking the configuration. */
export function readKeyFile(source: KeyFileSource): ParsedKeys {
  try {
    return parse(source, readFileSync(source.file, "utf8"));
  } catch (error) {
    return { kind: "unusable", reason: unreadable(error as NodeJS.ErrnoException) };
  }
}

function unreadable(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT")
    return "there is no such file: check the path; one that is not absolute starts at the configuration's folder";
  if (error.code === "EISDIR") return "this is a folder: name the file in it";
  if (error.code === "EACCES") return "this user may not read the file: change its permissions or its owner";
  return `the file could not be read: ${error.message}`;
}

/** Throws when the file is of no use now: the configuration was checked a moment ago. */
export function openKeyFile({
  source,
  clock,
  logger,
}: {
  readonly source: KeyFileSource;
  readonly clock: Clock;
  readonly logger: Logger;
}): KeyFile {
  const first = readKeyFile(source);
  if (first.kind === "unusable") throw new Error(`${source.file}: ${first.reason}`);
  let find = first.find;
  // Unknown, so that the first check reads the file again: it may have changed since the line above.
  let seen: string | undefined;
  let checkedAtMs = Number.NEGATIVE_INFINITY;
  let checking: Promise<void> | undefined;

  async function check(): Promise<void> {
    const startedAtMs = clock();
    const next = await stateOf(source.file);
    if (next !== seen) {
      seen = next;
      const parsed = await reread(source);
      if (parsed.kind === "keys") find = parsed.find;
      else
        logger.error(
          { file: source.file, reason: parsed.reason },
          "the keys of devices can't be read again, and stay what they were: repair the file",
        );
    }
    checkedAtMs = startedAtMs;
  }

  return {
    async current() {
      if (Math.abs(clock() - checkedAtMs) >= KEY_FILE_CHECK_MS) {
        checking ??= check().finally(() => (checking = undefined));
        await checking;
      }
      return find;
    },
  };
}

/** Another text when the file was written to, replaced (also behind a symbolic link), or is gone. */
async function stateOf(file: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join(":");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "unreadable";
  }
}

async function reread(source: KeyFileSource): Promise<ParsedKeys> {
  try {
    return parse(source, await readFile(source.file, "utf8"));
  } catch (error) {
    return { kind: "unusable", reason: unreadable(error as NodeJS.ErrnoException) };
  }
}
