// What the agent looks at in the OTA servers when it starts, with the remedy for each finding: does each channel answer,
// and is there a release to go back to? Nothing here keeps the agent from starting: an OTA server that is away comes back.
// Enters: the channels. Leaves: findings, a sentence each.
import { compareVersions } from "../ingest/contract/release-key.ts";
import type { ChannelKey, Version } from "../ingest/contract/release-key.ts";
import type { WatchedChannel } from "./jobs/watched-channel.ts";
import type { ChannelState } from "./rollback/ota-server.ts";

/** Channels asked at once. */
const AT_ONCE = 16;

/** What the channel is known to have had, newest first; undefined = all that the server lists. */
export type HadBefore = (key: ChannelKey, state: ChannelState) => Promise<readonly Version[] | undefined>;

export async function checkChannels(
  channels: readonly WatchedChannel[],
  hadBefore: HadBefore,
): Promise<string[]> {
  const findings: string[] = [];
  for (let first = 0; first < channels.length; first += AT_ONCE) {
    const some = channels.slice(first, first + AT_ONCE);
    findings.push(...(await Promise.all(some.map((each) => checkChannel(each, hadBefore)))).flat());
  }
  return findings;
}

async function checkChannel(watched: WatchedChannel, hadBefore: HadBefore): Promise<string[]> {
  const { key, server, policy } = watched;
  const name = `${key.app}/${key.channel}`;
  const { action } = policy;
  const unable =
    action === "page" || server.capabilities[action]
      ? []
      : [
          `${name}: its policy (${policy.name}) asks for ${action}, which an OTA server of type ${server.type} can't do: choose another action.`,
        ];
  const answer = await server.readChannel(key);
  if (answer.kind !== "channel")
    return [
      ...unable,
      `${name}: the OTA server does not say what it offers, and without that nothing can be rolled back: ${answer.detail}`,
    ];
  const { state } = answer;
  const had = await hadBefore(key, state);
  const unpausable =
    action === "pause" && state.pausable === false
      ? [
          `${name}: its policy (${policy.name}) asks for pause, which the OTA server can't do on this channel as it is now: choose another action.`,
        ]
      : [];
  return [...unable, ...unpausable, ...checkTargets(name, { ...state, had }, watched)];
}

function checkTargets(
  name: string,
  { version, releases, had }: ChannelState & { readonly had: readonly Version[] | undefined },
  { policy, minimumVersion }: WatchedChannel,
): string[] {
  if (version === null || policy.action !== "rollback") return [];
  const listed = releases.map((release) => release.version);
  const own = had === undefined ? listed : had.filter((each) => listed.includes(each));
  const current = own.indexOf(version);
  const earlier = current < 0 ? [] : own.slice(current + 1);
  if (earlier.length === 0 && had !== undefined)
    return [
      `${name}: the OTA server keeps no history of a channel, and Lastgood has not seen another release there before ${version}: there is nothing to go back to by itself before the next one is published.`,
    ];
  if (earlier.length === 0)
    return [
      `${name}: the OTA server lists no release before ${version}: there is nothing to go back to before the next one is published.`,
    ];
  const isBelow =
    minimumVersion !== undefined
      ? earlier.every((release) => compareVersions(release, minimumVersion) < 0)
      : false;
  return isBelow
    ? [
        `${name}: every release before ${version} is below minimum_version ${minimumVersion}: nothing can be rolled back.`,
      ]
    : [];
}
