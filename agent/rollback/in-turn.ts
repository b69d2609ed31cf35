// One act at a time on a channel, in this process: where looking and acting are several requests to a server, two acts must
// not be between each other's. Other agents are kept off by the decision's job. Enters: acts. Leaves: their answers.
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";

export type InTurn = <T>(key: ChannelKey, act: () => Promise<T>) => Promise<T>;

/** Acts never reject: the port's methods answer with values. */
export function createInTurn(): InTurn {
  const last = new Map<string, Promise<unknown>>();
  return async (key, act) => {
    const text = formatChannelKey(key);
    const mine = (last.get(text) ?? Promise.resolve()).then(act, act);
    last.set(text, mine);
    try {
      return await mine;
    } finally {
      if (last.get(text) === mine) last.delete(text);
    }
  };
}
