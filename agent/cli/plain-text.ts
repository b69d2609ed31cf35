// Text for a terminal. What devices sent, or somebody wrote into a stream, may hold control characters: none
// of it may reach the terminal as a command. Lines are made for 80 columns.

/** Columns that a page takes at most. */
export const LINE_CHARS_MAX = 80;

export function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "?");
}

/** At most `charsMax` characters; a cut shows as `…`. */
export function cut(text: string, charsMax: number): string {
  const chars = Array.from(text);
  return chars.length <= charsMax ? text : `${chars.slice(0, charsMax - 1).join("")}…`;
}

/** Words with commas between them, in lines of at most LINE_CHARS_MAX that follow an indent of so many characters. */
export function wrapWords(words: readonly string[], indentChars: number): string[] {
  const lines: string[] = [];
  words.forEach((word, index) => {
    const text = index === words.length - 1 ? word : `${word},`;
    const line = lines.at(-1);
    const fits = line !== undefined && indentChars + line.length + 1 + text.length <= LINE_CHARS_MAX;
    if (fits) lines[lines.length - 1] = `${line} ${text}`;
    else lines.push(text);
  });
  return lines;
}

/** A sentence in lines of so many characters; a word that is longer has a line of its own. */
export function wrapText(text: string, lineChars: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= lineChars)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** `1,234`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** `4.0%`; small shares get a second digit, and of nothing there is no share. */
export function formatShare(part: number, whole: number): string {
  if (whole === 0) return "-";
  const percent = (100 * part) / whole;
  return `${percent.toFixed(percent > 0 && percent < 1 ? 2 : 1)}%`;
}

/** `2026-11-23 14:13:44`, of an RFC 3339 time in UTC. */
export function formatTime(at: string): string {
  return at.slice(0, 19).replace("T", " ");
}
