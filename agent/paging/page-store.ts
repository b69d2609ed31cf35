// Pages that Alertmanager was told, or has yet to be, in Redis: so a page keeps its start over restarts and between
// agents, and one that is over is told as over even by another agent than the one that began it. Enters and leaves:
// KeptPages.
import type { Redis } from "../../runtime/redis.ts";
import { PAGES } from "../journal/control-keys.ts";
import type { KeptPage } from "./plan-posts.ts";

export interface PageStore {
  /** By key. */
  list(): Promise<ReadonlyMap<string, KeptPage>>;
  keep(pages: readonly KeptPage[]): Promise<void>;
  remove(keys: readonly string[]): Promise<void>;
}

export function createPageStore({ redis }: { redis: Redis }): PageStore {
  return {
    async list() {
      const rows = Object.entries(await redis.hgetall(PAGES));
      return new Map(rows.map(([key, row]) => [key, JSON.parse(row) as KeptPage]));
    },
    async keep(pages) {
      if (pages.length === 0) return;
      const rows = pages.flatMap((kept) => [kept.page.key, JSON.stringify(kept)]);
      await redis.hset(PAGES, ...(rows as [string, string]));
    },
    async remove(keys) {
      if (keys.length > 0) await redis.hdel(PAGES, ...keys);
    },
  };
}
