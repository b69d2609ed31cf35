// From what zod found to sentences for people. Enters: an issue and the schema it came from. Leaves: the
// place and a message that says what to write; unknown keys come with the known name they resemble.
// Messages never hold a value of the file: it could be a secret.
import { z } from "zod";
import type { Path } from "./config-source.ts";
import { didYouMean } from "./closest-name.ts";

export interface ExplainedIssue {
  readonly path: Path;
  readonly message: string;
  /** Whether the key or the value is what is wrong. */
  readonly part: "key" | "value";
}

/** The error map for `safeParse`: a message that the schema itself gives still wins over these. */
export function plainMessage(issue: z.core.$ZodRawIssue): string | undefined {
  if (isMissing(issue)) return "this setting is missing";
  if (issue.code === "invalid_type") return mustBe(issue.expected, issue.input);
  if (issue.code === "invalid_value") return `not known here: write ${listed(issue.values.map(String))}`;
  if (issue.code === "invalid_union") return unionMessage(issue);
  if (issue.code === "too_small")
    return tooSmall(issue.origin, Number(issue.minimum), issue.inclusive !== false);
  if (issue.code === "too_big") return tooBig(issue.origin, Number(issue.maximum), issue.inclusive !== false);
  return undefined;
}

const CODES_WHEN_MISSING: ReadonlySet<string> = new Set(["invalid_type", "invalid_union", "invalid_value"]);

function isMissing(issue: z.core.$ZodRawIssue): boolean {
  return issue.input === undefined && CODES_WHEN_MISSING.has(issue.code);
}

const KIND_NAMES: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "a mapping (key: value lines)",
  record: "a mapping (key: value lines)",
  array: "a list",
};

function mustBe(expected: string, input: unknown): string {
  const wanted = `must be ${KIND_NAMES[expected] ?? expected}`;
  if (expected === "string" && (typeof input === "number" || typeof input === "boolean"))
    return `${wanted}: put it in quotes, or YAML reads it as a ${typeof input}`;
  return `${wanted}, not ${kindOf(input)}`;
}

function kindOf(input: unknown): string {
  if (input === null) return "empty";
  if (Array.isArray(input)) return KIND_NAMES["array"]!;
  return KIND_NAMES[typeof input] ?? typeof input;
}

function unionMessage(issue: z.core.$ZodRawIssue): string {
  const options: unknown = issue["options"];
  if (Array.isArray(options)) {
    // A union told apart by one key: absent, or with a value that names no branch.
    const choices = `write ${listed(options.map(String))}`;
    return isWithout(issue.input, issue["discriminator"])
      ? `this setting is missing: ${choices}`
      : `not known here: ${choices}`;
  }
  const inner = (issue["errors"] ?? []) as readonly (readonly z.core.$ZodIssue[])[];
  const wanted = inner
    .flat()
    .flatMap((one) => (one.code === "invalid_type" ? [KIND_NAMES[one.expected]] : []));
  const known = wanted.filter((name) => name !== undefined);
  return known.length === 0 ? "not valid here" : `must be ${listed(known)}`;
}

function isWithout(input: unknown, key: unknown): boolean {
  return typeof input === "object" && input !== null && typeof key === "string" && !(key in input);
}

function listed(names: readonly string[]): string {
  const unique = [...new Set(names)];
  return unique.length < 2 ? unique.join("") : `${unique.slice(0, -1).join(", ")} or ${unique.at(-1)!}`;
}

function tooSmall(origin: string, minimum: number, inclusive: boolean): string {
  if (origin === "string") return `must have at least ${counted(minimum, "character")}`;
  if (origin === "array") return `must list at least ${counted(minimum, "entry")}`;
  return `must be ${inclusive ? "at least" : "more than"} ${minimum}`;
}

function tooBig(origin: string, maximum: number, inclusive: boolean): string {
  if (origin === "string") return `must have at most ${counted(maximum, "character")}`;
  if (origin === "array") return `must list at most ${counted(maximum, "entry")}`;
  return `must be ${inclusive ? "at most" : "less than"} ${maximum}`;
}

function counted(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`;
  return `${count} ${noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`}`;
}

/** One issue of zod as the mistakes it stands for: an issue on unknown keys names several. */
export function explainIssue(issue: z.core.$ZodIssue, schema: z.ZodType): ExplainedIssue[] {
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(schema, issue.path);
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      // Known, but to another branch of a union.
      message: known.includes(key)
        ? "does not go with the type that is chosen here: take it out"
        : `there is no setting of this name${hint(key, known)}`,
      part: "key",
    }));
  }
  if (issue.code === "invalid_key") {
    const reason = issue.issues[0]?.message ?? "must be different";
    return [{ path: issue.path, message: `not usable as a name: ${reason}`, part: "key" }];
  }
  return [{ path: issue.path, message: issue.message, part: "value" }];
}

function hint(key: string, known: readonly string[]): string {
  if (known.length === 0) return "";
  const guess = didYouMean(key, known);
  return guess === "" ? `; known here: ${known.join(", ")}` : guess;
}

/** Keys of the object schemas that stand at a path, looking through optional, default, pipe, union and record. */
function knownKeys(schema: z.core.$ZodType, path: Path): readonly string[] {
  let layer = objectLayers(schema);
  for (const part of path) layer = layer.flatMap((one) => stepInto(one, part)).flatMap(objectLayers);
  return layer.flatMap((one) => (one instanceof z.ZodObject ? Object.keys(one.shape) : []));
}

/** The schemas behind a wrapper that look at the structure of their input. */
function objectLayers(schema: z.core.$ZodType): z.core.$ZodType[] {
  if (schema instanceof z.ZodPipe) return objectLayers(schema.def.in);
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return objectLayers(schema.def.innerType);
  if (schema instanceof z.ZodUnion) return schema.def.options.flatMap(objectLayers);
  return [schema];
}

function stepInto(schema: z.core.$ZodType, part: PropertyKey): z.core.$ZodType[] {
  if (schema instanceof z.ZodObject) {
    const next = schema.shape[String(part)];
    return next === undefined ? [] : [next];
  }
  if (schema instanceof z.ZodRecord) return [schema.def.valueType];
  if (schema instanceof z.ZodArray) return [schema.def.element];
  return [];
}
