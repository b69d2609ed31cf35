// How deep lists and mappings of a YAML text are in one another, before anybody parses it. Pure. Enters: a text. Leaves: where
// it nests too deep. The parser, and all who walk its document, do so by recursion; and where the stack is nearly at its end
// a regular expression that is compiled there ends the whole process, which nothing can catch. Lexer and CST do not recurse.
import { Lexer, Parser } from "yaml";

/** As in JSON (json.ts). */
export const YAML_DEPTH_MAX = 64;

export const YAML_TOO_DEEP = `lists and mappings may be ${YAML_DEPTH_MAX} deep in one another: this is the first that is deeper`;

const COLLECTIONS: ReadonlySet<string> = new Set(["block-map", "block-seq", "flow-collection"]);

/** Offset of the first list or mapping that is too deep; undefined = there is none. */
export function tooDeepAt(text: string): number | undefined {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    // What is complete is handed out; what is still open stays on the parser's stack.
    Array.from(parser.next(lexeme));
    if (parser.stack.length <= YAML_DEPTH_MAX) continue;
    const open = parser.stack.filter(({ type }) => COLLECTIONS.has(type));
    if (open.length > YAML_DEPTH_MAX) return open.at(-1)!.offset;
  }
  return undefined;
}
