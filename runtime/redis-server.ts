// Which redis-server is on the PATH. Leaves: its version, or an error that says how to get a fitting one.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Older ones lack functions and stream commands that folding relies on. */
export const REDIS_MAJOR_LEAST = 7;

const HOW_TO_GET =
  "install it (Debian, Ubuntu: apt-get install redis-server; Fedora: dnf install redis; macOS: brew install redis), " +
  "or name a Redis of your own as redis.url in the configuration";

/** Throws with the remedy when there is none or it is too old. */
export async function checkRedisServer(): Promise<{ version: string }> {
  return { version: requireVersion(await versionText()) };
}

async function versionText(): Promise<string> {
  try {
    return (await promisify(execFile)("redis-server", ["--version"])).stdout;
  } catch {
    throw new Error(`redis-server was not found on the PATH: ${HOW_TO_GET}`);
  }
}

/** Exported for its edge: enters what `redis-server --version` prints, leaves `7.0.15`. */
export function requireVersion(text: string): string {
  const version = /v=(\d+)(\.[\d.]+)?/.exec(text);
  if (version === null) throw new Error(`redis-server did not say its version: ${HOW_TO_GET}`);
  const full = `${version[1]}${version[2] ?? ""}`;
  if (Number(version[1]) < REDIS_MAJOR_LEAST)
    throw new Error(
      `redis-server ${full} is too old, ${REDIS_MAJOR_LEAST} or newer is needed: ${HOW_TO_GET}`,
    );
  return full;
}
