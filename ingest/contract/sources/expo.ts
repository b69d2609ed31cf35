// `sources.expo`, as a schema piece: apps with expo-updates, whose own update server hands the headers of manifest
// requests on (docs/recipes/expo.md). Enters: parsed YAML. Leaves: which Lastgood channel each of its channels is.
import { z } from "zod";
import { channelSchema } from "../release-key.ts";
import { mappedChannelsSchema } from "./mapped-channels.ts";

/**
 * `channel`: for requests without `expo-channel-name`. `channels`: "production/ios/1.4.0" (channel, platform and runtime
 * version), "production/ios" or "production" -> channel; the longest that fits holds.
 */
export const expoSourceSchema = z.strictObject({
  channel: channelSchema.optional(),
  channels: mappedChannelsSchema,
});
