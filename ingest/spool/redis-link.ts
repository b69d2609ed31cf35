// Whether Redis takes entries, shard by shard, as the last answers had it. Enters: what became of entries. Leaves: where the
// next ones go, and three lines in the log for an outage: when it begins, when it ends, when all of it is in Redis. Never a
// line per request, and no more of them when Redis wavers.
import type { Logger } from "../../runtime/logger.ts";
import type { AppendOutcome } from "../stream-writer.ts";
import type { Spool } from "./spool.ts";

export interface RedisLink {
  isAway(shard: number): boolean;
  /** Some shards are away and others not: of a cluster that lost a server. */
  isPartlyAway(): boolean;
  /** Why Redis did not take the last entries of some shard; undefined = it took them all. */
  cause(): Error | undefined;
  note(shards: Iterable<number>, outcome: AppendOutcome): void;
  noteDrained(reports: number): void;
  /** All that was kept is in Redis. */
  noteEmpty(): void;
}

export interface RedisLinkOptions {
  readonly spool: Pick<Spool, "state">;
  readonly shards: number;
  readonly logger: Logger;
}

export function createRedisLink({ spool, shards, logger }: RedisLinkOptions): RedisLink {
  const away = new Map<number, Error>();
  let told: "nothing" | "away" | "back" = "nothing";
  let sinceMs = performance.now();
  let drained = 0;
  const seconds = (): number => Math.round((performance.now() - sinceMs) / 1_000);

  function tell(): void {
    const [cause] = away.values();
    if (cause !== undefined && told === "nothing") {
      told = "away";
      sinceMs = performance.now();
      logger.warn({ err: cause }, "Redis does not take reports: they are kept in the spool on disk");
    }
    if (cause === undefined && told === "away") {
      told = "back";
      const { bytes } = spool.state();
      logger.info({ seconds: seconds(), bytes }, "Redis takes reports again; those in the spool follow");
    }
  }

  return {
    isAway: (shard) => away.has(shard),
    isPartlyAway: () => away.size > 0 && away.size < shards,
    cause: () => away.values().next().value,
    note(ofShards, outcome) {
      for (const shard of ofShards)
        if (outcome.kind === "redis_unavailable") away.set(shard, outcome.cause);
        else away.delete(shard);
      tell();
    },
    noteDrained: (reports) => void (drained += reports),
    noteEmpty() {
      logger.info({ reports: drained, seconds: seconds() }, "the spool is drained: Redis has all of it");
      if (away.size === 0) told = "nothing";
      drained = 0;
    },
  };
}
