// Keeps Lastgood from locking itself out of Capgo, which answers an address that failed to log in 20 times with 429 for 15
// minutes, whoever asks from there. Refused acts are tried again every few seconds for an hour, and channels are looked at
// all the time: so after a refused key nothing is sent with it for a while. One for the whole process, however many apps
// have the key. Enters: what the server said to a key. Leaves: the answer to give instead of asking, if any.
import type { Clock } from "../../../runtime/clock.ts";
import { formatDuration } from "../../../runtime/units.ts";
import type { Refused, Unavailable } from "../ota-server.ts";

/** How long a refused key rests at first, in milliseconds; doubled each time it is refused again. */
export const CAPGO_KEY_RESTS_MS_FIRST = 30_000;
/** And at most: 5 attempts in the first 15 minutes, so that three agents behind one address stay below 20. */
export const CAPGO_KEY_RESTS_MS_MAX = 600_000;

export interface CapgoAuthBrake {
  /** Asks, or says what is known already. Of a key that nobody knows to be good the first request goes alone. */
  asking<T>(account: CapgoAccount, ask: () => Promise<T>): Promise<T | Refused | Unavailable>;
  /** 401: this key is not known. Leaves: what to say of it. */
  refused(account: CapgoAccount, refusal: Refused): Refused;
  /** 429 because of failed log-ins. */
  lockedOut(account: CapgoAccount, answer: Unavailable): void;
  accepted(account: CapgoAccount): void;
}

export interface CapgoAccount {
  readonly url: string;
  readonly apiKey: string;
}

interface Rest {
  readonly sinceMs: number;
  readonly forMs: number;
  readonly answer: Refused | Unavailable;
}

export function createCapgoAuthBrake(clock: Clock): CapgoAuthBrake {
  const rests = new Map<string, Rest>();
  const good = new Set<string>();
  const firsts = new Map<string, Promise<unknown>>();
  const nameOf = ({ url, apiKey }: CapgoAccount): string => `${url} ${apiKey}`;
  const restOf = (name: string): (Rest & { readonly leftMs: number }) | undefined => {
    const rest = rests.get(name);
    if (rest === undefined) return undefined;
    const goneMs = clock() - rest.sinceMs;
    // A clock that was set back must not keep the key from being tried.
    return goneMs < 0 || goneMs >= rest.forMs ? undefined : { ...rest, leftMs: rest.forMs - goneMs };
  };
  const askUnlessAtRest = <T>(name: string, ask: () => Promise<T>): Promise<T | Refused | Unavailable> => {
    const rest = restOf(name);
    if (rest === undefined) return ask();
    const { answer, leftMs } = rest;
    return Promise.resolve(answer.kind === "refused" ? answer : { ...answer, retryAfterMs: leftMs });
  };
  return {
    async asking(account, ask) {
      const name = nameOf(account);
      if (good.has(name)) return askUnlessAtRest(name, ask);
      const first = firsts.get(name);
      if (first !== undefined) {
        await first;
        return askUnlessAtRest(name, ask);
      }
      const asked = askUnlessAtRest(name, ask);
      firsts.set(
        name,
        asked.finally(() => firsts.delete(name)).catch(() => {}),
      );
      return asked;
    },
    refused(account, { detail }) {
      const name = nameOf(account);
      good.delete(name);
      const before = rests.get(name);
      // Several requests were under way when the first one was refused: that is one refusal.
      if (before?.answer.kind === "refused" && restOf(name) !== undefined) return before.answer;
      const forMs =
        before?.answer.kind === "refused"
          ? Math.min(before.forMs * 2, CAPGO_KEY_RESTS_MS_MAX)
          : CAPGO_KEY_RESTS_MS_FIRST;
      const answer: Refused = {
        kind: "refused",
        detail: `${detail} (this key is not tried again for ${formatDuration(forMs)}: Capgo locks an address out after 20 refused log-ins)`,
      };
      rests.set(name, { sinceMs: clock(), forMs, answer });
      return answer;
    },
    lockedOut(account, answer) {
      const forMs = answer.retryAfterMs ?? CAPGO_KEY_RESTS_MS_MAX;
      rests.set(nameOf(account), { sinceMs: clock(), forMs, answer });
    },
    accepted(account) {
      good.add(nameOf(account));
      rests.delete(nameOf(account));
    },
  };
}
