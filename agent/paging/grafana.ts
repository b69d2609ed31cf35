// Client of Grafana's annotations (HTTP API `/api/annotations`; Grafana 13 calls it frozen, so nothing else knows it),
// and the reading of the journal that feeds it. Enters: journal entries after a cursor. Leaves: annotations at Grafana,
// each at most once. Grafana being down holds up nothing but the cursor.
import type { Logger } from "../../runtime/logger.ts";
import type { GrafanaSettings } from "../config/outlets.ts";
import type { JournalEntry } from "../journal/journal-entry.ts";
import { decisionIdOf, markOf, toAnnotation } from "./annotation.ts";
import type { Annotation, AnnotatedDecision } from "./annotation.ts";
import type { ChangeLog } from "./change-log.ts";
import type { Begun, JournalCursor } from "./journal-cursor.ts";
import { callJson, describeAnswer } from "./post-json.ts";

/** Entries that one look reads at most: after a long time without Grafana it catches up bit by bit. */
export const ENTRIES_PER_LOOK_MAX = 200;
/** A posting that was begun so long ago has been given up by whoever began it, in milliseconds. */
export const BEGUN_MS_MAX = 60_000;

type Answer =
  | { readonly kind: "taken" }
  /** It will never take this one. */
  | { readonly kind: "refused"; readonly detail: string }
  /** Later: nobody there, or not allowed yet. */
  | { readonly kind: "unavailable"; readonly detail: string }
  /** It may have it, or not. */
  | { readonly kind: "unknown"; readonly detail: string };

export interface Grafana {
  post(annotation: Annotation): Promise<Answer>;
  /** Whether it has an annotation with this tag; undefined when it does not say. */
  has(tag: string): Promise<"yes" | "no" | "not_allowed" | undefined>;
}

export function createGrafana({ url, token, timeoutMs }: GrafanaSettings): Grafana {
  const headers = { Authorization: `Bearer ${token}` };
  const endpoint = `${url}/api/annotations`;
  return {
    async post(annotation) {
      const answer = await callJson({
        method: "POST",
        url: new URL(endpoint),
        headers,
        body: annotation,
        timeoutMs,
      });
      if (answer.kind === "unavailable")
        return { kind: answer.sent === "not_sent" ? "unavailable" : "unknown", detail: answer.detail };
      if (answer.status >= 200 && answer.status < 300) return { kind: "taken" };
      const detail = describeAnswer(answer);
      return { kind: [400, 409, 413, 422].includes(answer.status) ? "refused" : "unavailable", detail };
    },
    async has(tag) {
      const search = new URL(endpoint);
      search.searchParams.set("tags", tag);
      search.searchParams.set("limit", "1");
      const answer = await callJson({ method: "GET", url: search, headers, timeoutMs });
      if (answer.kind === "unavailable" || answer.status >= 500) return undefined;
      if (answer.status !== 200) return "not_allowed";
      return answer.text.trim() === "[]" || answer.text.trim() === "null" ? "no" : "yes";
    },
  };
}

export interface AnnotateDeps {
  readonly grafana: Grafana;
  readonly cursor: JournalCursor;
  readonly readDecision: (id: string) => Promise<AnnotatedDecision | undefined>;
  readonly state: ChangeLog;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

/** One look: everything that is new in the journal, in order, until Grafana does not take one. */
export async function annotate(deps: AnnotateDeps): Promise<void> {
  const { entries, begun } = await deps.cursor.read(ENTRIES_PER_LOOK_MAX);
  let doneSeq: number | undefined;
  for (const entry of entries) {
    const decisionId = decisionIdOf(entry);
    const decision = decisionId === undefined ? undefined : await deps.readDecision(decisionId);
    const annotation = toAnnotation(entry, decision);
    if (annotation !== undefined) {
      if ((await tellOnce(entry, annotation, begun, deps)) === "later") break;
      await deps.cursor.advance(entry.seq);
    }
    doneSeq = entry.seq;
  }
  if (doneSeq !== undefined) await deps.cursor.advance(doneSeq);
}

async function tellOnce(
  entry: JournalEntry,
  annotation: Annotation,
  begun: Begun | undefined,
  deps: AnnotateDeps,
): Promise<"done" | "later"> {
  const { cursor, grafana, nowMs, logger, state } = deps;
  if (begun?.seq === entry.seq) {
    // Another agent is at it, or was when it died.
    if (Math.abs(nowMs() - begun.atMs) < BEGUN_MS_MAX) return "later";
    const has = await grafana.has(markOf(entry));
    if (has === undefined) return "later";
    // Where nobody may look, it counts as told: rather none than two.
    if (has !== "no") return "done";
    await cursor.beginAgain(entry.seq, nowMs());
  } else if ((await cursor.begin(entry.seq, nowMs())) === "taken") return "later";
  const answer = await grafana.post(annotation);
  state.say(answer.kind === "taken" ? "taken" : answer.kind, "detail" in answer ? answer.detail : "");
  switch (answer.kind) {
    case "taken":
      return "done";
    case "refused":
      logger.warn({ seq: entry.seq }, `Grafana does not take an annotation: ${answer.detail}`);
      return "done";
    case "unavailable":
      await cursor.undo();
      return "later";
    case "unknown":
      return "later";
  }
}
