// `apps.<app>.ota_server`: which make of OTA server an app has, one file per make under ota-servers/. Enters: parsed
// YAML. Leaves: the settings of that make.
import { z } from "zod";
import { capgoServerSchema } from "./ota-servers/capgo.ts";
import type { CapgoOtaServerSettings } from "./ota-servers/capgo.ts";
import { codePushServerSchema } from "./ota-servers/codepush.ts";
import type { CodePushOtaServerSettings } from "./ota-servers/codepush.ts";
import { hawkbitServerSchema } from "./ota-servers/hawkbit.ts";
import type { HawkbitOtaServerSettings } from "./ota-servers/hawkbit.ts";
import { httpServerSchema } from "./ota-servers/http.ts";
import type { HttpOtaServerSettings } from "./ota-servers/http.ts";
import { hotUpdaterServerSchema } from "./ota-servers/hot-updater.ts";
import type { HotUpdaterOtaServerSettings } from "./ota-servers/hot-updater.ts";
import { menderServerSchema } from "./ota-servers/mender.ts";
import type { MenderOtaServerSettings } from "./ota-servers/mender.ts";

export type OtaServerSettings =
  | CapgoOtaServerSettings
  | CodePushOtaServerSettings
  | HawkbitOtaServerSettings
  | HotUpdaterOtaServerSettings
  | HttpOtaServerSettings
  | MenderOtaServerSettings;

export const otaServerSchema = z.discriminatedUnion("type", [
  capgoServerSchema,
  codePushServerSchema,
  hawkbitServerSchema,
  hotUpdaterServerSchema,
  httpServerSchema,
  menderServerSchema,
]);

interface NamedChannels {
  /** That `ota_server.channels` names. */
  readonly named: ReadonlyMap<string, unknown>;
  /** Whether every channel of the app has to stand there, because nothing follows from its name. */
  readonly isNeeded: boolean;
}

function namedChannels(server: OtaServerSettings): NamedChannels {
  switch (server.type) {
    case "http":
      return { named: new Map(), isNeeded: false };
    case "capgo":
    case "mender":
      return { named: server.channels, isNeeded: false };
    case "codepush":
      return { named: server.deployments, isNeeded: false };
    case "hawkbit":
      return { named: server.targets, isNeeded: true };
    case "hot_updater":
      return { named: server.channels, isNeeded: true };
  }
}

/** For the schema of an app: a channel that is named here and nowhere else does nothing, and one that is missing can't act. */
export function refuseUnknownServerChannels(
  app: { readonly ota_server: OtaServerSettings; readonly channels: Readonly<Record<string, unknown>> },
  context: z.RefinementCtx,
): void {
  // zod comes here with what it has when a value inside was refused; those mistakes are told first.
  const { named, isNeeded } = typeof app.ota_server === "object" ? namedChannels(app.ota_server) : NONE;
  if (!(named instanceof Map)) return;
  const refuse = (path: readonly string[], message: string): void =>
    context.addIssue({ code: "custom", path: ["ota_server", "channels", ...path], message });
  for (const channel of named.keys())
    if (!Object.hasOwn(app.channels ?? {}, channel as string))
      refuse([channel as string], "the app has no such channel: name it under channels, or take it out here");
  for (const channel of isNeeded ? Object.keys(app.channels ?? {}) : [])
    if (!named.has(channel)) refuse([], `say here too what the channel ${channel} is at the server`);
}

const NONE: NamedChannels = { named: new Map(), isNeeded: false };
