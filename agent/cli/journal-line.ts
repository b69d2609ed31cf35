// One entry of the journal as a line for people. What it does not know is told by its kind and whatever sentence is in it.
// Enters: an entry, as the API has it. Leaves: text without control characters.
import { formatCount, formatTime, plain } from "./plain-text.ts";

export interface EntryAnswer {
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly prev: string;
  readonly hash: string;
}

const KIND_CHARS = "operator ".length;

export function entryLine(entry: EntryAnswer): string {
  const { seq, at, kind } = entry;
  return `${String(seq).padStart(6)}  ${formatTime(plain(at))}  ${plain(kind).padEnd(KIND_CHARS)} ${plain(textOf(entry))}`;
}

function textOf({ kind, body }: EntryAnswer): string {
  switch (kind) {
    case "verdict":
      return `${placeOf(body)} ${textIn(body, "before") ?? "not judged"} -> ${textIn(body, "kind") ?? "?"}: ${textIn(body, "sentence") ?? ""}`;
    case "hold":
      return `${placeOf(body)} held by ${textIn(body, "guard") ?? "?"} (${textIn(body, "reason") ?? "?"}): ${textIn(body, "sentence") ?? ""}`;
    case "decision":
      return `${placeOf(body)} ${textIn(body, "id") ?? "?"}, ${textIn(body, "mode") ?? "?"}: ${textIn(body, "sentence") ?? ""}`;
    case "outcome":
      return `${textIn(body, "decision_id") ?? "?"} ${textIn(body, "kind") ?? "?"}${triesOf(body)}: ${textIn(body, "detail") ?? ""}`;
    case "operator":
      return `${textIn(body, "operator") ?? "?"}: ${partsOf(body, ["action", "stage", "decision_id", "freeze_id", "letters"])}${placeWithSpace(body)}${reasonOf(body)}`;
    default:
      return `${placeWithSpace(body).trimStart()} ${partsOf(body, ["decision_id", "id", "kind", "action", "stage", "by"])}${reasonOf(body)}`.trim();
  }
}

function placeOf(body: EntryAnswer["body"]): string {
  const scope = body["scope"];
  const place = [body, body["release"], scope].find(
    (each): each is Record<string, unknown> => typeof each === "object" && each !== null && "app" in each,
  );
  if (place === undefined) return scope === "all" ? "everything" : "";
  const { app, channel, version } = place;
  return [app, channel, version].filter((part) => typeof part === "string").join("/");
}

function placeWithSpace(body: EntryAnswer["body"]): string {
  const place = placeOf(body);
  return place === "" ? "" : ` ${place}`;
}

function textIn(body: EntryAnswer["body"], name: string): string | undefined {
  const value = body[name];
  return typeof value === "string" ? value : undefined;
}

function triesOf({ attempts }: EntryAnswer["body"]): string {
  return typeof attempts === "number" && attempts > 1 ? ` after ${formatCount(attempts)} tries` : "";
}

function partsOf(body: EntryAnswer["body"], names: readonly string[]): string {
  return names
    .map((name) => body[name])
    .filter((part) => typeof part === "string" || typeof part === "number")
    .map(String)
    .join(" ");
}

function reasonOf(body: EntryAnswer["body"]): string {
  const reason = textIn(body, "sentence") ?? textIn(body, "detail") ?? textIn(body, "reason");
  return reason === undefined ? "" : `: ${reason}`;
}
