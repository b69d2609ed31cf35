// Tells Redis now and then how many reports came without the proof that they owe, so that the agent can call a person
// while somebody forges reports. Enters: each report's proof. Leaves: sums in Redis; those that it did not take are told
// the next time.
import type { Clock } from "../../runtime/clock.ts";
import type { Redis } from "../../runtime/redis.ts";
import { PROOFS_KEPT_SECONDS, deviceProofsKey, proofField } from "../contract/device-proofs.ts";

/** How often sums are written, in milliseconds. */
export const TALLY_INTERVAL_MS = 5_000;

export interface ProofTally {
  note(app: string, proof: "proven" | "unproven"): void;
  start(): void;
  /** Writes what is left. Never rejects. */
  stop(): Promise<void>;
  /** Never rejects. */
  flush(): Promise<void>;
}

export function createProofTally({ redis, clock }: { redis: Redis; clock: Clock }): ProofTally {
  let waiting = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;
  const add = (field: string, count: number): void =>
    void waiting.set(field, (waiting.get(field) ?? 0) + count);
  const flush = async (): Promise<void> => {
    if (waiting.size === 0) return;
    const told = waiting;
    waiting = new Map();
    const key = deviceProofsKey(clock());
    const pipeline = redis.multi();
    for (const [field, count] of told) pipeline.hincrby(key, field, count);
    pipeline.expire(key, PROOFS_KEPT_SECONDS);
    try {
      await pipeline.exec();
    } catch {
      for (const [field, count] of told) add(field, count);
    }
  };
  return {
    note(app, proof) {
      add(proofField(app, "reports"), 1);
      if (proof === "unproven") add(proofField(app, "unproven"), 1);
    },
    start: () => void (timer = setInterval(() => void flush(), TALLY_INTERVAL_MS)),
    async stop() {
      clearInterval(timer);
      await flush();
    },
    flush,
  };
}
