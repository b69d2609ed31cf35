// Which Lastgood channel another system's channel is. Pure. In systems whose releases are built per platform (and per
// runtime version) one channel of theirs offers several releases at the same time, and a Lastgood channel has one at a
// time: so the platform may stand in the name. Enters: the mapping of the app's source, the app's channels, and what the
// event says. Leaves: a name, which the app may not have.
import type { MappedChannels } from "../contract/sources/mapped-channels.ts";

export interface ForeignChannel {
  readonly channel: string;
  readonly platform?: string | undefined;
  readonly runtimeVersion?: string | undefined;
}

/** As `channels` names it, the longest name first; else `<channel>-<platform>` if the app has it; else the same name. */
export function channelOf(
  mapped: MappedChannels,
  channels: ReadonlySet<string>,
  { channel, platform, runtimeVersion }: ForeignChannel,
): string {
  const names = [
    ...(platform === undefined || runtimeVersion === undefined
      ? []
      : [`${channel}/${platform}/${runtimeVersion}`]),
    ...(platform === undefined ? [] : [`${channel}/${platform}`]),
    channel,
  ];
  for (const name of names) {
    const found = mapped.get(name);
    if (found !== undefined) return found;
  }
  const ofPlatform = `${channel}-${platform}`;
  return platform !== undefined && channels.has(ofPlatform) ? ofPlatform : channel;
}
