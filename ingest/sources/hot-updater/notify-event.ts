// What one hot-updater report says. Pure. hot-updater itself tells no server how an update went: a hook of the app sends
// what `notifyAppReady` found, at every start of the app (docs/recipes/hot-updater.md). Enters: any JSON value. Leaves:
// drafts of reports, or why there are none.
import { z } from "zod";
import type { IngestAppSettings } from "../../config.ts";
import { channelOf } from "../channel-of.ts";
import { drafts, invalid, nothing } from "../foreign-event.ts";
import type { ForeignEvent, ReportDraft } from "../foreign-event.ts";

const bodySchema = z.looseObject({
  /** Of the app: hot-updater has no device id. */
  installId: z.string().min(1),
  platform: z.string().optional(),
  appVersion: z.string().nullish(),
  channel: z.string().min(1),
  /** That runs now. */
  bundleId: z.string().min(1),
  /** The one inside the store binary. */
  minBundleId: z.string().nullish(),
  status: z.string(),
  crashedBundleId: z.string().nullish(),
  /** Not sent by hot-updater: of an app that keeps reports for later. */
  at: z.unknown().optional(),
});

type Body = z.infer<typeof bodySchema>;

/** What a reset to the built-in bundle is called on the wire. */
const BUILT_IN_BUNDLE_ID = "00000000-0000-0000-0000-000000000000";

export function readNotifyEvent(value: unknown, app: IngestAppSettings): ForeignEvent {
  const parsed = bodySchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return invalid(
      `"${issue!.path.join(".") || "body"}": ${issue!.message}. Send installId, channel, bundleId and status as text (docs/recipes/hot-updater.md).`,
    );
  }
  const body = parsed.data;
  const draftOf = (version: string, event: ReportDraft["event"]): ReportDraft => ({
    channel: channelOf(app.sources?.hot_updater?.channels ?? new Map(), app.channels, body),
    device: body.installId,
    version,
    event,
    at: body.at ?? undefined,
    platform: body.platform,
    // Not the fingerprint: it has no order, and native versions are compared.
    native_version: body.appVersion ?? undefined,
  });
  switch (body.status) {
    case "STABLE":
    // Before hot-updater #882: a new bundle that came up.
    case "PROMOTED":
      return isBuiltIn(body) ? nothing("no_outcome") : drafts(draftOf(body.bundleId, "confirmed"));
    case "RECOVERED":
      return recovered(body, draftOf);
    default:
      return {
        kind: "wrong",
        result: "unknown_kind",
        detail: `"status" is STABLE, PROMOTED or RECOVERED, not ${JSON.stringify(body.status.slice(0, 64))}.`,
      };
  }
}

/** The running bundle is the fallback already. */
function recovered(
  body: Body,
  draftOf: (version: string, event: ReportDraft["event"]) => ReportDraft,
): ForeignEvent {
  const { crashedBundleId, bundleId } = body;
  if (typeof crashedBundleId !== "string" || crashedBundleId === "")
    return invalid('"crashedBundleId" is missing: RECOVERED is about the bundle that crashed.');
  const failure = draftOf(crashedBundleId, "reverted");
  // That it runs what it has just left can't be: the app read its id too early. The failure is sure.
  if (isBuiltIn(body) || bundleId === crashedBundleId) return drafts(failure);
  return drafts(failure, draftOf(bundleId, "active"));
}

/** A device on the built-in JavaScript names it by the least id that it takes, and runs no release. */
function isBuiltIn({ bundleId, minBundleId }: Body): boolean {
  return bundleId === minBundleId || bundleId === BUILT_IN_BUNDLE_ID;
}
