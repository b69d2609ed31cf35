// Reads a YAML configuration file against a schema. Enters: a file, a zod schema, the environment.
// Leaves: the parsed configuration, or every mistake with file, line, column and what to write instead.
// `${VAR}` and `${VAR:-default}` are replaced in values after parsing, so a secret can't change the
// structure of the file; `$${` stands for a literal `${`. Where VAR is not set, VAR_FILE may name a file with its value:
// secrets of Docker and Kubernetes are files.
import { readFileSync } from "node:fs";
import { isScalar, visit } from "yaml";
import type { Document, Scalar, YAMLParseError } from "yaml";
import type { z } from "zod";
import { explainIssue, plainMessage } from "./config-issue.ts";
import { formatPath, hasNode, parseConfigSource } from "./config-source.ts";
import type { ConfigProblem, ConfigSource, Path } from "./config-source.ts";
import { YAML_TOO_DEEP, tooDeepAt } from "./yaml-depth.ts";

export type { ConfigProblem };

export type ConfigResult<T> =
  | { readonly kind: "loaded"; readonly config: T }
  | { readonly kind: "invalid"; readonly problems: readonly ConfigProblem[] };

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ReadConfigOptions<S extends z.ZodType> {
  readonly file: string;
  readonly schema: S;
  readonly env: Environment;
  /** What only a look outside the file can tell (whether a file that it names is there, say). */
  readonly inspect?: (config: z.infer<S>) => readonly FoundMistake[];
}

export interface FoundMistake {
  readonly path: Path;
  readonly message: string;
}

/** How many aliases (`*name`) may unfold; more are a mistake or an attack on memory. */
const ALIASES_MAX = 100;

/** Reads synchronously. Throws nothing: a file that can't be read is a problem at 1:1. */
export function readConfigFile<S extends z.ZodType>(options: ReadConfigOptions<S>): ConfigResult<z.infer<S>> {
  let text: string;
  try {
    text = readFileSync(options.file, "utf8");
  } catch (error) {
    return invalid([unreadableFile(options.file, error as NodeJS.ErrnoException)]);
  }
  return readConfigText({ ...options, text });
}

export interface ReadTextOptions<S extends z.ZodType> extends ReadConfigOptions<S> {
  readonly text: string;
}

/** The same, of text that is there already; `file` is what messages call it. */
export function readConfigText<S extends z.ZodType>({
  file,
  text,
  schema,
  env,
  inspect,
}: ReadTextOptions<S>): ConfigResult<z.infer<S>> {
  const deepAt = tooDeepAt(text);
  if (deepAt !== undefined) return invalid([tooDeep(file, text.slice(0, deepAt))]);
  const source = parseConfigSource(file, text);
  if (source.document.contents === null && source.document.errors.length === 0)
    return invalid([wholeFileProblem(file, "the file is empty: copy lastgood.example.yaml and change it")]);
  const syntax = syntaxProblems(source);
  if (syntax.isBroken) return invalid(syntax.problems);
  const substitution = substitute(source, env);
  const result = check(source, schema, [...syntax.problems, ...substitution]);
  const mistakes = result.kind === "loaded" ? (inspect?.(result.config) ?? []) : [];
  return mistakes.length === 0
    ? result
    : invalid(mistakes.map(({ path, message }) => source.problemAt(path, message)));
}

/** `file:line:column: path: message` with its excerpt, one after the other. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  return problems
    .map(({ file, line, column, path, message, excerpt }) => {
      const subject = path === "" ? "" : `${path}: `;
      return `${file}:${line}:${column}: ${subject}${message}${excerpt === "" ? "" : `\n${excerpt}`}`;
    })
    .join("\n");
}

function invalid(problems: readonly ConfigProblem[]): {
  kind: "invalid";
  problems: readonly ConfigProblem[];
} {
  const inOrder = problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  return { kind: "invalid", problems: inOrder };
}

function wholeFileProblem(file: string, message: string): ConfigProblem {
  return { file, line: 1, column: 1, path: "", message, excerpt: "" };
}

/** Without an excerpt: what of the line is a secret is only known of a document that was parsed. */
function tooDeep(file: string, before: string): ConfigProblem {
  const lines = before.split("\n");
  const column = lines.at(-1)!.length + 1;
  return { ...wholeFileProblem(file, YAML_TOO_DEEP), line: lines.length, column };
}

/** Why a file can't be read, as a problem at 1:1. */
export function unreadableFile(file: string, error: NodeJS.ErrnoException): ConfigProblem {
  return wholeFileProblem(file, unreadable(error));
}

function unreadable(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT") return "there is no such file: check the path given";
  if (error.code === "EISDIR") return "this is a folder: name the file in it";
  if (error.code === "EACCES") return "this user may not read the file: change its permissions or its owner";
  return `the file could not be read: ${error.message}`;
}

const SYNTAX_MESSAGES: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: "this key stands here a second time: keep one of the two",
  TAB_AS_INDENT: "a tab can't indent YAML: use spaces",
  MULTIPLE_DOCS: "a second document starts here: keep one document in the file",
};

// A key given twice leaves a document that can still be checked; every other error leaves a guess. What
// the parser says further along the same line follows from the first.
function syntaxProblems(source: ConfigSource): { isBroken: boolean; problems: ConfigProblem[] } {
  const { errors } = source.document;
  const problems = errors.map((error) => source.problemAtOffset(error.pos[0], [], syntaxMessage(error)));
  return {
    isBroken: errors.some((error) => error.code !== "DUPLICATE_KEY"),
    problems: problems.filter(
      ({ line }, index) => problems.findIndex((other) => other.line === line) === index,
    ),
  };
}

