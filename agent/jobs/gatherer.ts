// Gathers wake-ups of channels for a moment, so that a busy channel is evaluated a few times a second and
// not after every batch. The timer is the process's own and knows no time of day: a clock that is set back
// cannot hold it up. What a crash loses here, the sweep finds again.
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";

/** How long changes of channels are gathered before they are evaluated, in milliseconds. */
export const GATHER_MS = 100;

export interface Gatherer {
  add(channels: readonly ChannelKey[]): void;
  /** Hands out what is gathered, now. */
  stop(): Promise<void>;
}

export interface GathererOptions {
  readonly onFlush: (channels: readonly ChannelKey[]) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

export function createGatherer({ onFlush, onError }: GathererOptions): Gatherer {
  let gathered = new Map<string, ChannelKey>();
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const flush = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const channels = [...gathered.values()];
    gathered = new Map();
    if (channels.length > 0) await onFlush(channels);
  };
  return {
    add(channels) {
      // They are on the list of changed releases: the next start evaluates them.
      if (isStopped) return;
      for (const channel of channels) gathered.set(formatChannelKey(channel), channel);
      timer ??= setTimeout(() => void flush().catch(onError), GATHER_MS);
    },
    stop() {
      isStopped = true;
      return flush().catch(onError);
    },
  };
}
