// `sources.capgo`, as a schema piece: apps with the Capgo plugin, whose `statsUrl` leads here. Enters: parsed YAML.
// Leaves: how its events find their app and channel, which devices count, and where a copy goes.
import { z } from "zod";
import { channelSchema } from "../release-key.ts";
import { mappedChannelsSchema } from "./mapped-channels.ts";

const relaySchema = z
  .url({
    protocol: /^https?$/,
    error: "must be an http:// or https:// address, such as Capgo's own statsUrl",
  })
  .superRefine((relay, context) => {
    if (!URL.canParse(relay)) return;
    const { username, password, hash } = new URL(relay);
    if (username + password + hash !== "")
      context.addIssue({ code: "custom", message: "must be an address without user and fragment" });
  });

export const capgoSourceSchema = z
  .strictObject({
    app_id: z.string().min(1).max(128).optional(),
    channel: channelSchema,
    channels: mappedChannelsSchema,
    relay: relaySchema.optional(),
    include_emulators: z.boolean().prefault(false),
    include_development: z.boolean().prefault(false),
  })
  .transform((source) => ({
    /** As the plugin sends it; undefined = the name that the app has here. */
    appId: source.app_id,
    /** For events that name none. */
    channel: source.channel,
    /** Capgo's channel -> ours; what does not stand here is called the same. */
    channels: source.channels,
    /** Where a copy of each request goes. */
    relay: source.relay,
    includeEmulators: source.include_emulators,
    includeDevelopment: source.include_development,
  }));

export type CapgoSource = z.infer<typeof capgoSourceSchema>;

/** For the schema of the whole file: an event names its app by `app_id` alone. */
export function refuseSharedCapgoIds(
  apps: Iterable<
    readonly [string, { readonly sources?: { readonly capgo?: CapgoSource | undefined } | undefined }]
  >,
  context: z.RefinementCtx,
): void {
  const appOf = new Map<string, string>();
  for (const [app, { sources }] of apps) {
    if (sources?.capgo === undefined) continue;
    const id = sources.capgo.appId ?? app;
    const other = appOf.get(id);
    if (other === undefined) appOf.set(id, app);
    else
      context.addIssue({
        code: "custom",
        path: ["apps", app, "sources", "capgo", "app_id"],
        message: `${other} has the Capgo app "${id}" too: an event names its app by this alone`,
      });
  }
}
