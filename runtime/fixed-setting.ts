// A setting that may not change once data was written by it: the first start writes it down beside the
// data, and every later start of every process is held to it.
import type { Redis } from "./redis.ts";

export interface FixedSetting {
  /** Hash in Redis that keeps fixed settings. */
  readonly key: string;
  readonly name: string;
  readonly value: string;
}

/** Throws when the data was made with another value, naming both and the remedy. */
export async function keepFixed(redis: Redis, { key, name, value }: FixedSetting): Promise<void> {
  await redis.hsetnx(key, name, value);
  const held = await redis.hget(key, name);
  if (held === value) return;
  throw new Error(
    `${name} is ${value} in the configuration, but the data in Redis was made with ${held}: ` +
      `set ${name} back to ${held}, or start with an empty data folder`,
  );
}
