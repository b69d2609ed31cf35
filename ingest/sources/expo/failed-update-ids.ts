// The list in `Expo-Recent-Failed-Update-IDs`: a structured-field list of strings (RFC 8941, 3.1), such as
// `"6f1c…", "a93e…"`. Pure. Enters: the header's text. Leaves: the texts in their order, or undefined for what is no such
// list: then it is not known what failed, and nothing of it may be guessed.

/** Whitespace around commas, one string, and parameters that nobody here needs. */
const MEMBER = /[ \t]*"((?:[ !#-[\]-~]|\\["\\])*)"((?:;[ ]*[a-z*][a-z0-9_.*-]*(?:=[^",;\s]+)?)*)[ \t]*(,|$)/y;

export function parseStringList(text: string): readonly string[] | undefined {
  const members: string[] = [];
  if (text.trim() === "") return members;
  MEMBER.lastIndex = 0;
  for (;;) {
    const match = MEMBER.exec(text);
    if (match === null) return undefined;
    members.push(match[1]!.replaceAll(/\\(["\\])/g, "$1"));
    if (match[3] === "") return members;
  }
}
