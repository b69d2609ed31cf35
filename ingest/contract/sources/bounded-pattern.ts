// Regular expressions that an operator writes and devices' texts are held against: a schema piece. Enters: a pattern.
// Leaves: a RegExp that ends in time whatever the text, or why not.
//
// JavaScript's engine tries every way to match. `(a+)+$` on 40 characters takes it hours, and the text comes from anyone
// who has the key that is in every app. So what can multiply is bounded twice: texts by length, and patterns by how
// often they may repeat or choose; repeats inside repeats are refused. What is left costs milliseconds at worst
// (a test measures it).
import { z } from "zod";

/** Longest text that is held against a pattern, in UTF-16 code units. Sentry's own limit for a release is 250. */
export const MATCHED_CHARS_MAX = 256;
/** Longest pattern, in UTF-16 code units. */
export const PATTERN_CHARS_MAX = 256;
/** `*`, `+` and `{2,}` in a pattern: each may multiply the time by the length of the text. */
export const ENDLESS_REPEATS_MAX = 2;
/** `?`, `{2,4}` and `|` in a pattern: each may double the time. */
export const CHOICES_MAX = 4;
/** A repeat that is told to end after more than this counts as endless. */
const SHORT_REPEAT_MAX = 4;

interface Group {
  hasRepeat: boolean;
}

/** Why the pattern is refused; undefined = it is fine. Its syntax is not looked at: RegExp does that. */
export function complaintAbout(pattern: string): string | undefined {
  let endless = 0;
  let choices = 0;
  // A part that was just read and may be repeated: a character, or a group.
  let last: Group | undefined;
  const open: Group[] = [{ hasRepeat: false }];
  for (const token of tokensOf(pattern)) {
    if (token.startsWith("(")) {
      if (/^\(\?<?[=!]/.test(token)) return "must not look ahead or behind";
      open.push({ hasRepeat: false });
    } else if (token === ")") {
      last = open.length > 1 ? open.pop() : undefined;
      if (last?.hasRepeat === true) open.at(-1)!.hasRepeat = true;
    } else if (token === "|") {
      choices += 1;
      open.at(-1)!.hasRepeat = true;
    } else if (/^\\(?:[1-9]|k)/.test(token)) return "must not refer back to a group";
    else if (/^[*+?{]/.test(token)) {
      // Once or not at all is no repeat.
      if (last?.hasRepeat === true && !token.startsWith("?"))
        return "must not repeat a group in which something repeats or is chosen";
      if (isEndless(token)) endless += 1;
      else choices += 1;
      open.at(-1)!.hasRepeat = true;
    } else last = undefined;
  }
  if (endless > ENDLESS_REPEATS_MAX) return `must not hold more than ${ENDLESS_REPEATS_MAX} of * and +`;
  if (choices > CHOICES_MAX) return `must not hold more than ${CHOICES_MAX} of ? and |`;
  return undefined;
}

/** Escapes, classes, starts of groups and repeats as one each; else characters. A lazy repeat's `?` is part of it. */
function tokensOf(pattern: string): string[] {
  return (
    pattern.match(
      /\\k<[^>]*>|\\[\s\S]|\[(?:\\[\s\S]|[^\]\\])*\]|\(\?(?:<?[=!]|:|<[^>]*>)|[*+?]\??|\{\d+(?:,\d*)?\}\??|[\s\S]/g,
    ) ?? []
  );
}

function isEndless(repeat: string): boolean {
  if (/^[*+]/.test(repeat)) return true;
  const [, least, most] = /^\{(\d+)(?:,(\d*))?\}/.exec(repeat) ?? [];
  if (least === undefined) return false;
  return most === "" || Number(most ?? least) > SHORT_REPEAT_MAX;
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
      return new RegExp(pattern, "u");
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