function syntaxMessage(error: YAMLParseError): string {
  const known = SYNTAX_MESSAGES[error.code];
  if (known !== undefined) return known;
  if (/flow-map-start at node end/.test(error.message))
    return 'inside { } and [ ] a value with ${NAME} needs quotes: "${NAME}"';
  const unclosed = /^Flow (?:sequence|map) in block collection .* end with a (.)$/.exec(error.message)?.[1];
  if (unclosed !== undefined)
    return `something above is not closed: a ${unclosed} is missing before this place`;
  return `not valid YAML: ${lowerFirst(error.message)}`;
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

interface LocatedProblem extends ConfigProblem {
  /** Place in the document, to keep the schema from complaining about the same value again. */
  readonly at: Path;
}

function substitute(source: ConfigSource, env: Environment): LocatedProblem[] {
  const problems: LocatedProblem[] = [];
  visit(source.document, {
    Scalar: (key, node, ancestors) => {
      if (key === "key") {
        keepAsWritten(node);
        // zod passes over it without a word, and what stands below would be ignored.
        if (node.value === "__proto__") {
          const at = pathOf(key, ancestors);
          const message = "__proto__ cannot be a name: choose another";
          problems.push({ ...source.problemAtOffset(node.range?.[0] ?? 0, at, message), at });
        }
        return;
      }
      if (typeof node.value !== "string") return;
      const result = substituteText(node.value, env);
      node.value = result.text;
      if (result.problem === undefined) return;
      const at = pathOf(key, ancestors);
      const problem = source.problemAtOffset(node.range?.[0] ?? 0, at, result.problem);
      problems.push({ ...problem, at });
    },
  });
  return problems;
}

// YAML reads the channel name `2024.10` as the number 2024.1; as a key it is always meant as written.
function keepAsWritten(node: Scalar): void {
  if (typeof node.value !== "string" && node.source !== undefined) node.value = node.source;
}

function pathOf(key: number | "key" | "value" | null, ancestors: readonly unknown[]): Path {
  const path: PropertyKey[] = [];
  ancestors.forEach((ancestor, index) => {
    if (isPairLike(ancestor)) path.push(String(ancestor.key.value));
    else if (isSeqLike(ancestor)) {
      const child = ancestors[index + 1];
      path.push(child === undefined ? Number(key) : ancestor.items.indexOf(child));
    }
  });
  return path;
}

function isPairLike(node: unknown): node is { key: Scalar } {
  return typeof node === "object" && node !== null && "key" in node && isScalar(node.key);
}

function isSeqLike(node: unknown): node is { items: unknown[] } {
  return typeof node === "object" && node !== null && "items" in node && node.constructor.name === "YAMLSeq";
}

const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{/g;

/** As in a shell, `:-` also covers a variable that is set but empty. */
function substituteText(text: string, env: Environment): { text: string; problem?: string } {
  let problem: string | undefined;
  const replaced = text.replaceAll(REFERENCE, (whole, name?: string, fallback?: string) => {
    if (whole === "$${") return "${";
    if (name === undefined) {
      problem ??=
        "this reference is not complete: write ${NAME} or ${NAME:-default}, or $${ for a literal ${";
      return whole;
    }
    const { value, unreadable: broken } = valueOf(name, env);
    if (broken !== undefined) problem ??= broken;
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    if (value === undefined)
      problem ??= `the environment variable ${name} is not set: set it, or write \${${name}:-default}`;
    return value ?? "";
  });
  return problem === undefined ? { text: replaced } : { text: replaced, problem };
}

/** One line break at the end of a file belongs to the editor, not to the value. */
function valueOf(
  name: string,
  env: Environment,
): { readonly value: string | undefined; readonly unreadable?: string } {
  const value = env[name];
  const file = env[`${name}_FILE`];
  if ((value !== undefined && value !== "") || file === undefined || file === "") return { value };
  try {
    return { value: readFileSync(file, "utf8").replace(/\r?\n$/, "") };
  } catch (error) {
    const why = unreadable(error as NodeJS.ErrnoException);
    return { value: undefined, unreadable: `${name}_FILE is ${file}: ${why}` };
  }
}

function check<S extends z.ZodType>(
  source: ConfigSource,
  schema: S,
  found: readonly (ConfigProblem | LocatedProblem)[],
): ConfigResult<z.infer<S>> {
  const value = toPlainValue(source.document);
  if (value.kind === "too_many_aliases")
    return invalid([
      ...found,
      source.problemAt([], "aliases (*name) unfold too often: write the values out"),
    ]);
  const parsed = schema.safeParse(value.value, { error: plainMessage });
  if (parsed.success) return found.length === 0 ? { kind: "loaded", config: parsed.data } : invalid(found);
  const settled = new Set(found.map((problem) => ("at" in problem ? formatPath(problem.at) : undefined)));
  const problems = parsed.error.issues
    .flatMap((issue) => explainIssue(issue, schema))
    .filter(({ path }) => !settled.has(formatPath(path)))
    .map(({ path, message, part }) => {
      // The path of a message names what is absent, the place is the nearest thing that is there.
      return source.problemAt(path, message, hasNode(source.document, path) ? part : "value");
    });
  return invalid([...found, ...problems]);
}

function toPlainValue(document: Document): { kind: "value"; value: unknown } | { kind: "too_many_aliases" } {
  try {
    return { kind: "value", value: document.toJS({ maxAliasCount: ALIASES_MAX }) };
  } catch {
    return { kind: "too_many_aliases" };
  }
}
