// Rollbacks that a guard holds back now: since when, why, and how often it began. Kept with its journal
// entry in one atomic step; the same reason going on writes no second entry, only what it says now.
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Redis } from "../../runtime/redis.ts";
import type { Verdict } from "../judge/verdict.ts";
import type { DecisionReason, RollbackDecision } from "../policy/decision.ts";
import { HOLDS, HOLD_COUNTS } from "./control-keys.ts";
import type { Journal } from "./journal.ts";
import { toSignalRecord } from "./signal-record.ts";

export interface Hold {
  readonly reason: DecisionReason;
  readonly guard: string;
  readonly sentence: string;
  /** RFC 3339. */
  readonly since: string;
}

export type HoldDecision = Extract<RollbackDecision, { kind: "hold" }>;

export interface HoldStore {
  /** `began`: the release was not held, or for another reason. */
  keep(decision: HoldDecision, verdict: Verdict, nowMs: number): Promise<"began" | "goes_on">;
  clear(release: ReleaseKey): Promise<void>;
  /** By release key text. */
  list(): Promise<ReadonlyMap<string, Hold>>;
  /** Times that a hold began, by reason. */
  counts(): Promise<ReadonlyMap<string, number>>;
}

export function createHoldStore({ redis, journal }: { redis: Redis; journal: Journal }): HoldStore {
  return {
    async keep({ reason, guard, sentence }, { release, signals }, nowMs) {
      const field = formatReleaseKey(release);
      const row = await redis.hget(HOLDS, field);
      const before = row === null ? undefined : (JSON.parse(row) as Hold);
      const goesOn = before?.reason === reason;
      const since = goesOn ? before.since : new Date(nowMs).toISOString();
      const value = JSON.stringify({ reason, guard, sentence, since } satisfies Hold);
      if (goesOn) {
        await redis.hset(HOLDS, field, value);
        return "goes_on";
      }
      const body = { release, reason, guard, sentence, signals: signals.map(toSignalRecord) };
      await journal.append({ kind: "hold", at: since, body }, [
        { op: "set", key: HOLDS, field, value },
        { op: "increment", key: HOLD_COUNTS, field: reason, value: "1" },
      ]);
      return "began";
    },
    clear: async (release) => void (await redis.hdel(HOLDS, formatReleaseKey(release))),
    async list() {
      const rows = Object.entries(await redis.hgetall(HOLDS));
      return new Map(rows.map(([text, row]) => [text, JSON.parse(row) as Hold]));
    },
    async counts() {
      const rows = Object.entries(await redis.hgetall(HOLD_COUNTS));
      return new Map(rows.map(([reason, count]) => [reason, Number(count)]));
    },
  };
}
