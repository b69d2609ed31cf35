// `sources.hot_updater`, as a schema piece: apps with hot-updater, whose devices report by a hook of the app
// (docs/recipes/hot-updater.md). Enters: parsed YAML. Leaves: which Lastgood channel each of its channels is.
import { z } from "zod";
import { mappedChannelsSchema } from "./mapped-channels.ts";

/** `channels`: "production/ios" (channel and platform) or "production" -> channel. */
export const hotUpdaterSourceSchema = z.strictObject({ channels: mappedChannelsSchema });
