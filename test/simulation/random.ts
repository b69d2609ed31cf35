// Seeded randomness for simulations: the same key gives the same numbers on every machine and every
// run. Generator: sfc32 ("small fast counting", Chris Doty-Humphrey, PractRand). Its 128 bits of state
// come from cyrb128 (bryc, public domain), a hash of the key's text. Not for secrets.
export interface Random {
  /** Uniform in [0, 1), 32 bits of it. */
  next(): number;
  /** True with this probability (0..1). */
  chance(ratio: number): boolean;
  /** Uniform in [min, max). */
  between(min: number, max: number): number;
  /** One of the list, which must not be empty. */
  pick<T>(list: readonly T[]): T;
}

/** Rounds thrown away after seeding, so that keys that differ little give streams that differ much. */
const WARM_UP_ROUNDS = 15;

/** A generator of its own for each key, such as `createRandom(seed, device, version)`. */
export function createRandom(...key: readonly (string | number)[]): Random {
  const next = sfc32(cyrb128(key.join("\u0000")));
  for (let round = 0; round < WARM_UP_ROUNDS; round += 1) next();
  return {
    next,
    chance: (ratio) => next() < ratio,
    between: (min, max) => min + next() * (max - min),
    pick: (list) => {
      if (list.length === 0) throw new Error("cannot pick from an empty list");
      return list[Math.floor(next() * list.length)]!;
    },
  };
}

type State = readonly [number, number, number, number];

function sfc32(state: State): () => number {
  let [a, b, c, counter] = state;
  return () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
}

function cyrb128(text: string): State {
  let h1 = 1_779_033_703;
  let h2 = 3_144_134_277;
  let h3 = 1_013_904_242;
  let h4 = 2_773_480_762;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    h1 = h2 ^ Math.imul(h1 ^ unit, 597_399_067);
    h2 = h3 ^ Math.imul(h2 ^ unit, 2_869_860_233);
    h3 = h4 ^ Math.imul(h3 ^ unit, 951_274_213);
    h4 = h1 ^ Math.imul(h4 ^ unit, 2_716_044_179);
  }
  h1 = Math.imul(h3 ^ (h1 >>> 18), 597_399_067);
  h2 = Math.imul(h4 ^ (h2 >>> 22), 2_869_860_233);
  h3 = Math.imul(h1 ^ (h3 >>> 17), 951_274_213);
  h4 = Math.imul(h2 ^ (h4 >>> 19), 2_716_044_179);
  return [(h1 ^ h2 ^ h3 ^ h4) | 0, (h2 ^ h1) | 0, (h3 ^ h1) | 0, (h4 ^ h1) | 0];
}
