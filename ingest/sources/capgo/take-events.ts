// From the events of one request to reports. Enters: JSON values, and what is remembered of their devices. Leaves: for each
// event what became of it, with the report that it makes. Events of one request are looked at together: what one of them
// tells of the device's timeline holds for all, whatever their order.
import type { Clock } from "../../../runtime/clock.ts";
import type { IngestAppSettings } from "../../config.ts";
import { DEVICE_ID_CHARS_MAX } from "../../contract/device-report.ts";
import type { DeviceReport } from "../../contract/device-report.ts";
import { isVersion } from "../../contract/release-key.ts";
import type { AppId } from "../../contract/release-key.ts";
import type { CapgoSource } from "../../contract/sources/capgo.ts";
import type { SourceResult } from "../../metrics.ts";
import { checkDraft } from "../source.ts";
import { momentOf, needsTimeline, readKnownEvent, toKnownEvent } from "./attribution.ts";
import type { KnownEvent } from "./attribution.ts";
import { readStatsEvent } from "./stats-event.ts";
import type { CapgoEvent } from "./stats-event.ts";
import type { Moment } from "./timeline.ts";
import type { TimelineAnswer, TimelineQuery, TimelineStore } from "./timeline-store.ts";

/** Events of one device in a request: what a plugin's queue holds at most. The rest is `invalid`. */
export const EVENTS_PER_DEVICE_MAX = 200;
/** Devices in a request: a plugin sends its own alone. */
export const DEVICES_PER_REQUEST_MAX = 100;
/**
 * Moments of one device that a request may tell: the newest. Attribution looks at each against the others for every event,
 * and anybody may send a request.
 */
export const TOLD_MOMENTS_MAX = 40;

export interface TakenEvent {
  readonly result: SourceResult;
  readonly reports: readonly DeviceReport[];
  /** Where its app wants copies sent. */
  readonly relay?: string | undefined;
}

export type TakeEvents = (
  values: readonly unknown[],
) => Promise<
  | { readonly kind: "taken"; readonly events: readonly TakenEvent[] }
  | Exclude<TimelineAnswer, { kind: "found" }>
>;

interface CapgoApp {
  readonly app: AppId;
  readonly settings: IngestAppSettings;
  readonly source: CapgoSource;
}

interface ReadEvent {
  readonly of: CapgoApp;
  readonly known: KnownEvent;
  readonly channel: string;
}

export interface TakeEventsOptions {
  readonly apps: ReadonlyMap<AppId, IngestAppSettings>;
  readonly timelines: TimelineStore;
  readonly clock: Clock;
}

export function createTakeEvents({ apps, timelines, clock }: TakeEventsOptions): TakeEvents {
  const byAppId = new Map(
    [...apps].flatMap(([app, settings]): (readonly [string, CapgoApp])[] => {
      const source = settings.sources?.capgo;
      return source === undefined ? [] : [[source.app_id ?? app, { app, settings, source }]];
    }),
  );
  return async (values) => {
    const receivedAtMs = clock();
    const admits = createBounds();
    const read = values.map((value) => {
      const one = readValue(value, byAppId, receivedAtMs);
      return "known" in one && !admits(deviceKey(one)) ? without("invalid", one.of) : one;
    });
    const events = read.flatMap((one) => ("known" in one ? [one] : []));
    const asked = whomToAskAbout(events);
    const answer = await ask(asked, timelines, receivedAtMs);
    if (answer.kind === "redis_unavailable") return answer;
    const found = new Map(
      [...asked].map(([key, { told }], index) => [key, [...answer.moments[index]!, ...told]]),
    );
    const momentsOf = (one: ReadEvent): readonly Moment[] => found.get(deviceKey(one)) ?? [];
    return {
      kind: "taken",
      events: read.map((one) => ("known" in one ? toReport(one, momentsOf(one)) : one)),
    };
  };
}

/** Whether one more event of this device is looked at. */
function createBounds(): (device: string) => boolean {
  const events = new Map<string, number>();
  return (device) => {
    const before = events.get(device) ?? 0;
    if (before >= EVENTS_PER_DEVICE_MAX) return false;
    if (before === 0 && events.size >= DEVICES_PER_REQUEST_MAX) return false;
    events.set(device, before + 1);
    return true;
  };
}

