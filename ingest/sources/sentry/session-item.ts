// What a `session` or `sessions` item says. Pure. Enters: the item's JSON. Leaves: drafts of reports per device, or why
// there are none.
//
// Each update of a session is its full state, and counts are a function of the set of reports: so every update is read by
// itself, and one that comes again adds nothing. A session proves that its release ran, in the hours of its `duration`
// (SDKs leave that out where nobody can tell, as in a browser's page that stands open for days), when it started and when
// it was heard of last; a crash counts in the hour in which it happened, for the release that the SDK noted then, however
// much later it is sent. `errored` is no crash, and of the abnormal ones only those that hung (`anr_…`) are told apart: the
// rest are flat batteries and killed processes.
import { z } from "zod";
import type { DeviceEvent } from "../../contract/device-report.ts";
import type { ReportDraft } from "../foreign-event.ts";
import { channelFor, nameIn, nothing } from "./read-item.ts";
import type { ItemContext, ReadItem } from "./read-item.ts";
import { releaseOf } from "./release-of.ts";
import { timeMsOf } from "./sentry-time.ts";

/** Hours of one session that count: a device that runs for weeks without an end is heard of by other means. */
export const HOURS_PER_SESSION_MAX = 24;
/** Buckets of one `sessions` item, as Sentry has it. */
export const BUCKETS_MAX = 100;
const HOUR_MS = 3_600_000;

const loose = <S extends z.ZodType>(schema: S) => schema.optional().catch(undefined);
const anything = z.unknown().optional();
const attrsSchema = loose(z.looseObject({ release: anything, environment: anything }));

const sessionSchema = z.looseObject({
  sid: loose(z.string().regex(/^[0-9a-fA-F-]{32,36}$/)),
  did: anything,
  started: anything,
  timestamp: anything,
  status: loose(z.string()),
  duration: loose(z.number().min(0)),
  abnormal_mechanism: loose(z.string()),
  attrs: attrsSchema,
});
type Session = z.infer<typeof sessionSchema>;

const aggregatesSchema = z.looseObject({
  aggregates: z.array(z.unknown()).max(BUCKETS_MAX),
  attrs: attrsSchema,
});
const count = loose(z.number().min(0));
const bucketSchema = z.looseObject({
  started: anything,
  did: anything,
  exited: count,
  errored: count,
  abnormal: count,
  unhandled: count,
  crashed: count,
});

/** Where the device and its release stand; the same for both kinds of item. */
type Placed =
  | { readonly kind: "placed"; readonly base: Omit<ReportDraft, "event" | "at"> }
  | Extract<ReadItem, { kind: "nothing" }>;

export function readSession(value: unknown, context: ItemContext): ReadItem {
  const parsed = sessionSchema.safeParse(value);
  if (!parsed.success) return nothing("invalid");
  const session = parsed.data;
  const startedMs = timeMsOf(session.started);
  if (startedMs === undefined) return nothing("invalid");
  const placed = place(session, context);
  if (placed.kind === "nothing") return placed;
  const { durationMs, endedMs } = lengthOf(session, startedMs);
  const draft = draftMaker(placed.base, { shiftMs: context.shiftMs, id: session.sid });
  const drafts = hoursOf({ startedMs, endedMs, durationMs }).map((atMs) => draft("active", atMs));
  const trouble = troubleOf(session, context);
  if (trouble !== undefined) {
    const { crash } = context;
    drafts.push({ ...draft(trouble, endedMs), ...(trouble === "crashed" ? { crash } : {}) });
  }
  return { kind: "drafts", drafts };
}

/** One answer per bucket. */
export function readAggregates(value: unknown, context: ItemContext): readonly ReadItem[] {
  const parsed = aggregatesSchema.safeParse(value);
  if (!parsed.success) return [nothing("invalid")];
  const { aggregates, attrs } = parsed.data;
  return aggregates.map((bucket) => readBucket(bucket, attrs, context));
}

function readBucket(value: unknown, attrs: Session["attrs"], context: ItemContext): ReadItem {
  const parsed = bucketSchema.safeParse(value);
  if (!parsed.success) return nothing("invalid");
  const { started, did, exited = 0, errored = 0, abnormal = 0, unhandled = 0, crashed = 0 } = parsed.data;
  const startedMs = timeMsOf(started);
  if (startedMs === undefined) return nothing("invalid");
  const placed = place({ did, attrs }, context);
  if (placed.kind === "nothing") return placed;
  if (exited + errored + abnormal + unhandled + crashed === 0) return nothing("no_outcome");
  const draft = draftMaker(placed.base, { shiftMs: context.shiftMs });
  const hasCrashed = crashed > 0 || (unhandled > 0 && context.source.unhandledIsCrash);
  const isTold = hasCrashed && context.source.crashesFrom === "sessions";
  return { kind: "drafts", drafts: [draft(isTold ? "crashed" : "active", startedMs)] };
}

function place({ did, attrs }: Pick<Session, "did" | "attrs">, context: ItemContext): Placed {
  const channel = channelFor(attrs?.environment, context);
  if (channel === undefined) return { kind: "nothing", result: "excluded" };
  const version = releaseOf(context.source.release, attrs ?? {});
  if (version === undefined) return { kind: "nothing", result: "unattributed" };
  const device = nameIn(did);
  if (device === undefined) return { kind: "nothing", result: "no_device" };
  return { kind: "placed", base: { channel, device, version } };
}

type MakeDraft = (event: DeviceEvent, atMs: number) => ReportDraft;

function draftMaker(
  base: Omit<ReportDraft, "event" | "at">,
  { shiftMs, id }: { readonly shiftMs: number; readonly id?: string | undefined },
): MakeDraft {
  return (event, atMs) => ({ ...base, event, at: atMs + shiftMs, ...(id === undefined ? {} : { id }) });
}

/** A session that says nothing of its end was heard of when it started. */
function lengthOf(
  { timestamp, duration }: Session,
  startedMs: number,
): { readonly durationMs: number; readonly endedMs: number } {
  const durationMs = (duration ?? 0) * 1_000;
  const toldMs = timeMsOf(timestamp) ?? startedMs + Math.trunc(durationMs);
  // It ends after it began: a time before that is a clock that was set back meanwhile.
  return { durationMs, endedMs: Math.max(toldMs, startedMs) };
}

/** Its start, each further hour that it was in use, and when it was heard of: one moment of each hour. */
function hoursOf({
  startedMs,
  endedMs,
  durationMs,
}: {
  readonly startedMs: number;
  readonly endedMs: number;
  readonly durationMs: number;
}): number[] {
  const byHour = new Map<number, number>();
  const note = (atMs: number): void => {
    const hour = Math.floor(atMs / HOUR_MS);
    if (!byHour.has(hour)) byHour.set(hour, atMs);
  };
  note(startedMs);
  const inUseUntilMs = Math.min(startedMs + durationMs, endedMs);
  for (
    let hour = 1;
    hour < HOURS_PER_SESSION_MAX - 1 && startedMs + hour * HOUR_MS <= inUseUntilMs;
    hour += 1
  )
    note(startedMs + hour * HOUR_MS);
  note(endedMs);
  return [...byHour.values()];
}

function troubleOf(
  { status, abnormal_mechanism: mechanism }: Session,
  { source }: ItemContext,
): "crashed" | "not_responding" | undefined {
  const isCrash = status === "crashed" || (status === "unhandled" && source.unhandledIsCrash);
  if (isCrash) return source.crashesFrom === "sessions" ? "crashed" : undefined;
  return status === "abnormal" && mechanism?.startsWith("anr_") === true ? "not_responding" : undefined;
}
