// A ReleaseKey names one release on one channel of one app: the unit that is counted, judged and
// rolled back. Enters: strings that passed the schemas below. Leaves: branded strings, and one
// text form (`app|channel|version`) that is used as a Redis field, a job id part and a log field.
// `|` is not allowed in any of the three parts, so the text form is unambiguous.
import semver from "semver";
import { z } from "zod";

/** Longest app id, channel name or version, in characters. */
export const NAME_CHARS_MAX = 128;

const appOrChannel = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
// Printable ASCII without space, `|`, `"` and `\`: safe in labels, keys, URLs and logs.
const versionPattern = /^[!#-[\]-{}~]+$/;
const APP_OR_CHANNEL_ERROR = {
  error: "use letters, digits, dot, dash and underscore, and start with a letter or a digit",
};
const VERSION_ERROR = { error: 'use printable ASCII without spaces, "|", quotes and backslashes' };

export const appIdSchema = z
  .string()
  .min(1)
  .max(NAME_CHARS_MAX)
  .regex(appOrChannel, APP_OR_CHANNEL_ERROR)
  .brand<"AppId">();
export const channelSchema = z
  .string()
  .min(1)
  .max(NAME_CHARS_MAX)
  .regex(appOrChannel, APP_OR_CHANNEL_ERROR)
  .brand<"Channel">();
export const versionSchema = z
  .string()
  .min(1)
  .max(NAME_CHARS_MAX)
  .regex(versionPattern, VERSION_ERROR)
  .brand<"Version">();

/** The same rules as the schemas, for what is checked millions of times. */
export function isAppOrChannel(value: unknown): value is string {
  return typeof value === "string" && value.length <= NAME_CHARS_MAX && appOrChannel.test(value);
}

export function isVersion(value: unknown): value is Version {
  return typeof value === "string" && value.length <= NAME_CHARS_MAX && versionPattern.test(value);
}

export type AppId = z.infer<typeof appIdSchema>;
export type Channel = z.infer<typeof channelSchema>;
export type Version = z.infer<typeof versionSchema>;

export interface ChannelKey {
  readonly app: AppId;
  readonly channel: Channel;
}

export interface ReleaseKey extends ChannelKey {
  readonly version: Version;
}

export function isOnChannel(release: ChannelKey, key: ChannelKey): boolean {
  return release.app === key.app && release.channel === key.channel;
}

export function formatChannelKey(key: ChannelKey): string {
  return `${key.app}|${key.channel}`;
}

export function formatReleaseKey(key: ReleaseKey): string {
  return `${key.app}|${key.channel}|${key.version}`;
}

/** Inverse of {@link formatReleaseKey}. Throws on text that it did not make: that is a programmer's error. */
export function parseReleaseKey(text: string): ReleaseKey {
  const parts = text.split("|");
  if (parts.length !== 3) throw new Error(`not a release key: ${JSON.stringify(text)}`);
  const [app, channel, version] = parts as [string, string, string];
  return {
    app: appIdSchema.parse(app),
    channel: channelSchema.parse(channel),
    version: versionSchema.parse(version),
  };
}

/**
 * Order of two versions: negative when `left` is older. Semantic versions (also loose ones, `v1.2.3`)
 * compare by precedence (semver.org, section 11). Everything else compares part by part, numbers as
 * numbers (`2024.9` < `2024.10`, `build-9` < `build-10`), which is how people read them.
 */
export function compareVersions(left: string, right: string): number {
  const leftSemver = semver.parse(left, { loose: true });
  const rightSemver = semver.parse(right, { loose: true });
  if (leftSemver !== null && rightSemver !== null) return leftSemver.compare(rightSemver);
  return comparePartByPart(withoutV(left), withoutV(right));
}

/** `v1.2` is `1.2`: only one side may carry the letter, and letters sort above digits. */
function withoutV(version: string): string {
  return version.replace(/^v(?=\d)/i, "");
}

function comparePartByPart(left: string, right: string): number {
  const leftParts = left.match(/\d+|\D+/g) ?? [];
  const rightParts = right.match(/\d+|\D+/g) ?? [];
  for (let index = 0; index < Math.max(leftParts.length, rightParts.length); index += 1) {
    const order = compareParts(leftParts[index] ?? "", rightParts[index] ?? "");
    if (order !== 0) return order;
  }
  return 0;
}

function compareParts(left: string, right: string): number {
  const bothNumbers = /^\d+$/.test(left) && /^\d+$/.test(right);
  if (bothNumbers) {
    const leftNumber = BigInt(left);
    const rightNumber = BigInt(right);
    return leftNumber < rightNumber ? -1 : leftNumber > rightNumber ? 1 : 0;
  }
  return left < right ? -1 : left > right ? 1 : 0;
}
