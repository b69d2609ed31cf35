// What the fleet's process and its parent say to each other: JSON lines, one message a line. The fleet
// writes messages on stdout; the parent writes commands on the fleet's stdin.
import type { VersionBook } from "./books.ts";
import type { FleetState } from "./fleet.ts";
import type { GatewayCounts } from "./gateway.ts";

export interface FleetProgress {
  readonly kind: "progress";
  /** Epoch milliseconds. */
  readonly at: number;
  /** What the channel answered last; null before the first answer and while the server can't be asked. */
  readonly offered: string | null;
  readonly fleet: FleetState;
  readonly reports: GatewayCounts;
  readonly books: Readonly<Record<string, VersionBook>>;
}

export interface FleetFinal extends Omit<FleetProgress, "kind"> {
  readonly kind: "final";
}

export type FleetMessage = FleetProgress | FleetFinal;

/** `stop`: no device checks in any more; what has begun is told and acknowledged, then the books follow. */
export interface FleetCommand {
  readonly cmd: "stop";
}

/** Splits a stream of text into lines and reads each as JSON; lines that are no JSON go to `onOther`. */
export function createLineReader(options: {
  readonly onMessage: (message: unknown) => void;
  readonly onOther?: (line: string) => void;
}): (chunk: string) => void {
  let rest = "";
  return (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.trim() === "") continue;
      let message: unknown;
      try {
        message = JSON.parse(line);
      } catch {
        options.onOther?.(line);
        continue;
      }
      options.onMessage(message);
    }
  };
}
