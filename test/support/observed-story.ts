// What happens in the tests of what people look at: a good release everywhere, then one that fails for one model, and what
// each channel makes of it. Enters: a running stack. Leaves: reports that were sent, in the order of a fleet's day.
import { capgoEvent } from "./capgo-events.ts";
import { CHANNELS, TILL_APP } from "./observed-stack.ts";
import type { ObservedStack } from "./observed-stack.ts";

export const OLD = "1.3.0";
export const GOOD = "1.4.0";
export const BAD = "1.5.0";
/** Published after the bad one, and well. */
export const MENDED = "1.6.0";

const DEVICES_PER_CHANNEL = 240;
/** Every fourth device is of the model that the bad release does not fit. */
const MODELS = ["till-9", "till-7", "till-8", "till-8"] as const;

interface Said {
  readonly channel: string;
  readonly version: string;
  /** Indexes of devices. */
  readonly devices: readonly number[];
  readonly events: readonly string[];
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

function say(stack: ObservedStack, { channel, version, devices, events }: Said): Promise<void> {
  return stack.report(
    devices.flatMap((index) =>
      events.map((event) => ({
        app: TILL_APP,
        channel,
        device: `${channel}-${index}`,
        version,
        event,
        at: new Date().toISOString(),
        platform: "linux",
        model: MODELS[index % MODELS.length],
      })),
    ),
  );
}

/** A fleet on two good releases, in use. */
export async function tellOfGoodReleases(stack: ObservedStack): Promise<void> {
  for (const channel of Object.values(CHANNELS)) {
    await say(stack, { channel, version: OLD, devices: range(0, DEVICES_PER_CHANNEL), events: ["active"] });
    const events = ["update_started", "installed", "confirmed", "active"];
    await say(stack, { channel, version: GOOD, devices: range(0, DEVICES_PER_CHANNEL), events });
    await say(stack, { channel, version: GOOD, devices: range(0, 12), events: ["crashed"] });
  }
  await stack.sayInCapgo([
    capgoEvent({ action: "app_moved_to_foreground", timestamp: Date.now(), version_name: GOOD }),
    capgoEvent({ action: "set", timestamp: Date.now(), version_name: GOOD, old_version_name: OLD }),
  ]);
}

/** Published on the channels, and taken up by a part of their devices; those of one model can't run it. */
export async function tellOfBadRelease(
  stack: ObservedStack,
  channels: readonly string[],
  devices = range(0, DEVICES_PER_CHANNEL / 2),
): Promise<void> {
  for (const channel of channels) stack.publish(channel, BAD);
  for (const channel of channels) {
    await say(stack, { channel, version: BAD, devices, events: ["update_started", "installed"] });
    const isMisfit = (index: number): boolean => index % MODELS.length === 0;
    const fine = devices.filter((index) => !isMisfit(index));
    await say(stack, { channel, version: BAD, devices: fine, events: ["confirmed", "active"] });
    await say(stack, { channel, version: BAD, devices: fine.slice(0, 60), events: ["crashed"] });
    await say(stack, { channel, version: BAD, devices: devices.filter(isMisfit), events: ["reverted"] });
  }
}

/** Devices that were on the bad release say that they run the good one again. */
export async function tellOfReturn(stack: ObservedStack, channel: string): Promise<void> {
  const devices = range(0, DEVICES_PER_CHANNEL / 2);
  await say(stack, { channel, version: GOOD, devices, events: ["confirmed", "active"] });
}

/** Heartbeats, so that rates have something to rise by. */
export async function tellOfUse(stack: ObservedStack, round: number): Promise<void> {
  const channel = CHANNELS.rolledBack;
  const devices = range(round * 20, round * 20 + 20).map((index) => index % DEVICES_PER_CHANNEL);
  await say(stack, { channel, version: GOOD, devices, events: ["active"] });
}
