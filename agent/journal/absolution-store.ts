// Absolutions in Redis (policy/absolution.ts): kept together with their journal entry in one atomic step.
import { formatReleaseKey } from "../../ingest/contract/release-key.ts";
import type { ReleaseKey } from "../../ingest/contract/release-key.ts";
import type { Redis } from "../../runtime/redis.ts";
import type { Absolution } from "../policy/absolution.ts";
import { ABSOLUTIONS, HOLDS } from "./control-keys.ts";
import type { Journal } from "./journal.ts";
import type { JournalDraft } from "./journal-entry.ts";

export interface AbsolutionStore {
  set(release: ReleaseKey, absolution: Absolution, draft: JournalDraft): Promise<void>;
  read(release: ReleaseKey): Promise<Absolution | undefined>;
  /** By release key text. */
  list(): Promise<ReadonlyMap<string, Absolution>>;
}

export function createAbsolutionStore({
  redis,
  journal,
}: {
  redis: Redis;
  journal: Journal;
}): AbsolutionStore {
  return {
    async set(release, absolution, draft) {
      const field = formatReleaseKey(release);
      await journal.append(draft, [
        { op: "set", key: ABSOLUTIONS, field, value: JSON.stringify(absolution) },
        { op: "delete", key: HOLDS, field },
      ]);
    },
    async read(release) {
      const row = await redis.hget(ABSOLUTIONS, formatReleaseKey(release));
      return row === null ? undefined : (JSON.parse(row) as Absolution);
    },
    async list() {
      const rows = Object.entries(await redis.hgetall(ABSOLUTIONS));
      return new Map(rows.map(([text, row]) => [text, JSON.parse(row) as Absolution]));
    },
  };
}
