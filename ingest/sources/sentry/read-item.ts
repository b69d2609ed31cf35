// What one item of an envelope comes to, and what is needed to read it: the form in which the files beside this one
// answer.
import type { Channel } from "../../contract/release-key.ts";
import { channelOfEnvironment } from "../../contract/sources/environment-channels.ts";
import type { SentryProject, SentrySource } from "../../contract/sources/sentry.ts";
import type { SourceResult } from "../../metrics.ts";
import type { CrashWords, ReportDraft } from "../foreign-event.ts";

export type ReadItem =
  | { readonly kind: "drafts"; readonly drafts: readonly ReportDraft[] }
  | { readonly kind: "nothing"; readonly result: Exclude<SourceResult, "reported"> };

export interface ItemContext {
  readonly source: SentrySource;
  readonly project: SentryProject;
  /** To be added to the item's times. */
  readonly shiftMs: number;
  /** Of the crash that another item of the envelope tells of. */
  readonly crash?: CrashWords | undefined;
}

export function nothing(result: Exclude<SourceResult, "reported">): ReadItem {
  return { kind: "nothing", result };
}

/** What SDKs and servers take it for when nobody says. */
const ENVIRONMENT_DEFAULT = "production";

/** Undefined = an environment that is not of the fleet. */
export function channelFor(environment: unknown, { project }: ItemContext): Channel | undefined {
  const named = typeof environment === "string" && environment !== "" ? environment : ENVIRONMENT_DEFAULT;
  return channelOfEnvironment(project.channels, named);
}

/** SDKs take a user's id for the device, else another name of the user; numbers are texts. */
export function nameIn(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}
