// "Did you mean": which known words a mistyped one is near to.

/** Letters to insert, delete, replace or swap with the next one, to get from `a` to `b` (optimal string alignment). */
export const distance = (a: string, b: string): number => {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      row[j] = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, before[j - 2]! + 1);
    }
    before = above;
    above = row;
  }
  return above[b.length]!;
};

/** The words that differ from `typed` in a third of its letters at most, the nearest ones first. */
export const nearest = (typed: string, words: readonly string[]): string[] => {
  const limit = Math.max(1, Math.floor(typed.length / 3));
  return words
    .map((word) => ({ word, far: distance(typed, word) }))
    .filter(({ word, far }) => far <= limit && far < word.length)
    .sort((one, other) => one.far - other.far)
    .map(({ word }) => word);
};
