// Parsers of command line options, for commander: each returns a number or says what to write instead.
import { InvalidArgumentError } from "commander";

/** `8%` or `0.08`; a bare number above 1 is refused, because it could mean either. */
export function parseRatio(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(%?)$/.exec(text.trim());
  const value = match === null ? Number.NaN : Number(match[1]) / (match[2] === "%" ? 100 : 1);
  if (!(value >= 0 && value <= 1))
    throw new InvalidArgumentError("write a share such as 8% or 0.08, from 0% to 100%");
  return value;
}

export function parseWholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError("write a whole number such as 20000");
  return value;
}

export function parseSeconds(text: string): number {
  const value = Number(text);
  if (!(value >= 1 && value <= 3_600))
    throw new InvalidArgumentError("write a number of seconds from 1 to 3600");
  return value;
}
