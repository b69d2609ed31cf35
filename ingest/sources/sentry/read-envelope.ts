// What an envelope says, item by item. Pure. Enters: a parsed envelope, its project, and when it came in. Leaves: one
// answer for each item (for each bucket of `sessions`), or that it holds more sessions than may be.
import type { SentryProject, SentrySource } from "../../contract/sources/sentry.ts";
import { readJson } from "../../../runtime/json.ts";
import type { Envelope, EnvelopeItem } from "./envelope.ts";
import { crashIn, readEvent } from "./event-item.ts";
import { nothing } from "./read-item.ts";
import type { ItemContext, ReadItem } from "./read-item.ts";
import { clockShiftMs } from "./sentry-time.ts";
import { readAggregates, readSession } from "./session-item.ts";

/** Items of sessions in one envelope, as Sentry has it. */
export const SESSIONS_MAX = 100;

/** Sentry's other items; none tells how a release does on a device. */
const OTHER_TYPES: ReadonlySet<string> = new Set([
  "attachment",
  "check_in",
  "client_report",
  "feedback",
  "form_data",
  "log",
  "metric_buckets",
  "profile",
  "profile_chunk",
  "raw_security",
  "replay_event",
  "replay_recording",
  "replay_video",
  "span",
  "statsd",
  "trace_metric",
  "transaction",
  "unreal_report",
  "user_report",
]);

/** Events of an envelope that are looked at; what is beyond is `invalid`. */
export const EVENTS_MAX = 10;

export interface EnvelopeOf {
  readonly source: SentrySource;
  readonly project: SentryProject;
  readonly receivedAtMs: number;
}

export type ReadEnvelope =
  | { readonly kind: "items"; readonly items: readonly ReadItem[] }
  | { readonly kind: "too_many_sessions" };

export function readEnvelope(
  { header, items }: Envelope,
  { source, project, receivedAtMs }: EnvelopeOf,
): ReadEnvelope {
  const sessions = items.filter(({ type }) => type === "session" || type === "sessions");
  if (sessions.length > SESSIONS_MAX) return { kind: "too_many_sessions" };
  let events = 0;
  const values = items.map((item) => {
    // Sentry takes one event of an envelope; each costs a look through its frames.
    const isBeyond = item.type === "event" && (events += 1) > EVENTS_MAX;
    const value = isBeyond ? undefined : valueOf(item);
    return { item, value, crash: item.type === "event" ? crashIn(value) : undefined };
  });
  // Native SDKs send a crash as one envelope with the event and the session: then it is known what the session's crash was.
  const crashes = values.flatMap((each) => each.crash ?? []);
  const crash = sessions.length === 1 && crashes.length === 1 ? crashes[0] : undefined;
  const context: ItemContext = {
    source,
    project,
    shiftMs: clockShiftMs(header["sent_at"], receivedAtMs),
    crash,
  };
  return { kind: "items", items: values.flatMap((each) => readItem(each, context)) };
}

interface ItemValue {
  readonly item: EnvelopeItem;
  readonly value: unknown;
  readonly crash: ReturnType<typeof crashIn>;
}

function readItem({ item: { type }, value, crash }: ItemValue, context: ItemContext): readonly ReadItem[] {
  if (type === "session") return [readSession(value, context)];
  if (type === "sessions") return readAggregates(value, context);
  if (type === "event") return [readEvent(value, context, crash)];
  return [nothing(type !== undefined && OTHER_TYPES.has(type) ? "no_outcome" : "unknown_kind")];
}

/** Only of what is read; undefined for what is no JSON, or nests too deep. */
function valueOf({ type, payload }: EnvelopeItem): unknown {
  if (type !== "session" && type !== "sessions" && type !== "event") return undefined;
  const parsed = readJson(payload.toString("utf8"));
  return parsed.kind === "value" ? parsed.value : undefined;
}
