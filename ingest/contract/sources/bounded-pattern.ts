// Regular expressions that an operator writes and devices' texts are held against: a schema piece. Enters: a pattern.
// Leaves: a RegExp that ends in time whatever the text, or why not.
//
// JavaScript's engine tries every way to match. `(a+)+$` on 40 characters takes it hours, and the text comes from anyone
// who has the key that is in every app. So texts have a limit, repeats inside repeats are refused, and what is left has a
// budget: what it may cost at worst is counted in powers of two. The dearest pattern takes milliseconds (a test measures it).
import { z } from "zod";

/** Longest text that is held against a pattern, in UTF-16 code units: 2^8. Sentry's own limit for a release is 250. */
export const MATCHED_CHARS_MAX = 256;
/** Longest pattern, in UTF-16 code units. */
export const PATTERN_CHARS_MAX = 256;
/** Steps that a pattern may take on the longest text, as a power of two. */
export const WORK_BITS_MAX = 18;

/** Each may multiply the steps by the length of the text: where a match begins, and `*`, `+` and long repeats. */
const BITS_OF_LENGTH = 8;
/** `?` and `|`: one way or the other. */
const BITS_OF_CHOICE = 1;
/** `{1,4}` and shorter. */
const BITS_OF_SHORT_REPEAT = 2;
const SHORT_REPEAT_MAX = 4;

interface Group {
  hasRepeat: boolean;
}

/** Why the pattern is refused; undefined = it is fine. Its syntax is not looked at: RegExp does that. */
export function complaintAbout(pattern: string): string | undefined {
  let bits = 0;
  let isAnchored = pattern.startsWith("^");
  // A group that was just read, and may be repeated.
  let last: Group | undefined;
  const open: Group[] = [{ hasRepeat: false }];
  for (const token of tokensOf(pattern)) {
    const before = last;
    last = undefined;
    if (token.startsWith("(")) {
      if (/^\(\?<?[=!]/.test(token)) return "must not look ahead or behind";
      open.push({ hasRepeat: false });
    } else if (token === ")") {
      last = open.length > 1 ? open.pop() : undefined;
      if (last?.hasRepeat === true) open.at(-1)!.hasRepeat = true;
    } else if (/^\\(?:[1-9]|k)/.test(token)) return "must not refer back to a group";
    else if (token === "|") {
      if (open.length === 1) isAnchored = false;
      open.at(-1)!.hasRepeat = true;
      bits += BITS_OF_CHOICE;
    } else if (/^(?:[*+?]|\{\d)/.test(token)) {
      // Once or not at all is no repeat.
      if (before?.hasRepeat === true && !token.startsWith("?"))
        return "must not repeat a group in which something repeats or is chosen";
      const more = bitsOf(token);
      if (more > 0) open.at(-1)!.hasRepeat = true;
      bits += more;
    }
  }
  return bits + (isAnchored ? 0 : BITS_OF_LENGTH) <= WORK_BITS_MAX
    ? undefined
    : "could take too long on a long text: begin it with ^, or use fewer of *, + and ?";
}

/** Escapes, classes, starts of groups and repeats as one each; else characters. A lazy repeat's `?` is part of it. */
function tokensOf(pattern: string): string[] {
  return (
    pattern.match(
      /\\k<[^>]*>|\\[\s\S]|\[(?:\\[\s\S]|[^\]\\])*\]|\(\?(?:<?[=!]|:|<[^>]*>)|[*+?]\??|\{\d+(?:,\d*)?\}\??|[\s\S]/g,
    ) ?? []
  );
}

function bitsOf(repeat: string): number {
  if (repeat.startsWith("?")) return BITS_OF_CHOICE;
  const [, least, comma, most] = /^\{(\d+)(,?)(\d*)\}/.exec(repeat) ?? [];
  // There is one way only to take exactly so many.
  if (least !== undefined && (comma === "" || least === most)) return 0;
  const isShort = most !== undefined && most !== "" && Number(most) <= SHORT_REPEAT_MAX;
  return isShort ? BITS_OF_SHORT_REPEAT : BITS_OF_LENGTH;
}

/** With a group called `version`: that is what is taken of a text. */
export const versionPatternSchema = z
  .string()
  .min(1)
  .max(PATTERN_CHARS_MAX)
  .transform((pattern, context) => {
    const complaint = complaintAbout(pattern) ?? groupComplaint(pattern);
    if (complaint !== undefined) context.addIssue({ code: "custom", message: complaint });
    try {
      const compiled = new RegExp(pattern, "u");
      // What is wrong with one may be found out only when it is used.
      compiled.test("");
      return compiled;
    } catch (error) {
      context.addIssue({ code: "custom", message: (error as Error).message });
      return z.NEVER;
    }
  });

function groupComplaint(pattern: string): string | undefined {
  return pattern.includes("(?<version>")
    ? undefined
    : "must hold a group (?<version>…): the part that is the version";
}
