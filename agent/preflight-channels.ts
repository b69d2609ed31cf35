// What the agent looks at in the OTA servers when it starts, with the remedy for each finding: does each channel answer,
// and is there a release to go back to? Nothing here keeps the agent from starting: an OTA server that is away comes back.
// Enters: the channels. Leaves: findings, a sentence each.
import { compareVersions } from "../ingest/contract/release-key.ts";
import type { WatchedChannel } from "./jobs/watched-channel.ts";
import type { ChannelState } from "./rollback/ota-server.ts";

/** Channels asked at once. */
const AT_ONCE = 16;

export async function checkChannels(channels: readonly WatchedChannel[]): Promise<string[]> {
  const findings: string[] = [];
  for (let first = 0; first < channels.length; first += AT_ONCE) {
    const some = channels.slice(first, first + AT_ONCE);
    findings.push(...(await Promise.all(some.map(checkChannel))).flat());
  }
  return findings;
}

async function checkChannel(watched: WatchedChannel): Promise<string[]> {
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
  return [...unable, ...checkTargets(name, answer.state, watched)];
}

function checkTargets(
  name: string,
  { version, releases }: ChannelState,
  { policy, minimumVersion }: WatchedChannel,
): string[] {
  if (version === null || policy.action !== "rollback") return [];
  const current = releases.findIndex((release) => release.version === version);
  const earlier = current < 0 ? [] : releases.slice(current + 1);
  if (earlier.length === 0)
    return [
      `${name}: the OTA server lists no release before ${version}: there is nothing to go back to before the next one is published.`,
    ];
  const isBelow =
    minimumVersion !== undefined
      ? earlier.every((release) => compareVersions(release.version, minimumVersion) < 0)
      : false;
  return isBelow
    ? [
        `${name}: every release before ${version} is below minimum_version ${minimumVersion}: nothing can be rolled back.`,
      ]
    : [];
}
