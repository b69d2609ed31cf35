// Other systems whose devices report to ingest in their own words, as a schema piece: `apps.<app>.sources`. Enters:
// parsed YAML. Leaves: camelCase settings, one file per system under sources/. Both rooms read it: ingest serves the
// routes, the agent has the whole file checked. A system that is not named here is not served.
import { z } from "zod";
import { capgoSourceSchema } from "./sources/capgo.ts";
import { codePushSourceSchema } from "./sources/codepush.ts";
import { namedChannels } from "./sources/environment-channels.ts";
import { expoSourceSchema } from "./sources/expo.ts";
import { hotUpdaterSourceSchema } from "./sources/hot-updater.ts";
import { otlpSourceSchema } from "./sources/otlp.ts";
import { sentrySourceSchema } from "./sources/sentry.ts";
import type { SentrySource } from "./sources/sentry.ts";

/** One field per system, named as in the file; a system that is not named is left out. */
export const sourcesSchema = z
  .strictObject({
    capgo: capgoSourceSchema.optional(),
    codepush: codePushSourceSchema.optional(),
    expo: expoSourceSchema.optional(),
    hot_updater: hotUpdaterSourceSchema.optional(),
    otlp: otlpSourceSchema.optional(),
    sentry: sentrySourceSchema.optional(),
  })
  .prefault({});

export type SourcesSettings = Readonly<z.infer<typeof sourcesSchema>>;

/**
 * For the schema of an app. Devices of these systems carry no proof of who they are: under `enforce` each would be an
 * open door beside the locked one.
 */
export function refuseUnprovenSources(
  app: {
    readonly sources: SourcesSettings;
    readonly device_auth?: { readonly mode: string } | undefined;
  },
  context: z.RefinementCtx,
): void {
  const [source] = Object.keys(app.sources ?? {});
  if (source === undefined || app.device_auth?.mode !== "enforce") return;
  context.addIssue({
    code: "custom",
    path: ["sources", source],
    message:
      "its devices carry no proof of who they are, and device_auth asks for one: set device_auth.mode to observe, or let devices report to /v1/reports",
  });
}

/** For the schema of an app: what a source's channel is to be here must be a channel of the app. */
export function refuseUnknownSourceChannels(
  app: { readonly sources: SourcesSettings; readonly channels: Readonly<Record<string, unknown>> },
  context: z.RefinementCtx,
): void {
  // zod comes here with what it has when a value inside was refused; those mistakes are told first.
  const { capgo, codepush, expo, hot_updater, otlp, sentry } = app.sources ?? {};
  const named: (readonly [path: readonly string[], channel: string])[] = [
    ...namedIn(["capgo", "channels"], capgo?.channels),
    ...(capgo?.channel === undefined ? [] : [[["capgo", "channel"], capgo.channel] as const]),
    ...namedIn(["codepush", "deployments"], codepush?.deployments),
    ...namedIn(["expo", "channels"], expo?.channels),
    ...namedIn(["hot_updater", "channels"], hot_updater?.channels),
    ...(expo?.channel === undefined ? [] : [[["expo", "channel"], expo.channel] as const]),
    ...(otlp?.channels === undefined ? [] : namedChannels(["otlp"], otlp.channels)),
    ...namedInProjects(sentry?.projects),
  ];
  for (const [path, channel] of named)
    if (!Object.hasOwn(app.channels ?? {}, channel))
      context.addIssue({
        code: "custom",
        path: ["sources", ...path],
        message: `the app has no channel "${channel}": name it under channels, or one that stands there`,
      });
}

function namedIn(
  path: readonly string[],
  channels: ReadonlyMap<string, string> | undefined,
): (readonly [readonly string[], string])[] {
  if (!(channels instanceof Map)) return [];
  return [...(channels as ReadonlyMap<string, string>)].map(([name, channel]) => [[...path, name], channel]);
}

function namedInProjects(
  projects: SentrySource["projects"] | undefined,
): (readonly [readonly string[], string])[] {
  if (!(projects instanceof Map)) return [];
  return [...(projects as SentrySource["projects"])].flatMap(([id, { channels }]) =>
    namedChannels(["sentry", "projects", id], channels),
  );
}
