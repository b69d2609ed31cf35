// As much of RSQL as hawkBit's management API is asked here: `==` (with `*`), `=ge=`, `;` for and, `,` for or, parentheses.
// What it does not know is a mistake, as it is there. Pure. Enters: a filter and how to read a field. Leaves: a predicate.

export type ReadField<T> = (item: T, field: string) => readonly (string | number)[] | undefined;

export class RsqlError extends Error {}

export function parseRsql<T>(text: string, read: ReadField<T>): (item: T) => boolean {
  const tokens = text.match(/'[^']*'|"[^"]*"|==|=ge=|=gt=|[();,]|[^'"();,=]+/g) ?? [];
  let position = 0;
  const peek = (): string | undefined => tokens[position];
  const take = (): string => {
    const token = tokens[position];
    if (token === undefined) throw new RsqlError(`"${text}" ends too early`);
    position += 1;
    return token;
  };
  const parseOr = (): ((item: T) => boolean) => {
    const parts = [parseAnd()];
    while (peek() === ",") {
      take();
      parts.push(parseAnd());
    }
    return (item) => parts.some((part) => part(item));
  };
  const parseAnd = (): ((item: T) => boolean) => {
    const parts = [parseOne()];
    while (peek() === ";") {
      take();
      parts.push(parseOne());
    }
    return (item) => parts.every((part) => part(item));
  };
  const parseOne = (): ((item: T) => boolean) => {
    if (peek() !== "(") return parseComparison();
    take();
    const inner = parseOr();
    if (take() !== ")") throw new RsqlError(`"${text}" lacks a )`);
    return inner;
  };
  const parseComparison = (): ((item: T) => boolean) => {
    const field = take().trim().toLowerCase();
    const operator = take();
    const value = take().replace(/^(['"])(.*)\1$/, "$2");
    return (item) => {
      const found = read(item, field);
      if (found === undefined) throw new RsqlError(`the field ${field} does not exist`);
      return found.some((each) => compare(each, operator, value));
    };
  };
  const parsed = parseOr();
  if (position < tokens.length) throw new RsqlError(`"${text}" has something after its end`);
  return parsed;
}

function compare(found: string | number, operator: string, value: string): boolean {
  switch (operator) {
    case "==":
      return value.includes("*")
        ? new RegExp(`^${value.split("*").map(escapeRegExp).join(".*")}$`, "i").test(String(found))
        : String(found).toLowerCase() === value.toLowerCase();
    case "=ge=":
      return Number(found) >= Number(value);
    case "=gt=":
      return Number(found) > Number(value);
    default:
      throw new RsqlError(`${operator} is no operator`);
  }
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