function readValue(
  value: unknown,
  byAppId: ReadonlyMap<string, CapgoApp>,
  receivedAtMs: number,
): ReadEvent | TakenEvent {
  const event = readStatsEvent(value);
  if (event === undefined || event.device.length > DEVICE_ID_CHARS_MAX) return without("invalid");
  const of = byAppId.get(event.appId);
  if (of === undefined) return without("unknown_app");
  const { source, settings } = of;
  const isExcluded =
    (event.isEmulator && !source.include_emulators) || (!event.isProduction && !source.include_development);
  if (isExcluded) return without("excluded", of);
  const known = toKnownEvent(event, receivedAtMs);
  if (known === undefined) return without("unknown_kind", of);
  const channel = channelOf(event, source);
  if (!(settings.channels as ReadonlySet<string>).has(channel)) return without("unknown_channel", of);
  return { of, known, channel };
}

function without(result: SourceResult, of?: CapgoApp): TakenEvent {
  return { result, reports: [], relay: of?.source.relay };
}

function channelOf({ channel }: CapgoEvent, source: CapgoSource): string {
  return channel === undefined ? source.channel : (source.channels.get(channel) ?? channel);
}

interface AskedDevice extends TimelineQuery {
  /** All that the request tells of when the device ran what. */
  readonly told: readonly Moment[];
}

/** Devices with an event that needs it, each once. */
function whomToAskAbout(events: readonly ReadEvent[]): ReadonlyMap<string, AskedDevice> {
  const ofDevice = new Map<string, ReadEvent[]>();
  for (const one of events) {
    const key = deviceKey(one);
    const others = ofDevice.get(key);
    if (others === undefined) ofDevice.set(key, [one]);
    else others.push(one);
  }
  return new Map(
    [...ofDevice].flatMap(([key, ofOne]): [string, AskedDevice][] => {
      const { of, known } = ofOne[0]!;
      if (!ofOne.some((one) => needsTimeline(one.known.meaning))) return [];
      const told = newestOf(ofOne.flatMap((one) => momentsOfEvent(one.known)));
      return [[key, { app: of.app, device: known.event.device, told, moments: toRemember(ofOne) }]];
    }),
  );
}

/** Each once. */
function newestOf(moments: readonly Moment[]): Moment[] {
  const distinct = new Map(
    moments.map((moment) => [
      JSON.stringify([moment.kind, moment.atMs, moment.version, moment.from]),
      moment,
    ]),
  );
  return [...distinct.values()].toSorted((left, right) => right.atMs - left.atMs).slice(0, TOLD_MOMENTS_MAX);
}

/** None that names what no release can be called: it would be remembered for nothing. */
function momentsOfEvent(known: KnownEvent): Moment[] {
  const moment = momentOf(known);
  return moment === undefined || !isVersion(moment.version) ? [] : [moment];
}

/**
 * Of what was only seen to run: the first of each bundle, and only where an exit was told. By that a crash is known whose
 * it is also when the switch before it was never told; any more would push out the switches.
 */
function toRemember(events: readonly ReadEvent[]): Moment[] {
  const remembered: Moment[] = [];
  const firstSeen = new Map<string, Moment>();
  for (const { known } of events)
    for (const moment of momentsOfEvent(known)) {
      if (moment.kind !== "runs") remembered.push(moment);
      else if (known.meaning.kind === "exit") {
        const first = firstSeen.get(moment.version);
        if (first === undefined || moment.atMs < first.atMs) firstSeen.set(moment.version, moment);
      }
    }
  return [...remembered, ...firstSeen.values()];
}

async function ask(
  asked: ReadonlyMap<string, TimelineQuery>,
  timelines: TimelineStore,
  receivedAtMs: number,
): Promise<TimelineAnswer> {
  if (asked.size === 0) return { kind: "found", moments: [] };
  return await timelines.note([...asked.values()], receivedAtMs);
}

function deviceKey({ of, known }: ReadEvent): string {
  return `${of.app}\0${known.event.device}`;
}

function toReport({ of, known, channel }: ReadEvent, moments: readonly Moment[]): TakenEvent {
  const event = readKnownEvent(known, moments, channel);
  if (event.kind !== "drafts") return without(event.result, of);
  const reports: DeviceReport[] = [];
  for (const draft of event.drafts) {
    const check = checkDraft({ ...draft, app: of.app }, of.settings);
    if (check.kind === "bad") return without(check.result, of);
    reports.push(check.report);
  }
  return { result: "reported", reports, relay: of.source.relay };
}
