// Chance that a failing test can be repeated with: the same numbers for the same seed.

export interface Random {
  /** An integer from 0 up to but not including `limit`. */
  below(limit: number): number;
  pick<T>(list: readonly T[]): T;
}

/** Marsaglia's xorshift with 32 bits. */
export const random = (seed: number): Random => {
  let state = seed;
  const below = (limit: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
  return { below, pick: (list) => list[below(list.length)]! };
};
