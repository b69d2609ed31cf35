// `sources.codepush`, as a schema piece: apps with the CodePush client, which has one URL for everything. Enters: parsed
// YAML. Leaves: the channel of each deployment key, and the CodePush server behind this ingest, if there is one.
//
// Keys are named here also where the app's `ota_server` is a CodePush server, which knows them: asking it takes the
// management key, and that has no place in the process that every device reaches. And an ingest that started while that
// server is away would know no key, and could count nothing of what it acknowledges.
import { z } from "zod";
import { isPlainUrl } from "../plain-url.ts";
import { refuseSharedNames } from "./shared-names.ts";
import { channelSchema } from "../release-key.ts";
import type { Channel } from "../release-key.ts";

const deploymentsSchema = z
  .record(z.string().min(1), channelSchema)
  .superRefine((deployments, context) => {
    const keys = Object.entries(deployments);
    if (keys.length === 0)
      context.addIssue({ code: "custom", message: "name at least one deployment key and its channel" });
    for (const [index, [key, channel]] of keys.entries()) {
      const first = keys.findIndex(([, other]) => other === channel);
      if (first === index) continue;
      context.addIssue({
        code: "custom",
        path: [key],
        message: `another deployment key leads to ${channel} too, and v12 of one deployment is another release than v12 of the other: give each a channel of its own`,
      });
    }
  })
  .transform((deployments): ReadonlyMap<string, Channel> => new Map(Object.entries(deployments)));

/** Without the slash at its end. */
const serverSchema = z
  .url({ protocol: /^https?$/, error: "must be the http:// or https:// address of the CodePush server" })
  .refine(isPlainUrl, { error: "must be an address without user, query and fragment" })
  .transform((server) => server.replace(/\/+$/, ""));

export const codePushSourceSchema = z.strictObject({
  deployments: deploymentsSchema,
  server: serverSchema.optional(),
});

export type CodePushSource = z.infer<typeof codePushSourceSchema>;

/** For the schema of the whole file: by its deployment key a report is known to be of an app, so it can be of one only. */
export function refuseSharedDeploymentKeys(
  apps: Iterable<
    readonly [string, { readonly sources?: { readonly codepush?: CodePushSource | undefined } | undefined }]
  >,
  context: z.RefinementCtx,
): void {
  const names = [...apps].flatMap(([app, { sources }]) => {
    const deployments = sources?.codepush?.deployments;
    // zod comes here with what it has when a value inside was refused; those mistakes are told first.
    if (!(deployments instanceof Map)) return [];
    const keys = [...(deployments as CodePushSource["deployments"]).keys()];
    return keys.map((key) => ({ app, name: key, path: ["codepush", "deployments", key] }));
  });
  refuseSharedNames(
    names,
    (other) => `${other} has this deployment key too: leave it with the app that it belongs to`,
    context,
  );
}
