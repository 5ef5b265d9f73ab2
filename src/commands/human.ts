// Sizes and ages in docker's words. Pure.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** `7.83MB`: three digits, decimal units, as docker's lists have them. */
export const humanSize = (bytes: number): string => {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  // %.3g of C: no zeros behind the point, no exponent for what is below a thousand.
  return `${Number(value.toPrecision(3))}${UNITS[unit]}`;
};

/** `2 weeks ago`, from seconds. */
export const humanAge = (seconds: number): string => `${humanDuration(seconds)} ago`;

/** `2 weeks`, from seconds. */
export const humanDuration = (seconds: number): string => {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.round(seconds / 3600);
  if (seconds < 1) return "Less than a second";
  if (seconds < 2) return "1 second";
  if (seconds < 60) return `${Math.floor(seconds)} seconds`;
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(hours / 24 / 365)} years`;
};

/** Rows under a head, columns three blanks apart, as docker prints its lists. */
export const columns = (rows: readonly (readonly string[])[]): string => {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join("   ")
          .trimEnd()}\n`,
    )
    .join("");
};
