// Parsers of the benches' flags, for commander, beside those of the simulation.
import { InvalidArgumentError } from "commander";

export function parseWholeNumbers(text: string): number[] {
  const numbers = text.split(",").map(Number);
  if (numbers.some((each) => !Number.isSafeInteger(each) || each < 1))
    throw new InvalidArgumentError("write whole numbers such as 100000,1000000");
  return numbers;
}
