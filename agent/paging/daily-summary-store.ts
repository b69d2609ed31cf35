// Which daily summaries are due and which were sent, in Redis: once each, over restarts and whichever agent sends it.
// A summary is named by the minute that the calendar asked for it. One that was begun and never ended (a crash, a
// lost answer) counts as sent: rather none than two.
import type { Redis } from "../../runtime/redis.ts";
import { DAILY_SUMMARIES } from "../journal/control-keys.ts";

/** What is older is forgotten, in milliseconds. */
export const KEPT_MS = 7 * 24 * 3_600_000;

export interface DailySummaryStore {
  /** Makes it due, unless it has been before. `minute`: `2026-01-31T08:00`. */
  ask(minute: string, nowMs: number): Promise<void>;
  /** Oldest first. */
  listDue(): Promise<string[]>;
  /** `taken`: somebody else has begun it. */
  begin(minute: string, nowMs: number): Promise<"begun" | "taken">;
  /** It was surely not sent: it stays due. */
  undo(minute: string): Promise<void>;
  end(minute: string, how: "sent" | "given_up"): Promise<void>;
}

export function createDailySummaryStore({ redis }: { redis: Redis }): DailySummaryStore {
  const begun = (minute: string): string => `${minute}:begun`;
  return {
    async ask(minute, nowMs) {
      await redis.hsetnx(DAILY_SUMMARIES, minute, "due");
      const old = (await redis.hkeys(DAILY_SUMMARIES)).filter((field) => nowMs - minuteMs(field) > KEPT_MS);
      if (old.length > 0) await redis.hdel(DAILY_SUMMARIES, ...old);
    },
    async listDue() {
      const fields = await redis.hgetall(DAILY_SUMMARIES);
      const isDue = ([field, state]: [string, string]): boolean =>
        state === "due" && fields[begun(field)] === undefined;
      return Object.entries(fields)
        .filter(isDue)
        .map(([field]) => field)
        .toSorted();
    },
    begin: async (minute, nowMs) =>
      (await redis.hsetnx(DAILY_SUMMARIES, begun(minute), String(nowMs))) === 1 ? "begun" : "taken",
    undo: async (minute) => void (await redis.hdel(DAILY_SUMMARIES, begun(minute))),
    end: async (minute, how) => void (await redis.hset(DAILY_SUMMARIES, minute, how)),
  };
}

/** When the calendar asked for it, epoch milliseconds. */
export function minuteMs(minute: string): number {
  return Date.parse(`${minute.slice(0, "2026-01-31T08:00".length)}:00Z`);
}
