// Says in the log that somebody who is told things does not take them, and that they do again: once per change, never
// once per try. Enters: the result of each try. Leaves: log lines.
import type { Logger } from "../../runtime/logger.ts";

export interface ChangeLog {
  say(result: string, detail: string): void;
}

export function createChangeLog({
  logger,
  name,
}: {
  readonly logger: Logger;
  readonly name: string;
}): ChangeLog {
  let before: string | undefined;
  return {
    say(result, detail) {
      if (result === before) return;
      const isFirst = before === undefined;
      before = result;
      if (result !== "taken") logger.error(`${name} is not told: ${detail}. It is tried again until it is.`);
      else if (!isFirst) logger.info(`${name} is told again`);
    },
  };
}
