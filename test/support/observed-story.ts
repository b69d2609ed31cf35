// What happens in the tests of what people look at: a good release everywhere, then one that fails for one model, wave by
// wave, and what each channel makes of it. Enters: a running stack. Leaves: reports that were sent.
import { sleep } from "../../runtime/clock.ts";
import { capgoEvent } from "./capgo-events.ts";
import { CHANNELS, TILL_APP } from "./observed-stack.ts";
import type { ObservedStack } from "./observed-stack.ts";

export const OLD = "1.3.0";
export const GOOD = "1.4.0";
export const BAD = "1.5.0";
/** As bad, and published while the agent is dead. */
export const WORSE = "1.7.0";
/** What the channels that were not rolled back move on to. */
export const MENDED = "1.8.0";

const DEVICES_PER_CHANNEL = 1_000;
/** Every fourth device is of the model that the bad release does not fit. */
const MODELS = ["till-9", "till-7", "till-8", "till-8"] as const;
const WAVE_DEVICES = 20;
const WAVE_MS = 1_000;

interface Said {
  readonly channel: string;
  readonly version: string;
  /** Indexes of devices. */
  readonly devices: readonly number[];
  readonly events: readonly string[];
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);
const isMisfit = (index: number): boolean => index % MODELS.length === 0;

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

/** A fleet on two good releases, in use; now and then one crashes. */
export async function tellOfGoodReleases(stack: ObservedStack): Promise<void> {
  const half = range(0, DEVICES_PER_CHANNEL / 2);
  for (const channel of Object.values(CHANNELS)) {
    await say(stack, { channel, version: OLD, devices: half, events: ["active"] });
    const events = ["update_started", "installed", "confirmed", "active"];
    await say(stack, { channel, version: GOOD, devices: half, events });
    await say(stack, { channel, version: GOOD, devices: range(0, 80), events: ["crashed"] });
  }
  await stack.sayInCapgo([
    capgoEvent({ action: "app_moved_to_foreground", timestamp: Date.now(), version_name: GOOD }),
    capgoEvent({ action: "set", timestamp: Date.now(), version_name: GOOD, old_version_name: OLD }),
  ]);
}

/**
 * Each wave is taken up by some more devices; those of one model can't run it, and some of the others crash. Beside them
 * the good release is in use, and crashes now and then.
 */
export async function tellOfBadRelease(
  stack: ObservedStack,
  {
    channels,
    waves,
    from = 0,
    version = BAD,
  }: { channels: readonly string[]; waves: number; from?: number; version?: string },
): Promise<void> {
  for (let wave = from; wave < from + waves; wave += 1) {
    const devices = range(wave * WAVE_DEVICES, (wave + 1) * WAVE_DEVICES);
    const fine = devices.filter((index) => !isMisfit(index));
    for (const channel of channels) {
      const elsewhere = devices.map((index) => index + DEVICES_PER_CHANNEL);
      await say(stack, { channel, version: GOOD, devices: elsewhere, events: ["active"] });
      await say(stack, { channel, version: GOOD, devices: elsewhere.slice(0, 4), events: ["crashed"] });
      await say(stack, { channel, version, devices, events: ["update_started", "installed"] });
      await say(stack, { channel, version, devices: fine, events: ["confirmed", "active"] });
      await say(stack, { channel, version, devices: fine.slice(0, 9), events: ["crashed"] });
      await say(stack, { channel, version, devices: devices.filter(isMisfit), events: ["reverted"] });
    }
    await sleep(WAVE_MS);
  }
}

/** Devices that were on the bad release say that they run the good one again. */
export async function tellOfReturn(stack: ObservedStack, channel: string): Promise<void> {
  const devices = range(0, DEVICES_PER_CHANNEL);
  await say(stack, { channel, version: GOOD, devices, events: ["confirmed", "active"] });
}
