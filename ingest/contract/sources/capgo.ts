// `sources.capgo`, as a schema piece: apps with Capgo's plugin, whose `statsUrl` leads here. Enters: parsed YAML. Leaves:
// how the app is called there, which Lastgood channel each of its channels is, what of its devices counts, and where
// Capgo's own statistics are, if they are to go on.
import { z } from "zod";
import { refuseSharedNames } from "./shared-names.ts";
import { channelSchema } from "../release-key.ts";
import { mappedChannelsSchema } from "./mapped-channels.ts";

/** Longest app id of Capgo, in characters. */
const APP_ID_CHARS_MAX = 128;
/** Where events belong that name no channel, as most do: the plugin tells only one that the app itself configures. */
const CHANNEL_DEFAULT = "production";

const relaySchema = z
  .url({
    protocol: /^https?$/,
    error:
      "must be the http:// or https:// address to send copies to, such as https://plugin.capgo.app/stats",
  })
  .superRefine((relay, context) => {
    if (!URL.canParse(relay)) return;
    const { username, password, hash } = new URL(relay);
    if (username + password + hash !== "")
      context.addIssue({ code: "custom", message: "must be an address without user and fragment" });
  });

export const capgoSourceSchema = z.strictObject({
  /** Left out = as the app is called here. */
  app_id: z.string().min(1).max(APP_ID_CHARS_MAX).optional(),
  channel: channelSchema.prefault(CHANNEL_DEFAULT),
  channels: mappedChannelsSchema,
  relay: relaySchema.optional(),
  include_emulators: z.boolean().default(false),
  /** Development builds. */
  include_development: z.boolean().default(false),
});

export type CapgoSource = z.infer<typeof capgoSourceSchema>;

/** For the schema of the whole file: an event names its app by nothing else. */
export function refuseSharedCapgoApps(
  apps: Iterable<
    readonly [string, { readonly sources?: { readonly capgo?: CapgoSource | undefined } | undefined }]
  >,
  context: z.RefinementCtx,
): void {
  const names = [...apps].flatMap(([app, { sources }]) => {
    const capgo = sources?.capgo;
    // zod comes here with what it has when a value inside was refused; those mistakes are told first.
    if (typeof capgo !== "object" || capgo === null) return [];
    return [{ app, name: capgo.app_id ?? app, path: ["capgo", "app_id"] }];
  });
  refuseSharedNames(
    names,
    (other, appId) =>
      `${other} takes the events of the Capgo app ${appId} already: give each its own app_id, or leave the source with one`,
    context,
  );
}
