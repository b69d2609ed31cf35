// Names that another system has for its channels, each with the Lastgood channel it means: `channels` of a source, as a
// schema piece. Enters: parsed YAML. Leaves: a map, so that no name of a device can meet what an object inherits.
import { z } from "zod";
import { channelSchema } from "../release-key.ts";
import type { Channel } from "../release-key.ts";

export type MappedChannels = ReadonlyMap<string, Channel>;

/** Left out = none. */
export const mappedChannelsSchema = z
  .record(z.string().min(1), channelSchema)
  .prefault({})
  .transform((channels): MappedChannels => new Map(Object.entries(channels)));
