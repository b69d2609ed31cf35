// What an `event` item says. Pure. Enters: the item's JSON. Leaves: whether it tells of a crash, in which words, and, where
// crashes are counted by events, a draft of a report.
//
// A crash comes as a session and as an event, often in two envelopes. Sessions give rates, events say what it was; they are
// never added up. So `crashes_from` says which of the two counts, and the other one never does.
import { hash } from "node:crypto";
import { z } from "zod";
import { TEXT_CHARS_MAX } from "../../contract/device-report.ts";
import type { CrashWords } from "../foreign-event.ts";
import { channelFor, nameIn, nothing } from "./read-item.ts";
import type { ItemContext, ReadItem } from "./read-item.ts";
import { releaseOf } from "./release-of.ts";
import { timeMsOf } from "./sentry-time.ts";

const loose = <S extends z.ZodType>(schema: S) => schema.optional().catch(undefined);
const anything = z.unknown().optional();

/** Exceptions and frames that are looked at, from what was thrown inwards; SDKs send far fewer exceptions, and 50 to 250 frames. */
const EXCEPTIONS_MAX = 50;
const FRAMES_MAX = 250;

const frameSchema = z.looseObject({
  in_app: loose(z.boolean()),
  module: loose(z.string()),
  filename: loose(z.string()),
  function: loose(z.string()),
});
const exceptionSchema = z.looseObject({
  type: loose(z.string()),
  value: loose(z.string()),
  mechanism: loose(z.looseObject({ handled: anything })),
  stacktrace: loose(z.looseObject({ frames: z.array(z.unknown()) })),
});
type SentException = z.infer<typeof exceptionSchema>;

const eventSchema = z.looseObject({
  event_id: loose(z.string().regex(/^[0-9a-fA-F-]{32,36}$/)),
  timestamp: anything,
  level: loose(z.string()),
  release: anything,
  dist: anything,
  environment: anything,
  user: loose(z.looseObject({ id: anything, email: anything, username: anything })),
  contexts: anything,
  tags: anything,
  message: anything,
  exception: anything,
});

/** Undefined for what tells of no crash. */
export function crashIn(value: unknown): CrashWords | undefined {
  const parsed = eventSchema.safeParse(value);
  if (!parsed.success) return undefined;
  const { level, exception, message } = parsed.data;
  const exceptions = exceptionsIn(exception);
  const unhandled = exceptions.findLast(({ mechanism }) => mechanism?.handled === false);
  if (unhandled === undefined && level !== "fatal") return undefined;
  // The last one is what was thrown; those before are its causes.
  return wordsOf(unhandled ?? exceptions.at(-1), message);
}

/** Counts as a crash of the device, where crashes are counted by events. `crash`: what `crashIn` found in it. */
export function readEvent(value: unknown, context: ItemContext, crash: CrashWords | undefined): ReadItem {
  const parsed = eventSchema.safeParse(value);
  if (!parsed.success) return nothing("invalid");
  const event = parsed.data;
  if (crash === undefined || context.source.crashesFrom === "sessions") return nothing("no_outcome");
  const channel = channelFor(event.environment, context);
  if (channel === undefined) return nothing("excluded");
  const version = releaseOf(context.source.release, event);
  if (version === undefined) return nothing("unattributed");
  // In the order in which SDKs choose the device of a session.
  const { id, email, username } = event.user ?? {};
  const device = nameIn(id) ?? nameIn(email) ?? nameIn(username);
  if (device === undefined) return nothing("no_device");
  const atMs = timeMsOf(event.timestamp);
  return {
    kind: "drafts",
    drafts: [
      {
        channel,
        device,
        version,
        event: "crashed",
        at: atMs === undefined ? undefined : atMs + context.shiftMs,
        id: event.event_id,
        crash,
      },
    ],
  };
}

/** `{ values: […] }`, or the list itself; what is no exception is left out. */
function exceptionsIn(exception: unknown): SentException[] {
  const isWrapped = typeof exception === "object" && exception !== null && Object.hasOwn(exception, "values");
  const values = isWrapped ? (exception as { readonly values: unknown }).values : exception;
  if (!Array.isArray(values)) return [];
  return (values as unknown[]).slice(-EXCEPTIONS_MAX).flatMap((value) => {
    const parsed = exceptionSchema.safeParse(value);
    return parsed.success ? [parsed.data] : [];
  });
}

function wordsOf(exception: SentException | undefined, message: unknown): CrashWords {
  const said = exception?.value ?? (typeof message === "string" ? message : undefined);
  if (exception === undefined) return { message: said };
  const type = exception.type === undefined ? undefined : asText(exception.type);
  const frame = topFrame(exception);
  return {
    type,
    message: said,
    fingerprint: hash("sha256", JSON.stringify([type ?? "", frame]), "hex").slice(0, 16),
  };
}

/** Where it happened, by the app's own code; frames are in the order of calls. */
function topFrame({ stacktrace }: SentException): string {
  // Cheap first: what is no object costs a schema as much as what is one.
  const frames = (stacktrace?.frames ?? [])
    .slice(-FRAMES_MAX)
    .filter((frame) => typeof frame === "object" && frame !== null);
  const chosen = frames.findLast((frame) => (frame as { in_app?: unknown }).in_app === true) ?? frames.at(-1);
  const frame = frameSchema.safeParse(chosen).data;
  return frame === undefined ? "" : `${frame.module ?? frame.filename ?? ""}:${frame.function ?? ""}`;
}

/** As a report may have it: a class's name may be anything. */
function asText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are exactly what must not pass
  return text.slice(0, TEXT_CHARS_MAX).replaceAll(/[\u0000-\u001f\u007f]/g, " ");
}
