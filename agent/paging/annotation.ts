// What of the journal is drawn into Grafana's graphs: a release that is seen for the first time, a decision, and how it
// ended (a region from the decision to the OTA server's answer). Pure. Enters: an entry, and the decision that an
// outcome belongs to. Leaves: an annotation, or undefined for an entry that is not drawn.

/** What is looked at of a journal entry. */
export interface AnnotatedEntry {
  readonly kind: string;
  /** RFC 3339. */
  readonly at: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly hash: string;
}

export interface Annotation {
  /** Epoch milliseconds. */
  readonly time: number;
  readonly timeEnd?: number;
  readonly tags: readonly string[];
  readonly text: string;
}

/** What an outcome's annotation needs of its decision. */
export interface AnnotatedDecision {
  readonly at: string;
  readonly app: string;
  readonly channel: string;
  readonly version: string;
}

/** Marks the one annotation of an entry: by it Grafana can be asked whether it has it. */
export function markOf({ hash }: Pick<AnnotatedEntry, "hash">): string {
  return `lastgood:${hash.slice(0, 16)}`;
}

/** The decision whose outcome the entry tells. */
export function decisionIdOf({ kind, body }: AnnotatedEntry): string | undefined {
  return kind === "outcome" ? textOf(body["decision_id"]) : undefined;
}

export function toAnnotation(
  entry: AnnotatedEntry,
  decision: AnnotatedDecision | undefined,
): Annotation | undefined {
  const { kind, body, at } = entry;
  const time = Date.parse(at);
  const mark = markOf(entry);
  if (kind === "verdict") {
    const release = releaseOf(body["release"]);
    // With a verdict before it, it is not new.
    if (release === undefined || body["before"] !== null) return undefined;
    return {
      time,
      tags: [...tagsOf("release", release), mark],
      text: `${release.version} was seen for the first time.`,
    };
  }
  if (kind === "decision") {
    const release = releaseOf(body);
    if (release === undefined) return undefined;
    const mode = textOf(body["mode"]);
    const shown = mode === "shadow" ? " (shadow mode: nothing is touched)" : "";
    const tags = [...tagsOf(textOf(body["action"]) ?? "rollback", release), "decision", mark];
    return { time, tags, text: `${textOf(body["sentence"]) ?? "Decided."}${shown}` };
  }
  if (kind !== "outcome" || decision === undefined) return undefined;
  const outcome = textOf(body["kind"]) ?? "ended";
  const decidedMs = Date.parse(decision.at);
  return {
    time: Math.min(decidedMs, time),
    timeEnd: time,
    tags: [...tagsOf("rollback", decision), "outcome", `outcome:${outcome}`, mark],
    text: `${outcome}: ${textOf(body["detail"]) ?? ""}`,
  };
}

function tagsOf(what: string, { app, channel, version }: Omit<AnnotatedDecision, "at">): string[] {
  const about = what === "release" || what === "rollback" ? [what] : ["rollback", what];
  return ["ota", ...about, `app:${app}`, `channel:${channel}`, `version:${version}`];
}

function releaseOf(value: unknown): Omit<AnnotatedDecision, "at"> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { app, channel, version } = value as Record<string, unknown>;
  if (typeof app !== "string" || typeof channel !== "string" || typeof version !== "string") return undefined;
  return { app, channel, version };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
