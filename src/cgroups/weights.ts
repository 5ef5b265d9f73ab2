// Shares and weights: how version 1 and version 2 say what part of a processor or a disk a group gets when others
// want it too.

/** The range of cpu.shares. @see Documentation/scheduler/sched-design-CFS.rst */
const MIN_SHARES = 2;
const MAX_SHARES = 262144;

/**
 * cpu.shares (2 to 262144, usually 1024) to cpu.weight (1 to 10000, usually 100): a curve through the smallest, the
 * usual and the largest of both, that of runc 1.3.2 and later. Shares out of range count as the nearest in range, as the
 * kernel has it.
 */
export const weightOfShares = (shares: number): number => {
  const l = Math.log2(Math.min(Math.max(shares, MIN_SHARES), MAX_SHARES));
  return Math.ceil(10 ** ((l * l + 125 * l) / 612 - 7 / 34) - EPSILON);
};

/** The inverse: the largest shares with a weight of at most `weight`, so that a weight comes back as itself. */
export const sharesOfWeight = (weight: number): number => {
  const w = Math.min(Math.max(weight, 1), 10000);
  // l*l + 125*l = 612 * (log10(w) + 7/34), solved for l
  const l = (Math.sqrt(125 * 125 + 4 * 612 * (Math.log10(w) + 7 / 34)) - 125) / 2;
  return Math.floor(2 ** l + EPSILON);
};

/** Larger than what rounding adds to an exact result, smaller than the distance to the next integer anywhere. */
const EPSILON = 1e-6;

/** blkio.weight (10 to 1000) to io.weight (1 to 10000), on a straight line, as runc and crun have it. */
export const ioWeightOfBlkio = (weight: number): number => 1 + Math.floor(((weight - 10) * 9999) / 990);

/** The inverse, to the nearest. */
export const blkioOfIoWeight = (weight: number): number => 10 + Math.round(((weight - 1) * 990) / 9999);
