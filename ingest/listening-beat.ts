// Writes down that ingest is listening, so that the agent can tell a silent device from a deaf Lastgood.
// Enters: the clock, and word of reports that were turned away, or that wait in the spool. Leaves: a beat in Redis, now and then; one
// that fails is just missing, but what it had to say of reports turned away is said by the next.
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import { loadLuaScript } from "../runtime/lua.ts";
import type { Redis } from "../runtime/redis.ts";
import { LISTENING_BEAT_MS, LISTENING_GAP_MS_MAX, LISTENING_KEY } from "./contract/listening.ts";

const LISTENING_BEAT = loadLuaScript(new URL("./lua/listening-beat.lua", import.meta.url));

export interface ListeningBeat {
  /** The first beat at once, then one every `LISTENING_BEAT_MS`. */
  start(): void;
  /** One beat. Never rejects. */
  beat(): Promise<void>;
  /**
   * Reports were answered with "send again later": the next beat that Redis takes begins a new spell, for all
   * ingests. To leave it out would not do: another ingest's beats would hide that, and each of these reports may
   * have been the word that a device owed.
   */
  noteTurnedAway(): void;
  /** Nothing is written any more once it has resolved. */
  stop(): Promise<void>;
}

export interface ListeningBeatOptions {
  /** A connection of the role `request`: a beat must not wait for Redis, and come in late with an old time. */
  readonly redis: Redis;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether reports wait here that Redis has not got: to the agent they are as good as turned away until it has. */
  readonly isBehind?: () => boolean;
}

export function createListeningBeat({
  redis,
  clock,
  logger,
  isBehind = () => false,
}: ListeningBeatOptions): ListeningBeat {
  let timer: NodeJS.Timeout | undefined;
  let inFlight: Promise<void> = Promise.resolve();
  let timesTurnedAway = 0;
  /** How many of those Redis has surely been told of. */
  let timesTold = 0;
  let isMissing = false;

  const beat = async (): Promise<void> => {
    const times = timesTurnedAway;
    const breaksSpell = times > timesTold || isBehind() ? 1 : 0;
    try {
      await LISTENING_BEAT.run(redis, [LISTENING_KEY], [clock(), LISTENING_GAP_MS_MAX, breaksSpell]);
      timesTold = times;
      isMissing = false;
    } catch (error) {
      if (!isMissing)
        logger.warn(
          { err: error },
          "can't note that ingest listens; unless another does, no device counts as silent",
        );
      isMissing = true;
    }
  };
  const tick = (): void => void (inFlight = beat());

  return {
    beat,
    start() {
      tick();
      timer = setInterval(tick, LISTENING_BEAT_MS);
    },
    noteTurnedAway: () => void (timesTurnedAway += 1),
    async stop() {
      clearInterval(timer);
      await inFlight;
    },
  };
}
