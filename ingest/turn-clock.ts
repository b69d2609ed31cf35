// One time for all that comes in together. Entries of one receive time can be joined (group-appender.ts), and requests that
// are read in one turn of the event loop came in within a millisecond or a few. Enters: a clock. Leaves: a clock that stands
// still until the turn is over.
import type { Clock } from "../runtime/clock.ts";

export function createTurnClock(clock: Clock): Clock {
  let nowMs: number | undefined;
  return () => {
    if (nowMs === undefined) {
      nowMs = clock();
      setImmediate(() => (nowMs = undefined));
    }
    return nowMs;
  };
}
