// JSON that somebody outside wrote, with a limit to how deep it may nest. Pure. Enters: a text. Leaves: its value, or why
// there is none. Whatever a value is handed to afterwards (a schema, a message, `JSON.stringify`) may walk it by recursion,
// and a list of ten thousand lists in one another ends the stack of all of these; so no such value gets that far.

/** Lists and objects in one another (RFC 8259, 9, lets a reader set this). What nests by its form, as OTLP's values do, has a limit of its own. */
export const JSON_DEPTH_MAX = 64;

export type ReadJson =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "malformed"; readonly detail: string };

/** Of a text that {@link isTooDeep}. */
export function tooDeep(depthMax: number = JSON_DEPTH_MAX): string {
  return `Lists and objects may be ${depthMax} deep in one another.`;
}

export function readJson(text: string, depthMax: number = JSON_DEPTH_MAX): ReadJson {
  // The parser takes any depth, but what is nothing but brackets would keep it busy for long.
  if (isDense(text) && nestsMoreThan(text, depthMax)) return { kind: "malformed", detail: tooDeep(depthMax) };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { kind: "malformed", detail: `Not JSON: ${(error as Error).message}.` };
  }
  // Of the value: looking through the text takes longer than to parse it, and all reports come by here.
  return isDeeper(value, depthMax)
    ? { kind: "malformed", detail: tooDeep(depthMax) }
    : { kind: "value", value };
}

/** Goes no deeper itself. */
function isDeeper(value: unknown, most: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (most === 0) return true;
  if (Array.isArray(value)) return value.some((each) => isDeeper(each, most - 1));
  for (const name in value) if (isDeeper((value as Record<string, unknown>)[name], most - 1)) return true;
  return false;
}

/** One bracket or more opens for so many characters: a report has one for a hundred. */
const DENSE_CHARS = 8;

function isDense(text: string): boolean {
  return opensMoreThan(text, Math.max(JSON_DEPTH_MAX, text.length / DENSE_CHARS));
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LIST = 0x5b;
const LIST_END = 0x5d;
const OBJECT = 0x7b;
const OBJECT_END = 0x7d;

/** Of the text, for what another parser is given. */
export function isTooDeep(text: string, depthMax: number = JSON_DEPTH_MAX): boolean {
  return opensMoreThan(text, depthMax) && nestsMoreThan(text, depthMax);
}

/** Most texts have too few brackets to be deep, and this is a tenth of the work. */
function opensMoreThan(text: string, most: number): boolean {
  let opened = 0;
  for (const bracket of ["{", "["])
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      opened += 1;
      if (opened > most) return true;
    }
  return false;
}

function nestsMoreThan(text: string, most: number): boolean {
  let depth = 0;
  let isInString = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) isInString = !isInString;
    else if (isInString) at += code === BACKSLASH ? 1 : 0;
    else if (code === LIST || code === OBJECT) {
      depth += 1;
      if (depth > most) return true;
    } else if (code === LIST_END || code === OBJECT_END) depth -= 1;
  }
  return false;
}
