// The text of a configuration file and where things stand in it: from a path in the parsed document to
// line and column, and the excerpt with a caret that a message shows. Values that are secrets never
// leave in an excerpt, whether their key says so or they are the password of a URL.
import { LineCounter, isAlias, isMap, isPair, isScalar, isSeq, parseDocument, visit } from "yaml";
import type { Document, Node, Pair } from "yaml";

/** A mistake in a configuration file, and where it stands. Lines and columns count from 1. */
export interface ConfigProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Place in the document such as `apps["com.acme.till"].ota_server.url`; empty for the whole file. */
  readonly path: string;
  readonly message: string;
  /** The line and a caret under the place. */
  readonly excerpt: string;
}

export type Path = readonly PropertyKey[];

export interface ConfigSource {
  readonly document: Document;
  problemAtOffset(offset: number, path: Path, message: string): ConfigProblem;
  /** At the value of `path`; `part: "key"` points at its key instead. What is absent is shown at its parent. */
  problemAt(path: Path, message: string, part?: "key" | "value"): ConfigProblem;
}

/** Keys whose values (and everything below them) are replaced by stars in excerpts. */
const SECRET_KEYS: ReadonlySet<string> = new Set([
  "secret",
  "token",
  "token_sha256",
  "password",
  "ingest_keys",
  "trusted_keys",
  "sentry_dsn",
]);
const SECRET_LINE =
  /((?:secret|token|token_sha256|password|ingest_keys|trusted_keys|sentry_dsn)["']?\s*:[ \t]*)(\S.*)$/gm;
const URL_PASSWORD = /(:\/\/[^\s/:@]*:)([^\s@]+)(?=@)/g;
const ONLY_A_REFERENCE = /^["']?\$\{[A-Za-z_][A-Za-z0-9_]*\}["']?$/;

/** Longest line an excerpt shows, in characters; longer ones are cut around the caret. */
const EXCERPT_CHARS_MAX = 120;

export function parseConfigSource(file: string, text: string): ConfigSource {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, stringKeys: false });
  const masked = maskSecrets(text, document).split(/\r?\n/);
  const problemAtOffset = (offset: number, path: Path, message: string): ConfigProblem => {
    const { line, col: column } = lineCounter.linePos(Math.min(offset, lastVisibleOffset(text)));
    const shown = masked[line - 1] ?? "";
    const place = { line: Math.max(1, line), column: Math.max(1, column) };
    return { file, ...place, path: formatPath(path), message, excerpt: excerptOf(shown, place) };
  };
  return {
    document,
    problemAtOffset,
    problemAt: (path, message, part = "value") =>
      problemAtOffset(offsetOf(document, path, part), path, message),
  };
}

/** A mistake at the end of the text is shown on the last line that has something on it. */
function lastVisibleOffset(text: string): number {
  return Math.max(0, text.trimEnd().length - 1);
}

/** `apps["com.acme.till"].rules[1].signal` */
export function formatPath(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`;
      const name = String(part);
      if (!/^[A-Za-z_][\w-]*$/.test(name)) return `[${JSON.stringify(name)}]`;
      return index === 0 ? name : `.${name}`;
    })
    .join("");
}

/** Whether the document has a node (even an empty one) at the path. */
export function hasNode(document: Document, path: Path): boolean {
  return descend(document, path).missing === 0;
}

function offsetOf(document: Document, path: Path, part: "key" | "value"): number {
  const { key, node, missing } = descend(document, path);
  const keyStart = key?.range?.[0];
  const nodeStart = node?.range?.[0];
  // An empty value (`url:` and nothing behind it) has no text of its own, and the mapping that lacks a key
  // starts at its first entry: in both cases the owner's key is where one looks.
  const isEmpty = isScalar(node) && (node.source ?? "") === "" && node.value === null;
  const wantsKey = part === "key" || isEmpty || (missing > 0 && isBlockMap(node));
  return (wantsKey ? (keyStart ?? nodeStart) : (nodeStart ?? keyStart)) ?? 0;
}

function isBlockMap(node: Node | undefined): boolean {
  return isMap(node) && node.flow !== true;
}

/** Follows the path as far as the document goes: the last node, its key, and how many steps were left. */
function descend(document: Document, path: Path): { key?: Node; node?: Node; missing: number } {
  let node: Node | undefined = document.contents ?? undefined;
  let key: Node | undefined;
  for (const [index, part] of path.entries()) {
    const container: Node | undefined = isAlias(node) ? node.resolve(document) : node;
    const next = isMap(container)
      ? pairOf(container.items, part)
      : isSeq(container)
        ? container.items[Number(part)]
        : undefined;
    if (next === undefined) return { ...present(key, node), missing: path.length - index };
    if (isPair(next)) {
      key = next.key as Node;
      node = (next.value as Node | null) ?? undefined;
    } else {
      key = undefined;
      node = next as Node;
    }
  }
  return { ...present(key, node), missing: 0 };
}

function present(key: Node | undefined, node: Node | undefined): { key?: Node; node?: Node } {
  return { ...(key === undefined ? {} : { key }), ...(node === undefined ? {} : { node }) };
}

function pairOf(pairs: readonly Pair[], name: PropertyKey): Pair | undefined {
  return pairs.find((pair) => isScalar(pair.key) && String(pair.key.value) === String(name));
}

function excerptOf(line: string, place: { line: number; column: number }): string {
  const from = Math.max(
    0,
    Math.min(place.column - 1 - EXCERPT_CHARS_MAX / 2, line.length - EXCERPT_CHARS_MAX),
  );
  const shown = line.slice(from, from + EXCERPT_CHARS_MAX);
  const gutter = `${String(place.line).padStart(5)} | `;
  // Tabs are kept in front of the caret so that it stays under its place whatever the tab width.
  const before = shown.slice(0, place.column - 1 - from).replaceAll(/[^\t]/g, " ");
  return `${gutter}${shown}\n${" ".repeat(gutter.length - 2)}| ${before}^`;
}

/** The same text with the characters of secrets replaced by stars, so that every column stays what it was. */
function maskSecrets(text: string, document: Document): string {
  const characters = text.split("");
  for (const [start, end] of secretRanges(document)) {
    if (ONLY_A_REFERENCE.test(text.slice(start, end).trim())) continue;
    for (let index = start; index < end; index += 1)
      if (/\S/.test(characters[index]!)) characters[index] = "*";
  }
  const masked = characters
    .join("")
    .replaceAll(URL_PASSWORD, (_, head: string, password: string) => head + stars(password));
  if (document.errors.length === 0) return masked;
  // Where the structure is broken the parser may not have seen a value as a value: cover the whole rest.
  return masked.replaceAll(SECRET_LINE, (_, head: string, rest: string) => head + stars(rest));
}

function stars(text: string): string {
  return text.replaceAll(/\S/g, "*");
}

function secretRanges(document: Document): [number, number][] {
  const ranges: [number, number][] = [];
  // A list may hold an alias of itself.
  const seen = new Set<unknown>();
  const add = (node: unknown): void => {
    const target = isAlias(node) ? node.resolve(document) : node;
    if (seen.has(target)) return;
    seen.add(target);
    if (isScalar(target)) {
      if (target.range) ranges.push([target.range[0], target.range[1]]);
    } else if (isSeq(target)) target.items.forEach(add);
    else if (isMap(target)) target.items.forEach((pair) => add(pair.value));
  };
  visit(document, {
    Pair: (_, pair) => {
      if (isScalar(pair.key) && SECRET_KEYS.has(String(pair.key.value))) add(pair.value);
    },
  });
  return ranges;
}
