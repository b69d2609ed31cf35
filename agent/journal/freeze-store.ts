// Freezes in Redis: set and lifted together with their journal entry in one atomic step. Those whose time is over are
// not in force, and are swept away.
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import type { Redis } from "../../runtime/redis.ts";
import { isInForce } from "../policy/freeze.ts";
import type { Freeze } from "../policy/freeze.ts";
import { FREEZES } from "./control-keys.ts";
import type { AppendResult, Journal } from "./journal.ts";
import type { JournalDraft } from "./journal-entry.ts";

/** Freezes at once, so that no list grows without end. */
export const FREEZES_MAX = 1_000;

export interface FreezeStore {
  /** `exists`: there is one with this id. */
  set(freeze: Freeze, draft: JournalDraft): Promise<AppendResult>;
  /** `missing`: there is none with this id. */
  lift(id: string, draft: JournalDraft): Promise<AppendResult>;
  read(id: string): Promise<Freeze | undefined>;
  /** In force now, oldest first. */
  list(nowMs: number): Promise<Freeze[]>;
  /** Removes those whose time is over. */
  sweep(nowMs: number): Promise<void>;
}

export function createFreezeStore({ redis, journal }: { redis: Redis; journal: Journal }): FreezeStore {
  const readAll = async (): Promise<Freeze[]> =>
    (await redis.hvals(FREEZES)).map((row) => JSON.parse(row) as Freeze);
  return {
    set: (freeze, draft) =>
      journal.append(draft, [
        { op: "absent", key: FREEZES, field: freeze.id },
        { op: "set", key: FREEZES, field: freeze.id, value: JSON.stringify(freeze) },
      ]),
    lift: (id, draft) =>
      journal.append(draft, [
        { op: "present", key: FREEZES, field: id },
        { op: "delete", key: FREEZES, field: id },
      ]),
    async read(id) {
      const row = await redis.hget(FREEZES, id);
      return row === null ? undefined : (JSON.parse(row) as Freeze);
    },
    list: async (nowMs) =>
      (await readAll())
        .filter((freeze) => isInForce(freeze, nowMs))
        .toSorted((left, right) => (left.since < right.since ? -1 : 1)),
    async sweep(nowMs) {
      const over = (await readAll()).filter((freeze) => !isInForce(freeze, nowMs));
      if (over.length > 0) await redis.hdel(FREEZES, ...over.map(({ id }) => id));
    },
  };
}

/** What Lastgood sets by itself where the target of a rollback turned bad as well: one for each channel. */
export function ownFreezeId({ app, channel }: ChannelKey): string {
  return `own_${Buffer.from(`${app}/${channel}`).toString("base64url")}`;
}
