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
