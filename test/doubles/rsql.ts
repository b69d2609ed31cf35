// As much of RSQL as hawkBit's management API is asked here: `==` and `!=` (with `*`), `=ge=`, `=gt=`, `=le=`, `=lt=`, `=in=`,
// `;` for and, `,` for or, parentheses. What it does not know is a mistake, as it is there, whether anything is listed or
// not. Pure. Enters: a filter, and the fields that there are. Leaves: a predicate.

/** By lower-case name: what an item has there; several for a list, none for null. */
export type RsqlFields<T> = Readonly<Record<string, (item: T) => readonly (string | number | boolean)[]>>;
type Test<T> = (item: T) => boolean;

export class RsqlError extends Error {}

const TOKENS = /'[^']*'|"[^"]*"|==|!=|=(?:ge|gt|le|lt|in)=|[();,]|[^'"();,=!]+/g;

export function parseRsql<T>(text: string, fields: RsqlFields<T>): Test<T> {
  const tokens = text.match(TOKENS) ?? [];
  if (tokens.join("") !== text) throw new RsqlError(`"${text}" has something that is no RSQL`);
  let position = 0;
  const peek = (): string | undefined => tokens[position];
  const take = (): string => {
    const token = tokens[position];
    if (token === undefined) throw new RsqlError(`"${text}" ends too early`);
    position += 1;
    return token;
  };
  const parseOr = (): Test<T> => {
    const parts = [parseAnd()];
    while (peek() === ",") {
      take();
      parts.push(parseAnd());
    }
    return (item) => parts.some((part) => part(item));
  };
  const parseAnd = (): Test<T> => {
    const parts = [parseOne()];
    while (peek() === ";") {
      take();
      parts.push(parseOne());
    }
    return (item) => parts.every((part) => part(item));
  };
  const parseOne = (): Test<T> => {
    if (peek() !== "(") return parseComparison();
    take();
    const inner = parseOr();
    if (take() !== ")") throw new RsqlError(`"${text}" lacks a )`);
    return inner;
  };
  const parseComparison = (): Test<T> => {
    const name = take().trim().toLowerCase();
    const read = fields[name];
    if (read === undefined) throw new RsqlError(`The given search parameter field {${name}} does not exist`);
    const operator = take();
    if (operator === "=in=") {
      const values = takeList();
      return (item) => read(item).some((found) => values.some((value) => isLike(found, value)));
    }
    const value = unquoted(take());
    const test = compare(operator, value);
    return operator === "!=" ? (item) => !read(item).some(test) : (item) => read(item).some(test);
  };
  const takeList = (): string[] => {
    if (take() !== "(") throw new RsqlError("=in= needs a list");
    const values = [unquoted(take())];
    for (let next = take(); next !== ")"; next = take()) {
      if (next !== ",") throw new RsqlError(`"${text}" lacks a ) after its list`);
      values.push(unquoted(take()));
    }
    return values;
  };
  const parsed = parseOr();
  if (position < tokens.length) throw new RsqlError(`"${text}" has something after its end`);
  return parsed;
}

function unquoted(token: string): string {
  return token.replace(/^(['"])(.*)\1$/, "$2");
}

function isLike(found: string | number | boolean, value: string): boolean {
  return value.includes("*")
    ? new RegExp(`^${value.split("*").map(escapeRegExp).join(".*")}$`, "i").test(String(found))
    : String(found).toLowerCase() === value.toLowerCase();
}

function compare(operator: string, value: string): (found: string | number | boolean) => boolean {
  switch (operator) {
    case "==":
    case "!=":
      return (found) => isLike(found, value);
    case "=ge=":
      return (found) => Number(found) >= Number(value);
    case "=gt=":
      return (found) => Number(found) > Number(value);
    case "=le=":
      return (found) => Number(found) <= Number(value);
    case "=lt=":
      return (found) => Number(found) < Number(value);
    default:
      throw new RsqlError(`${operator} is no operator`);
  }
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
