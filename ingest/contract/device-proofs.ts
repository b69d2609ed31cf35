// How many reports came with and without the proof that an app's devices owe, by ten minutes: ingest writes it, the agent
// calls a person by it. Enters: what Redis holds, and a time. Leaves: counts by app.

export interface ProofCounts {
  /** Reports of an app with device_auth, in mode `observe` too. */
  readonly reports: number;
  /** Those without a proof, with a wrong one, or with another device's. */
  readonly unproven: number;
}

export const PROOFS_BUCKET_MS = 600_000;
/** How long a bucket is kept, in seconds. */
export const PROOFS_KEPT_SECONDS = 7_200;

/** Hash: `<app> reports` and `<app> unproven` -> how many, of ten minutes. */
export function deviceProofsKey(atMs: number): string {
  return `{lg:control}:device-proofs:${Math.floor(atMs / PROOFS_BUCKET_MS)}`;
}

export function proofField(app: string, count: keyof ProofCounts): string {
  return `${app} ${count}`;
}

interface HashReader {
  hgetall(key: string): Promise<Readonly<Record<string, string>>>;
}

/** Of the ten minutes that run, and those before; by app. */
export async function readDeviceProofs(
  redis: HashReader,
  nowMs: number,
): Promise<ReadonlyMap<string, ProofCounts>> {
  const keys = [deviceProofsKey(nowMs - PROOFS_BUCKET_MS), deviceProofsKey(nowMs)];
  const counts = new Map<string, ProofCounts>();
  for (const row of await Promise.all(keys.map((key) => redis.hgetall(key))))
    for (const [field, value] of Object.entries(row)) {
      const [app = "", count = ""] = field.split(" ");
      const known = counts.get(app) ?? { reports: 0, unproven: 0 };
      if (count === "reports" || count === "unproven")
        counts.set(app, { ...known, [count]: known[count] + Number(value) });
    }
  return counts;
}
