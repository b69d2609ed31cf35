// The route of systems whose events come with an ingest key of ours, sent by an app's own code or its update server: one
// event or an array of them, as JSON, answered like native reports. Enters: how the system's events are read. Leaves: 202
// with what was accepted and what was not, only after the reports are kept; or a Problem.
import { Router } from "express";
import type { RequestHandler } from "express";
import type { IngestAppSettings } from "../config.ts";
import type { DeviceReport } from "../contract/device-report.ts";
import type { AppId } from "../contract/release-key.ts";
import type { SourceName, SourceResult } from "../metrics.ts";
import { allowOnly } from "../middleware/allow-only.ts";
import { appsOfKey, authenticate } from "../middleware/authenticate.ts";
import { nameRoute } from "../middleware/measure-requests.ts";
import { anyBodyOf, readAnyBody } from "../middleware/read-body.ts";
import { problem } from "../problems.ts";
import type { ReportCode } from "../problems.ts";
import { splitBody } from "../split-body.ts";
import type { BodyItem } from "../split-body.ts";
import { checkDraft } from "./source.ts";
import type { SourceDeps } from "./source.ts";
import type { ForeignEvent } from "./foreign-event.ts";

/** Events in one request; one event may become several reports. */
export const EVENTS_PER_REQUEST_MAX = 1_000;

export interface KeyedEvents {
  readonly path: string;
  readonly source: Extract<SourceName, "expo" | "hot_updater">;
  readonly read: (value: unknown, app: IngestAppSettings) => ForeignEvent;
}

/** What became of one event, and what to answer of it where it was not taken. */
interface Taken {
  readonly result: SourceResult;
  readonly reports: readonly DeviceReport[];
  readonly refusal?: { readonly code: ReportCode; readonly detail: string };
}

export function keyedEventsRouter(events: KeyedEvents, deps: SourceDeps): Router {
  const router = Router();
  router.all(events.path, nameRoute(events.path));
  router.post(
    events.path,
    ...deps.limit,
    authenticate,
    readAnyBody({ bodyBytesMax: deps.bodyBytesMax }),
    takeEvents(events, deps),
  );
  router.all(events.path, allowOnly("POST"));
  return router;
}

function takeEvents(events: KeyedEvents, { apps, keepReports, metrics }: SourceDeps): RequestHandler {
  return async (_request, response) => {
    const body = anyBodyOf(response);
    if (body.bytes.length === 0) throw problem("empty_body", "Send an event, or an array of them, as JSON.");
    const split = splitBody({ form: "json", bytes: body.bytes });
    if (split.kind === "refused") throw split.problem;
    const items = split.kind === "single" ? [split.item] : split.items;
    if (items.length > EVENTS_PER_REQUEST_MAX)
      throw problem(
        "too_many_reports",
        `A request may carry ${EVENTS_PER_REQUEST_MAX} events here; none of these was kept. Split them over several requests.`,
      );
    const keyApps = appsOfKey(response);
    const found = appsWith(events.source, apps, keyApps);
    const isOfOne = keyApps.size === 1;
    const taken = items.map((item) => takeEvent(item, { apps: found, isOfOne }, events));
    const unkept = await keepReports(taken.flatMap(({ reports }) => reports));
    if (unkept !== undefined) throw unkept;
    for (const { result } of taken) metrics.sourceEvents.inc({ source: events.source, result });
    const rejected = taken.flatMap(({ refusal }, index) =>
      refusal === undefined ? [] : [{ index, ...refusal }],
    );
    if (split.kind === "single" && rejected.length > 0) throw problem(rejected[0]!.code, rejected[0]!.detail);
    response.status(202).json({ accepted: taken.length - rejected.length, rejected });
  };
}

type FoundApps = ReadonlyMap<AppId, IngestAppSettings>;

/** Of the key's apps those that have the source. */
function appsWith(source: KeyedEvents["source"], apps: FoundApps, keyApps: ReadonlySet<AppId>): FoundApps {
  const found = new Map([...apps].filter(([app, { sources }]) => keyApps.has(app) && sources?.[source]));
  if (found.size === 0)
    throw problem(
      "key_for_another_app",
      `No app of this ingest key has sources.${source} in the configuration.`,
    );
  return found;
}

/** `isOfOne`: the ingest key is for one app and no other, so an event need not say which. */
interface KeyReach {
  readonly apps: FoundApps;
  readonly isOfOne: boolean;
}

function takeEvent(item: BodyItem, reach: KeyReach, { read }: KeyedEvents): Taken {
  const { apps } = reach;
  if (item.kind === "malformed") return refused("invalid", "malformed_json", item.detail);
  const found = appOf(item.value, reach);
  if (found === undefined)
    return refused(
      "unknown_app",
      "unknown_app",
      `Send "app", one of those that this ingest key is for: ${[...apps.keys()].join(", ")}.`,
    );
  const [app, settings] = found;
  const event = read(item.value, settings);
  switch (event.kind) {
    case "nothing":
      return { result: event.result, reports: [] };
    case "wrong":
      return refused(
        event.result,
        event.result === "unknown_kind" ? "unknown_event" : "invalid_report",
        event.detail,
      );
    case "drafts":
      return checkDrafts(event.drafts, app, settings);
  }
}

/** By its name, which may be left out where the key is for one app only. */
function appOf(value: unknown, { apps, isOfOne }: KeyReach): readonly [AppId, IngestAppSettings] | undefined {
  const isNamed = typeof value === "object" && value !== null && Object.hasOwn(value, "app");
  if (!isNamed) return isOfOne ? [...apps][0] : undefined;
  const name = (value as { readonly app: unknown }).app as AppId;
  const settings = apps.get(name);
  return settings === undefined ? undefined : [name, settings];
}

/** All of an event or nothing: its reports have the names in common by which one could be bad. */
function checkDrafts(
  drafts: Extract<ForeignEvent, { kind: "drafts" }>["drafts"],
  app: AppId,
  settings: IngestAppSettings,
): Taken {
  const reports: DeviceReport[] = [];
  for (const draft of drafts) {
    if (!(settings.channels as ReadonlySet<string>).has(draft.channel))
      return refused(
        "unknown_channel",
        "unknown_channel",
        `The app "${app}" has no channel ${JSON.stringify(draft.channel.slice(0, 64))}: add it, or map the name under sources.`,
      );
    const check = checkDraft({ ...draft, app }, settings);
    if (check.kind === "bad")
      return refused(
        check.result,
        "invalid_report",
        "A name or a time in it is none that a report may have (docs/api.md: device, version, platform, native_version, at).",
      );
    reports.push(check.report);
  }
  return { result: "reported", reports };
}

function refused(result: SourceResult, code: ReportCode, detail: string): Taken {
  return { result, reports: [], refusal: { code, detail } };
}
